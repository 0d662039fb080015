//! Outcomes that somebody will come for: of calls, of commits, of alarms.
//!
//! Invariants
//! * A promise is kept once at most, and its outcome is taken once.
//! * Who gives a promise up, by dropping the future that waits for it, leaves nothing behind.

#[cfg(feature = "record")]
use super::door::What;
use super::entry::{enter, leave};
use super::{Client, Event, Key};
use crate::error::Error;
use crate::machine::OpId;
use rustc_hash::FxHashMap;

/// The outcomes of one kind of operation.
#[derive(Debug)]
pub(crate) struct Promises<T> {
    /// `None` until it is known.
    outcomes: FxHashMap<OpId, Option<T>>,
}

/// What can be promised.
pub(crate) trait Outcome: Sized {
    /// Where it is kept.
    fn promises(client: &mut Client) -> &mut Promises<Self>;

    /// What a recording tells of it.
    #[cfg(feature = "record")]
    fn told(&self) -> String;

    /// Nobody waits for it any more: what was begun for its sake ends, as far as that is possible.
    fn give_up(client: &mut Client, id: OpId);
}

impl<T> Default for Promises<T> {
    fn default() -> Self {
        Self { outcomes: FxHashMap::default() }
    }
}

impl<T> Promises<T> {
    pub(super) fn make(&mut self, id: OpId) {
        self.outcomes.insert(id, None);
    }

    /// Returns whether somebody waits for it.
    #[must_use]
    fn keep(&mut self, id: OpId, outcome: T) -> bool {
        let promise = self.outcomes.get_mut(&id).filter(|promise| promise.is_none());
        promise.map(|promise| *promise = Some(outcome)).is_some()
    }

    fn take(&mut self, id: OpId) -> Option<T> {
        self.outcomes.get(&id)?.as_ref()?;
        self.outcomes.remove(&id)?
    }

    pub(super) fn forget(&mut self, id: OpId) {
        self.outcomes.remove(&id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }
}

impl Client {
    /// Keeps a promise, and wakes whoever waits.
    pub(super) fn keep<T: Outcome>(&mut self, id: OpId, outcome: T) {
        if T::promises(self).keep(id, outcome) {
            self.announce(Event::Wake(Key::Op(id)));
        }
    }

    /// An outcome, once.
    pub(crate) fn take<T: Outcome>(&mut self, id: OpId) -> Option<T> {
        let outcome = T::promises(self).take(id);
        #[cfg(feature = "record")]
        if let Some(outcome) = &outcome {
            enter!(self, None, What::Take(id));
            leave!(self, &outcome.told());
        }
        outcome
    }

    pub(super) fn next_op(&mut self) -> OpId {
        OpId(self.next_id())
    }
}

/// Of what a machine has promised: a commit, say. It goes its way all the same.
impl Outcome for Result<(), Error> {
    fn promises(client: &mut Client) -> &mut Promises<Self> {
        &mut client.committed
    }

    #[cfg(feature = "record")]
    fn told(&self) -> String {
        format!("{self:?}")
    }

    fn give_up(client: &mut Client, id: OpId) {
        enter!(client, None, What::Forget(id));
        client.committed.forget(id);
        leave!(client, &());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_kept_once_and_its_outcome_taken_once() {
        let (mut promises, id) = (Promises::default(), OpId(1));
        assert!(!promises.keep(id, 'a'), "nobody asked");
        promises.make(id);
        assert_eq!(promises.take(id), None);
        assert!(promises.keep(id, 'b'));
        assert!(!promises.keep(id, 'c'));
        assert_eq!((promises.take(id), promises.take(id)), (Some('b'), None));
        promises.make(id);
        promises.forget(id);
        assert!(!promises.keep(id, 'd'));
        assert!(promises.is_empty());
    }
}
