//! The bytes a writer may hold: charged by the capacity of its batches' chunks, given back when a batch is resolved.
//!
//! Invariants
//! * Waiters of a partition are served first come, first served: while one waits, nobody takes room past it.
//! * A partition that holds bytes gets more only while it holds no more than remain free. So one that nobody takes records of
//!   has half of the memory at most, two of them have two thirds, and what remains is for the others. Where a writer has one
//!   partition, that may hold all.
//! * Wakers are cloned, called and dropped outside the lock: a task that ends with its waker may hold a place in a line. One that panics
//!   takes no wake-up from others.
//! * Among those within their share the one that has waited longest is next, however much it needs.

use crate::sync::{Mutex, MutexGuard};
use crate::unwind::{make_all, wake_all};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    state: Mutex<State>,
}

/// Bytes for a partition, by its place in the producer's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) partition: usize,
    pub(crate) bytes: usize,
}

/// A place in a partition's line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    partition: usize,
    number: u64,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    next_ticket: u64,
    /// Partitions that the writer has.
    partitions: usize,
    /// What each partition holds.
    held: FxHashMap<usize, usize>,
    /// Who waits, by partition; no line is empty.
    lines: BTreeMap<usize, VecDeque<Waiter>>,
    /// Who was given what it waited for and has not come for it yet.
    granted: FxHashMap<u64, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    need: Charge,
    waker: Option<Waker>,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer has one more partition.
    pub(crate) fn add_partition(&self) {
        self.lock().partitions += 1;
    }

    /// Takes bytes if they are free, the partition may have them, and nobody waits for them.
    pub(crate) fn try_reserve(&self, need: Charge) -> bool {
        let mut state = self.lock();
        let fits = !state.is_pressed(need.partition, self.limit)
            && state.is_within_share(need, self.limit)
            && state.used.saturating_add(need.bytes) <= self.limit;
        if fits {
            state.take(need);
        }
        fits
    }

    /// Gets in line for bytes.
    pub(crate) fn enqueue(&self, need: Charge) -> Ticket {
        let mut state = self.lock();
        state.next_ticket += 1;
        let number = state.next_ticket;
        let need = Charge { bytes: need.bytes.min(self.limit), ..need };
        let waiter = Waiter { ticket: number, need, waker: None };
        state.lines.entry(need.partition).or_default().push_back(waiter);
        state.grant(self.limit);
        Ticket { partition: need.partition, number }
    }

    /// Ready once the bytes of this ticket are its own.
    pub(crate) fn poll_granted(&self, ticket: Ticket, cx: &mut Context<'_>) -> Poll<()> {
        if self.lock().waiting(ticket).is_none() {
            return Poll::Ready(());
        }
        // Before the lock, as it is code of others.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        let Some(waiter) = state.waiting(ticket) else { return Poll::Ready(()) };
        let stale = waiter.waker.replace(waker);
        drop(state);
        drop(stale);
        Poll::Pending
    }

    /// The bytes of this ticket are put to use: how many; none where the writer was closed.
    pub(crate) fn taken(&self, ticket: Ticket) -> usize {
        let waiter = self.lock().granted.remove(&ticket.number);
        waiter.map_or(0, |waiter| waiter.need.bytes)
    }

    /// Leaves the line; what was granted meanwhile goes to the next.
    pub(crate) fn leave(&self, ticket: Ticket) {
        let mut state = self.lock();
        let granted = state.granted.remove(&ticket.number);
        let left = match granted {
            Some(waiter) => {
                state.give_back(waiter.need);
                Some(waiter)
            }
            None => state.leave(ticket),
        };
        state.grant(self.limit);
        let wake = state.take_wakers();
        drop(state);
        make_all(&mut (left, wake.into_iter()), |(left, wake)| {
            drop(left.take());
            wake.for_each(Waker::wake);
        });
    }

    /// Gives bytes back. Who gets them is woken by [`wake`](Self::wake), which the caller calls outside its locks.
    pub(crate) fn release(&self, bytes: Charge) {
        let mut state = self.lock();
        state.give_back(bytes);
        state.grant(self.limit);
    }

    pub(crate) fn wake(&self) {
        let wake = self.lock().take_wakers();
        wake_all(wake);
    }

    pub(crate) fn used(&self) -> usize {
        self.lock().used
    }

    /// Whether somebody waits for what this partition holds, or could take.
    pub(crate) fn is_pressed(&self, partition: usize) -> bool {
        self.lock().is_pressed(partition, self.limit)
    }

    /// Everybody who waits is let through without any room, to find the writer closed. They are woken by [`wake`](Self::wake).
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        for mut waiter in std::mem::take(&mut state.lines).into_values().flatten() {
            waiter.need.bytes = 0;
            state.granted.insert(waiter.ticket, waiter);
        }
    }
}

