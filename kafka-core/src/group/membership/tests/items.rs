//! One bad item costs itself only: OffsetFetch, OffsetCommit, JoinGroup's members and LeaveGroup's, of any version, with any errors
//! of any of their items.
//!
//! Not drawn for a single partition are the codes that are of the whole group or of this member (`is_of_the_group`), which end
//! the assignment for all its partitions; other tests have them.

mod members;

use super::rig::*;
use crate::error::{Error, ErrorKind};
use crate::group::subscription::{Assignment, Subscription};
use crate::group::{CommitOffset, GroupConfig, GroupEvent};
use crate::items::{Bad, Course, Noise, SHORTEST, Said, carried, code, items, noise, version};
use crate::link::fit::fitted;
use crate::machine::Time;
use crate::snapshot::{Cluster, Partition, Topic, TopicPartition};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::join_group::{JoinGroupResponse, JoinGroupResponseMember};
use kafka_proto::messages::leave_group::{LeaveGroupResponse, MemberResponse};
use kafka_proto::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_proto::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_proto::messages::sync_group::SyncGroupRequest;
use kafka_proto::{ApiKey, Bytes, RequestKind, ResponseKind, Str, Uuid};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const TOPICS: [&str; 2] = ["t", "u"];
const GRACE: Duration = Duration::from_secs(5);
/// What should pass holds the others up for a second, and is asked for again at most so much later.
const MOMENT: Duration = Duration::from_millis(2200);
/// Between attempts where only somebody's action helps, or that last.
const RARELY: Duration = Duration::from_secs(6);
const RUN: Duration = Duration::from_secs(30);
/// Answers of whole requests that fail: for how long at most.
const WHOLE: Duration = Duration::from_secs(3);

fn is_of_the_group(code: ErrorCode) -> bool {
    use ErrorCode::{
        FencedInstanceId, IllegalGeneration, MemberIdRequired, RebalanceInProgress, UnknownMemberId,
    };
    matches!(
        code,
        FencedInstanceId | IllegalGeneration | MemberIdRequired | RebalanceInProgress | UnknownMemberId
    )
}

/// Items whose errors are their own.
fn own(items: Vec<Option<Bad>>) -> Vec<Option<Bad>> {
    let own = |bad: Bad| Bad { code: bad.code.filter(|code| !is_of_the_group(*code)), ..bad };
    items.into_iter().map(|item| item.map(own)).collect()
}

struct Place {
    tp: TopicPartition,
    course: Course,
    refused: Option<Time>,
    /// When it was told with its offset, or committed.
    done: Option<Time>,
    asked: u32,
}

struct World {
    rig: Rig,
    version: i16,
    noise: Noise,
    /// The error of the group as a whole, and in how many answers.
    top: Option<(ErrorCode, u32)>,
    places: Vec<Place>,
    begin: Time,
    told: Vec<(Time, Error)>,
    outcomes: BTreeMap<u64, (Time, Result<(), Error>)>,
    /// What the coordinator has, by place.
    stored: BTreeMap<usize, i64>,
}

fn id_of(topic: usize) -> Uuid {
    Uuid([topic as u8 + 1; 16])
}

fn add(cluster: &mut Cluster, number: usize, partitions: usize, has_ids: bool) {
    let partition =
        Partition { leader: Some(1), leader_epoch: Some(3), replicas: vec![], isr: vec![], offline: vec![] };
    let (name, id) = (Str::from(TOPICS[number]), if has_ids { id_of(number) } else { Uuid::ZERO });
    let partitions = vec![partition; partitions];
    let topic = Topic { name: name.clone(), id, is_internal: false, partitions };
    cluster.topics.insert(name.clone(), Arc::new(topic));
    if has_ids {
        cluster.names.insert(id, name);
    }
}

