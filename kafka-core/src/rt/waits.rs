//! Who waits for what.
//!
//! Invariant: no waker is cloned or dropped here, since that is code of others and must not run under the client's lock. One is
//! cloned [before](Wait), and given back by whatever replaces or removes it.

use crate::client::Key;
use std::collections::BTreeMap;
use std::task::{Context, Waker};

/// Tells the tasks apart that wait for one thing. Where there can be but one it is [`ONLY`].
pub(super) type Place = u64;

/// The place of the only task that can wait for a thing.
pub(super) const ONLY: Place = 0;

/// A task that may have to wait. It is made before the lock is taken, and ends after.
pub(crate) struct Wait(Option<Waker>);

impl Wait {
    pub(super) fn new(cx: &Context<'_>) -> Self {
        Self(Some(cx.waker().clone()))
    }

    /// Puts the waker into a slot, unless it is the one that is there. Afterwards this holds the one that is not needed.
    pub(super) fn swap(&mut self, slot: &mut Option<Waker>) {
        let is_there = self.0.as_ref().zip(slot.as_ref()).is_some_and(|(new, old)| new.will_wake(old));
        if !is_there {
            std::mem::swap(&mut self.0, slot);
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Each slot has a waker: it is filled where it is made.
    wakers: BTreeMap<(Key, Place), Option<Waker>>,
    last_place: Place,
}

impl Waits {
    /// A place of one's own.
    pub(super) fn new_place(&mut self) -> Place {
        self.last_place += 1;
        self.last_place
    }

    /// Keeps a task's waker. The task waits for one thing at a time.
    pub(super) fn keep(&mut self, key: Key, place: Place, wait: &mut Wait) {
        wait.swap(self.wakers.entry((key, place)).or_default());
    }

    #[must_use]
    pub(super) fn remove(&mut self, key: Key, place: Place) -> Option<Waker> {
        self.wakers.remove(&(key, place)).flatten()
    }

    /// Moves the wakers of all who wait for this.
    pub(super) fn take(&mut self, key: &Key, into: &mut Vec<Waker>) {
        let of_key = (key.clone(), Place::MIN)..=(key.clone(), Place::MAX);
        while let Some((found, _)) = self.wakers.range(of_key.clone()).next() {
            let found = found.clone();
            into.extend(self.wakers.remove(&found).flatten());
        }
    }

    /// Moves the wakers of all who wait for anything.
    pub(super) fn take_all(&mut self, into: &mut Vec<Waker>) {
        into.extend(std::mem::take(&mut self.wakers).into_values().flatten());
    }
}
