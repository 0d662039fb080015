//! Readers of several topics and of patterns, and changes of what they read.

use super::marks::{Joins, in_group, joined_with};
use super::*;
use crate::error::Error;
use crate::reader::Start;
use crate::reading::{self, Pattern, Subscription};
use crate::snapshot::TopicPartition;
use std::cell::RefCell;
use std::rc::Rc;

const MAX_AGE: Duration = Duration::from_secs(300);

impl Net {
    /// Of these topics there is one partition, without a leader: nothing is fetched.
    fn having(topics: &[&str]) -> Self {
        let mut net = Self::connected();
        net.has(topics);
        net
    }

    fn has(&mut self, topics: &[&str]) {
        self.topics = topics.iter().map(|name| topic(name, -1, 0)).collect();
    }

    fn assignment(&mut self, id: MachineId) -> Vec<String> {
        let assignment = self.client.command(self.now, id, reading::GetAssignment).unwrap();
        let mut assignment: Vec<String> =
            assignment.into_iter().map(|tp| format!("{}-{}", tp.topic, tp.partition)).collect();
        assignment.sort();
        assignment
    }

    fn subscribe(
        &mut self,
        id: MachineId,
        to: impl Into<Subscription>,
        kept: &[&str],
    ) -> Result<Vec<TopicPartition>, Error> {
        let kept = kept.iter().map(|name| Str::from(*name)).collect();
        let subscribe = reading::Subscribe { subscription: to.into(), kept };
        let gone = self.client.command(self.now, id, subscribe).unwrap();
        self.settle();
        gone
    }

    fn items(&mut self, id: MachineId) -> Vec<ReaderItem> {
        let now = self.now;
        std::iter::from_fn(|| self.client.reader_take(now, id)).collect()
    }

    /// What an application hears of a topic without a leader is left out.
    fn errors(&mut self, id: MachineId) -> Vec<Error> {
        let items = self.items(id).into_iter().filter(|item| !matches!(item, ReaderItem::Notice(_)));
        let errors = items.map(|item| match item {
            ReaderItem::Error(error) => error,
            other => panic!("{other:?}"),
        });
        errors.collect()
    }

    /// Metadata comes of age, and what follows from that is done.
    fn comes_of_age(&mut self) {
        self.run_for(MAX_AGE + Duration::from_secs(1));
    }
}

fn pattern(pattern: &'static str) -> Subscription {
    Pattern::new(pattern).unwrap().into()
}

fn of(to: impl Into<Subscription>) -> ReadFrom {
    ReadFrom::Topics(to.into(), Start::Last)
}

#[test]
fn a_lone_reader_reads_several_topics_and_is_told_of_each_that_is_missing() {
    let mut net = Net::having(&["a", "b"]);
    let id = net.lone_reader(of(["a", "b", "a", "c"]));
    assert_eq!(net.assignment(id), ["a-0", "b-0"]);
    net.run_for(Duration::from_secs(20));
    let errors = net.errors(id);
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!((error.code(), error.topic()), (Some(ErrorCode::UnknownTopicOrPartition), Some(&"c".into())));
    net.has(&["a", "b", "c"]);
    net.run_for(Duration::from_secs(20));
    assert_eq!(net.assignment(id), ["a-0", "b-0", "c-0"]);
}

#[test]
fn a_pattern_finds_topics_that_are_made_later_and_partitions_that_they_grow_by() {
    let mut net = Net::having(&["a-1", "b"]);
    net.topics.push(MetadataResponseTopic { is_internal: true, ..topic("a-internal", -1, 0) });
    let id = net.lone_reader(of(pattern("a-.*")));
    assert_eq!(net.assignment(id), ["a-1-0"]);
    assert_eq!(net.client.metadata.wanted_topics().collect::<Vec<_>>(), ["a-1"]);
    net.has(&["a-1", "a-2", "aa-1"]);
    net.run_for(MAX_AGE - Duration::from_secs(10));
    assert_eq!(net.assignment(id), ["a-1-0"]);
    net.run_for(Duration::from_secs(20));
    assert_eq!(net.assignment(id), ["a-1-0", "a-2-0"]);
    let second = MetadataResponsePartition { partition_index: 1, leader_id: -1, ..Default::default() };
    net.topics[1].partitions.push(second);
    net.comes_of_age();
    assert_eq!(net.assignment(id), ["a-1-0", "a-2-0", "a-2-1"]);
}

#[test]
fn a_pattern_that_matches_nothing_waits() {
    let mut net = Net::having(&["b"]);
    let id = net.lone_reader(of(pattern("a-.*")));
    net.comes_of_age();
    assert!(net.items(id).is_empty(), "that is no error");
    net.has(&["a-1"]);
    net.comes_of_age();
    assert_eq!(net.assignment(id), ["a-1-0"]);
}

