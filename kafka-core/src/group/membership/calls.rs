//! Calls of assignors. They may be the application's and take their time, so they run outside the client's lock.

use super::{Kind, Membership, State};
use crate::error::{Error, ErrorKind};
use crate::group::assignor::{Assignor, Member, Topics};
use crate::group::retry::Verdict;
use crate::group::subscription::{Assignment, Subscription};
use crate::machine::{Now, Time};
use crate::snapshot::{Cluster, TopicPartition};
use kafka_proto::Str;
use kafka_proto::messages::join_group::JoinGroupRequestProtocol;
use kafka_proto::messages::sync_group::SyncGroupRequestAssignment;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A question to assignors. [Run](Self::run) it without any lock and give the answer to [`Membership::handle_called`].
#[derive(Debug)]
#[must_use = "the member waits for the answer"]
pub(crate) struct AssignorCall {
    turn: u64,
    question: Question,
}

#[derive(Debug)]
enum Question {
    /// What to offer to the group.
    Offer(Vec<Arc<dyn Assignor>>, Subscription),
    /// Which member gets what.
    Share(Round, Topics),
}

/// What the leader knows while partitions are assigned.
#[derive(Debug)]
pub(super) struct Round {
    members: Vec<Member>,
    assignor: Arc<dyn Assignor>,
    /// The coordinator keeps the assignment it has (KIP-814).
    skip: bool,
}

impl Round {
    pub(super) fn new(members: Vec<Member>, assignor: Arc<dyn Assignor>, skip: bool) -> Self {
        Self { members, assignor, skip }
    }
}

/// The answer of the assignors.
#[derive(Debug)]
pub(crate) struct AssignorAnswer {
    turn: u64,
    result: Result<Outcome, Error>,
}

#[derive(Debug)]
enum Outcome {
    Offers(Vec<JoinGroupRequestProtocol>),
    Shares(Vec<SyncGroupRequestAssignment>),
}

/// In a recording: the turn, and offers or shares, each a name or a member with bytes.
#[cfg(feature = "record")]
type Kept = (u64, Result<(bool, Vec<(Str, kafka_proto::Bytes)>), Error>);

#[cfg(feature = "record")]
impl AssignorAnswer {
    /// Returns what a recording keeps of it.
    pub(crate) fn note(&self) -> Vec<u8> {
        let kept = |outcome: &Outcome| match outcome {
            Outcome::Offers(offers) => {
                (true, offers.iter().map(|o| (o.name.clone(), o.metadata.clone())).collect())
            }
            Outcome::Shares(shares) => {
                (false, shares.iter().map(|s| (s.member_id.clone(), s.assignment.clone())).collect())
            }
        };
        let kept: Kept = (self.turn, self.result.as_ref().map(kept).map_err(Clone::clone));
        crate::tape::write(&kept)
    }

    /// Returns the answer that was kept.
    pub(crate) fn of_note(note: &[u8]) -> Option<Self> {
        let (turn, result): Kept = crate::tape::read(note)?;
        let offer = |(name, metadata)| JoinGroupRequestProtocol { name, metadata, ..Default::default() };
        let share = |(member_id, assignment)| SyncGroupRequestAssignment {
            member_id,
            assignment,
            ..Default::default()
        };
        let result = result.map(|(is_offers, kept)| match is_offers {
            true => Outcome::Offers(kept.into_iter().map(offer).collect()),
            false => Outcome::Shares(kept.into_iter().map(share).collect()),
        });
        Some(Self { turn, result })
    }
}

impl AssignorCall {
    /// Calls the assignors. One that panics is an error of the group.
    #[must_use]
    pub(crate) fn run(self) -> AssignorAnswer {
        let result = match self.question {
            Question::Offer(assignors, subscription) => {
                offers(&assignors, &subscription).map(Outcome::Offers)
            }
            Question::Share(round, topics) => shares(&round, &topics).map(Outcome::Shares),
        };
        AssignorAnswer { turn: self.turn, result }
    }
}

impl Membership {
    /// The next question to assignors, if there is one. May change after any other call and with time.
    pub(crate) fn poll_call(&mut self, now: Now, cluster: &Cluster) -> Option<AssignorCall> {
        if self.requests.is_calling() {
            return None;
        }
        let question = self.offer(now.time).or_else(|| self.share_out(now.time, cluster))?;
        Some(AssignorCall { turn: self.requests.begin_call(), question })
    }

