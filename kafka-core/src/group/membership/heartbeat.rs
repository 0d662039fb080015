//! Heartbeats, which depend on nothing but time, and the end of the session when they are not answered.

use super::{Kind, Membership, State};
use crate::error::{Error, ErrorKind};
use crate::group::event::GroupEvent;
use crate::group::retry::{self, Verdict};
use crate::machine::{Ask, Time};
use crate::trouble::{Gravity, Trouble};
use kafka_proto::ApiKey;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Pulse {
    /// When the last heartbeat that found us a member was sent; the coordinator counts from then or later.
    pub(super) alive: Time,
    /// The same for the last one that found no rebalance going on.
    pub(super) calm: Time,
    /// When the next one is due. While one is open this is what comes after it, so that its answer, which is the common
    /// case, changes no timer.
    next: Time,
    failures: u32,
    trouble: Trouble,
    last_error: Option<Error>,
}

impl Membership {
    /// The coordinator expects heartbeats from now on.
    pub(super) fn start_pulse(&mut self, now: Time) {
        let next = now + self.config.heartbeat_interval;
        let trouble = Trouble::default();
        self.pulse = Some(Pulse { alive: now, calm: now, next, failures: 0, trouble, last_error: None });
    }

    pub(super) fn next_beat(&self) -> Option<Time> {
        self.pulse.as_ref().map(|pulse| pulse.next)
    }

    /// One that is due while another is open waits an interval more: its answer says when the next is due.
    pub(super) fn put_off_beat(&mut self, now: Time) {
        let (interval, is_open) = (self.config.heartbeat_interval, self.is_open(Kind::Heartbeat));
        if let Some(pulse) = self.pulse.as_mut().filter(|pulse| is_open && pulse.next <= now) {
            pulse.next = now + interval;
        }
    }

    /// The process is awake and has little to do: a heartbeat that is due soon goes now, which spares waking again.
    pub(crate) fn beat_early(&mut self, now: Time) {
        let soon = now + self.config.heartbeat_interval / 3;
        if let Some(pulse) = self.pulse.as_mut().filter(|pulse| pulse.next <= soon) {
            pulse.next = pulse.next.min(now);
        }
    }

    /// When the session ends, unless a heartbeat is answered. One that is leaving anyway does not mind.
    pub(super) fn session_end(&self) -> Option<Time> {
        let pulse = self.pulse.as_ref().filter(|_| !matches!(self.state, State::Leaving { .. }))?;
        Some(pulse.alive + self.config.session_timeout)
    }

    pub(super) fn ask_heartbeat(&mut self, now: Time) -> Option<Ask> {
        let pulse = self.pulse.as_ref()?;
        if pulse.next > now || self.is_open(Kind::Heartbeat) {
            return None;
        }
        let request = HeartbeatRequest {
            group_id: self.config.group_id.clone(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: self.config.instance_id.clone(),
            ..Default::default()
        };
        let timeout = self.beat_timeout();
        if let Some(pulse) = &mut self.pulse {
            pulse.next = now + self.config.heartbeat_interval;
        }
        Some(self.ask(Kind::Heartbeat, now, timeout, request))
    }

    /// A dead connection is to be noticed while there is time for another attempt.
    fn beat_timeout(&self) -> Duration {
        let third = self.config.session_timeout / 3;
        third.max(self.config.heartbeat_interval).min(self.config.request_timeout)
    }

    pub(super) fn heartbeat_answered(
        &mut self,
        now: Time,
        sent: Time,
        result: Result<HeartbeatResponse, Error>,
    ) {
        let (verdict, error) = match result {
            Ok(response) => {
                let code = ErrorCode::from(response.error_code);
                (retry::of_code(code), self.error(ApiKey::Heartbeat, code))
            }
            Err(error) => (retry::of_error(&error), error),
        };
        match verdict {
            Verdict::Fine | Verdict::Rebalance => self.beat(sent, verdict == Verdict::Fine),
            Verdict::UnknownMember | Verdict::IllegalGeneration | Verdict::Fenced => {
                return self.expelled(now, verdict, error);
            }
            Verdict::Retry { lookup } => {
                if lookup {
                    self.look_up();
                }
                self.beat_fails(now, sent, &error);
                self.missed_beat(now, error);
            }
            Verdict::Refused | Verdict::MemberIdRequired => {
                self.report(error.clone());
                self.missed_beat(now, error);
            }
        }
        if verdict == Verdict::Rebalance {
            self.rebalance(now);
            if let Some(pulse) = &mut self.pulse {
                pulse.alive = pulse.alive.max(sent);
            }
        }
    }

    fn beat(&mut self, sent: Time, calm: bool) {
        let interval = self.config.heartbeat_interval;
        let Some(pulse) = &mut self.pulse else { return };
        pulse.alive = pulse.alive.max(sent);
        if calm {
            pulse.calm = pulse.calm.max(sent);
        }
        (pulse.next, pulse.failures) = (sent + interval, 0);
        pulse.trouble.is_over();
    }

    fn beat_fails(&mut self, now: Time, sent: Time, error: &Error) {
        if self
            .pulse
            .as_mut()
            .is_some_and(|pulse| pulse.trouble.lasts(now, sent, retry::GRACE, Gravity::Passes))
        {
            let error = error.clone().with_api(ApiKey::Heartbeat).with_group(&self.config.group_id);
            self.events.push_back(GroupEvent::Notice(error));
        }
    }

    fn missed_beat(&mut self, now: Time, error: Error) {
        let Some(pulse) = &mut self.pulse else { return };
        pulse.next = now + self.backoff.pause(pulse.failures);
        pulse.failures = pulse.failures.saturating_add(1);
        pulse.last_error = Some(error);
    }

    pub(super) fn check_session(&mut self, now: Time) {
        if self.session_end().is_none_or(|end| end > now) {
            return;
        }
        let last = self.pulse.as_mut().and_then(|pulse| pulse.last_error.take());
        let after = self.config.session_timeout;
        let error = Error::new(ErrorKind::TimedOut { after, last }).with_api(ApiKey::Heartbeat);
        self.look_up();
        self.lose(error.with_group(&self.config.group_id));
        self.rejoin(now);
    }
}
