//! Applications that read the topic by themselves: from its beginning, with pauses and seeks.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_core::{Client, ErrorKind, Event, Reader, Record, Reset, Start, TopicPartition};

use super::chance::Chance;
use super::history::{TOPIC, id_of};
use super::stage::{Stage, pause};

/// Each record once and in order, but where it sought, and where records were lost.
struct Place {
    /// The next offset of each partition.
    positions: Vec<i64>,
    /// The truncations of each partition for which it went back.
    noticed: Vec<BTreeSet<usize>>,
    paused: BTreeSet<i32>,
    /// What the application keeps.
    kept: Vec<Record>,
    /// It never drops anything.
    keeps_all: bool,
}

/// So many messages keep more in memory than small buffers may hold.
const KEEPS: usize = 30;

pub(crate) async fn read(stage: Stage, client: Client, mut chance: Chance) {
    let small = stage.settings.small_buffers || chance.per_mille(300);
    let mut builder = client.reader(TOPIC).start(Start::First).reset(Reset::First);
    if small {
        builder = builder.buffer_bytes(8 << 10).max_bytes(4 << 10).partition_max_bytes(2 << 10);
    }
    let mut reader = builder.max_wait(chance.millis(50, 2000)).build().unwrap_or_else(|e| panic!("{e}"));
    let by_batch = stage.settings.keeping == 0 && chance.per_mille(300);
    let count = stage.partitions as usize;
    let (positions, noticed) = (vec![0; count], vec![BTreeSet::new(); count]);
    let keeps_all = stage.settings.keeping > 0 && chance.per_mille(500);
    let mut place = Place { positions, noticed, paused: BTreeSet::new(), kept: Vec::new(), keeps_all };
    while !place.is_at_the_end(&stage) {
        place.wander(&stage, &mut reader, &mut chance);
        let patience = if chance.per_mille(200) { chance.millis(0, 20) } else { chance.millis(500, 4000) };
        if by_batch {
            place.read_batch(&stage, &mut reader, patience).await;
        } else {
            place.read_one(&stage, &mut reader, patience, &mut chance).await;
        }
    }
    let time = Duration::from_secs(5);
    let _ = stage.by("the close of a reader", time, reader.close(time)).await;
}

impl Place {
    fn is_at_the_end(&self, stage: &Stage) -> bool {
        let history = stage.history();
        let Some(ends) = &history.ends else { return false };
        (0..).zip(&self.positions).zip(ends).all(|((partition, position), end)| {
            position == end || (position > end && !history.truncations(partition).is_empty())
        })
    }

    /// Pauses, resumes and seeks. Once all has healed it only goes on.
    fn wander(&mut self, stage: &Stage, reader: &mut Reader, chance: &mut Chance) {
        if stage.is_healed() {
            for partition in std::mem::take(&mut self.paused) {
                let _ = reader.resume(&TopicPartition::new(TOPIC, partition));
            }
            return;
        }
        if !chance.per_mille(30) {
            return;
        }
        let partition = chance.below(stage.partitions as u64) as i32;
        let named = TopicPartition::new(TOPIC, partition);
        // Before its partitions are known a reader has none to move.
        match chance.below(5) {
            0 | 1 if reader.pause(&named).is_ok() => {
                self.paused.insert(partition);
                stage.history().count("pauses", 1);
            }
            2 | 3 if reader.resume(&named).is_ok() => {
                self.paused.remove(&partition);
            }
            _ => self.seek(stage, reader, partition, chance),
        }
    }

    fn seek(&mut self, stage: &Stage, reader: &mut Reader, partition: i32, chance: &mut Chance) {
        let Some(position) = self.positions.get_mut(partition as usize) else { return };
        let back = chance.below(30) as i64;
        let offset = if chance.per_mille(100) { 0 } else { (*position - back).max(0) };
        let start = if offset == 0 { Start::First } else { Start::at(offset) };
        if reader.seek(&TopicPartition::new(TOPIC, partition), start).is_ok() {
            *position = offset;
            stage.history().count("seeks", 1);
        }
    }