#[test]
fn a_broker_that_has_not_heard_of_a_topic_takes_it_from_nobody() {
    let mut net = Net::having(&["a-1", "a-2"]);
    let id = net.lone_reader(of(pattern("a-.*")));
    // Only those that list topics have not heard of it.
    let known = net.topics.clone();
    net.unlisted.insert("a-2".into());
    net.comes_of_age();
    net.comes_of_age();
    assert_eq!(net.assignment(id), ["a-1-0", "a-2-0"]);
    // It is deleted. That is told first, as of any topic.
    net.topics = known[..1].to_vec();
    net.client.refresh_metadata();
    let mut told = Vec::new();
    for _ in 0..20 {
        net.run_for(Duration::from_secs(30));
        told.extend(net.errors(id));
    }
    let [error] = &told[..] else { panic!("{told:?}") };
    assert_eq!(
        (error.code(), error.topic()),
        (Some(ErrorCode::UnknownTopicOrPartition), Some(&"a-2".into()))
    );
    assert_eq!(net.assignment(id), ["a-1-0"]);
    assert_eq!(net.client.metadata.wanted_topics().collect::<Vec<_>>(), ["a-1"]);
    // And made again.
    net.unlisted.clear();
    net.topics = known;
    net.comes_of_age();
    assert_eq!(net.assignment(id), ["a-1-0", "a-2-0"]);
}

#[test]
fn no_broker_that_lists_topics_is_told_once() {
    let mut net = Net::connected();
    net.all_gone();
    let id = net.lone_reader(of(pattern("a-.*")));
    let told = net.told(id, 120);
    let [(false, error)] = &told[..] else { panic!("{told:?}") };
    assert!(error.to_string().contains("`a-.*`"), "{error}");
    net.dead.clear();
    net.has(&["a-1"]);
    net.run_for(Duration::from_secs(5));
    assert_eq!(net.assignment(id), ["a-1-0"]);
}

#[test]
fn a_change_is_made_at_once_and_what_stays_stays() {
    let mut net = Net::having(&["a", "b", "c"]);
    let id = net.lone_reader(of(["a", "b"]));
    net.client.want_topic(net.now, &"c".into());
    net.run_for(Duration::from_secs(1));
    net.client.command(net.now, id, reading::Pause(vec![TopicPartition::new("b", 0)])).unwrap().unwrap();
    let gone = net.client.command(
        net.now,
        id,
        reading::Subscribe { subscription: ["b", "c"].into(), kept: Vec::new() },
    );
    assert_eq!(gone.unwrap(), Ok(vec![TopicPartition::new("a", 0)]));
    assert_eq!(net.assignment(id), ["b-0", "c-0"], "without waiting for anything");
    let wanted: BTreeSet<&str> = net.client.metadata.wanted_topics().collect();
    assert_eq!(wanted, BTreeSet::from(["b", "c"]));

    // To a pattern: what matches stays until its topics are known.
    let gone = net.client.command(
        net.now,
        id,
        reading::Subscribe { subscription: pattern("[abd]"), kept: vec!["b".into()] },
    );
    assert_eq!(gone.unwrap(), Ok(vec![TopicPartition::new("c", 0)]));
    assert_eq!(net.assignment(id), ["b-0"]);
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.assignment(id), ["a-0", "b-0"]);
    // And away from it.
    assert!(net.subscribe(id, "c", &[]).is_ok());
    net.has(&["a", "b", "c", "d"]);
    net.comes_of_age();
    assert_eq!(net.assignment(id), ["c-0"], "the pattern is forgotten");
}

#[test]
fn chosen_partitions_are_replaced() {
    let mut net = Net::having(&["a", "b"]);
    let at = |topic: &str, offset| (TopicPartition::new(topic, 0), Start::at(offset));
    let id = net.lone_reader(ReadFrom::Partitions(vec![at("a", 5), at("b", 5)]));
    let assign =
        |net: &mut Net, partitions| net.client.command(net.now, id, reading::Assign(partitions)).unwrap();
    assert_eq!(assign(&mut net, vec![at("b", 9), at("c", 7)]), Ok(vec![TopicPartition::new("a", 0)]));
    assert_eq!(net.assignment(id), ["b-0", "c-0"]);
    let mut position = |topic: &str| {
        let offsets = net.client.command(net.now, id, reading::GetOffsets(TopicPartition::new(topic, 0)));
        offsets.unwrap().position
    };
    assert_eq!([position("a"), position("b"), position("c")], [None, Some(5), Some(7)]);
    let wanted: BTreeSet<&str> = net.client.metadata.wanted_topics().collect();
    assert_eq!(wanted, BTreeSet::from(["b", "c"]));
    assert_eq!(assign(&mut net, Vec::new()).map(|gone| gone.len()), Ok(2));
}

