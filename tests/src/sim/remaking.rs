//! A topic that is deleted and made anew again and again, an application that writes to it, and a group that reads it: what
//! belongs to a topic belongs to its id.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_core::{ErrorKind, Message, Reader, Record, Start, TopicPartition, Writer};

use super::chance::Chance;
use super::history::{MessageId, id_of, value_of};
use super::members::{COMMITS, quick_member};
use super::reading::reader_error;
use super::stage::{SLACK, Stage, pause};
use crate::broker::ClusterState;

/// The topic.
pub(crate) const REMADE: &str = "r";
const GROUP: &str = "of-r";
/// Messages that are sent once all has healed.
const AFTER_HEALING: u64 = 10;

/// What the applications saw of the topic.
#[derive(Debug, Default)]
pub(crate) struct Remade {
    /// Messages that were acknowledged, with their partition and offset.
    acked: BTreeMap<MessageId, (i32, i64)>,
    /// Messages in logs that are gone.
    buried: BTreeSet<MessageId>,
    /// What the group is done with of the present topic, by partition.
    handled: BTreeMap<i32, BTreeSet<i64>>,
    is_written: bool,
}

impl Remade {
    /// The topic is going to be deleted.
    pub(crate) fn bury(&mut self, cluster: &ClusterState) {
        self.buried.extend(present(cluster).into_keys());
        self.handled.clear();
    }

    /// The group is done with a message; it counts where it is of the present topic.
    fn handled(&mut self, cluster: &ClusterState, record: &Record) {
        let Record { partition, offset, .. } = record;
        if cluster.value_at(REMADE, *partition, *offset) == record.value {
            self.handled.entry(*partition).or_default().insert(*offset);
        }
    }

    fn first_unhandled(&self, partition: i32) -> i64 {
        let handled = self.handled.get(&partition);
        (0..).find(|offset| handled.is_none_or(|handled| !handled.contains(offset))).unwrap_or(i64::MAX)
    }

    /// Everything that was written to the present topic is handled.
    fn is_done(&self, cluster: &ClusterState) -> bool {
        let ends = ends(cluster);
        self.is_written
            && !ends.is_empty()
            && ends.iter().all(|(partition, end)| self.first_unhandled(*partition) >= *end)
    }

    /// I6 of topics: no committed offset is of a topic that is gone. What is wrong, if anything.
    pub(crate) fn check_commits(&self, cluster: &ClusterState) -> Option<String> {
        ends(cluster).into_iter().find_map(|(partition, end)| {
            let committed = cluster.committed(GROUP, REMADE, partition)?;
            let first = self.first_unhandled(partition);
            let what =
                format!("I6: partition {partition} of a topic that was made anew, which ends at {end}, is");
            (committed > first)
                .then(|| format!("{what} committed to {committed}, offset {first} was not handled"))
        })
    }

    /// I1 and I2: what was acknowledged was written, and once to each topic.
    pub(crate) fn check_log(&self, cluster: &ClusterState) -> Vec<String> {
        let present = present(cluster);
        let twice = present.iter().filter(|(_, places)| places.len() > 1);
        let twice = twice.map(|(id, places)| format!("I2: message {id:?} of a topic is at {places:?}"));
        let is_there = |id: &MessageId| self.buried.contains(id) || present.contains_key(id);
        let lost = self.acked.iter().filter(|(id, _)| !is_there(id));
        let lost =
            lost.map(|(id, place)| format!("I1: message {id:?} was acked at {place:?} and is nowhere"));
        twice.chain(lost).collect()
    }
}

/// The messages of the present topic, and where they are.
fn present(cluster: &ClusterState) -> BTreeMap<MessageId, Vec<(i32, i64)>> {
    let mut found: BTreeMap<MessageId, Vec<(i32, i64)>> = BTreeMap::new();
    for (partition, _) in ends(cluster) {
        for record in cluster.log(REMADE, partition) {
            if let Some(id) = record.value.as_deref().and_then(id_of) {
                found.entry(id).or_default().push((partition, record.offset));
            }
        }
    }
    found
}

fn ends(cluster: &ClusterState) -> Vec<(i32, i64)> {
    let end = |partition| Some((partition, cluster.offsets(REMADE, partition)?.1));
    (0..).map_while(end).collect()
}

