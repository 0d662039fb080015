//! The commits of one membership.
//!
//! One request at a time is on its way, so that no commit is ever overtaken by an older one. What is committed meanwhile is
//! gathered into the next request, where the newer offset of a partition replaces the older. A commit belongs to the
//! assignment it was made in: when that [ends](Commits::end), whatever was not handed out fails and is never sent.
//! An offset belongs to the topic id under which its record was read, or, where none was known, to the one that the topic has
//! when it is committed: it is sent with that id, and not at all where the topic is known to have another one, whatever the
//! version of OffsetCommit can carry. Where ids are not known at all, it is not sent again once its topic did not exist.

use super::event::CommitOffset;
use super::retry::{self, Backoff, Verdict};
use crate::error::{Error, ErrorKind, made_again};
use crate::machine::Time;
use crate::snapshot::{Cluster, TopicPartition};
use crate::trouble::{Gravity, Trouble};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use kafka_proto::{ApiKey, Str, Uuid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Debug)]
pub(super) struct Commits {
    group: Str,
    next_id: u64,
    /// Not in a request yet.
    queue: VecDeque<Commit>,
    /// In a request that is on its way, or must be sent again.
    batch: Option<Batch>,
    ledger: Ledger,
    /// What fails and should pass by itself.
    trouble: Trouble,
}

/// A failed request of commits of the assignment that is held. The verdict is the gravest of those on its partitions.
pub(super) struct CommitFailure {
    pub(super) verdict: Verdict,
    pub(super) error: Error,
    /// It should pass by itself and has not for a while, which was not reported yet.
    pub(super) is_lasting: bool,
}

/// Which commits wait until when, and what became of the others.
#[derive(Debug, Default)]
struct Ledger {
    deadlines: BTreeSet<(Time, u64)>,
    outcomes: VecDeque<(u64, Result<(), Error>)>,
}

impl Ledger {
    fn close(&mut self, commit: &Commit, result: Result<(), Error>) {
        self.deadlines.remove(&(commit.deadline, commit.id));
        self.outcomes.push_back((commit.id, result));
    }
}

/// One call of the application.
#[derive(Debug)]
struct Commit {
    id: u64,
    since: Time,
    deadline: Time,
    offsets: Vec<CommitOffset>,
    /// The first partition that failed for good; one whose topic was created anew only where no other did.
    error: Option<Error>,
}

#[derive(Debug)]
struct Batch {
    commits: Vec<Commit>,
    /// What is not committed yet; the newest offset of each partition.
    wanted: BTreeMap<TopicPartition, CommitOffset>,
    in_flight: bool,
    /// When to send it again.
    at: Time,
    failures: u32,
    last: Option<Error>,
    /// The assignment is over: the answer is waited for, but nothing is sent again.
    ended: bool,
}

impl Commits {
    pub(super) fn new(group: Str) -> Self {
        Self {
            group,
            next_id: 0,
            queue: VecDeque::new(),
            batch: None,
            ledger: Ledger::default(),
            trouble: Trouble::default(),
        }
    }

    /// Takes a commit of the assignment that is held.
    pub(super) fn add(
        &mut self,
        since: Time,
        mut offsets: Vec<CommitOffset>,
        deadline: Time,
        cluster: &Cluster,
    ) -> u64 {
        let id = self.id();
        offsets.iter_mut().for_each(|offset| name_topic(offset, cluster));
        if offsets.is_empty() {
            self.ledger.outcomes.push_back((id, Ok(())));
        } else {
            self.ledger.deadlines.insert((deadline, id));
            self.queue.push_back(Commit { id, since, deadline, offsets, error: None });
        }
        id
    }

    /// Takes a commit that fails at once.
    pub(super) fn refuse(&mut self, error: Error) -> u64 {
        let id = self.id();
        self.ledger.outcomes.push_back((id, Err(error)));
        id
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Returns whether no commit waits for an outcome.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.batch.as_ref().is_none_or(|batch| batch.commits.is_empty())
    }

    pub(super) fn next_outcome(&mut self) -> Option<(u64, Result<(), Error>)> {
        self.ledger.outcomes.pop_front()
    }

