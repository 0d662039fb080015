//! Topics that come one after the other, an application that writes to them, and applications that change what they read: members of a
//! group, and readers by themselves, by names, by patterns and of chosen partitions.
//!
//! In the end each reads all of it, so that nothing may be lost by a change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_core::{
    Client, ErrorKind, Event, Message, Pattern, Reader, Record, Start, Str, Subscription, TopicPartition,
};

use super::chance::Chance;
use super::history::value_of;
use super::members::{COMMITS, quick_member};
use super::reading::reader_error;
use super::run::NODES;
use super::stage::{SLACK, Stage, pause};
use crate::broker::ClusterState;

const GROUP: &str = "of-s";
/// The first is there from the beginning, the last comes once all has healed.
const TOPICS: [&str; 4] = ["s-a", "s-b", "s-c", "s-d"];
/// What does not match what follows.
const ALL: &str = "s-.*";
/// So many messages are sent to each topic at the end.
const AT_THE_END: u64 = 5;
/// How old metadata may be of those who read by patterns, at most.
const FRESHNESS: Duration = Duration::from_secs(5);

type Place = (Str, i32);

/// What the applications saw of the topics.
#[derive(Debug, Default)]
pub(crate) struct Subscribed {
    made: usize,
    /// What the group is done with.
    handled: BTreeMap<Place, BTreeSet<i64>>,
    /// Where each partition ends, once nobody writes any more.
    ends: Option<BTreeMap<Place, i64>>,
}

impl Subscribed {
    fn handled(&mut self, record: &Record) {
        self.handled.entry(place(record)).or_default().insert(record.offset);
    }

    fn first_unhandled(&self, place: &Place) -> i64 {
        let handled = self.handled.get(place);
        (0..).find(|offset| handled.is_none_or(|handled| !handled.contains(offset))).unwrap_or(i64::MAX)
    }

    /// The group has handled everything there is.
    fn group_is_done(&self) -> bool {
        let ends = self.ends.as_ref();
        ends.is_some_and(|ends| ends.iter().all(|(place, end)| self.first_unhandled(place) >= *end))
    }

    /// What the group has not handled.
    pub(crate) fn open(&self) -> Vec<(&Place, i64, i64)> {
        let ends = self.ends.iter().flatten().map(|(place, end)| (place, self.first_unhandled(place), *end));
        ends.filter(|(_, first, end)| first < end).collect()
    }

    /// I6: nothing that was not handled is committed. What is wrong, if anything.
    pub(crate) fn check_commits(&self, cluster: &ClusterState) -> Option<String> {
        let places =
            TOPICS.iter().flat_map(|topic| (0..).map(|partition| (Str::from(*topic), partition)).take(3));
        places.into_iter().find_map(|place| {
            let committed = cluster.committed(GROUP, &place.0, place.1)?;
            let first = self.first_unhandled(&place);
            (committed > first)
                .then(|| format!("I6: {place:?} is committed to {committed}, offset {first} was not handled"))
        })
    }
}

fn place(record: &Record) -> Place {
    (record.topic.clone(), record.partition)
}

/// Makes the next topic, with one partition to three; not while nodes are down that it needs.
pub(crate) fn make_topic(stage: &Stage, chance: &mut Chance) {
    let at = stage.history().subscribed.made;
    let Some(name) = TOPICS.get(at) else { return };
    let partitions = 1 + chance.below(3) as i32;
    let made = stage.runtime.world().net.cluster.create_topic(name, partitions, NODES as i16, &[]);
    if made.is_ok() {
        stage.history().subscribed.made += 1;
        stage.runtime.note(format_args!("topic {name} is made"));
    }
}

fn client(stage: &Stage, chance: &mut Chance) -> Client {
    stage.keeping_fresh(FRESHNESS).client(chance)
}

// ---- writing ----

