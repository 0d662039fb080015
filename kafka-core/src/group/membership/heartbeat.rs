//! Heartbeats, which depend on nothing but time, and the end of the session when they are not answered.

use super::{Kind, Membership, Session, State};
use crate::error::Error;
use crate::group::event::GroupEvent;
use crate::group::retry::{self, Verdict};
use crate::machine::{Ask, Time};
use kafka_proto::ApiKey;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

impl Membership {
    pub(super) fn next_heartbeat(&self) -> Option<Time> {
        self.session.as_ref().map(Session::next_heartbeat)
    }

    /// One that is due while another is open waits for its answer.
    pub(super) fn postpone_heartbeat(&mut self, now: Time) {
        let is_open = self.requests.is_open(Kind::Heartbeat);
        if let Some(session) = self.session.as_mut().filter(|_| is_open) {
            session.postpone_due(now);
        }
    }

    /// Sends a heartbeat now that is due soon: the process is awake and has little to do, which spares waking again.
    pub(crate) fn heartbeat_if_due_soon(&mut self, now: Time) {
        if let Some(session) = &mut self.session {
            session.heartbeat_if_due_soon(now);
        }
    }

    /// When the session ends, unless a heartbeat is answered. A member that is leaving does not mind.
    pub(super) fn session_end(&self) -> Option<Time> {
        let session = self.session.as_ref().filter(|_| !matches!(self.state, State::Leaving { .. }))?;
        Some(session.end())
    }

    pub(super) fn ask_heartbeat(&mut self, now: Time) -> Option<Ask> {
        let session = self.session.as_mut()?;
        if session.next_heartbeat() > now || self.requests.is_open(Kind::Heartbeat) {
            return None;
        }
        session.sent(now);
        let timeout = session.request_timeout().min(self.config.request_timeout);
        let request = HeartbeatRequest {
            group_id: self.config.group_id.clone(),
            generation_id: self.generation.id(),
            member_id: self.generation.member_id().clone(),
            group_instance_id: self.config.instance_id.clone(),
            ..Default::default()
        };
        Some(self.requests.open(Kind::Heartbeat, now, timeout, request))
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
            Verdict::Fine => self.heartbeat_succeeded(sent, false),
            Verdict::Rebalance => {
                self.heartbeat_succeeded(sent, true);
                self.rebalance(now);
            }
            Verdict::UnknownMember | Verdict::IllegalGeneration | Verdict::Fenced => {
                self.expelled(now, verdict, error);
            }
            Verdict::Retry { lookup } => {
                if lookup {
                    self.hints.find_coordinator();
                }
                self.report_if_lasting(now, sent, &error);
                self.retry_heartbeat(now, error);
            }
            Verdict::Refused | Verdict::MemberIdRequired => {
                self.reports.report(error.clone());
                self.retry_heartbeat(now, error);
            }
        }
    }

    fn heartbeat_succeeded(&mut self, sent: Time, is_rebalancing: bool) {
        if let Some(session) = &mut self.session {
            session.answered(sent, is_rebalancing);
        }
    }

    fn report_if_lasting(&mut self, now: Time, sent: Time, error: &Error) {
        if self.session.as_mut().is_some_and(|session| session.lasts(now, sent)) {
            let error = error.clone().with_api(ApiKey::Heartbeat).with_group(&self.config.group_id);
            self.reports.push(GroupEvent::Notice(error));
        }
    }

    fn retry_heartbeat(&mut self, now: Time, error: Error) {
        if let Some(session) = &mut self.session {
            session.retry_later(now, error, &mut self.backoff);
        }
    }

    pub(super) fn check_session(&mut self, now: Time) {
        if self.session_end().is_none_or(|end| end > now) {
            return;
        }
        let Some(session) = &mut self.session else { return };
        let error = session.timed_out().with_api(ApiKey::Heartbeat);
        self.hints.find_coordinator();
        self.lose(error.with_group(&self.config.group_id));
        self.rejoin(now);
    }
}