impl World {
    /// A member that is about to ask for the offsets of as many partitions as there are items.
    fn new(version: i16, items: Vec<Option<Bad>>, noise: Noise) -> Self {
        let mut rig = Rig::with(GroupConfig::new("g"));
        let place = |(at, bad): (usize, Option<Bad>)| Place {
            tp: TopicPartition::new(TOPICS[at % 2], (at / 2) as i32),
            course: Course::new(bad),
            refused: None,
            done: None,
            asked: 0,
        };
        let places: Vec<Place> = items.into_iter().enumerate().map(place).collect();
        for (number, topic) in TOPICS.iter().enumerate() {
            let count = places.iter().filter(|p| *p.tp.topic == **topic).count();
            add(&mut rig.cluster, number, count.max(1), version >= 10);
        }
        rig.subscribe(&TOPICS);
        rig.answer(join_ok("m", 1, false, &TOPICS));
        let mut given: Vec<(&str, i32)> = places.iter().map(|p| (&*p.tp.topic, p.tp.partition)).collect();
        noise.stir(&mut given);
        let (begin, given) = (rig.now, blob(&given));
        rig.answer(sync_ok(given));
        let (told, outcomes, stored) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { rig, version, noise, top: None, places, begin, told, outcomes, stored }
    }

    fn find(&self, topic: &str, partition: i32) -> usize {
        let same = |p: &Place| *p.tp.topic == *topic && p.tp.partition == partition;
        self.places.iter().position(same).expect("only what is ours is asked for")
    }

    fn say(&mut self, at: usize) -> Said {
        let now = self.rig.now;
        let place = &mut self.places[at];
        place.asked += 1;
        if let Some(refused) = place.refused.take() {
            assert!(now >= refused + SHORTEST, "again {:?} after its error", now - refused);
        }
        let said = place.course.next();
        if said != Said::Good {
            place.refused = Some(now);
        }
        said
    }

    fn top_error(&mut self) -> i16 {
        let Some((code, answers)) = self.top.as_mut().filter(|(_, answers)| *answers > 0) else { return 0 };
        *answers -= 1;
        code.code()
    }

    /// Answers what is asked, until nothing is for so long.
    fn run(&mut self, time: Duration) {
        let end = self.rig.now + time;
        for steps in 0.. {
            assert!(steps < 500, "a tight loop");
            while let Some(ask) = self.rig.asks.pop() {
                let answer = self.answer(ask.request.clone());
                self.rig.give(ask, Ok(answer));
                self.see();
            }
            self.see();
            let Some(next) = self.rig.machine.poll_timeout().filter(|at| *at <= end) else { break };
            let wait = next.duration_since(self.rig.now);
            self.rig.sleep(wait);
        }
    }

    fn answer(&mut self, request: RequestKind) -> ResponseKind {
        let is_ours = matches!(request, RequestKind::OffsetFetch(_) | RequestKind::OffsetCommit(_));
        let request = if is_ours { fitted(request, self.version).unwrap() } else { request };
        match request {
            RequestKind::Heartbeat(_) => heartbeat(ErrorCode::None),
            RequestKind::OffsetFetch(request) => carried(self.offsets(&request), self.version),
            RequestKind::OffsetCommit(request) => carried(self.commit(request), self.version),
            other => panic!("{other:?}"),
        }
    }