impl State {
    fn take(&mut self, need: Charge) {
        self.used += need.bytes;
        *self.held.entry(need.partition).or_default() += need.bytes;
    }

    fn give_back(&mut self, Charge { partition, bytes }: Charge) {
        self.used = self.used.saturating_sub(bytes);
        let Some(held) = self.held.get_mut(&partition) else { return };
        *held = held.saturating_sub(bytes);
        if *held == 0 {
            self.held.remove(&partition);
        }
    }

    fn is_within_share(&self, need: Charge, limit: usize) -> bool {
        let held = self.held.get(&need.partition).copied().unwrap_or(0);
        self.partitions < 2 || held == 0 || held.saturating_add(need.bytes) <= limit.saturating_sub(self.used)
    }

    fn is_pressed(&self, partition: usize, limit: usize) -> bool {
        !self.lines.is_empty() && (self.lines.contains_key(&partition) || self.next(limit).is_some())
    }

    /// Who has waited longest of those within their share.
    fn next(&self, limit: usize) -> Option<Charge> {
        let first = self.lines.values().filter_map(VecDeque::front);
        let within = first.filter(|waiter| self.is_within_share(waiter.need, limit));
        within.min_by_key(|waiter| waiter.ticket).map(|waiter| waiter.need)
    }

    fn grant(&mut self, limit: usize) {
        while let Some(need) = self.next(limit) {
            // One as large as the limit waits for all the others.
            if self.used + need.bytes > limit && self.used > 0 {
                break;
            }
            self.grant_first(need.partition);
        }
    }

