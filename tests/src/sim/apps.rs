//! Applications that write and read by themselves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use kafka_core::Message;
use kafka_core::reader::{Reset, Start};
use kafka_core::rt::{Client, Event, Runtime, Writer};
use kafka_core::writer::{Delivery, Idempotence, Manual};

use super::chance::Chance;
use super::history::{History, MessageId, Outcome, TOPIC, Written, id_of, value_of};
use super::plan::Settings;
use super::runtime::SimRuntime;

/// Messages that each writing task sends once all has healed.
const AFTER_HEALING: u32 = 15;

/// What all applications of a run share.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) runtime: SimRuntime,
    pub(crate) settings: Settings,
    pub(crate) partitions: i32,
    history: Arc<Mutex<History>>,
}

impl Stage {
    pub(crate) fn new(runtime: SimRuntime, settings: Settings, partitions: i32) -> Stage {
        Stage { runtime, settings, partitions, history: Arc::default() }
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.runtime.elapsed() >= self.settings.healing
    }

    /// A client of its own.
    pub(crate) fn client(&self, chance: &mut Chance) -> Client<SimRuntime> {
        let client = Client::<SimRuntime>::builder("n0:9092,n1:9092,n2:9092")
            .runtime(self.runtime.clone())
            .seed(chance.below(u64::MAX))
            .request_timeout(chance.millis(2000, 10_000))
            .connect_timeout(chance.millis(1000, 5000))
            .metadata_max_age(chance.millis(2000, 300_000))
            .connections_max_idle(chance.millis(3000, 60_000))
            .build();
        // The settings above are within their ranges.
        client.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Join {
        let join = Join::default();
        let end = join.clone();
        self.runtime.spawn(async move {
            task.await;
            end.finish();
        });
        join
    }
}

/// The end of a task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Join(Arc<Mutex<(bool, Option<Waker>)>>);

impl Join {
    fn finish(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = true;
        state.1.take().into_iter().for_each(Waker::wake);
    }

