//! Members of the groups: they come, read, commit and go, in good order or not.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_core::{ErrorKind, Event, Reader, ReaderBuilder, Record, Reset, TopicPartition};

use super::chance::Chance;
use super::fault::FaultKind;
use super::history::{TOPIC, group_name};
use super::reading::reader_error;
use super::stage::{Stage, pause};

/// The commit timeout of all members.
pub(super) const COMMITS: Duration = Duration::from_secs(30);

/// A member whose group notices soon that it is gone.
pub(super) fn quick_member(reader: ReaderBuilder, chance: &mut Chance) -> Reader {
    reader
        .reset(Reset::First)
        .session_timeout(chance.millis(6000, 9000))
        .heartbeat_interval(chance.millis(500, 2500))
        .rebalance_timeout(chance.millis(5000, 9000))
        .commit_timeout(COMMITS)
        .max_wait(chance.millis(50, 2000))
        .build()
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A member, seen from outside.
#[derive(Clone)]
struct Member {
    stage: Stage,
    group: usize,
    /// Of all members of all groups.
    number: u32,
}

/// Joins, and joins again after having left, until the group is done.
pub(crate) async fn member(stage: Stage, group: usize, mut chance: Chance) {
    let mut member = Member { stage: stage.clone(), group, number: 0 };
    loop {
        member.number = stage.history().author();
        let client = stage.client(&mut chance);
        let longest_wait = if chance.per_mille(200) { 15_000 } else { 2000 };
        let mut reader = client
            .reader(TOPIC)
            .group(group_name(group))
            .reset(Reset::First)
            .session_timeout(chance.millis(6000, 12_000))
            .heartbeat_interval(chance.millis(500, 2500))
            .rebalance_timeout(chance.millis(5000, 12_000))
            .auto_commit_interval(chance.millis(50, 3000))
            .commit_timeout(COMMITS)
            .max_wait(chance.millis(50, longest_wait))
            .build()
            .unwrap_or_else(|error| panic!("{error}"));
        let crashed = match chance.below(4) {
            0 | 1 => member.commit_by_hand(&mut reader, &mut chance).await,
            2 => member.mark_by_hand(&mut reader, &mut chance).await,
            _ => member.commit_automatically(&mut reader, &mut chance).await,
        };
        if !crashed && chance.per_mille(600) {
            let time = if chance.per_mille(300) { Duration::ZERO } else { chance.millis(0, 10_000) };
            let _ = stage.by("the close of a member", time, reader.close(time)).await;
        }
        stage.history().client(&client.stats());
        drop((reader, client));
        if stage.history().group_is_done(group) {
            return;
        }
        let away = chance.millis(0, 5000);
        stage.runtime.sleep(away).await;
    }
}

impl Member {
    fn stays(&self, chance: &mut Chance) -> bool {
        let leaves = !self.stage.is_healed() && chance.per_mille(self.stage.settings.churn);
        !leaves && !self.stage.history().group_is_done(self.group)
    }

    fn ended(&self) -> bool {
        self.stage.violation("a member ended by itself".to_owned());
        false
    }

    /// A message counts as handled once the next one is asked for. Whether the application was killed at its work.
    async fn commit_automatically(&self, reader: &mut Reader, chance: &mut Chance) -> bool {
        while self.stays(chance) {
            let patience = chance.millis(1, 3000);
            match self.stage.within("the next message", patience, reader.read()).await {
                Some(Ok(Some(message))) => {
                    self.claim(message.partition);
                    pause(&self.stage, chance).await;
                    if !self.stage.is_healed() && chance.per_mille(self.stage.settings.churn / 2) {
                        return true;
                    }
                    self.handled(&message);
                }
                Some(Ok(None)) => return self.ended(),
                Some(Err(error)) => reader_error(&self.stage, &error),
                None => {}
            }
        }
        false
    }

    /// A message counts as handled once it is marked.
    async fn mark_by_hand(&self, reader: &mut Reader, chance: &mut Chance) -> bool {
        let mut batch: Vec<Record> = Vec::new();
        while self.stays(chance) {
            let patience = chance.millis(1, 3000);
            match self.stage.within("the next message", patience, reader.fetch()).await {
                Some(Ok(Some(message))) => {
                    self.claim(message.partition);
                    pause(&self.stage, chance).await;
                    self.handled(&message);
                    batch.push(message);
                }
                Some(Ok(None)) => return self.ended(),
                Some(Err(error)) => reader_error(&self.stage, &error),
                None => {}
            }
            if chance.per_mille(200) {
                // What is of an assignment that has ended is not marked.
                let stale = reader.mark(&std::mem::take(&mut batch)).is_err();
                self.stage.history().count("stale marks", stale.into());
            }
        }
        false
    }

    async fn commit_by_hand(&self, reader: &mut Reader, chance: &mut Chance) -> bool {
        let mut batch = Batch::default();
        let mut held = Held::default();
        while self.stays(chance) {
            let patience = chance.millis(1, 3000);
            match self.stage.within("the next event", patience, reader.next_event()).await {
                Some(Ok(Some(event))) => self.event(reader, event, (&mut held, &mut batch), chance).await,
                Some(Ok(None)) => return self.ended(),
                Some(Err(error)) => reader_error(&self.stage, &error),
                // At the end there may be nothing more to handle, and others wait until all is committed.
                None if self.stage.is_healed() => self.commit(reader, &mut batch, chance).await,
                None => {}
            }
            if chance.per_mille(50) {
                self.commit(reader, &mut batch, chance).await;
            }
        }
        self.commit(reader, &mut batch, chance).await;
        false
    }

    async fn event(
        &self,
        reader: &Reader,
        event: Event,
        (held, batch): (&mut Held, &mut Batch),
        chance: &mut Chance,
    ) {
        match event {
            Event::Record(message) => {
                self.check(held, &message);
                pause(&self.stage, chance).await;
                self.handled(&message);
                if batch.is_stale {
                    self.commit(reader, batch, chance).await;
                }
                batch.messages.push(message);
            }
            Event::Assigned { partitions, .. } => self.assigned(held, &partitions),
            Event::Revoking { .. } => {
                self.stage.history().count("revocations", 1);
                self.commit(reader, batch, chance).await;
                held.0.clear();
            }
            Event::Lost { error, .. } => {
                // What is committed of it later must not count.
                batch.is_stale = !batch.messages.is_empty();
                held.0.clear();
                let mut history = self.stage.history();
                history.count("losses", 1);
                history.error(&error);
            }
            _ => {}
        }
    }

    fn assigned(&self, held: &mut Held, partitions: &[TopicPartition]) {
        let mut history = self.stage.history();
        history.count("assignments", 1);
        let begins = |p: &TopicPartition| (p.partition, Some(history.committed(self.group, p.partition)));
        // In addition to those it has: some come later, see `Event::Assigned`.
        held.0.extend(partitions.iter().map(begins));
        for partition in partitions {
            history.claim(self.group, partition.partition, self.number);
        }
    }

    fn claim(&self, partition: i32) {
        self.stage.history().claim(self.group, partition, self.number);
    }

    /// I9 and I12: only what is held, and by nobody else, is delivered, from where the group was.
    fn check(&self, held: &mut Held, message: &Record) {
        let mut history = self.stage.history();
        let (partition, offset) = (message.partition, message.offset);
        let name = format!("offset {offset} of partition {partition} in group {}", self.group);
        let Some(begin) = held.0.get_mut(&partition) else {
            return history.violation(format!("I9: a member got {name}, which it does not hold"));
        };
        if history.claimed(self.group, partition) != Some(self.number) {
            history.count("read by two members", 1);
        }
        // Who slept between its assignment and hearing of it begins where the group was before, until it notices.
        let may_have_slept = self.stage.settings.faults.contains(&FaultKind::Suspend);
        let begin = begin.take().filter(|begin| *begin < offset || (*begin > offset && !may_have_slept));
        if let Some(begin) = begin.filter(|_| history.truncations(partition).is_empty()) {
            history.violation(format!("I12: a member begins at {name}, which is committed to {begin}"));
        }
    }

    async fn commit(&self, reader: &Reader, batch: &mut Batch, chance: &mut Chance) {
        let Batch { messages, is_stale } = std::mem::take(batch);
        let commit = reader.commit(&messages);
        let result = if chance.per_mille(200) {
            let patience = chance.millis(0, 100);
            self.stage.within("a commit", patience, commit).await
        } else {
            self.stage.by("a commit", COMMITS, commit).await
        };
        let mut history = self.stage.history();
        if is_stale && matches!(result, Some(Ok(()))) {
            history.violation("I10: a commit of an assignment that had ended was taken".to_owned());
        }
        let Some(Err(error)) = result else { return };
        history.error(&error);
        let over = matches!(error.kind(), ErrorKind::StaleCommit);
        if !over && self.stage.runtime.elapsed() > self.stage.settings.healing + Duration::from_secs(40) {
            history.violation(format!("I8: a commit failed long after all had healed: {error}"));
        }
    }

    fn handled(&self, message: &Record) {
        let mut history = self.stage.history();
        history.count("read", 1);
        history.handled(self.group, message.partition, message.offset);
    }
}

/// Messages to be committed together.
#[derive(Default)]
struct Batch {
    messages: Vec<Record>,
    /// Their assignment has ended.
    is_stale: bool,
}

/// The partitions a member holds, each with the offset that it begins at until it has begun.
#[derive(Debug, Default)]
struct Held(BTreeMap<i32, Option<i64>>);
