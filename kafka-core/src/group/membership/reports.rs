//! What is reported to the application, in order.
//!
//! Invariants:
//! * An error is reported once for each kind and topic until the next assignment.
//! * Failures of steps that should pass by themselves are reported once they have lasted for a grace, as a notice.

use crate::error::Error;
use crate::group::commits;
use crate::group::event::GroupEvent;
use crate::group::retry::{self, Verdict};
use crate::machine::Time;
use crate::trouble::{Gravity, Trouble};
use kafka_proto::Str;
use std::collections::VecDeque;

/// Maximum number of reported errors that name no topic: unlike topics, their texts have no bound.
const MAX_ERRORS: usize = 16;

#[derive(Debug)]
pub(super) struct Reports {
    group: Str,
    events: VecDeque<GroupEvent>,
    /// What was reported since the last assignment.
    reported: Vec<Error>,
    /// Failures of steps towards an assignment.
    trouble: Trouble,
}

impl Reports {
    pub(super) fn new(group: Str) -> Self {
        Self { group, events: VecDeque::new(), reported: Vec::new(), trouble: Trouble::default() }
    }

    pub(super) fn push(&mut self, event: GroupEvent) {
        self.events.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<GroupEvent> {
        self.events.pop_front()
    }

    /// Reports an error that repetition alone does not heal, once until the next assignment.
    pub(super) fn report(&mut self, error: Error) {
        self.report_as(GroupEvent::Failed, error);
    }

    /// Reports what should have passed and has lasted: an unknown topic as an error, anything else as a notice.
    pub(super) fn report_lasting(&mut self, error: Error) {
        let is_unknown = commits::is_of_unknown_topic(&error);
        self.report_as(if is_unknown { GroupEvent::Failed } else { GroupEvent::Notice }, error);
    }

    fn report_as(&mut self, event: fn(Error) -> GroupEvent, error: Error) {
        let known = |e: &Error| e.kind() == error.kind() && e.context().topic == error.context().topic;
        let has_room = error.context().topic.is_some() || self.reported.len() < MAX_ERRORS;
        if !self.reported.iter().any(known) && has_room {
            self.reported.push(error.clone());
            self.events.push_back(event(error));
        }
    }

    /// A step towards an assignment failed, or may have. That is reported if it lasts.
    pub(super) fn step_failed(&mut self, now: Time, error: Error) {
        let passes = retry::of_error(&error) != Verdict::Refused;
        if self.trouble.lasts(now, now, retry::GRACE, Gravity::of(passes)) {
            let error = error.with_group(&self.group);
            match passes {
                true => self.push(GroupEvent::Notice(error)),
                false => self.report(error),
            }
        }
    }

    /// An assignment was reached. Only errors of topics that are still missing from it are not reported again.
    pub(super) fn assigned(&mut self, is_missing: impl Fn(&Str) -> bool) {
        self.trouble.is_over();
        self.reported.retain(|error| error.context().topic.as_ref().is_some_and(&is_missing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use kafka_proto::error_code::ErrorCode;

    fn unauthorized(topic: &str) -> Error {
        Error::of_code(ErrorCode::TopicAuthorizationFailed).with_topic(&topic.into())
    }

    fn count(reports: &mut Reports) -> usize {
        std::iter::from_fn(|| reports.pop()).count()
    }

    #[test]
    fn an_error_is_reported_once_per_topic_until_the_next_assignment() {
        let mut reports = Reports::new("g".into());
        let report = |topics: &[&str], reports: &mut Reports| {
            topics.iter().for_each(|topic| reports.report(unauthorized(topic)));
            count(reports)
        };
        assert_eq!(report(&["a", "b", "a"], &mut reports), 2);
        reports.assigned(|topic| *topic == "b");
        assert_eq!(report(&["a", "b"], &mut reports), 1, "what is still missing is not reported again");
    }

    #[test]
    fn errors_without_a_topic_are_few() {
        let mut reports = Reports::new("g".into());
        for n in 0..100 {
            reports.report(Error::new(ErrorKind::Decode(n.to_string())));
        }
        assert_eq!(count(&mut reports), MAX_ERRORS);
    }

    #[test]
    fn a_failed_step_is_reported_once_it_has_lasted() {
        let mut reports = Reports::new("g".into());
        let (begun, error) = (Time::START, Error::of_code(ErrorCode::CoordinatorLoadInProgress));
        reports.step_failed(begun, error.clone());
        assert_eq!(reports.pop(), None);
        reports.step_failed(begun + retry::GRACE, error.clone());
        let noticed = error.clone().with_group(&"g".into());
        assert_eq!(reports.pop(), Some(GroupEvent::Notice(noticed)));
        reports.step_failed(begun + retry::GRACE * 2, error.clone());
        assert_eq!(reports.pop(), None, "once");
        reports.report_lasting(Error::of_code(ErrorCode::UnknownTopicOrPartition));
        assert!(matches!(reports.pop(), Some(GroupEvent::Failed(_))));
    }
}
