//! The byte budget of a reader: how much of what was fetched, or may be fetched, is held at one time.
//!
//! It is enforced by not asking: what an answer may bring is reserved before the request leaves, the answer's frame takes over
//! the reservation and gives it back when the last slice of it is dropped, wherever that happens.
//! Counting needs no lock; giving back takes none of the client's, and calls the waker only if somebody was refused.

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use kafka_proto::Bytes;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::task::Waker;

/// Bytes that may be held, and that are.
///
/// What is held can exceed the limit in two cases: a batch that is larger than what was asked for comes whole (KIP-74), so by one
/// batch a request under way; and [`Budget::overdraw`], where the application waits and keeps what it has.
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
    refused: AtomicBool,
    /// Shared, since to clone a waker is code of others, which must not run under this lock.
    waker: Mutex<Option<Arc<Waker>>>,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        let (used, refused) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { limit, used, refused, waker: Mutex::new(None) })
    }

    /// How many bytes may be held.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How many bytes are held or reserved.
    pub(crate) fn used(&self) -> usize {
        self.used.load(SeqCst)
    }

    /// Whom to wake when bytes are given back after somebody was refused. It may be called while any lock is held, so it must
    /// do no more than schedule.
    pub(crate) fn register(&self, waker: Waker) {
        let waker = Arc::new(waker);
        let stale = self.waker.lock().unwrap_or_else(PoisonError::into_inner).replace(waker);
        drop(stale);
    }

    /// Reserves `bytes`, or nothing if there are not as many left; then the waker is called once there are more.
    #[cfg(test)]
    pub(crate) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        self.reserve_between(bytes, bytes)
    }

    /// Reserves as much as is left, at least `least` and at most `most` bytes, or nothing; then the waker is called once
    /// there are more.
    pub(crate) fn reserve_between(self: &Arc<Self>, least: usize, most: usize) -> Option<Reservation> {
        // Whoever gives back after the flag is set wakes; whoever did so before it is seen by the second look.
        self.try_reserve(least, most).or_else(|| {
            self.refused.store(true, SeqCst);
            self.try_reserve(least, most)
        })
    }

    /// Reserves `bytes` whatever is left: the way out where all that is held is held by the application.
    pub(crate) fn overdraw(self: &Arc<Self>, bytes: usize) -> Reservation {
        self.used.fetch_add(bytes, SeqCst);
        Reservation { budget: Arc::clone(self), bytes }
    }

    fn try_reserve(self: &Arc<Self>, least: usize, most: usize) -> Option<Reservation> {
        let mut bytes = 0;
        let take = |used: usize| {
            bytes = self.limit.saturating_sub(used).min(most);
            (bytes >= least).then(|| used + bytes)
        };
        self.used.fetch_update(SeqCst, SeqCst, take).ok()?;
        Some(Reservation { budget: Arc::clone(self), bytes })
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, SeqCst);
        if bytes > 0 && self.refused.swap(false, SeqCst) {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(waker) = waker {
                waker.wake_by_ref();
            }
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {})", self.used(), self.limit)
    }
}

/// Bytes taken out of a [`Budget`], given back on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Reservation {
    /// How many bytes are reserved.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes the reservation as large as the frame and ties it to the frame: it is given back with the last slice.
    #[must_use]
    pub(crate) fn charge(mut self, frame: Bytes) -> Bytes {
        self.resize(frame.len());
        Bytes::from_owner(Charged { frame, _reservation: self })
    }

    fn resize(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            self.budget.used.fetch_add(bytes - self.bytes, SeqCst);
        } else {
            self.budget.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// A frame that owns its reservation.
struct Charged {
    frame: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn a_frame_is_charged_until_its_last_slice_is_dropped() {
        let budget = Budget::new(100);
        let frame = budget.reserve(50).unwrap().charge(Bytes::from(vec![7; 30]));
        assert_eq!(budget.used(), 30);
        let slice = frame.slice(3..5);
        drop(frame);
        assert_eq!(budget.used(), 30);
        assert_eq!(&slice[..], [7, 7]);
        drop(slice);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_oversized_frame_is_charged_in_full() {
        let budget = Budget::new(100);
        let frame = budget.reserve(50).unwrap().charge(Bytes::from(vec![0; 130]));
        assert_eq!(budget.used(), 130);
        assert!(budget.reserve(1).is_none());
        drop(frame);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn only_a_refusal_makes_giving_back_wake() {
        let (budget, woken) = (Budget::new(100), Arc::new(Woken::default()));
        budget.register(Waker::from(Arc::clone(&woken)));
        drop(budget.reserve(100).unwrap());
        assert_eq!(woken.0.load(SeqCst), 0);

        let first = budget.reserve(60).unwrap();
        assert!(budget.reserve_between(50, 80).is_none());
        assert_eq!(budget.reserve_between(10, 80).unwrap().bytes(), 40);
        assert_eq!(woken.0.load(SeqCst), 1, "what the second one gave back");
        drop(first);
        assert_eq!(woken.0.load(SeqCst), 1, "nobody was refused since");
    }

    #[test]
    fn concurrent_reservations_never_exceed_the_limit() {
        let budget = Budget::new(1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..2000 {
                        let held = budget.reserve_between(100, 100 + n % 400);
                        assert!(budget.used() <= 1000);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
    }
}
