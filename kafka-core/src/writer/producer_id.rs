//! The producer id of a writer: asked for once there is something to send, and its epochs.
//!
//! Invariants
//! * Of requests for a producer id one is open at most; after one in vain there is a wait.
//! * No epoch of a producer id is given away twice.

use super::failures::Failures;
use super::sequences::Identity;
use crate::error::Error;
use crate::machine::Time;

/// A broker remembers the last five batches of a producer for each partition.
const MAX_IN_FLIGHT_IDEMPOTENT: usize = 5;

#[derive(Debug)]
pub(super) struct ProducerId {
    state: State,
    /// Of requests for one.
    failures: Failures,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// The writer does without: retries may duplicate.
    Off,
    Wanted,
    Asked,
    /// Asked for in vain; again at this time.
    Backoff(Time),
    Ready(Identity),
}

impl ProducerId {
    pub(super) fn new(is_idempotent: bool) -> Self {
        let state = if is_idempotent { State::Wanted } else { State::Off };
        Self { state, failures: Failures::default() }
    }

    pub(super) fn is_off(&self) -> bool {
        self.state == State::Off
    }

    /// Goes without producer id from now on.
    pub(super) fn turn_off(&mut self) {
        self.state = State::Off;
    }

    /// Returns whether batches have to wait for it.
    pub(super) fn is_missing(&self) -> bool {
        !matches!(self.state, State::Ready(_) | State::Off)
    }

    /// Returns how many batches of a partition may be in flight.
    pub(super) fn max_in_flight(&self) -> usize {
        // Without sequences the broker would take a newer batch before an older one that failed.
        if self.is_off() { 1 } else { MAX_IN_FLIGHT_IDEMPOTENT }
    }

    // ---- identities ----

    /// Returns the newest identity, if there is one.
    pub(super) fn current(&self) -> Option<Identity> {
        match self.state {
            State::Ready(current) => Some(current),
            _ => None,
        }
    }

    /// Returns the next epoch, which an idempotent producer without transactions may give itself (KIP-360). After the last one
    /// a new producer id is asked for.
    pub(super) fn bump(&mut self) -> Option<Identity> {
        let current = self.current()?;
        let next = current.epoch.checked_add(1).map(|epoch| Identity { epoch, ..current });
        self.state = next.map_or(State::Wanted, State::Ready);
        next
    }

    /// The broker does not accept this producer id any more.
    pub(super) fn refused(&mut self, identity: Option<Identity>) {
        if identity.is_some() && self.current() == identity {
            self.state = State::Wanted;
        }
    }

    // ---- asking ----

    /// Returns whether it is to be asked for now; from then on it is.
    pub(super) fn ask(&mut self) -> bool {
        let is_wanted = self.state == State::Wanted;
        if is_wanted {
            self.state = State::Asked;
        }
        is_wanted
    }

    /// Returns whether an answer is expected; the writer may have turned it off meanwhile.
    pub(super) fn is_asked(&self) -> bool {
        self.state == State::Asked
    }

    pub(super) fn received(&mut self, identity: Identity) {
        self.failures.succeeded();
        self.state = State::Ready(identity);
    }

    /// Remembers what is in its way.
    pub(super) fn note(&mut self, error: Error) {
        self.failures.note(error);
    }

    /// It was asked for in vain, and is asked for again at the time that `again` returns.
    pub(super) fn retry(&mut self, again: impl FnOnce(&mut Failures) -> Time) {
        self.state = State::Backoff(again(&mut self.failures));
    }

    /// It was asked for in vain: what comes later asks again.
    pub(super) fn want(&mut self) {
        self.state = State::Wanted;
    }

    /// Returns what is in its way, if batches have to wait for it.
    pub(super) fn last_error(&self) -> Option<&Error> {
        self.failures.last().filter(|_| self.is_missing())
    }

    // ---- time ----

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Backoff(at) => Some(at),
            _ => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            self.state = State::Wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(id: i64, epoch: i16) -> ProducerId {
        let mut producer_id = ProducerId::new(true);
        assert!(producer_id.ask());
        producer_id.received(Identity { id, epoch });
        producer_id
    }

    #[test]
    fn after_the_last_epoch_there_is_a_new_id() {
        let mut id = received(7, i16::MAX - 1);
        assert_eq!(id.bump(), Some(Identity { id: 7, epoch: i16::MAX }));
        assert_eq!((id.bump(), id.current(), id.is_missing()), (None, None, true));
        assert!(id.ask() && !id.ask(), "it is asked for once");
    }

    #[test]
    fn only_the_newest_identity_can_be_refused() {
        let mut id = received(7, 0);
        id.bump();
        id.refused(Some(Identity { id: 7, epoch: 0 }));
        id.refused(None);
        assert!(!id.is_missing());
        id.refused(id.current());
        assert!(id.is_missing());
    }

    #[test]
    fn in_vain_it_is_asked_for_again_after_a_wait() {
        let mut id = ProducerId::new(true);
        assert!(id.ask());
        let at = Time::START + std::time::Duration::from_secs(1);
        id.retry(|_| at);
        assert_eq!((id.ask(), id.poll_timeout()), (false, Some(at)));
        id.handle_timeout(Time::START);
        assert!(!id.ask());
        id.handle_timeout(at);
        assert!(id.ask());
    }

    #[test]
    fn a_writer_that_does_without_sends_one_batch_at_a_time() {
        let mut id = received(7, 0);
        assert_eq!(id.max_in_flight(), MAX_IN_FLIGHT_IDEMPOTENT);
        id.turn_off();
        assert_eq!((id.max_in_flight(), id.is_off(), id.is_missing(), id.ask()), (1, true, false, false));
    }
}
