//! Which topics a pattern names: asked of a broker at the beginning, and again whenever metadata comes of age.
//!
//! Invariants
//! * While there is a pattern, a time to ask is set, a request is open, or the names of an answer are being matched.
//! * What was asked, or is being matched, for an earlier pattern counts no more.
//! * Answers are matched, and dropped, outside the client's lock.
//! * Failures wait longer each time, and are told once they have lasted, until one succeeds.

use super::pattern::Pattern;
use crate::error::{Error, ErrorKind};
use crate::machine::{Answer, Ask, Done, Lane, Pace, Target, Time, Work};
use crate::random::Random;
use crate::trouble::{Gravity, Trouble};
use kafka_proto::messages::metadata::{MetadataRequest, MetadataResponse, MetadataResponseTopic};
use kafka_proto::{ApiKey, ErrorCode, ResponseKind, Str};
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Resolver {
    pace: Pace,
    /// How long a trouble that should pass is not told.
    grace: Duration,
    random: Random,
    /// The number of the last question.
    last: u64,
    pending: Option<Resolution>,
}

/// The pattern, and how far it is with it.
#[derive(Debug)]
struct Resolution {
    pattern: Pattern,
    step: Step,
    /// When the last question was asked.
    asked: Time,
    /// Questions in a row that were not answered.
    failures: u32,
    trouble: Trouble,
    is_resolved: bool,
    /// Topics that matched before, and that the last answer did not list.
    unlisted: BTreeSet<Str>,
}

/// What happens next; requests and work with the number of their question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Due(Time),
    Asked(u64),
    Matching(u64),
}

/// What an answer means for the reader.
#[derive(Debug)]
pub(super) enum Listed {
    /// Its names are to be matched.
    Work(Box<Matching>),
    /// There is none, and that is to be told.
    Trouble(Error),
    /// It is of no use, and is to be dropped outside the lock.
    Nothing(Option<ResponseKind>),
}

/// The topics that match.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) topics: BTreeSet<Str>,
    /// Nothing was known of the pattern before.
    pub(super) is_first: bool,
}

impl Resolver {
    pub(super) fn new(pace: Pace, grace: Duration, seed: u64) -> Self {
        Self { pace, grace, random: Random::new(seed), last: 0, pending: None }
    }

    /// Begins with a pattern, in the place of any before.
    pub(super) fn begin(&mut self, now: Time, pattern: Pattern) {
        self.pending = Some(Resolution {
            pattern,
            step: Step::Due(now),
            asked: now,
            failures: 0,
            trouble: Trouble::default(),
            is_resolved: false,
            unlisted: BTreeSet::new(),
        });
    }

    /// There is no pattern any more.
    pub(super) fn end(&mut self) {
        self.pending = None;
    }

