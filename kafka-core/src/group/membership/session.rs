//! The session of a member at the coordinator, which heartbeats keep alive.
//!
//! Invariants:
//! * The session ends its timeout after the sending of the last heartbeat that was answered as one of a member; the
//!   coordinator counts from then or later.
//! * A next heartbeat is always due. While one is open this is the one after it, so that the answer, which is the common
//!   case, changes no timer.
//! * Failures in a row are reported once, after a grace, until a heartbeat is answered.

use crate::error::{Error, ErrorKind};
use crate::group::config::GroupConfig;
use crate::group::retry::{self, Backoff};
use crate::machine::Time;
use crate::trouble::{Gravity, Trouble};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Session {
    timeout: Duration,
    interval: Duration,
    /// When the last heartbeat that found us a member was sent.
    alive: Time,
    /// When the last heartbeat that found no rebalance going on was sent.
    calm: Time,
    next: Time,
    failures: u32,
    trouble: Trouble,
    last_error: Option<Error>,
}

impl Session {
    /// The coordinator expects heartbeats from now on.
    pub(super) fn begin(now: Time, config: &GroupConfig) -> Self {
        let (timeout, interval) = (config.session_timeout, config.heartbeat_interval);
        Self {
            timeout,
            interval,
            alive: now,
            calm: now,
            next: now + interval,
            failures: 0,
            trouble: Trouble::default(),
            last_error: None,
        }
    }

    /// Returns when the session ends unless a heartbeat is answered.
    pub(super) fn end(&self) -> Time {
        self.alive + self.timeout
    }

    /// Returns when the last heartbeat was sent that found no rebalance: the coordinator began one after that.
    pub(super) fn calm(&self) -> Time {
        self.calm
    }

    pub(super) fn next_heartbeat(&self) -> Time {
        self.next
    }

    /// Returns the time for a heartbeat's answer: a dead connection must be noticed while there is time for another attempt.
    pub(super) fn request_timeout(&self) -> Duration {
        (self.timeout / 3).max(self.interval)
    }

    /// A heartbeat was sent.
    pub(super) fn sent(&mut self, now: Time) {
        self.next = now + self.interval;
    }

    /// A heartbeat that is due while another is open waits an interval more: the answer of the open one sets the next.
    pub(super) fn postpone_due(&mut self, now: Time) {
        if self.next <= now {
            self.next = now + self.interval;
        }
    }

    /// Makes a heartbeat that is due within a third of its interval due now.
    pub(super) fn heartbeat_if_due_soon(&mut self, now: Time) {
        if self.next <= now + self.interval / 3 {
            self.next = self.next.min(now);
        }
    }

    /// A heartbeat that was sent then found us a member.
    pub(super) fn answered(&mut self, sent: Time, is_rebalancing: bool) {
        self.alive = self.alive.max(sent);
        if !is_rebalancing {
            self.calm = self.calm.max(sent);
        }
        (self.next, self.failures) = (sent + self.interval, 0);
        self.trouble.is_over();
    }

    /// A heartbeat that was sent then failed in a way that should pass. Returns whether that must be reported now.
    pub(super) fn lasts(&mut self, now: Time, sent: Time) -> bool {
        self.trouble.lasts(now, sent, retry::GRACE, Gravity::Passes)
    }

    /// Tries again after a pause.
    pub(super) fn retry_later(&mut self, now: Time, error: Error, backoff: &mut Backoff) {
        self.next = now + backoff.pause(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.last_error = Some(error);
    }

    /// Returns the error of a session that ended, with the last failure as its cause.
    pub(super) fn timed_out(&mut self) -> Error {
        Error::new(ErrorKind::TimedOut { after: self.timeout, last: self.last_error.take() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Begun at `Time::START`: a session of 45 s, with a heartbeat each 3 s.
    fn session() -> Session {
        Session::begin(Time::START, &GroupConfig::new("g"))
    }

    #[test]
    fn it_counts_from_the_sending_of_what_was_answered() {
        let mut session = session();
        let at = |seconds: u32| Time::START + SECOND * seconds;
        assert_eq!((session.next_heartbeat(), session.end()), (at(3), at(45)));
        session.sent(at(3));
        assert_eq!((session.next_heartbeat(), session.end()), (at(6), at(45)));
        session.answered(at(3), true);
        assert_eq!((session.end(), session.calm()), (at(48), at(0)));
        session.answered(at(2), false);
        assert_eq!((session.end(), session.calm()), (at(48), at(2)), "an older one takes nothing back");
    }

    #[test]
    fn one_that_is_due_soon_goes_early() {
        let at = |millis: u64| Time::START + Duration::from_millis(millis);
        let mut session = session();
        session.heartbeat_if_due_soon(at(1999));
        assert_eq!(session.next_heartbeat(), at(3000));
        session.heartbeat_if_due_soon(at(2000));
        assert_eq!(session.next_heartbeat(), at(2000));
        session.postpone_due(at(2500));
        session.postpone_due(at(5000));
        assert_eq!(session.next_heartbeat(), at(5500));
    }

    #[test]
    fn failures_lengthen_the_pause_and_are_named_at_the_end() {
        let (mut session, mut backoff) = (session(), Backoff::new(&GroupConfig::new("g"), 1));
        let error = || Error::new(ErrorKind::Closed);
        let mut now = Time::START;
        let pauses: Vec<Duration> = (0..4)
            .map(|_| {
                session.retry_later(now, error(), &mut backoff);
                let pause = session.next_heartbeat().duration_since(now);
                now = session.next_heartbeat();
                pause
            })
            .collect();
        assert!(pauses.is_sorted() && pauses[0] < SECOND / 5, "{pauses:?}");
        let last = Some(error());
        assert_eq!(*session.timed_out().kind(), ErrorKind::TimedOut { after: SECOND * 45, last });
        assert!(!session.lasts(now, now) && session.lasts(now + retry::GRACE, now));
        assert!(!session.lasts(now + retry::GRACE * 2, now), "once");
        session.answered(now, false);
        assert!(session.lasts(now + retry::GRACE, now), "once more after a success");
    }
}