#[test]
fn each_refuses_the_wrong_kind_of_reader_and_says_what_to_do() {
    let mut net = Net::having(&["a"]);
    let chosen = net.lone_reader(ReadFrom::Partitions(vec![(TopicPartition::new("a", 0), Start::First)]));
    let error = net.subscribe(chosen, "b", &[]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Misuse(text) if text.contains("`assign`")), "{error}");
    assert_eq!(net.client.command(net.now, chosen, reading::GetSubscription), Some(None));
    let group = ReadFrom::Group(Arc::new(GroupConfig::new("g")), "a".into(), Start::First);
    for from in [of("a"), group] {
        let id = net.lone_reader(from);
        let error = net.client.command(net.now, id, reading::Assign(Vec::new())).unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Misuse(text) if text.contains("`subscribe`")), "{error}");
        assert_eq!(net.client.command(net.now, id, reading::GetSubscription), Some(Some("a".into())));
    }
}

// ---- in a group ----

/// A member, and the topics of each JoinGroup.
fn member(topics: &[&str], subscription: Subscription) -> (Net, MachineId, Topics, Joins) {
    let topics = Topics(Rc::new(RefCell::new(Vec::new()))).with(topics);
    let (net, id, _, _, joins) = in_group(&topics.0, subscription, |_, _| ErrorCode::None);
    (net, id, topics, joins)
}

/// What the cluster has.
struct Topics(Rc<RefCell<Vec<MetadataResponseTopic>>>);

impl Topics {
    fn with(self, names: &[&str]) -> Self {
        self.set(names);
        self
    }

    fn set(&self, names: &[&str]) {
        *self.0.borrow_mut() = names.iter().map(|name| topic(name, -1, 0)).collect();
    }
}

fn assigned(items: &[ReaderItem]) -> Vec<usize> {
    let counts = items.iter().filter_map(|item| match item {
        ReaderItem::Assigned { partitions, .. } => Some(partitions.len()),
        _ => None,
    });
    counts.collect()
}

#[test]
fn a_member_whose_pattern_matches_nothing_joins_without_topics_and_rejoins_with_those_that_come() {
    let (mut net, id, topics, joins) = member(&["b"], pattern("a-.*"));
    assert_eq!(*joins.borrow(), [Vec::<Str>::new()]);
    assert_eq!(assigned(&net.items(id)), [0]);
    topics.set(&["a-1", "b"]);
    net.comes_of_age();
    assert_eq!(joined_with(&joins), ["", "a-1"]);
    assert_eq!(assigned(&net.items(id)), [1], "there was nothing to revoke");
    topics.set(&["a-1", "a-2", "b"]);
    net.comes_of_age();
    let items = net.items(id);
    let [ReaderItem::Revoking { assignment, .. }] = items[..] else { panic!("{items:?}") };
    net.client.command(net.now, id, reading::Revoked { assignment }).unwrap();
    net.settle();
    net.run_for(Duration::from_secs(1));
    assert_eq!(joined_with(&joins), ["", "a-1", "a-1 a-2"]);
    assert_eq!(assigned(&net.items(id)), [2]);
    // What stays the same makes nobody rejoin.
    net.comes_of_age();
    assert_eq!(joins.borrow().len(), 3);
}

#[test]
fn a_member_that_subscribes_anew_gives_up_its_partitions_and_commits_what_was_handled() {
    let topics = Topics(Rc::new(RefCell::new(Vec::new()))).with(&["a", "b"]);
    let (mut net, id, marks, log, joins) = in_group(&topics.0, "a".into(), |_, _| ErrorCode::None);
    assert_eq!(assigned(&net.items(id)), [1]);
    marks.begin(1);
    assert!(marks.set(marks.place(TopicPartition::new("a", 0)), (7, -1, Uuid([1; 16]))));
    net.client.command(net.now, id, reading::Marked).unwrap();
    assert_eq!(net.subscribe(id, "b", &[]), Ok(Vec::new()), "the group takes them");
    assert_eq!(net.assignment(id), ["a-0"]);
    let items = net.items(id);
    let [ReaderItem::Revoking { assignment, .. }] = items[..] else { panic!("{items:?}") };
    net.client.command(net.now, id, reading::Revoked { assignment }).unwrap();
    assert!(net.assignment(id).is_empty());
    net.settle();
    net.run_for(Duration::from_secs(1));
    assert_eq!(log.borrow().iter().map(|(_, offset)| *offset).collect::<Vec<_>>(), [7]);
    assert_eq!(
        (joined_with(&joins), net.assignment(id)),
        (vec!["a".to_owned(), "b".into()], vec!["b-0".to_owned()])
    );
}