    /// Returns when the brokers are asked next.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match self.pending.as_ref()?.step {
            Step::Due(at) => Some(at),
            Step::Asked(_) | Step::Matching(_) => None,
        }
    }

    /// Returns the question, if it is due.
    pub(super) fn poll_ask(&mut self, now: Time) -> Option<Ask> {
        let resolution = self.pending.as_mut()?;
        if !matches!(resolution.step, Step::Due(at) if at <= now) {
            return None;
        }
        self.last += 1;
        (resolution.step, resolution.asked) = (Step::Asked(self.last), now);
        let all =
            MetadataRequest { topics: None, allow_auto_topic_creation: false, ..MetadataRequest::default() };
        let timeout = self.pace.request_timeout;
        let (tag, target, lane) = (self.last, Target::Any, Lane::Other);
        Some(Ask { tag, target, lane, request: all.into(), timeout })
    }

    /// Takes an answer in.
    pub(super) fn answered(&mut self, now: Time, answer: Answer) -> Listed {
        let Answer { tag, result, .. } = answer;
        let resolution = match &mut self.pending {
            Some(resolution) if resolution.step == Step::Asked(tag) => resolution,
            _ => return Listed::Nothing(result.ok()),
        };
        match result.and_then(list) {
            Ok(response) => {
                resolution.step = Step::Matching(tag);
                let pattern = resolution.pattern.clone();
                Listed::Work(Box::new(Matching { number: tag, pattern, response }))
            }
            Err(error) => self.failed(now, error),
        }
    }

    fn failed(&mut self, now: Time, error: Error) -> Listed {
        let Some(resolution) = &mut self.pending else { return Listed::Nothing(None) };
        let Pace { retry_backoff, retry_backoff_max, .. } = self.pace;
        let pause = self.random.backoff(resolution.failures, retry_backoff, retry_backoff_max);
        resolution.failures = resolution.failures.saturating_add(1);
        resolution.step = Step::Due(now + pause);
        let gravity = Gravity::of(error.is_retriable());
        if !resolution.trouble.lasts(now, resolution.asked, self.grace, gravity) {
            return Listed::Nothing(None);
        }
        let detail = format!("topics cannot be listed for the pattern `{}`", resolution.pattern);
        Listed::Trouble(error.with_api(ApiKey::Metadata).with_detail(detail))
    }

    /// Takes in what matched; `None` where that is of an earlier question.
    pub(super) fn matched(&mut self, now: Time, matched: Matched) -> Option<Found> {
        let resolution = self.pending.as_mut()?;
        if resolution.step != Step::Matching(matched.number) {
            return None;
        }
        resolution.step = Step::Due(now + self.pace.metadata_max_age);
        resolution.failures = 0;
        resolution.trouble.is_over();
        let is_first = !std::mem::replace(&mut resolution.is_resolved, true);
        Some(Found { topics: matched.topics, is_first })
    }

    /// These topics matched before, and were not listed.
    pub(super) fn set_unlisted(&mut self, topics: BTreeSet<Str>) {
        if let Some(resolution) = &mut self.pending {
            resolution.unlisted = topics;
        }
    }

    /// Takes out topics that were not listed, and of which this is so.
    pub(super) fn take_unlisted(&mut self, is_gone: impl Fn(&Str) -> bool) -> BTreeSet<Str> {
        let Some(resolution) = &mut self.pending else { return BTreeSet::new() };
        resolution.unlisted.extract_if(.., |topic| is_gone(topic)).collect()
    }

    /// Returns whether there is a topic that was not listed.
    pub(super) fn has_unlisted(&self) -> bool {
        self.pending.as_ref().is_some_and(|resolution| !resolution.unlisted.is_empty())
    }

    /// Returns whether there is a pattern.
    pub(super) fn is_active(&self) -> bool {
        self.pending.is_some()
    }
}

/// The answer to a question for all topics.
fn list(response: ResponseKind) -> Result<MetadataResponse, Error> {
    let response = crate::machine::response::<MetadataResponse>(response)?;
    match ErrorCode::from(response.error_code) {
        ErrorCode::None => Ok(response),
        code => Err(Error::new(ErrorKind::Broker(code))),
    }
}

/// The names of an answer, to be matched outside the lock.
#[derive(Debug)]
pub(super) struct Matching {
    number: u64,
    pattern: Pattern,
    response: MetadataResponse,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Matched {
    number: u64,
    topics: BTreeSet<Str>,
}

impl Work for Matching {
    fn run(self: Box<Self>) -> Box<dyn Done> {
        let Self { number, pattern, response } = *self;
        let there = response.topics.into_iter().filter(is_there).filter_map(|topic| topic.name);
        let topics = there.filter(|name| pattern.matches(name)).collect();
        Box::new(Matched { number, topics })
    }
}

impl Done for Matched {}

/// What has an error that passes is there, though it has no leader for the moment.
fn is_there(topic: &MetadataResponseTopic) -> bool {
    let is_listed = match ErrorCode::from(topic.error_code) {
        ErrorCode::None => true,
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => false,
        code => code.is_retriable(),
    };
    is_listed && !topic.is_internal
}