/// Writes to what there is, and makes new topics, until all has healed; then the last one, and some more, which must succeed.
pub(crate) async fn write_subscribed(stage: Stage, mut chance: Chance) {
    let client = stage.client(&mut chance);
    let timeout = chance.millis(3000, 15_000);
    let builder = client.writer_to_any().linger(chance.millis(0, 20)).delivery_timeout(timeout);
    let writer = builder.build().unwrap_or_else(|error| panic!("{error}"));
    let author = stage.history().author();
    let mut sent = 0;
    let mut next = |topic: &str| {
        sent += 1;
        Message::new(value_of((author, sent))).topic(topic.to_owned())
    };
    while !stage.is_healed() {
        let made = stage.history().subscribed.made;
        if made < TOPICS.len() - 1 && chance.per_mille(60) {
            make_topic(&stage, &mut chance);
        }
        let count = 1 + chance.below(4);
        let topics: Vec<&str> = (0..count).map(|_| TOPICS[chance.index(made)]).collect();
        // A message's time begins when it is asked for: once a topic of those before it was waited for.
        let time = timeout * (1 + topics.iter().collect::<BTreeSet<_>>().len() as u32) + SLACK;
        let written = writer.write_all(topics.into_iter().map(&mut next));
        let result = stage.by("writes to topics that come", time, written).await;
        if let Some(Err(_)) = result {
            stage.history().count("failed writes to topics that come", 1);
        }
        let rest = chance.millis(0, 1500);
        stage.runtime.sleep(rest).await;
    }
    while stage.history().subscribed.made < TOPICS.len() {
        make_topic(&stage, &mut chance);
        stage.runtime.sleep(Duration::from_millis(10)).await;
    }
    let messages: Vec<Message> =
        TOPICS.iter().flat_map(|topic| [*topic; AT_THE_END as usize]).map(&mut next).collect();
    let result = stage.by("the last writes to topics", timeout + SLACK, writer.write_all(messages)).await;
    if let Some(Err(errors)) = result {
        stage.violation(format!("I8: writes to topics failed after all had healed: {errors}"));
    }
    set_ends(&stage);
    let time = Duration::from_secs(5);
    stage.by("the close of a writer", time, writer.close(time)).await;
    stage.history().client(&client.stats());
}

fn set_ends(stage: &Stage) {
    let world = stage.runtime.world();
    let cluster = &world.net.cluster;
    let end =
        |topic: &str, partition| Some(((topic.into(), partition), cluster.offsets(topic, partition)?.1));
    let ends = TOPICS.iter().flat_map(|topic| (0..).map_while(|partition| end(topic, partition))).collect();
    stage.history().subscribed.ends = Some(ends);
}

// ---- reading ----

/// Some of the topics, by name or by a pattern.
fn some(chance: &mut Chance) -> Subscription {
    match chance.below(6) {
        0 => TOPICS[0].into(),
        1 => ["s-a", "s-b"].into(),
        2 => ["s-b", "s-c", "s-a"].into(),
        3 => pattern("s-[bc]"),
        4 => pattern("s-[^a]"),
        _ => pattern(ALL),
    }
}

/// All of them.
fn all(chance: &mut Chance) -> Subscription {
    if chance.per_mille(700) { pattern(ALL) } else { TOPICS.into() }
}

fn pattern(pattern: &'static str) -> Subscription {
    Pattern::new(pattern).unwrap_or_else(|error| panic!("{error}")).into()
}

fn means(subscription: &Subscription, topic: &str) -> bool {
    match subscription {
        Subscription::Topics(topics) => topics.iter().any(|name| *name == topic),
        Subscription::Pattern(pattern) => pattern.matches(topic),
        _ => false,
    }
}

/// So many assignments of before may wait to be taken when a subscription is changed: one that was not taken yet, and the one for which
/// the member had joined again.
const MOST_LATE: u32 = 2;

/// What a reader is subscribed to, and whether that is for good.
struct Told {
    subscription: Subscription,
    /// Those before, of which assignments may still be reported.
    before: Vec<Subscription>,
    /// How many of them were, since the last change.
    late: u32,
    is_last: bool,
}

impl Told {
    fn new(stage: &Stage, chance: &mut Chance) -> Told {
        let is_last = stage.is_healed();
        let subscription = if is_last { all(chance) } else { some(chance) };
        Told { subscription, before: Vec::new(), late: 0, is_last }
    }

    /// Changes it now and then, and once all has healed to everything. Returns whether it was changed.
    fn change(&mut self, stage: &Stage, reader: &mut Reader, chance: &mut Chance) -> bool {
        let is_due = if stage.is_healed() { !self.is_last } else { chance.per_mille(15) };
        if !is_due {
            return false;
        }
        let Told { subscription, is_last, .. } = Told::new(stage, chance);
        if let Err(error) = reader.subscribe(subscription.clone()) {
            stage.violation(format!("a reader refuses to subscribe: {error}"));
        }
        if reader.subscription().as_ref() != Some(&subscription) {
            stage.violation("a reader does not know what it was told".to_owned());
        }
        stage.history().count("changes of subscriptions", 1);
        self.before.push(std::mem::replace(&mut self.subscription, subscription));
        self.late = 0;
        self.is_last = is_last;
        true
    }