    fn see(&mut self) {
        let now = self.rig.now;
        for event in self.rig.events() {
            match event {
                GroupEvent::Assigned { assignment: 1, partitions, .. }
                | GroupEvent::AssignedMore { assignment: 1, partitions } => {
                    for (tp, offset) in partitions {
                        let at = self.find(&tp.topic, tp.partition);
                        assert_eq!(offset.map(|o| o.offset), Some(40 + at as i64), "{tp:?}");
                        assert!(self.places[at].done.replace(now).is_none(), "told twice: {tp:?}");
                    }
                }
                GroupEvent::Failed(error) | GroupEvent::Notice(error) => self.told.push((now, error)),
                GroupEvent::Committed { id, result } => {
                    assert!(self.outcomes.insert(id, (now, result)).is_none(), "two outcomes");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    // ---- the coordinator ----

    fn offsets(&mut self, request: &OffsetFetchRequest) -> OffsetFetchResponse {
        let error_code = if self.version >= 2 { self.top_error() } else { 0 };
        let mut asked: Vec<(Str, Vec<i32>)> = Vec::new();
        if self.version < 8 {
            let topics = request.topics.iter().flatten();
            asked.extend(topics.map(|t| (t.name.clone(), t.partition_indexes.to_vec())));
        } else {
            let topics = request.groups.iter().flat_map(|group| group.topics.iter().flatten());
            asked.extend(topics.map(|t| (t.name.clone(), t.partition_indexes.to_vec())));
        }
        let mut topics = Vec::new();
        for (name, partitions) in asked.into_iter().filter(|_| error_code == 0) {
            let mut said = Vec::new();
            for p in partitions {
                let at = self.find(&name, p);
                match self.say(at) {
                    Said::Good => said.push((p, 40 + at as i64, 0)),
                    Said::Error(code) => said.push((p, -1, code.code())),
                    Said::Nothing => {}
                }
            }
            said.extend(self.noise.foreign.map(|code| (77, 9, code)));
            self.noise.stir(&mut said);
            topics.push((name, said));
        }
        if let Some(code) = self.noise.foreign {
            topics.extend([("nobody's".into(), vec![(0, 9, code)]), (Str::new(), vec![(0, 9, code)])]);
        }
        self.noise.stir(&mut topics);
        match self.version {
            ..8 => old_offsets(topics, error_code),
            version => self.new_offsets(topics, error_code, version),
        }
    }

    fn new_offsets(
        &self,
        topics: Vec<(Str, Vec<Told>)>,
        error_code: i16,
        version: i16,
    ) -> OffsetFetchResponse {
        let topic = |(name, told): (Str, Vec<Told>)| OffsetFetchResponseTopics {
            topic_id: if version >= 10 { topic_id(&name) } else { Uuid::ZERO },
            name: if version >= 10 { Str::new() } else { name },
            partitions: told
                .into_iter()
                .map(|(partition_index, committed_offset, error_code)| OffsetFetchResponsePartitions {
                    partition_index,
                    committed_offset,
                    committed_leader_epoch: 3,
                    error_code,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        let group = |group_id: &str, topics, error_code| OffsetFetchResponseGroup {
            group_id: group_id.into(),
            topics,
            error_code,
            ..Default::default()
        };
        let mut groups = vec![group("g", topics.into_iter().map(topic).collect(), error_code)];
        groups.extend(self.noise.foreign.map(|code| group("another", Vec::new(), code)));
        self.noise.stir(&mut groups);
        OffsetFetchResponse { groups, ..Default::default() }
    }

    fn commit(&mut self, request: OffsetCommitRequest) -> OffsetCommitResponse {
        let partition = |partition_index, code: i16| OffsetCommitResponsePartition {
            partition_index,
            error_code: code,
            ..Default::default()
        };
        let mut topics = Vec::new();
        for topic in request.topics {
            let mut partitions = Vec::new();
            for p in topic.partitions {
                let at = self.find(&topic.name, p.partition_index);
                match self.say(at) {
                    Said::Good => {
                        self.stored.insert(at, p.committed_offset);
                        partitions.push(partition(p.partition_index, 0));
                    }
                    Said::Error(code) => partitions.push(partition(p.partition_index, code.code())),
                    Said::Nothing => {}
                }
            }
            partitions.extend(self.noise.foreign.map(|code| partition(77, code)));
            self.noise.stir(&mut partitions);
            let is_new = self.version >= 10;
            topics.push(OffsetCommitResponseTopic {
                name: if is_new { Str::new() } else { topic.name },
                topic_id: if is_new { topic.topic_id } else { Uuid::ZERO },
                partitions,
                ..Default::default()
            });
        }
        if let Some(code) = self.noise.foreign {
            let stranger = |name: &str, id: u8| OffsetCommitResponseTopic {
                name: name.into(),
                topic_id: Uuid([id; 16]),
                partitions: vec![partition(0, code)],
                ..Default::default()
            };
            topics.extend([stranger("nobody's", 9), stranger("", 0)]);
        }
        self.noise.stir(&mut topics);
        OffsetCommitResponse { topics, ..Default::default() }
    }

    // ---- what has to be ----

    /// Of each reason of a topic one is told, naming one of the partitions it is true of.
    fn check_restored(&self) {
        let all = !self.places.iter().any(|p| p.course.bad.is_some_and(|bad| !passes(bad)));
        let whole = if self.top.is_some() { WHOLE } else { Duration::ZERO };
        let at_once = if all { MOMENT } else { Duration::ZERO };
        let is_any_bad = self.places.iter().any(|p| p.course.bad.is_some());
        let mut due: BTreeSet<(Str, i16)> = BTreeSet::new();
        for place in &self.places {
            let name = format!("{:?} {:?}", place.tp, place.course.bad);
            assert!(place.asked <= 45, "{name}: asked for {} times", place.asked);
            let Some(bad) = place.course.bad else {
                let done = place.done.unwrap_or_else(|| panic!("{name}: waits for the others"));
                let late = whole + if is_any_bad { at_once } else { Duration::ZERO };
                assert!(done <= self.begin + late, "{name}: waited for {:?}", done - self.begin);
                continue;
            };
            assert_eq!(place.done.is_some(), !bad.is_lasting(), "{name}");
            if let Some(done) = place.done {
                assert!(done <= self.begin + whole + RARELY * bad.answers, "{name}: {:?}", done - self.begin);
            }
            if !passes(bad) || bad.is_lasting() {
                let code = bad.code.unwrap_or(ErrorCode::UnknownTopicOrPartition);
                due.insert((place.tp.topic.clone(), code.code()));
            }
        }
        let mut told = BTreeSet::new();
        for (when, error) in &self.told {
            let context = error.context();
            assert_eq!(
                (context.api, context.group.as_deref()),
                (Some(ApiKey::OffsetFetch), Some("g")),
                "{error}"
            );
            let Some(topic) = context.topic.clone() else {
                assert!(self.top.is_some(), "of whom? {error}");
                continue;
            };
            let at = self.find(&topic, context.partition.expect("a partition"));
            let bad = self.places[at].course.bad.unwrap_or_else(|| panic!("{error} of a good one"));
            let code = error.code().unwrap();
            assert_eq!(code, bad.code.unwrap_or(ErrorCode::UnknownTopicOrPartition));
            if passes(bad) {
                assert!(*when >= self.begin + GRACE, "{error}: told after {:?}", *when - self.begin);
            }
            assert!(told.insert((topic, code.code())), "told twice: {error}");
        }
        if self.top.is_none() {
            due.extend(told.iter().filter(|(topic, code)| self.may_be_late(topic, *code)).cloned());
            assert_eq!(told, due);
        }
    }

    /// What heals about the time of the grace may be told or not.
    fn may_be_late(&self, topic: &Str, code: i16) -> bool {
        let is = |p: &Place| {
            let bad = p.course.bad.filter(|bad| passes(*bad) && !bad.is_lasting());
            p.tp.topic == *topic && bad.is_some_and(|bad| bad.code.is_none_or(|c| c.code() == code))
        };
        self.places.iter().any(is)
    }
}

type Told = (i32, i64, i16);

fn passes(bad: Bad) -> bool {
    bad.code.is_none_or(|code| code.is_retriable())
}

fn topic_id(name: &Str) -> Uuid {
    TOPICS.iter().position(|t| **t == **name).map_or(Uuid([9; 16]), id_of)
}

fn old_offsets(topics: Vec<(Str, Vec<Told>)>, error_code: i16) -> OffsetFetchResponse {
    let topic = |(name, told): (Str, Vec<Told>)| OffsetFetchResponseTopic {
        name,
        partitions: told
            .into_iter()
            .map(|(partition_index, committed_offset, error_code)| OffsetFetchResponsePartition {
                partition_index,
                committed_offset,
                error_code,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let topics = topics.into_iter().map(topic).collect();
    OffsetFetchResponse { topics, error_code, ..Default::default() }
}

/// Which commits are of which places.
fn commits() -> impl Strategy<Value = Vec<Vec<usize>>> {
    vec(vec(0usize..7, 1..4), 1..4)
}

proptest! {
    #[test]
    fn case_m5_one_bad_partition_of_offset_fetch_costs_itself_only(
        version in version(ApiKey::OffsetFetch), items in items(7), noise in noise(),
        top in proptest::option::weighted(0.2, (code(), 1u32..3)),
    ) {
        let mut world = World::new(version, own(items), noise);
        world.top = top.filter(|(code, _)| code.is_retriable() && version >= 2);
        world.run(RUN);
        world.check_restored();
    }

    #[test]
    fn case_m5_one_bad_partition_of_offset_commit_costs_itself_only(
        version in version(ApiKey::OffsetCommit), items in items(7), noise in noise(), commits in commits(),
    ) {
        let mut world = World::new(version, vec![None; items.len()], Noise::default());
        // The offsets are fetched by a version that goes with it.
        world.version = if version >= 10 { 10 } else { 9 };
        world.run(Duration::ZERO);
        let places = std::mem::take(&mut world.places).into_iter().zip(own(items));
        let place = |(place, bad)| Place { course: Course::new(bad), refused: None, done: None, asked: 0, ..place };
        world.places = places.map(place).collect();
        (world.version, world.noise) = (version, noise);
        check_commits(world, commits);
    }
}

// ---- commits ----

const TIME: Duration = Duration::from_secs(8);

fn check_commits(mut world: World, commits: Vec<Vec<usize>>) {
    let begin = world.rig.now;
    let mut waiting = Vec::new();
    let mut newest = BTreeMap::new();
    for (number, places) in commits.into_iter().enumerate() {
        let places: BTreeSet<usize> = places.into_iter().map(|at| at % world.places.len()).collect();
        let offset = |at: &usize| CommitOffset {
            partition: world.places[*at].tp.clone(),
            offset: 100 + number as i64,
            leader_epoch: -1,
            topic_id: id_of(*at % 2),
            metadata: None,
        };
        let offsets = places.iter().map(offset).collect();
        newest.extend(places.iter().map(|at| (*at, 100 + number as i64)));
        let (now, deadline) = (world.rig.now(), world.rig.now + TIME);
        waiting.push((world.rig.machine.commit(now, 1, offsets, deadline, &world.rig.cluster), places));
    }
    world.rig.pump();
    world.run(RUN);
    for (id, places) in &waiting {
        let (when, result) = &world.outcomes[id];
        check_outcome(&world, *when - begin, result, places);
    }
    for (at, offset) in newest {
        let place = &world.places[at];
        let is_stored = place.course.bad.is_none_or(|bad| passes(bad) && !bad.is_lasting());
        assert_eq!(world.stored.get(&at), is_stored.then_some(&offset), "{:?}", place.tp);
        assert!(place.asked <= 25, "{:?} {:?}: {} times", place.tp, place.course.bad, place.asked);
    }
    for (when, error) in &world.told {
        assert!(*when >= begin + GRACE && error.code().is_some_and(ErrorCode::is_retriable), "{error}");
    }
    assert!(world.told.len() <= 1, "{:?}", world.told);
}

fn check_outcome(world: &World, after: Duration, result: &Result<(), Error>, places: &BTreeSet<usize>) {
    let bads = |is: fn(Bad) -> bool| -> BTreeMap<usize, Bad> {
        places.iter().filter_map(|at| Some((*at, world.places[*at].course.bad.filter(|b| is(*b))?))).collect()
    };
    let (refused, lasting) = (bads(|bad| !passes(bad)), bads(|bad| passes(bad) && bad.is_lasting()));
    let passing = bads(|bad| passes(bad) && !bad.is_lasting());
    // With one more that lasts beside it the first error is told when the time is over.
    if refused.is_empty() && lasting.is_empty() {
        assert_eq!(result, &Ok(()));
        let late = if passing.is_empty() { Duration::ZERO } else { WHOLE };
        return assert!(after <= late, "after {after:?}: {passing:?}");
    }
    let Err(error) = result else { panic!("Ok in spite of {refused:?} {lasting:?}") };
    let context = error.context();
    assert_eq!((context.api, context.group.as_deref()), (Some(ApiKey::OffsetCommit), Some("g")), "{error}");
    if !lasting.is_empty() {
        assert_eq!(after, TIME, "{error}");
        return assert!(matches!(error.kind(), ErrorKind::TimedOut { last: Some(_), .. }), "{error}");
    }
    let at = world.find(context.topic.as_ref().unwrap(), context.partition.unwrap());
    assert_eq!(error.code(), refused.get(&at).and_then(|bad| bad.code), "{error}");
    let late = if passing.is_empty() { Duration::ZERO } else { WHOLE };
    assert!(after <= late, "{after:?}: {error}");
}