    /// Returns what must be sent now, if anything; it is on its way from here on.
    pub(super) fn next_request(
        &mut self,
        now: Time,
        cluster: &Cluster,
    ) -> Option<Vec<OffsetCommitRequestTopic>> {
        match &self.batch {
            Some(batch) if batch.in_flight || batch.ended || batch.at > now => return None,
            None if self.queue.is_empty() => return None,
            _ => {}
        }
        let (group, queue) = (&self.group, &mut self.queue);
        let batch = self.batch.get_or_insert_with(|| Batch::new(now));
        batch.drop_foreign(group, cluster);
        queue.drain(..).for_each(|commit| batch.take_in(commit, group, cluster));
        self.sweep();
        let batch = self.batch.as_mut()?;
        batch.in_flight = true;
        Some(batch.topics())
    }

    /// Takes the answer to the request on its way, and returns what is wrong with it as far as the assignment that is held is
    /// concerned. `hurried` where others wait for the commits: a topic that does not exist is not waited for then.
    pub(super) fn answered(
        &mut self,
        now: Time,
        result: Result<OffsetCommitResponse, Error>,
        backoff: &mut Backoff,
        hurried: bool,
    ) -> Option<CommitFailure> {
        let batch = self.batch.as_ref();
        let is_of_held = batch.is_some_and(|batch| !batch.ended);
        let since = batch.and_then(|batch| batch.commits.first()).map_or(now, |commit| commit.since);
        let (verdict, error) = self.settle(now, result, backoff, hurried);
        let Some(error) = error else {
            self.trouble.is_over();
            return None;
        };
        let passes = is_of_held && matches!(verdict, Verdict::Retry { .. });
        let is_lasting = passes && self.trouble.lasts(now, since, retry::GRACE, Gravity::Passes);
        is_of_held.then_some(CommitFailure { verdict, error, is_lasting })
    }

    fn settle(
        &mut self,
        now: Time,
        result: Result<OffsetCommitResponse, Error>,
        backoff: &mut Backoff,
        hurried: bool,
    ) -> (Verdict, Option<Error>) {
        let Some(batch) = &mut self.batch else { return (Verdict::Fine, None) };
        batch.in_flight = false;
        let codes = result.map(|response| batch.codes(response));
        let (verdict, error) = batch.settle(&self.group, &codes, hurried);
        batch.last = error.clone().or(batch.last.take());
        batch.at = now + backoff.pause(batch.failures);
        batch.failures += 1;
        self.sweep();
        (verdict, error)
    }

    /// Others wait for the commits from now on: what waits to be sent again is sent now.
    pub(super) fn hurry(&mut self, now: Time) {
        if let Some(batch) = self.batch.as_mut().filter(|batch| !batch.in_flight) {
            batch.at = batch.at.min(now);
        }
    }

    /// The assignment is over, by consent or not.
    pub(super) fn end(&mut self) {
        let mut over: Vec<Commit> = self.queue.drain(..).collect();
        match &mut self.batch {
            Some(batch) if batch.in_flight => batch.ended = true,
            _ => over.splice(..0, self.batch.take().into_iter().flat_map(|b| b.commits)).for_each(drop),
        }
        for commit in over {
            self.ledger.close(&commit, Err(stale(&self.group)));
        }
    }

    /// The membership is over: what is on its way is not waited for either.
    pub(super) fn abort(&mut self) {
        if let Some(batch) = &mut self.batch {
            batch.in_flight = false;
        }
        self.end();
    }

    /// Fails the commits whose deadline has passed. What is on its way is still waited for before anything else is sent.
    pub(super) fn expire(&mut self, now: Time) {
        if self.ledger.deadlines.first().is_none_or(|(deadline, _)| *deadline > now) {
            return;
        }
        let last = self.batch.as_ref().and_then(|b| b.last.clone());
        let (group, ledger) = (&self.group, &mut self.ledger);
        let mut in_time = |commit: &Commit| {
            let expired = commit.deadline <= now;
            if expired {
                let after = now.duration_since(commit.since);
                let error = Error::new(ErrorKind::TimedOut { after, last: last.clone() });
                ledger.close(commit, Err(error.with_api(ApiKey::OffsetCommit).with_group(group)));
            }
            !expired
        };
        if let Some(batch) = &mut self.batch {
            batch.commits.retain(&mut in_time);
        }
        self.queue.retain(&mut in_time);
        self.sweep();
    }

