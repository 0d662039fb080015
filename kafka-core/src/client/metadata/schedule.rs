//! When metadata is asked for, and which broker is asked.
//!
//! Invariants
//! * At most one request is under way.
//! * A hint refreshes at once, but not more often than the retry backoff allows; topics that no request has named yet may pass it once.
//! * As long as answers leave something open, brokers are asked again in their turns, with growing waits.

use super::turns::Turns;
use crate::config::ClientConfig;
use crate::error::Error;
use crate::machine::{Peer, Time};
use crate::random::Random;

#[derive(Debug, Default)]
pub(super) struct Schedule {
    is_asking: bool,
    /// Since when requests are made and no broker of this cluster has answered one.
    unanswered: Option<Time>,
    /// Why the last request has no answer.
    last_error: Option<Error>,
    /// Something is known to be out of date.
    is_stale: bool,
    last_attempt: Option<Time>,
    last_success: Option<Time>,
    /// Attempts in a row that left something open.
    attempts: u32,
    turns: Turns,
    /// A broker asked the client to bootstrap again (KIP-1102): a bootstrap address is asked next.
    rebootstraps: bool,
}

impl Schedule {
    pub(super) fn is_asking(&self) -> bool {
        self.is_asking
    }

    pub(super) fn unanswered(&self) -> Option<Time> {
        self.unanswered
    }

    pub(super) fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    pub(super) fn rebootstraps(&self) -> bool {
        self.rebootstraps
    }

    /// Returns whether the next request goes to a bootstrap address, which ends that.
    pub(super) fn take_rebootstrap(&mut self) -> bool {
        std::mem::take(&mut self.rebootstraps)
    }

    // ---- what makes a request due ----

    /// Marks what is known as out of date.
    pub(super) fn refresh(&mut self) {
        self.is_stale = true;
    }

    /// Marks what is known as out of date, and begins with the waits anew.
    pub(super) fn restart(&mut self) {
        (self.is_stale, self.attempts) = (true, 0);
    }

    /// Notes that the last answer left something open that another one may settle.
    pub(super) fn left_open(&mut self) {
        self.is_stale = true;
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Notes that the last answer left nothing open.
    pub(super) fn settled(&mut self) {
        self.attempts = 0;
    }

    pub(super) fn rebootstrap(&mut self) {
        self.rebootstraps = true;
    }

    // ---- when, and whom ----

    /// Returns when the next request is due; `None` while one is under way.
    pub(super) fn due(&self, config: &ClientConfig, random: &mut Random) -> Option<Time> {
        if self.is_asking {
            return None;
        }
        let last = self.last_attempt?;
        if self.is_stale {
            let wait = match self.attempts {
                0 => config.retry_backoff,
                n => random.backoff(n - 1, config.retry_backoff, config.retry_backoff_max),
            };
            return Some(last + wait);
        }
        Some(self.last_success.unwrap_or(last) + config.metadata_max_age)
    }

    /// Returns whether a request may leave right now.
    pub(super) fn may_ask_now(&self, now: Time, has_news: bool, config: &ClientConfig) -> bool {
        if self.is_asking {
            return false;
        }
        let Some(last) = self.last_attempt else { return true };
        let rested = now.duration_since(last) >= config.retry_backoff;
        self.is_stale && self.attempts == 0 && (rested || has_news)
    }

    /// Returns which of these brokers to ask next, where something is open.
    pub(super) fn whose_turn(&self, candidates: impl Iterator<Item = i32> + Clone) -> Option<i32> {
        match self.attempts {
            0 => None,
            attempt => self.turns.next(candidates, attempt),
        }
    }

    /// Forgets the turns of brokers that are gone.
    pub(super) fn keep_brokers(&mut self, is_known: impl Fn(i32) -> bool) {
        self.turns.keep(is_known);
    }

    // ---- a request and its end ----

    pub(super) fn begin(&mut self, now: Time) {
        self.is_asking = true;
        self.unanswered.get_or_insert(now);
        self.is_stale = false;
        self.last_attempt = Some(now);
    }

    /// Notes that the request failed, at this broker if it had come so far.
    pub(super) fn failed(&mut self, now: Time, peer: Option<Peer>) {
        self.is_asking = false;
        if let (Some(broker), Some(asked)) = (peer.and_then(Peer::node), self.last_attempt) {
            self.turns.failed(broker, asked, now);
        }
        self.left_open();
    }

    pub(super) fn note_error(&mut self, error: Error) {
        self.last_error = Some(error);
    }

    /// Notes that a broker of this cluster has answered.
    pub(super) fn answered(&mut self, now: Time, from: Peer) {
        self.is_asking = false;
        (self.unanswered, self.last_error) = (None, None);
        if let Some(broker) = from.node() {
            self.turns.answered(broker, self.last_attempt.unwrap_or(now));
        }
    }

    /// Notes that the answer was no error as a whole.
    pub(super) fn succeeded(&mut self, now: Time) {
        self.last_success = Some(now);
    }
}
