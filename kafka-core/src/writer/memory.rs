//! The bytes a writer may hold: charged by the capacity of its batches' chunks, given back when a batch is resolved.
//!
//! Waiters are served first come, first served: while one waits, nobody takes room past it.

use crate::sync::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    next_ticket: u64,
    waiters: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    need: usize,
    granted: bool,
    waker: Option<Waker>,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `need` bytes if they are free and nobody waits.
    pub(crate) fn try_reserve(&self, need: usize) -> bool {
        let mut state = self.lock();
        let fits = state.waiters.is_empty() && state.used.saturating_add(need) <= self.limit;
        if fits {
            state.used += need;
        }
        fits
    }

    /// Gets in line for `need` bytes.
    pub(crate) fn enqueue(&self, need: usize) -> u64 {
        let mut state = self.lock();
        state.next_ticket += 1;
        let ticket = state.next_ticket;
        state.waiters.push_back(Waiter { ticket, need: need.min(self.limit), granted: false, waker: None });
        state.grant(self.limit);
        ticket
    }

    /// Ready once the bytes of this ticket are its own.
    pub(crate) fn poll_granted(&self, ticket: u64, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let Some(at) = state.waiters.iter().position(|w| w.ticket == ticket) else { return Poll::Ready(()) };
        if state.waiters[at].granted {
            state.waiters.remove(at);
            return Poll::Ready(());
        }
        state.waiters[at].waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Leaves the line; what was granted meanwhile goes to the next.
    pub(crate) fn leave(&self, ticket: u64) {
        let mut state = self.lock();
        let Some(at) = state.waiters.iter().position(|w| w.ticket == ticket) else { return };
        if let Some(waiter) = state.waiters.remove(at)
            && waiter.granted
            && !mutant!("send_budget_not_returned")
        {
            state.used -= waiter.need;
        }
        state.grant(self.limit);
        let wake = state.take_wakers();
        drop(state);
        wake.into_iter().for_each(Waker::wake);
    }

    /// Gives bytes back. Who gets them is woken by [`wake`](Self::wake), which the caller calls outside its locks.
    pub(crate) fn release(&self, bytes: usize) {
        let mut state = self.lock();
        state.used = state.used.saturating_sub(bytes);
        state.grant(self.limit);
    }

    pub(crate) fn wake(&self) {
        if mutant!("wakeup_lost") {
            return;
        }
        let wake = self.lock().take_wakers();
        wake.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn used(&self) -> usize {
        self.lock().used
    }

    pub(crate) fn has_waiters(&self) -> bool {
        self.lock().waiters.iter().any(|w| !w.granted)
    }

    /// Everybody who waits is let through, to find the writer closed.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        let mut used = state.used;
        for waiter in state.waiters.iter_mut().filter(|w| !w.granted) {
            waiter.granted = true;
            used += waiter.need;
        }
        state.used = used;
    }
}

impl State {
    fn grant(&mut self, limit: usize) {
        for waiter in self.waiters.iter_mut().filter(|w| !w.granted) {
            // A need beyond the limit cannot be; one as large as the limit waits for all the others.
            if self.used + waiter.need > limit && self.used > 0 {
                break;
            }
            waiter.granted = true;
            self.used += waiter.need;
        }
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        self.waiters.iter_mut().filter(|w| w.granted).filter_map(|w| w.waker.take()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_come_first_served() {
        let memory = Memory::new(100);
        assert!(memory.try_reserve(90));
        let big = memory.enqueue(60);
        let small = memory.enqueue(10);
        assert!(!memory.try_reserve(1), "nobody overtakes");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(memory.poll_granted(small, &mut cx).is_pending());
        memory.release(90);
        assert!(memory.poll_granted(big, &mut cx).is_ready());
        assert!(memory.poll_granted(small, &mut cx).is_ready());
        assert_eq!(memory.used(), 70);
    }

    #[test]
    fn who_leaves_gives_way() {
        let memory = Memory::new(100);
        assert!(memory.try_reserve(90));
        let first = memory.enqueue(60);
        let second = memory.enqueue(10);
        memory.leave(first);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(memory.poll_granted(second, &mut cx).is_ready());
        let third = memory.enqueue(50);
        memory.release(90);
        memory.leave(third);
        assert_eq!(memory.used(), 10);
        assert!(!memory.has_waiters());
    }
}