    /// When `expire` or `next_request` has something to do.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        let again = self.batch.as_ref().filter(|b| !b.in_flight).map(|b| b.at);
        let deadline = self.ledger.deadlines.first().map(|(deadline, _)| *deadline);
        again.into_iter().chain(deadline).min()
    }

    /// Reports commits that are done, and forgets what none of those left wants any more.
    fn sweep(&mut self) {
        let Some(batch) = &mut self.batch else { return };
        if batch.in_flight {
            return;
        }
        let (wanted, ledger) = (&batch.wanted, &mut self.ledger);
        batch.commits.retain_mut(|commit| {
            let open = commit.offsets.iter().any(|o| wanted.contains_key(&o.partition));
            if !open {
                let result = commit.error.take().map_or(Ok(()), Err);
                ledger.close(commit, result);
            }
            open
        });
        let commits = &batch.commits;
        batch.wanted.retain(|p, _| commits.iter().any(|c| c.offsets.iter().any(|o| o.partition == *p)));
        if batch.commits.is_empty() {
            self.batch = None;
        }
    }
}

impl Batch {
    fn new(at: Time) -> Self {
        let (commits, wanted) = (Vec::new(), BTreeMap::new());
        Self { commits, wanted, in_flight: false, at, failures: 0, last: None, ended: false }
    }

    fn take_in(&mut self, mut commit: Commit, group: &Str, cluster: &Cluster) {
        for offset in &mut commit.offsets {
            name_topic(offset, cluster);
            match foreign(offset, group, cluster) {
                None => _ = self.wanted.insert(offset.partition.clone(), offset.clone()),
                Some(error) => fail(&mut commit.error, &error),
            }
        }
        self.commits.push(commit);
    }

    /// Gives up what was read of topics that have been created anew meanwhile.
    fn drop_foreign(&mut self, group: &Str, cluster: &Cluster) {
        self.wanted.retain(|_, offset| foreign(offset, group, cluster).is_none());
        for commit in &mut self.commits {
            let error = commit.offsets.iter().find_map(|offset| foreign(offset, group, cluster));
            error.iter().for_each(|error| fail(&mut commit.error, error));
        }
    }

    fn topics(&self) -> Vec<OffsetCommitRequestTopic> {
        let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
        for offset in self.wanted.values() {
            let (name, topic_id) = (&offset.partition.topic, offset.topic_id);
            if topics.last().is_none_or(|t| (&t.name, t.topic_id) != (name, topic_id)) {
                topics.push(OffsetCommitRequestTopic { name: name.clone(), topic_id, ..Default::default() });
            }
            if let Some(topic) = topics.last_mut() {
                topic.partitions.push(OffsetCommitRequestPartition {
                    partition_index: offset.partition.partition,
                    committed_offset: offset.offset,
                    committed_leader_epoch: offset.leader_epoch,
                    committed_metadata: Some(offset.metadata.clone().unwrap_or_default()),
                    ..Default::default()
                });
            }
        }
        topics
    }

    /// The answer names topics by the ids that were sent, be they the present ones or not.
    fn codes(&self, response: OffsetCommitResponse) -> Codes {
        let of = |id: Uuid| self.wanted.values().find(|offset| !id.is_zero() && offset.topic_id == id);
        let mut codes = Codes::new();
        for topic in response.topics {
            let by_id =
                || of(topic.topic_id).map(|offset| offset.partition.topic.clone()).unwrap_or_default();
            let name = if topic.name.is_empty() { by_id() } else { topic.name.clone() };
            for p in topic.partitions {
                codes.insert(
                    TopicPartition::new(name.clone(), p.partition_index),
                    ErrorCode::from(p.error_code),
                );
            }
        }
        codes
    }