/// Writes until all has healed, and then some more, which must succeed.
pub(crate) async fn write_remade(stage: Stage, mut chance: Chance) {
    let client = stage.client(&mut chance);
    let timeout = chance.millis(3000, 15_000);
    let writer = client
        .writer(REMADE)
        .batch_bytes(1024)
        .linger(chance.millis(0, 20))
        .delivery_timeout(timeout)
        .build()
        .unwrap_or_else(|error| panic!("{error}"));
    let author = stage.history().author();
    // Of a writer that wrote few batches to a partition brokers still know the first.
    let (most, longest_rest) = if chance.per_mille(500) { (8, 600) } else { (2, 4000) };
    let mut next = 0;
    loop {
        let is_last = stage.is_healed();
        let count = if is_last { AFTER_HEALING } else { 1 + chance.below(most) };
        let ids: Vec<MessageId> = (next..next + count as u32).map(|at| (author, at)).collect();
        next += count as u32;
        let sent = stage.by("sends to a topic", timeout + SLACK, send(&stage, &writer, &ids)).await;
        if let (Some(failed @ 1..), true) = (sent, is_last) {
            stage.violation(format!("I8: {failed} messages to a topic failed after all had healed"));
        }
        if is_last {
            break;
        }
        let rest = chance.millis(0, longest_rest);
        stage.runtime.sleep(rest).await;
    }
    stage.history().remade.is_written = true;
    let time = Duration::from_secs(5);
    stage.by("the close of a writer", time, writer.close(time)).await;
    stage.history().client(&client.stats());
}

/// How many failed.
async fn send(stage: &Stage, writer: &Writer, ids: &[MessageId]) -> usize {
    let messages: Vec<Message> = ids.iter().map(|id| Message::new(value_of(*id))).collect();
    let taken = writer.send_all(messages).await;
    let mut failed = 0;
    for (id, taken) in ids.iter().zip(taken) {
        let result = match taken {
            Ok(delivery) => delivery.await,
            Err(error) => Err(error),
        };
        let mut history = stage.history();
        match result {
            Ok(place) => _ = history.remade.acked.insert(*id, (place.partition, place.offset.unwrap_or(-1))),
            Err(error) => {
                failed += 1;
                history.error(&error.error);
            }
        }
    }
    failed
}

/// Reads as a member of the group, in several lives, until all is handled.
pub(crate) async fn read_remade(stage: Stage, mut chance: Chance) {
    while !is_done(&stage) {
        let client = stage.client(&mut chance);
        let mut reader = quick_member(client.reader(REMADE).group(GROUP), &mut chance);
        live(&stage, &mut reader, &mut chance).await;
        let time = chance.millis(0, 5000);
        let _ = stage.by("the close of a member", time, reader.close(time)).await;
        stage.history().client(&client.stats());
    }
}

async fn live(stage: &Stage, reader: &mut Reader, chance: &mut Chance) {
    let mut batch: Vec<Record> = Vec::new();
    while !is_done(stage) && (stage.is_healed() || !chance.per_mille(10)) {
        let patience = chance.millis(1, 2000);
        match stage.within("the next message", patience, reader.fetch()).await {
            Some(Ok(Some(message))) => {
                pause(stage, chance).await;
                let world = stage.runtime.world();
                stage.history().remade.handled(&world.net.cluster, &message);
                batch.push(message);
            }
            Some(Ok(None)) => return stage.violation("a member ended by itself".to_owned()),
            Some(Err(error)) => begin_anew(stage, reader, &error),
            None => {}
        }
        if chance.per_mille(150) {
            let batch = std::mem::take(&mut batch);
            let commit = stage.by("a commit", COMMITS, reader.commit(&batch)).await;
            commit.into_iter().filter_map(Result::err).for_each(|error| stage.history().error(&error));
        }
    }
}

/// What stops a partition whose topic was made anew goes on at the new topic's beginning.
fn begin_anew(stage: &Stage, reader: &mut Reader, error: &kafka_core::Error) {
    let context = error.context();
    match (error.kind(), &context.topic, context.partition) {
        (ErrorKind::TopicRecreated { .. }, Some(topic), Some(partition)) => {
            let sought = reader.seek(&TopicPartition::new(topic.clone(), partition), Start::First);
            stage.history().count("topics made anew, seen by members", 1);
            if let Err(error) = sought {
                stage.history().error(&error);
            }
        }
        _ => reader_error(stage, error),
    }
}

fn is_done(stage: &Stage) -> bool {
    let world = stage.runtime.world();
    stage.history().remade.is_done(&world.net.cluster)
}
