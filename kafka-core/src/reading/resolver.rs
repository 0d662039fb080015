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
    Nothing(Option<Box<ResponseKind>>),
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
            _ => return Listed::Nothing(result.ok().map(Box::new)),
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
        let (gone, left) = std::mem::take(&mut resolution.unlisted).into_iter().partition(is_gone);
        resolution.unlisted = left;
        gone
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

    #[cfg(feature = "record")]
    fn redo(self: Box<Self>, note: &[u8]) -> Option<Box<dyn Done>> {
        let (number, topics) = crate::tape::read(note)?;
        Some(Box::new(Matched { number, topics }))
    }
}

impl Done for Matched {
    #[cfg(feature = "record")]
    fn note(&self) -> Vec<u8> {
        crate::tape::write(&(self.number, &self.topics))
    }
}

/// What has an error that passes is there, though it has no leader for the moment.
fn is_there(topic: &MetadataResponseTopic) -> bool {
    let is_listed = match ErrorCode::from(topic.error_code) {
        ErrorCode::None => true,
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => false,
        code => code.is_retriable(),
    };
    is_listed && !topic.is_internal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Peer;

    const SECOND: Duration = Duration::from_secs(1);
    const MAX_AGE: Duration = Duration::from_secs(300);
    const PACE: Pace = Pace {
        request_timeout: Duration::from_secs(30),
        retry_backoff: Duration::from_millis(100),
        retry_backoff_max: SECOND,
        metadata_max_age: MAX_AGE,
    };

    fn resolver(pattern: &'static str) -> Resolver {
        let mut resolver = Resolver::new(PACE, SECOND * 5, 1);
        resolver.begin(Time::START, Pattern::new(pattern).unwrap());
        resolver
    }

    fn ask(resolver: &mut Resolver, now: Time) -> u64 {
        let ask = resolver.poll_ask(now).expect("a question");
        assert!(resolver.poll_ask(now).is_none() && resolver.poll_timeout().is_none(), "one at a time");
        let ResponseKind::Metadata(_) = answer(&[]) else { panic!() };
        let kafka_proto::RequestKind::Metadata(request) = ask.request else { panic!() };
        assert_eq!((request.topics, request.allow_auto_topic_creation), (None, false));
        ask.tag
    }

    /// Names, whether they are internal, and error codes.
    fn answer(topics: &[(&str, bool, ErrorCode)]) -> ResponseKind {
        let topic = |(name, is_internal, code): &(&str, bool, ErrorCode)| MetadataResponseTopic {
            name: Some(Str::from(*name)),
            is_internal: *is_internal,
            error_code: code.code(),
            ..Default::default()
        };
        MetadataResponse { topics: topics.iter().map(topic).collect(), ..Default::default() }.into()
    }

    fn take(resolver: &mut Resolver, now: Time, tag: u64, result: Result<ResponseKind, Error>) -> Listed {
        resolver.answered(now, Answer { tag, peer: Some(Peer::Node(1)), result })
    }

    fn matched(listed: Listed) -> Matched {
        let Listed::Work(work) = listed else { panic!("{listed:?}") };
        let done: Box<dyn std::any::Any> = (work as Box<dyn Work>).run();
        *done.downcast().unwrap()
    }

    fn names(found: &Found) -> Vec<&str> {
        found.topics.iter().map(|name| &**name).collect()
    }

    #[test]
    fn what_is_there_and_not_internal_matches() {
        let mut resolver = resolver("_*[ab].*");
        let tag = ask(&mut resolver, Time::START);
        let fine = ErrorCode::None;
        let topics = answer(&[
            ("b", false, fine),
            ("cb", false, fine),
            ("__all", true, fine),
            ("a-new", false, ErrorCode::LeaderNotAvailable),
            ("a-gone", false, ErrorCode::UnknownTopicOrPartition),
            ("a-secret", false, ErrorCode::TopicAuthorizationFailed),
        ]);
        let matched = matched(take(&mut resolver, Time::START, tag, Ok(topics)));
        let found = resolver.matched(Time::START, matched).unwrap();
        assert_eq!((names(&found), found.is_first), (vec!["a-new", "b"], true));
    }

    #[test]
    fn it_is_asked_again_when_metadata_comes_of_age() {
        let mut resolver = resolver("a.*");
        for round in 0..3 {
            let now = Time::START + MAX_AGE * round;
            assert_eq!(resolver.poll_timeout(), Some(now));
            let tag = ask(&mut resolver, now);
            let matched = matched(take(&mut resolver, now, tag, Ok(answer(&[]))));
            assert_eq!(resolver.matched(now, matched).unwrap().is_first, round == 0);
            assert!(resolver.poll_ask(now).is_none());
        }
        resolver.end();
        assert_eq!(resolver.poll_timeout(), None);
    }

    #[test]
    fn what_is_of_an_earlier_pattern_counts_no_more() {
        let mut resolver = resolver("a.*");
        let first = ask(&mut resolver, Time::START);
        resolver.begin(Time::START, Pattern::new("b.*").unwrap());
        let second = ask(&mut resolver, Time::START);
        let old = take(&mut resolver, Time::START, first, Ok(answer(&[])));
        assert!(matches!(old, Listed::Nothing(Some(_))), "dropped outside the lock: {old:?}");
        let old = matched(take(&mut resolver, Time::START, second, Ok(answer(&[]))));
        resolver.begin(Time::START, Pattern::new("c.*").unwrap());
        assert!(resolver.matched(Time::START, old).is_none());
        assert_eq!(resolver.poll_timeout(), Some(Time::START), "the new one is still to be asked");
    }

    #[test]
    fn failures_wait_and_are_told_once_they_last() {
        let mut resolver = resolver("a.*");
        let mut now = Time::START;
        let refused = || Err(Error::from(crate::error::ConnectionError::Refused));
        let (mut waits, mut told) = (Vec::new(), Vec::new());
        while now < Time::START + SECOND * 20 {
            let tag = ask(&mut resolver, now);
            match take(&mut resolver, now, tag, refused()) {
                Listed::Trouble(error) => told.push((now, error)),
                Listed::Nothing(None) => {}
                other => panic!("{other:?}"),
            }
            let next = resolver.poll_timeout().expect("it is tried again");
            waits.push(next.duration_since(now));
            now = next;
        }
        assert!(waits[0] < SECOND / 5 && waits[8] > SECOND / 2 && waits.len() < 50, "{waits:?}");
        let [(at, error)] = &told[..] else { panic!("{told:?}") };
        assert!(*at >= Time::START + SECOND * 5 && error.to_string().contains("`a.*`"), "{error}");

        // An answer ends it, and an error of the answer as a whole begins it anew.
        let tag = ask(&mut resolver, now);
        let matched = matched(take(&mut resolver, now, tag, Ok(answer(&[]))));
        resolver.matched(now, matched).unwrap();
        now += MAX_AGE;
        let tag = ask(&mut resolver, now);
        let error_code = ErrorCode::RebootstrapRequired.code();
        let failed = MetadataResponse { error_code, ..Default::default() };
        assert!(matches!(
            take(&mut resolver, now, tag, Ok(failed.into())),
            Listed::Nothing(None) | Listed::Trouble(_)
        ));
        assert!(resolver.poll_timeout().unwrap() < now + SECOND / 5, "the waits begin anew");
    }
}