    /// An assignment is reported. It may be of what was subscribed to before, where that was changed only now.
    fn check(&mut self, stage: &Stage, partitions: &[TopicPartition]) {
        let is_of = |of: &Subscription| partitions.iter().all(|tp| means(of, &tp.topic));
        let is_current = is_of(&self.subscription);
        self.late += u32::from(!is_current);
        // Of the first that it can be of: what follows may be of that again, or of a later one.
        match self.before.iter().position(is_of).filter(|_| self.late <= MOST_LATE) {
            Some(at) => drop(self.before.drain(..at)),
            None if is_current => self.before.clear(),
            None => {
                stage.violation(format!("a member of {:?} is assigned {partitions:?}", self.subscription))
            }
        }
    }
}

/// Reads as a member of the group, in several lives, until all is handled.
pub(crate) async fn subscribe(stage: Stage, mut chance: Chance) {
    while !stage.history().subscribed.group_is_done() {
        let client = client(&stage, &mut chance);
        let mut told = Told::new(&stage, &mut chance);
        let mut reader = quick_member(client.reader(told.subscription.clone()).group(GROUP), &mut chance);
        live(&stage, &mut reader, &mut told, &mut chance).await;
        let time = chance.millis(0, 5000);
        let _ = stage.by("the close of a member", time, reader.close(time)).await;
        stage.history().client(&client.stats());
    }
}

async fn live(stage: &Stage, reader: &mut Reader, told: &mut Told, chance: &mut Chance) {
    let mut batch: Vec<Record> = Vec::new();
    let mut held: BTreeSet<Place> = BTreeSet::new();
    while !stage.history().subscribed.group_is_done() && (stage.is_healed() || !chance.per_mille(5)) {
        told.change(stage, reader, chance);
        let patience = chance.millis(1, 2000);
        match stage.within("the next event", patience, reader.next_event()).await {
            Some(Ok(Some(Event::Record(record)))) => {
                if !held.contains(&place(&record)) {
                    stage.violation(format!(
                        "I9: a member got a record of {:?}, which it does not hold",
                        place(&record)
                    ));
                }
                pause(stage, chance).await;
                stage.history().subscribed.handled(&record);
                batch.push(record);
            }
            Some(Ok(Some(Event::Assigned { partitions, .. }))) => {
                told.check(stage, &partitions);
                held.extend(partitions.into_iter().map(|tp| (tp.topic, tp.partition)));
            }
            Some(Ok(Some(Event::Revoking { .. }))) => {
                commit(stage, reader, &mut batch).await;
                held.clear();
            }
            Some(Ok(Some(Event::Lost { error, .. }))) => {
                stage.history().error(&error);
                batch.clear();
                held.clear();
            }
            Some(Ok(Some(_))) | None => {}
            Some(Ok(None)) => return stage.violation("a member ended by itself".to_owned()),
            Some(Err(error)) => missing_or(stage, &error),
        }
        if chance.per_mille(150) {
            commit(stage, reader, &mut batch).await;
        }
    }
    commit(stage, reader, &mut batch).await;
}

async fn commit(stage: &Stage, reader: &Reader, batch: &mut Vec<Record>) {
    let batch = std::mem::take(batch);
    let commit = stage.by("a commit", COMMITS, reader.commit(&batch)).await;
    commit.into_iter().filter_map(Result::err).for_each(|error| stage.history().error(&error));
}

/// A topic that is not made yet is one that a reader may name.
fn missing_or(stage: &Stage, error: &kafka_core::Error) {
    let is_missing =
        matches!(error.kind(), ErrorKind::Broker(kafka_core::ErrorCode::UnknownTopicOrPartition));
    if is_missing && !stage.is_healed() {
        return stage.history().error(error);
    }
    reader_error(stage, error);
}

/// Reads by itself until it has everything: each record once and in order, and only of what it is subscribed to.
pub(crate) async fn follow(stage: Stage, mut chance: Chance) {
    let client = client(&stage, &mut chance);
    let mut told = Told::new(&stage, &mut chance);
    let builder = client.reader(told.subscription.clone()).max_wait(chance.millis(50, 2000));
    let mut reader = builder.build().unwrap_or_else(|error| panic!("{error}"));
    let mut next: BTreeMap<Place, i64> = BTreeMap::new();
    while !has_all(&stage, &next) {
        if told.change(&stage, &mut reader, &mut chance) {
            // What goes begins anew should it come back, what stays goes on.
            next.retain(|(topic, _), _| means(&told.subscription, topic));
            check_assignment(&stage, &reader, |tp| means(&told.subscription, &tp.topic), &next);
        }
        read_next(&stage, &mut reader, &mut next, |topic| means(&told.subscription, topic), &mut chance)
            .await;
    }
    let time = Duration::from_secs(5);
    let _ = stage.by("the close of a reader", time, reader.close(time)).await;
    stage.history().client(&client.stats());
}

