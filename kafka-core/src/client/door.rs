//! The door of the client: everything that enters it and everything that leaves, told to an [`Observer`].
//!
//! What enters is an [`Entry`]: the time, [`What`] it is, what was seen through side doors because of it, and what came of it. The same
//! entries in the same order make the same of another client.
//!
//! Invariants
//! * An entry is what came from outside: what the client does to itself because of it is no entry of its own.
//! * Credentials are in no entry. Records are in some until they are written: see [`Privacy`](crate::tape::Privacy).
//! * An entry that a panic has ended is told as well, as [`Outcome::Unfinished`].

mod outcome;
mod what;

pub(crate) use outcome::Outcome;
#[cfg(test)]
pub(crate) use outcome::Told;
pub(crate) use what::{Response, What};

use super::entry::{enter, leave};
use super::{Action, Client, Event};
use crate::machine::{MachineId, Now, OpId, Replayed, Time};
use crate::tape::{Note, Tape};
use std::fmt::Debug;
use std::sync::Arc;

/// Who is told what happens at the door. It is called under the client's lock.
pub(crate) trait Observer: Debug + Send + Sync {
    fn observe(&self, entry: Entry);
}

/// Something that entered a client.
#[derive(Debug)]
pub(crate) struct Entry {
    /// `None` where it has no time.
    pub(crate) now: Option<Now>,
    pub(crate) what: What,
    /// What was seen through side doors, in order.
    pub(crate) seen: Vec<Note>,
    pub(crate) outcome: Outcome,
    /// The client's next deadline from now on, where it is another than after the entry before.
    pub(crate) deadline: Option<Option<Time>>,
}

/// The door of a client that is observed.
#[derive(Debug)]
pub(super) struct Door {
    observer: Arc<dyn Observer>,
    tape: Tape,
    /// How many calls of the client are under way, one in the other.
    depth: u32,
    open: Option<(Option<Now>, What)>,
    deadline: Option<Time>,
}

impl Door {
    /// Something enters, from outside or because of what has entered.
    pub(crate) fn enter(&mut self, now: Option<Now>, what: impl FnOnce() -> What) {
        self.depth += 1;
        if self.depth == 1 {
            self.tape.begin();
            self.open = Some((now, what()));
        }
    }

    /// Returns whether what came from outside is done.
    #[must_use]
    pub(crate) fn leave(&mut self) -> bool {
        self.depth = self.depth.saturating_sub(1);
        self.depth == 0
    }

    pub(crate) fn tell(&mut self, outcome: Outcome, deadline: Option<Time>) {
        let Some((now, what)) = self.open.take() else { return };
        let is_new = std::mem::replace(&mut self.deadline, deadline) != deadline;
        let seen = self.tape.end();
        self.observer.observe(Entry { now, what, seen, outcome, deadline: is_new.then_some(deadline) });
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let deadline = self.deadline;
        self.tell(Outcome::Unfinished, deadline);
    }
}

impl Client {
    /// Tells an observer of all that happens from now on: to be called before anything has.
    pub(crate) fn observe(&mut self, observer: Arc<dyn Observer>) {
        self.tape = Tape::recording();
        let tape = self.tape.clone();
        self.door = Some(Box::new(Door { observer, tape, depth: 0, open: None, deadline: None }));
    }

    /// Something that enters at one of the handles: the client is not asked for it by a method.
    pub(crate) fn enter(&mut self, now: Now, what: impl FnOnce() -> What) {
        enter!(self, Some(now), what());
    }

    /// What entered at a handle is done.
    pub(crate) fn leave(&mut self, outcome: &impl Debug) {
        leave!(self, outcome);
    }

    /// The same, of what has an outcome of its own.
    pub(super) fn leave_with(&mut self, outcome: impl FnOnce() -> Outcome) {
        if let Some(door) = &mut self.door
            && door.leave()
        {
            door.tell(outcome(), self.timers.next());
        }
    }

    pub(super) fn tell_action(&mut self, action: Option<&Action>) {
        if let Some(action) = action {
            enter!(self, None, What::Action);
            self.leave_with(|| Outcome::of_action(action));
        }
    }

    pub(super) fn tell_event(&mut self, event: Option<&Event>) {
        if let Some(event) = event.filter(|event| !matches!(event, Event::Trace(_))) {
            enter!(self, None, What::Event);
            self.leave_with(|| Outcome::of_event(event).unwrap_or(Outcome::Nothing));
        }
    }

    // ---- for a replay ----

    /// Sees through a tape that was kept.
    pub(crate) fn play(&mut self, tape: Tape) {
        self.tape = tape;
    }

    /// Does to a machine what its application did. Returns what it replied; `None` where these are no arguments of the command.
    pub(crate) fn replay(
        &mut self,
        now: Now,
        id: MachineId,
        command: Replayed,
        args: &[u8],
    ) -> Option<Outcome> {
        let mut is_read = true;
        let reply = self.run(now, id, |machine, cx| {
            let reply = command(machine, cx, args);
            is_read = reply.is_some();
            reply.flatten()
        });
        is_read.then(|| Outcome::of(&reply))
    }

    /// An outcome of whatever kind, once.
    pub(crate) fn take_any(&mut self, id: OpId) -> Option<String> {
        use super::alarms::Rung;
        use super::promises::Outcome;
        let response = self.take::<Result<kafka_proto::ResponseKind, crate::error::Error>>(id);
        let response = response.map(|response| response.told());
        let done = || self.take::<Result<(), crate::error::Error>>(id).map(|done| done.told());
        response.or_else(done).or_else(|| self.take::<Rung>(id).map(|rung| rung.told()))
    }
}