    /// Takes the answer of the assignors. An answer to a question that is not asked any more is ignored.
    pub(crate) fn handle_called(&mut self, now: Now, answer: AssignorAnswer) {
        if !self.requests.end_call(answer.turn) {
            return;
        }
        match (answer.result, &mut self.state) {
            (Ok(Outcome::Offers(made)), State::Joining { offers, .. }) => *offers = Some(made),
            (Ok(Outcome::Shares(made)), State::Assigning { .. }) => {
                self.state = State::Syncing { assignments: Some(made) };
            }
            (Err(error), State::Joining { .. } | State::Assigning { .. }) => {
                let error = error.with_group(&self.config.group_id);
                self.setback(now.time, Verdict::Refused, error);
            }
            _ => {}
        }
    }

    fn offer(&mut self, now: Time) -> Option<Question> {
        let State::Joining { at, offers } = &self.state else { return None };
        let have = offers.is_some() && self.topics.is_current();
        if *at > now || have || self.requests.is_open(Kind::Join) {
            return None;
        }
        let subscription = Subscription {
            topics: self.topics.join().to_vec(),
            rack: self.config.rack.clone(),
            ..Subscription::default()
        };
        Some(Question::Offer(self.config.assignors.clone(), subscription))
    }

    /// The leader's part, once the metadata is there.
    fn share_out(&mut self, now: Time, cluster: &Cluster) -> Option<Question> {
        let State::Assigning { round, until } = &mut self.state else { return None };
        if *until > now && self.topics.awaits_metadata(cluster) {
            return None;
        }
        let round = round.take()?;
        let topics = self.topics.group();
        self.partition_counts.note(topics, cluster);
        Some(Question::Share(round, Topics::of(cluster, topics)))
    }
}

fn offers(
    assignors: &[Arc<dyn Assignor>],
    subscription: &Subscription,
) -> Result<Vec<JoinGroupRequestProtocol>, Error> {
    let offer = |assignor: &Arc<dyn Assignor>| {
        let user_data = || assignor.user_data(&subscription.topics);
        let user_data = guarded(user_data).map_err(|p| problem(assignor.as_ref(), &p))?;
        let subscription = Subscription { user_data, ..subscription.clone() };
        let metadata = subscription.encode();
        Ok(JoinGroupRequestProtocol { name: Str::from(assignor.name()), metadata, ..Default::default() })
    };
    assignors.iter().map(offer).collect()
}

/// The assignment that the assignor makes, as it goes to the coordinator.
fn shares(round: &Round, topics: &Topics) -> Result<Vec<SyncGroupRequestAssignment>, Error> {
    if round.skip {
        return Ok(Vec::new());
    }
    let given = guarded(|| round.assignor.assign(&round.members, topics));
    let checked = given.and_then(|given| check(&round.members, &given, topics).map(|()| given));
    let each = |(member, partitions): (&Member, Vec<TopicPartition>)| SyncGroupRequestAssignment {
        member_id: member.id.clone(),
        assignment: Assignment { partitions, user_data: None }.encode(),
        ..Default::default()
    };
    let given = checked.map_err(|p| problem(round.assignor.as_ref(), &p))?;
    Ok(round.members.iter().zip(given).map(each).collect())
}

/// An application's panic must not take the client along.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| "panicked".to_owned())
}

fn problem(assignor: &dyn Assignor, problem: &str) -> Error {
    Error::new(ErrorKind::Assignor(format!("`{}` {problem}", assignor.name())))
}

/// Each partition exists, goes to one member, and to one that wants it.
fn check(members: &[Member], given: &[Vec<TopicPartition>], topics: &Topics) -> Result<(), String> {
    if members.len() != given.len() {
        return Err(format!("made {} lists for {} members", given.len(), members.len()));
    }
    let mut taken = BTreeSet::new();
    for (member, partitions) in members.iter().zip(given) {
        for one @ TopicPartition { topic, partition } in partitions {
            let exists = usize::try_from(*partition).is_ok_and(|p| p < topics.count(topic));
            if !exists || !member.topics.contains(topic) {
                return Err(format!("gave {topic}-{partition} to {}, which cannot have it", member.id));
            }
            if !taken.insert(one) {
                return Err(format!("gave {topic}-{partition} to two members"));
            }
        }
    }
    Ok(())
}