    async fn read_one(
        &mut self,
        stage: &Stage,
        reader: &mut Reader,
        patience: Duration,
        chance: &mut Chance,
    ) {
        match stage.within("the next message", patience, reader.next_event()).await {
            Some(Ok(Some(Event::Record(message)))) => {
                self.check(stage, &message);
                self.keep(stage, message, chance);
                pause(stage, chance).await;
            }
            Some(Ok(Some(Event::Notice(error)))) => notice(stage, &error),
            Some(Ok(Some(_))) | None => {}
            Some(Ok(None)) => stage.violation("a reader ended by itself".to_owned()),
            Some(Err(error)) => reader_error(stage, &error),
        }
    }

    fn keep(&mut self, stage: &Stage, message: Record, chance: &mut Chance) {
        if stage.settings.keeping == 0 || !chance.per_mille(stage.settings.keeping) {
            return;
        }
        if self.kept.len() == KEEPS {
            match chance.below(3) {
                _ if self.keeps_all => return,
                0 => self.kept.clear(),
                1 => drop(self.kept.remove(0)),
                _ => return,
            }
        }
        self.kept.push(message);
        stage.history().count("messages kept", 1);
    }

    async fn read_batch(&mut self, stage: &Stage, reader: &mut Reader, patience: Duration) {
        match stage.within("the next batch", patience, reader.next_batch()).await {
            Some(Ok(Some(mut batch))) => {
                let partition = batch.partition().unwrap_or(-1);
                while let Some(record) = batch.next() {
                    match record {
                        Ok(record) => self.check_at(stage, partition, record.offset(), record.value()),
                        Err(error) => return reader_error(stage, &error),
                    }
                }
            }
            Some(Ok(None)) => stage.violation("a reader ended by itself".to_owned()),
            Some(Err(error)) => reader_error(stage, &error),
            None => {}
        }
    }

    fn check(&mut self, stage: &Stage, message: &Record) {
        self.check_at(stage, message.partition, message.offset, message.value.as_deref());
    }

    fn check_at(&mut self, stage: &Stage, partition: i32, offset: i64, value: Option<&[u8]>) {
        let mut history = stage.history();
        history.count("read", 1);
        let at = partition as usize;
        let (Some(position), Some(noticed)) = (self.positions.get_mut(at), self.noticed.get_mut(at)) else {
            return;
        };
        // What it had fetched before a truncation may come after it, perhaps after several; and only then what is there now.
        let why =
            if offset < *position { why_back(history.truncations(partition), noticed, offset) } else { None };
        let went_back = why.is_some();
        noticed.extend(why);
        if *position != offset && !went_back {
            let what = format!("a reader got offset {offset} of partition {partition} for {position}");
            history.violation(what);
        }
        if self.paused.contains(&partition) {
            history
                .violation(format!("a reader got offset {offset} of partition {partition}, which is paused"));
        }
        *position = offset + 1;
        if value.and_then(id_of).is_none() {
            history.violation(format!("a reader got a damaged record at {partition}/{offset}"));
        }
    }
}

/// The truncation for which a reader goes back to this offset, to where the log was cut; to its beginning where a broker is too old
/// to tell. For each it does once.
fn why_back(truncations: &[i64], noticed: &BTreeSet<usize>, offset: i64) -> Option<usize> {
    let mut fresh = truncations.iter().enumerate().filter(|(at, _)| !noticed.contains(at));
    fresh.find(|(_, from)| **from == offset || offset == 0).map(|(at, _)| at)
}

fn notice(stage: &Stage, error: &kafka_core::Error) {
    let mut history = stage.history();
    match error.kind() {
        ErrorKind::Truncated { .. } => history.count("truncations noticed", 1),
        ErrorKind::BufferKept { .. } => history.count("reports of kept messages", 1),
        ErrorKind::OffsetOutOfRange { .. } => history.count("positions out of range", 1),
        _ => {}
    }
    history.error(error);
}

pub(crate) fn reader_error(stage: &Stage, error: &kafka_core::Error) {
    let mut history = stage.history();
    history.error(error);
    if stage.runtime.elapsed() > stage.settings.healing + Duration::from_secs(40) {
        history.violation(format!("I8: a reader failed long after all had healed: {error}"));
    }
}