    pub(crate) async fn wait(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.0 {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A writer with settings drawn from the seed, and whether it is idempotent.
pub(crate) fn writer(stage: &Stage, client: &Client<SimRuntime>, chance: &mut Chance) -> (Writer, bool) {
    let idempotent = chance.per_mille(700);
    let idempotence = if idempotent { Idempotence::Required } else { Idempotence::Off };
    let compression = [
        kafka_core::Compression::None,
        kafka_core::Compression::Gzip,
        kafka_core::Compression::Snappy,
        kafka_core::Compression::Lz4,
    ];
    let small = stage.settings.small_buffers || chance.per_mille(200);
    let batch = if small { 1024 } else { 4096 };
    let built = client
        .writer(TOPIC)
        .idempotence(idempotence)
        .compression(*chance.pick(&compression).unwrap_or(&kafka_core::Compression::None))
        .balancer(Manual)
        .batch_bytes(batch)
        .buffer_bytes(if small { batch * 3 } else { 1 << 20 })
        .linger(chance.millis(0, 20))
        .delivery_timeout(chance.millis(3000, 60_000))
        .build();
    (built.unwrap_or_else(|error| panic!("{error}")), idempotent)
}

/// Sends messages until all has healed, and then some more, which must succeed.
pub(crate) async fn write(stage: Stage, writer: Writer, idempotent: bool, task: u32, mut chance: Chance) {
    let mut open: Vec<(MessageId, Delivery)> = Vec::new();
    let mut after_healing = 0;
    for at in 0.. {
        after_healing += u32::from(stage.is_healed());
        if after_healing > AFTER_HEALING {
            break;
        }
        let id = (task, at);
        if let Some(delivery) = send(&stage, &writer, idempotent, id, &mut chance).await {
            open.push((id, delivery));
        }
        if chance.per_mille(30) {
            flush(&stage, &writer, &mut chance).await;
        }
        if chance.per_mille(100) || open.len() > 200 {
            settle(&stage, &mut open, &mut chance).await;
        }
        if chance.per_mille(600) {
            let longest = if chance.per_mille(50) { 3000 } else { 300 };
            let pause = chance.millis(0, longest);
            stage.runtime.sleep(pause).await;
        }
    }
    flush(&stage, &writer, &mut chance).await;
    for (id, delivery) in open {
        deliver(&stage, id, delivery).await;
    }
}

async fn send(
    stage: &Stage,
    writer: &Writer,
    idempotent: bool,
    id: MessageId,
    chance: &mut Chance,
) -> Option<Delivery> {
    let partition = chance.below(stage.partitions as u64) as i32;
    let begun = stage.runtime.elapsed();
    let written = Written { partition, idempotent, outcome: Outcome::Unknown, begun };
    stage.history().written.insert(id, written);
    let message = Message::new(value_of(id)).partition(partition);
    // Once all has healed each call shall be waited for.
    let patience = chance.per_mille(50) && !stage.is_healed();
    let sent = if patience {
        let patience = chance.millis(0, 50);
        stage.runtime.within(patience, writer.send(message)).await
    } else {
        Some(writer.send(message).await)
    };
    match sent {
        Some(Ok(delivery)) if chance.per_mille(30) => {
            stage.history().dropped += 1;
            drop(delivery);
            None
        }
        Some(Ok(delivery)) => Some(delivery),
        Some(Err(error)) => {
            let mut history = stage.history();
            history.error(&error.error);
            history.ended(id, History::outcome_of(error.fate));
            None
        }
        None => {
            // A send that was dropped before it was ready has taken nothing; `begun` is before the healing.
            let mut history = stage.history();
            history.dropped += 1;
            history.ended(id, Outcome::NotWritten);
            None
        }
    }
}

async fn flush(stage: &Stage, writer: &Writer, chance: &mut Chance) {
    if chance.per_mille(300) {
        let patience = chance.millis(0, 100);
        let _ = stage.runtime.within(patience, writer.flush()).await;
    } else {
        writer.flush().await;
    }
}

/// Waits for some of the open deliveries, or for a while for one of them.
async fn settle(stage: &Stage, open: &mut Vec<(MessageId, Delivery)>, chance: &mut Chance) {
    let count = 1 + chance.index(open.len());
    for (id, delivery) in open.drain(..count.min(open.len())) {
        if chance.per_mille(20) {
            let patience = chance.millis(0, 50);
            if stage.runtime.within(patience, deliver(stage, id, delivery)).await.is_none() {
                stage.history().dropped += 1;
            }
        } else {
            deliver(stage, id, delivery).await;
        }
    }
}

async fn deliver(stage: &Stage, id: MessageId, delivery: Delivery) {
    let result = delivery.await;
    let mut history = stage.history();
    match result {
        Ok(delivered) => history.ended(id, Outcome::Acked(delivered.offset)),
        Err(error) => {
            history.error(&error.error);
            history.ended(id, History::outcome_of(error.fate));
        }
    }
}

/// Reads the whole topic from its beginning: each record once and in order.
pub(crate) async fn read(stage: Stage, client: Client<SimRuntime>, mut chance: Chance) {
    let small = stage.settings.small_buffers;
    let mut builder = client.reader(TOPIC).start(Start::First).reset(Reset::First);
    if small {
        builder = builder.buffer_bytes(8 << 10).max_bytes(4 << 10).partition_max_bytes(2 << 10);
    }
    let mut reader = builder.max_wait(chance.millis(10, 800)).build().unwrap_or_else(|e| panic!("{e}"));
    let mut positions = vec![0; stage.partitions as usize];
    loop {
        if stage.history().ends.as_ref().is_some_and(|ends| positions == *ends) {
            break;
        }
        let patience = if chance.per_mille(300) { chance.millis(0, 20) } else { Duration::from_millis(500) };
        let Some(event) = stage.runtime.within(patience, reader.next()).await else { continue };
        match event {
            Ok(Some(Event::Message(message))) => {
                check_read(&stage, &mut positions, &message);
                pause(&stage, &mut chance).await;
            }
            Ok(Some(Event::Notice(error))) => stage.history().error(&error),
            Ok(Some(_)) => {}
            Ok(None) => return stage.history().violation("a reader ended by itself".to_owned()),
            Err(error) => reader_error(&stage, &error),
        }
    }
    let _ = reader.close(Duration::from_secs(5)).await;
}

pub(crate) fn reader_error(stage: &Stage, error: &kafka_core::Error) {
    let mut history = stage.history();
    history.error(error);
    if stage.runtime.elapsed() > stage.settings.healing + Duration::from_secs(60) {
        history.violation(format!("I8: a reader failed long after all had healed: {error}"));
    }
}

fn check_read(stage: &Stage, positions: &mut [i64], message: &Message) {
    let mut history = stage.history();
    history.read += 1;
    let (partition, offset) = (message.partition.unwrap_or(-1), message.offset.unwrap_or(-1));
    let Some(position) = positions.get_mut(partition as usize) else { return };
    if *position != offset {
        history.violation(format!("a reader got offset {offset} of partition {partition} for {position}"));
    }
    *position = offset + 1;
    if message.value.as_deref().and_then(id_of).is_none() {
        history.violation(format!("a reader got a damaged record at {partition}/{offset}"));
    }
}

/// A handler at work.
pub(crate) async fn pause(stage: &Stage, chance: &mut Chance) {
    if chance.per_mille(200) {
        let time = chance.between(Duration::ZERO, stage.settings.handling);
        stage.runtime.sleep(time).await;
    }
}
