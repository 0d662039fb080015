//! What happens by itself: the waits before something is tried again, and other times.
//!
//! Invariants
//! * What waits to be tried again has a time in its [`Retry`], and one timer at that time. What does not wait has neither.
//! * Waits grow with the failures in a row. Their jitter comes from the reader's own random numbers.

use super::config::ReaderConfig;
use super::cursor::CursorId;
use crate::machine::Time;
use crate::random::Random;
use std::collections::BTreeSet;
use std::time::Duration;

/// What is due at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A partition is tried again.
    Cursor(CursorId),
    /// A broker is tried again.
    Broker(i32),
    /// A partition goes back to its leader.
    Replica(CursorId),
    /// What would go to a broker in a secondary fetch has waited long enough for the main one.
    Gather(i32),
    /// There is something to ask.
    Ask,
    /// What was given up has given its memory back.
    Budget,
}

/// A wait before something is tried again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retry {
    at: Option<Time>,
    /// Failures in a row.
    attempts: u32,
}

impl Retry {
    /// Returns whether it waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.at.is_some()
    }

    /// Ends the wait whose timer was due. The count of failures stays.
    pub(super) fn is_due(&mut self) {
        self.at = None;
    }

    /// Forgets past failures.
    pub(super) fn recover(&mut self) {
        self.attempts = 0;
    }

    /// Goes on after this many failures in a row.
    pub(super) fn count_from(&mut self, attempts: u32) {
        self.attempts = attempts;
    }
}

/// The timers of a reader.
#[derive(Debug)]
pub(super) struct Timers {
    due: BTreeSet<(Time, Timer)>,
    random: Random,
    backoff_min: Duration,
    backoff_max: Duration,
}

impl Timers {
    pub(super) fn new(config: &ReaderConfig, seed: u64) -> Self {
        let (backoff_min, backoff_max) = (config.backoff_min, config.backoff_max);
        Self { due: BTreeSet::new(), random: Random::new(seed), backoff_min, backoff_max }
    }

    /// Returns when the next one is due.
    pub(super) fn next(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes out the next one that is due.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.pop_first().map(|(_, timer)| timer)
    }

    /// Waits before something is tried again: longer with each failure in a row.
    pub(super) fn back_off(&mut self, now: Time, timer: Timer, retry: &mut Retry) {
        let delay = self.random.backoff(retry.attempts, self.backoff_min, self.backoff_max);
        self.wait_until(now + delay, timer, retry);
    }

    /// Waits for the maximum interval before something is tried again.
    pub(super) fn back_off_longest(&mut self, now: Time, timer: Timer, retry: &mut Retry) {
        let delay = self.random.backoff(u32::MAX, self.backoff_max, self.backoff_max);
        self.wait_until(now + delay, timer, retry);
    }

    fn wait_until(&mut self, at: Time, timer: Timer, retry: &mut Retry) {
        self.end_wait(timer, retry);
        *retry = Retry { at: Some(at), attempts: retry.attempts.saturating_add(1) };
        self.start(at, timer);
    }

    /// Ends a wait before its time. The count of failures stays.
    pub(super) fn end_wait(&mut self, timer: Timer, retry: &mut Retry) {
        if let Some(at) = retry.at.take() {
            self.stop(at, timer);
        }
    }

    /// Returns whether a timer ends this wait.
    pub(super) fn will_end(&self, timer: Timer, retry: &Retry) -> bool {
        retry.at.is_some_and(|at| self.contains(at, timer))
    }

    pub(super) fn start(&mut self, at: Time, timer: Timer) {
        self.due.insert((at, timer));
    }

    pub(super) fn stop(&mut self, at: Time, timer: Timer) {
        self.due.remove(&(at, timer));
    }

    pub(super) fn contains(&self, at: Time, timer: Timer) -> bool {
        self.due.contains(&(at, timer))
    }

    /// Forgets all partitions. What waits for a broker goes on.
    pub(super) fn keep_brokers(&mut self) {
        self.due.retain(|(_, timer)| matches!(timer, Timer::Broker(_)));
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timers() -> Timers {
        Timers::new(&ReaderConfig::default(), 1)
    }

    #[test]
    fn one_wait_has_one_timer() {
        let (mut timers, mut retry, timer) = (timers(), Retry::default(), Timer::Cursor(3));
        timers.back_off(Time::START, timer, &mut retry);
        timers.back_off_longest(Time::START, timer, &mut retry);
        assert!(timers.will_end(timer, &retry) && !timers.will_end(Timer::Cursor(4), &retry));
        assert_eq!(timers.pop_due(Time::START), None);
        let at = timers.next().unwrap();
        assert_eq!((timers.pop_due(at), timers.is_empty()), (Some(timer), true));
        retry.is_due();
        assert!(!retry.is_waiting());
    }

    #[test]
    fn waits_grow_until_the_failures_are_forgotten() {
        let (mut timers, mut retry, timer) = (timers(), Retry::default(), Timer::Broker(1));
        let mut wait = |retry: &mut Retry| {
            timers.back_off(Time::START, timer, retry);
            let at = timers.next().unwrap();
            timers.end_wait(timer, retry);
            assert!(timers.is_empty() && !retry.is_waiting());
            at.duration_since(Time::START)
        };
        let waits = [(); 3].map(|()| wait(&mut retry));
        assert!(waits.is_sorted(), "{waits:?}");
        retry.recover();
        let again = wait(&mut retry);
        assert!(again < waits[1], "{again:?}");
    }

    #[test]
    fn only_brokers_outlive_an_assignment() {
        let mut timers = timers();
        for timer in [Timer::Cursor(1), Timer::Broker(1), Timer::Replica(1), Timer::Gather(1), Timer::Ask] {
            timers.start(Time::START, timer);
        }
        timers.keep_brokers();
        assert_eq!(timers.pop_due(Time::START), Some(Timer::Broker(1)));
        assert!(timers.is_empty());
    }
}