    /// Takes out what is decided; what may be tried again stays wanted.
    fn settle(
        &mut self,
        group: &Str,
        codes: &Result<Codes, Error>,
        hurried: bool,
    ) -> (Verdict, Option<Error>) {
        let mut gravest = (Verdict::Fine, None);
        let mut failed = BTreeMap::new();
        let ended = self.ended;
        self.wanted.retain(|partition, offset| {
            let (verdict, error) = outcome(group, partition, codes);
            let is_unknown = error.as_ref().is_some_and(is_of_unknown_topic);
            // Without an id the topic cannot be told from one that is created in its place.
            let is_lost =
                offset.topic_id.is_zero() && codes.as_ref().is_ok_and(|c| c.contains_key(partition));
            let is_gone = is_unknown && (hurried || is_lost);
            let again = matches!(verdict, Verdict::Retry { .. }) && !ended && !is_gone;
            if let (Some(error), false) = (&error, again) {
                let reported =
                    if ended { stale(group).with_detail(error.to_string()) } else { error.clone() };
                failed.insert(partition.clone(), reported);
            }
            if gravity(verdict) > gravity(gravest.0) {
                gravest = (verdict, error);
            }
            again
        });
        for commit in &mut self.commits {
            let errors = commit.offsets.iter().filter_map(|o| failed.get(&o.partition));
            errors.for_each(|error| fail(&mut commit.error, error));
        }
        gravest
    }
}

/// A partition of a commit failed for good.
fn fail(first: &mut Option<Error>, error: &Error) {
    let is_stale = |error: &Error| *error.kind() == ErrorKind::StaleCommit;
    if first.as_ref().is_none_or(|first| is_stale(first) && !is_stale(error)) {
        *first = Some(error.clone());
    }
}

/// An offset of no known topic id is one of the topic that has the name now, and stays so.
fn name_topic(offset: &mut CommitOffset, cluster: &Cluster) {
    if offset.topic_id.is_zero() {
        offset.topic_id = cluster.topic(&offset.partition.topic).map(|t| t.id).unwrap_or_default();
    }
}

/// Why an offset cannot be committed that was read of a topic with another id than the present one.
fn foreign(offset: &CommitOffset, group: &Str, cluster: &Cluster) -> Option<Error> {
    let (read, TopicPartition { topic, partition }) = (offset.topic_id, &offset.partition);
    let present = cluster.topic(topic).map(|t| t.id).filter(|id| !id.is_zero())?;
    let error = || stale(group).with_partition(topic, *partition).with_detail(made_again(read, present));
    (!read.is_zero() && read != present).then(error)
}

/// The error code of each partition.
type Codes = BTreeMap<TopicPartition, ErrorCode>;

/// The outcome of one partition. A partition that the answer does not mention is not committed.
fn outcome(group: &Str, p: &TopicPartition, codes: &Result<Codes, Error>) -> (Verdict, Option<Error>) {
    let codes = match codes {
        Ok(codes) => codes,
        Err(error) => return (retry::of_error(error), Some(error.clone())),
    };
    let code = codes.get(p).copied().unwrap_or(ErrorCode::UnknownTopicOrPartition);
    let error = || {
        Error::of_code(code)
            .with_api(ApiKey::OffsetCommit)
            .with_group(group)
            .with_partition(&p.topic, p.partition)
    };
    (retry::of_code(code), (code != ErrorCode::None).then(error))
}

fn gravity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fine => 0,
        Verdict::Retry { lookup } => 1 + u8::from(lookup),
        Verdict::Refused | Verdict::MemberIdRequired => 3,
        Verdict::Rebalance => 4,
        Verdict::IllegalGeneration => 5,
        Verdict::UnknownMember => 6,
        Verdict::Fenced => 7,
    }
}

/// A topic that does not exist, as far as the coordinator knows.
pub(super) fn is_of_unknown_topic(error: &Error) -> bool {
    matches!(error.code(), Some(ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId))
}

/// The error of a commit whose assignment has ended.
pub(super) fn stale(group: &Str) -> Error {
    Error::new(ErrorKind::StaleCommit).with_group(group)
}