/// The same of partitions that it chooses.
pub(crate) async fn choose(stage: Stage, mut chance: Chance) {
    let client = client(&stage, &mut chance);
    let mut reader = client.reader(TOPICS[0]).partition(0).build().unwrap_or_else(|error| panic!("{error}"));
    let mut chosen = BTreeSet::from([(Str::from(TOPICS[0]), 0)]);
    let mut next: BTreeMap<Place, i64> = BTreeMap::new();
    while !has_all(&stage, &next) {
        let ends: Option<BTreeSet<Place>> =
            stage.history().subscribed.ends.as_ref().map(|ends| ends.keys().cloned().collect());
        let is_due = ends.as_ref().map_or(chance.per_mille(20), |all| chosen != *all);
        if is_due {
            chosen =
                ends.unwrap_or_else(|| there(&stage).into_iter().filter(|_| chance.per_mille(500)).collect());
            let partitions = chosen
                .iter()
                .map(|(topic, partition)| (TopicPartition::new(topic.clone(), *partition), Start::First));
            if let Err(error) = reader.assign(partitions) {
                stage.violation(format!("a reader refuses its partitions: {error}"));
            }
            stage.history().count("changes of chosen partitions", 1);
            next.retain(|place, _| chosen.contains(place));
            let is_chosen = |tp: &TopicPartition| chosen.contains(&(tp.topic.clone(), tp.partition));
            check_assignment(&stage, &reader, is_chosen, &next);
        }
        let is_chosen = |topic: &str| chosen.iter().any(|(name, _)| *name == topic);
        read_next(&stage, &mut reader, &mut next, is_chosen, &mut chance).await;
    }
    let time = Duration::from_secs(5);
    let _ = stage.by("the close of a reader", time, reader.close(time)).await;
    stage.history().client(&client.stats());
}

/// The partitions that there are.
fn there(stage: &Stage) -> Vec<Place> {
    let made = stage.history().subscribed.made;
    let world = stage.runtime.world();
    let is_there = |place: &Place| world.net.cluster.offsets(&place.0, place.1).is_some();
    let of = |topic: &&str| {
        let topic = Str::from(*topic);
        (0..).map(move |partition| (topic.clone(), partition)).take_while(is_there)
    };
    TOPICS[..made].iter().flat_map(of).collect()
}

/// What is not read any more is not assigned, and what stays is.
fn check_assignment(
    stage: &Stage,
    reader: &Reader,
    is_read: impl Fn(&TopicPartition) -> bool,
    next: &BTreeMap<Place, i64>,
) {
    let assignment = reader.assignment();
    let has = |place: &Place| assignment.iter().any(|tp| (&tp.topic, tp.partition) == (&place.0, place.1));
    if !assignment.iter().all(is_read) || !next.keys().all(has) {
        stage.violation(format!("a reader that was at {next:?} is assigned {assignment:?} after a change"));
    }
}

async fn read_next(
    stage: &Stage,
    reader: &mut Reader,
    next: &mut BTreeMap<Place, i64>,
    is_read: impl Fn(&str) -> bool,
    chance: &mut Chance,
) {
    let patience = chance.millis(1, 2000);
    match stage.within("the next record", patience, reader.fetch()).await {
        Some(Ok(Some(record))) => {
            let expected = next.entry(place(&record)).or_insert(0);
            let (place, offset) = (place(&record), record.offset);
            if !is_read(&record.topic) {
                stage.violation(format!("a reader got offset {offset} of {place:?}, which it does not read"));
            } else if offset != *expected {
                stage.violation(format!("a reader got offset {offset} of {place:?} for {expected}"));
            }
            *expected = offset + 1;
            pause(stage, chance).await;
        }
        Some(Ok(None)) => stage.violation("a reader ended by itself".to_owned()),
        Some(Err(error)) => missing_or(stage, &error),
        None => stage.runtime.note(format_args!("a reader of {:?} waits at {next:?}", reader.subscription())),
    }
}

fn has_all(stage: &Stage, next: &BTreeMap<Place, i64>) -> bool {
    let history = stage.history();
    let Some(ends) = &history.subscribed.ends else { return false };
    ends.iter().all(|(place, end)| *end == 0 || next.get(place) == Some(end))
}
