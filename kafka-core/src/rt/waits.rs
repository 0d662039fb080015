//! Who waits for what.
//!
//! Invariant: a waker is given back by whatever replaces or removes it, since its drop is code of others and must not run
//! under the client's lock.

use crate::client::Key;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::task::{Context, Waker};

/// Tells the tasks apart that wait for one thing. Where there can be but one it is [`ONLY`].
pub(super) type Place = u64;

/// The place of the only task that can wait for a thing.
pub(super) const ONLY: Place = 0;

#[derive(Debug, Default)]
pub(super) struct Waits {
    wakers: BTreeMap<(Key, Place), Waker>,
    last_place: Place,
}

impl Waits {
    /// A place of one's own.
    pub(super) fn new_place(&mut self) -> Place {
        self.last_place += 1;
        self.last_place
    }

    /// Keeps a task's waker; returns the one before, unless it is the same.
    #[must_use]
    pub(super) fn keep(&mut self, key: Key, place: Place, cx: &Context<'_>) -> Option<Waker> {
        match self.wakers.entry((key, place)) {
            Entry::Vacant(entry) => {
                entry.insert(cx.waker().clone());
                None
            }
            Entry::Occupied(entry) if entry.get().will_wake(cx.waker()) => None,
            Entry::Occupied(mut entry) => Some(entry.insert(cx.waker().clone())),
        }
    }

    #[must_use]
    pub(super) fn remove(&mut self, key: Key, place: Place) -> Option<Waker> {
        self.wakers.remove(&(key, place))
    }

    /// Moves the wakers of all who wait for this.
    pub(super) fn take(&mut self, key: &Key, into: &mut Vec<Waker>) {
        let of_key = (key.clone(), Place::MIN)..=(key.clone(), Place::MAX);
        while let Some((found, _)) = self.wakers.range(of_key.clone()).next() {
            let found = found.clone();
            into.extend(self.wakers.remove(&found));
        }
    }

    /// Moves the wakers of all who wait for anything.
    pub(super) fn take_all(&mut self, into: &mut Vec<Waker>) {
        into.extend(std::mem::take(&mut self.wakers).into_values());
    }
}
