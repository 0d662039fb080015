//! Members of the group: they come, read, commit and go, in good order or not.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_core::Message;
use kafka_core::client::cluster::TopicPartition;
use kafka_core::error::ErrorKind;
use kafka_core::reader::Reset;
use kafka_core::rt::{Event, Reader};

use super::apps::{Stage, pause, reader_error};
use super::chance::Chance;

/// Joins, and joins again after having left, until the group is done.
pub(crate) async fn member(stage: Stage, mut chance: Chance) {
    loop {
        let client = stage.client(&mut chance);
        let longest_wait = if chance.per_mille(200) { 15_000 } else { 1000 };
        let mut reader = client
            .reader(super::history::TOPIC)
            .group(super::history::GROUP)
            .reset(Reset::First)
            .session_timeout(chance.millis(6000, 20_000))
            .heartbeat_interval(chance.millis(500, 2500))
            .rebalance_timeout(chance.millis(5000, 20_000))
            .auto_commit_interval(chance.millis(50, 3000))
            .max_wait(chance.millis(50, longest_wait))
            .build()
            .unwrap_or_else(|error| panic!("{error}"));
        if chance.per_mille(500) {
            commit_by_hand(&stage, &mut reader, &mut chance).await;
        } else {
            commit_automatically(&stage, &mut reader, &mut chance).await;
        }
        if chance.per_mille(600) {
            let _ = reader.close(Duration::from_secs(10)).await;
        }
        stage.history().client(&client.stats());
        drop((reader, client));
        if stage.history().group_is_done() {
            return;
        }
        let away = chance.millis(0, 5000);
        stage.runtime.sleep(away).await;
    }
}

fn stays(stage: &Stage, chance: &mut Chance) -> bool {
    let leaves = !stage.is_healed() && chance.per_mille(stage.settings.churn);
    !leaves && !stage.history().group_is_done()
}

/// A message counts as handled once the next one is asked for.
async fn commit_automatically(stage: &Stage, reader: &mut Reader, chance: &mut Chance) {
    while stays(stage, chance) {
        let patience = chance.millis(1, 1000);
        match stage.runtime.within(patience, reader.read_message()).await {
            Some(Ok(Some(message))) => {
                pause(stage, chance).await;
                handled(stage, &message);
            }
            Some(Ok(None)) => return stage.history().violation("a member ended by itself".to_owned()),
            Some(Err(error)) => reader_error(stage, &error),
            None => {}
        }
    }
}

async fn commit_by_hand(stage: &Stage, reader: &mut Reader, chance: &mut Chance) {
    let mut batch: Vec<Message> = Vec::new();
    let mut held = Held::default();
    while stays(stage, chance) {
        let patience = chance.millis(1, 1000);
        match stage.runtime.within(patience, reader.next()).await {
            Some(Ok(Some(Event::Message(message)))) => {
                held.check(stage, &message);
                pause(stage, chance).await;
                handled(stage, &message);
                batch.push(message);
            }
            Some(Ok(Some(Event::Assigned(partitions)))) => held.assigned(stage, &partitions),
            Some(Ok(Some(Event::Revoking(_)))) => {
                stage.history().count("revocations", 1);
                commit(stage, reader, &mut batch, chance).await;
                held.0.clear();
            }
            Some(Ok(Some(Event::Lost(error)))) => {
                batch.clear();
                held.0.clear();
                stage.history().count("losses", 1);
                stage.history().error(&error);
            }
            Some(Ok(Some(_))) | None => {}
            Some(Ok(None)) => return stage.history().violation("a member ended by itself".to_owned()),
            Some(Err(error)) => reader_error(stage, &error),
        }
        if chance.per_mille(50) {
            commit(stage, reader, &mut batch, chance).await;
        }
    }
    commit(stage, reader, &mut batch, chance).await;
}

/// The partitions a member holds, each with the offset that it begins at until it has begun.
#[derive(Debug, Default)]
struct Held(BTreeMap<i32, Option<i64>>);

impl Held {
    fn assigned(&mut self, stage: &Stage, partitions: &[TopicPartition]) {
        let mut history = stage.history();
        history.count("assignments", 1);
        self.0 = partitions.iter().map(|p| (p.partition, Some(history.committed(p.partition)))).collect();
    }

    /// I9 and I12: only what is held is delivered, from where the group was.
    fn check(&mut self, stage: &Stage, message: &Message) {
        let (partition, offset) = (message.partition.unwrap_or(-1), message.offset.unwrap_or(-1));
        let Some(begin) = self.0.get_mut(&partition) else {
            let what =
                format!("I9: a member got offset {offset} of partition {partition}, which it does not hold");
            return stage.history().violation(what);
        };
        if let Some(begin) = begin.take().filter(|begin| *begin != offset) {
            let what =
                format!("I12: partition {partition} is committed to {begin}, a member begins at {offset}");
            stage.history().violation(what);
        }
    }
}

async fn commit(stage: &Stage, reader: &Reader, batch: &mut Vec<Message>, chance: &mut Chance) {
    let messages = std::mem::take(batch);
    let commit = reader.commit_messages(&messages);
    let result = if chance.per_mille(200) {
        let patience = chance.millis(0, 100);
        stage.runtime.within(patience, commit).await
    } else {
        Some(commit.await)
    };
    let Some(Err(error)) = result else { return };
    let mut history = stage.history();
    history.error(&error);
    let over = matches!(error.kind(), ErrorKind::StaleCommit);
    if !over && stage.runtime.elapsed() > stage.settings.healing + Duration::from_secs(60) {
        history.violation(format!("I8: a commit failed long after all had healed: {error}"));
    }
}

fn handled(stage: &Stage, message: &Message) {
    let mut history = stage.history();
    history.count("read", 1);
    if let (Some(partition), Some(offset)) = (message.partition, message.offset) {
        history.handled(partition, offset);
    }
}