    fn grant_first(&mut self, partition: usize) {
        let Some(line) = self.lines.get_mut(&partition) else { return };
        let first = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&partition);
        }
        if let Some(waiter) = first {
            self.take(waiter.need);
            self.granted.insert(waiter.ticket, waiter);
        }
    }

    fn waiting(&mut self, ticket: Ticket) -> Option<&mut Waiter> {
        let line = self.lines.get_mut(&ticket.partition)?;
        // In the order of their tickets.
        let at = line.binary_search_by_key(&ticket.number, |waiter| waiter.ticket).ok()?;
        line.get_mut(at)
    }

    fn leave(&mut self, ticket: Ticket) -> Option<Waiter> {
        let line = self.lines.get_mut(&ticket.partition)?;
        let at = line.binary_search_by_key(&ticket.number, |waiter| waiter.ticket).ok();
        let left = at.and_then(|at| line.remove(at));
        if line.is_empty() {
            self.lines.remove(&ticket.partition);
        }
        left
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        self.granted.values_mut().filter_map(|waiter| waiter.waker.take()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn of(partition: usize, bytes: usize) -> Charge {
        Charge { partition, bytes }
    }

    fn is_granted(memory: &Memory, ticket: Ticket) -> bool {
        memory.poll_granted(ticket, &mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn case_f5_a_waker_that_is_dropped_may_hold_a_place_in_the_line() {
        struct Task(std::sync::Arc<Memory>, Ticket);
        impl std::task::Wake for Task {
            fn wake(self: std::sync::Arc<Self>) {}
        }
        impl Drop for Task {
            fn drop(&mut self) {
                self.0.leave(self.1);
            }
        }
        let memory = std::sync::Arc::new(Memory::new(100));
        assert!(memory.try_reserve(of(0, 100)));
        let owner = || {
            let task = Task(memory.clone(), memory.enqueue(of(0, 10)));
            Waker::from(std::sync::Arc::new(task))
        };
        // Replaced, left behind in the line, left behind with a grant.
        let ticket = memory.enqueue(of(0, 10));
        assert!(memory.poll_granted(ticket, &mut Context::from_waker(&owner())).is_pending());
        assert!(memory.poll_granted(ticket, &mut Context::from_waker(&owner())).is_pending());
        memory.leave(ticket);
        let ticket = memory.enqueue(of(0, 10));
        assert!(memory.poll_granted(ticket, &mut Context::from_waker(&owner())).is_pending());
        memory.release(of(0, 100));
        assert_eq!(memory.taken(ticket), 10);
        memory.release(of(0, 10));
        assert_eq!(memory.used(), 0, "all places were left");
    }

    /// Counts its calls, or panics.
    struct Flag(AtomicUsize, bool);

    impl std::task::Wake for Flag {
        fn wake(self: Arc<Self>) {
            assert!(!self.1, "a waker of the application");
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Two who wait for the memory of a third; the first one's waker panics.
    fn two_who_wait(memory: &Memory) -> (Charge, Arc<Flag>) {
        let all = of(0, 100);
        assert!(memory.try_reserve(all));
        let (bad, good) =
            (Arc::new(Flag(AtomicUsize::new(0), true)), Arc::new(Flag(AtomicUsize::new(0), false)));
        for flag in [bad, good.clone()] {
            let ticket = memory.enqueue(of(0, 10));
            let waker = Waker::from(flag);
            assert!(memory.poll_granted(ticket, &mut Context::from_waker(&waker)).is_pending());
        }
        (all, good)
    }

    #[test]
    fn a_waker_that_panics_takes_no_wake_up_from_those_behind_it() {
        let memory = Memory::new(100);
        let (all, good) = two_who_wait(&memory);
        memory.release(all);
        assert!(catch_unwind(AssertUnwindSafe(|| memory.wake())).is_err());
        assert_eq!(good.0.load(Ordering::Relaxed), 1);
        // What is granted because somebody leaves wakes them as well.
        let memory = Memory::new(100);
        let (all, good) = two_who_wait(&memory);
        let ticket = memory.enqueue(of(0, 10));
        memory.release(all);
        assert!(catch_unwind(AssertUnwindSafe(|| memory.leave(ticket))).is_err());
        assert_eq!(good.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn first_come_first_served() {
        let memory = Memory::new(100);
        assert!(memory.try_reserve(of(0, 90)));
        let big = memory.enqueue(of(0, 60));
        let small = memory.enqueue(of(0, 10));
        assert!(!memory.try_reserve(of(0, 1)), "nobody overtakes");
        assert!(!is_granted(&memory, small));
        memory.release(of(0, 90));
        assert!(is_granted(&memory, big) && is_granted(&memory, small));
        assert_eq!(memory.used(), 70);
    }

    #[test]
    fn who_leaves_gives_way() {
        let memory = Memory::new(100);
        assert!(memory.try_reserve(of(0, 90)));
        let first = memory.enqueue(of(0, 60));
        let second = memory.enqueue(of(0, 10));
        memory.leave(first);
        assert!(is_granted(&memory, second));
        memory.taken(second);
        let third = memory.enqueue(of(0, 50));
        memory.release(of(0, 90));
        memory.leave(third);
        assert_eq!(memory.used(), 10);
        assert!(!memory.is_pressed(0));
    }

    #[test]
    fn who_is_let_through_by_the_close_gets_no_room() {
        let memory = Memory::new(100);
        assert!(memory.try_reserve(of(0, 90)));
        let ticket = memory.enqueue(of(0, 60));
        memory.close();
        assert!(is_granted(&memory, ticket));
        assert_eq!((memory.taken(ticket), memory.used()), (0, 90));
    }

    #[test]
    fn a_partition_that_gives_nothing_back_leaves_room_for_others() {
        let memory = Memory::new(100);
        (0..3).for_each(|_| memory.add_partition());
        while memory.try_reserve(of(0, 10)) {}
        assert_eq!(memory.used(), 50);
        let stuck = memory.enqueue(of(0, 10));
        while memory.try_reserve(of(1, 5)) {}
        assert_eq!(memory.used(), 75);
        // The others neither wait behind the one that is stuck nor take its place.
        assert!(!is_granted(&memory, stuck) && memory.is_pressed(0) && !memory.is_pressed(1));
        memory.release(of(1, 5));
        assert!(!is_granted(&memory, stuck) && memory.try_reserve(of(1, 5)));
        assert!(memory.try_reserve(of(2, 20)), "who holds nothing gets what is free");
        memory.release(of(0, 50));
        assert!(is_granted(&memory, stuck));
    }

    #[test]
    fn a_large_need_is_not_overtaken_for_ever() {
        let memory = Memory::new(100);
        (0..2).for_each(|_| memory.add_partition());
        assert!(memory.try_reserve(of(0, 40)));
        let large = memory.enqueue(of(1, 80));
        assert!(!memory.try_reserve(of(0, 1)), "all wait for the one that has waited longest");
        memory.release(of(0, 40));
        assert!(is_granted(&memory, large));
        assert_eq!(memory.used(), 80);
    }
}
