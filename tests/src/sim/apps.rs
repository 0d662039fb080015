//! Applications that write and read by themselves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use kafka_core::Message;
use kafka_core::reader::{Reset, Start};
use kafka_core::rt::{Client, Event, Runtime, Writer};
use kafka_core::writer::{Delivered, Delivery, Idempotence, Manual, SendError};

use super::chance::Chance;
use super::history::{History, MessageId, Outcome, TOPIC, Written, id_of, value_of};
use super::plan::Settings;
use super::runtime::SimRuntime;
use crate::broker::Release;

/// What a delivery may take beyond its deadline: a moment of the executor's.
const SLACK: Duration = Duration::from_millis(100);

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
        self.runtime.elapsed() >= self.settings.settled()
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

/// A writer, and what is to be expected of it.
#[derive(Debug, Clone)]
pub(crate) struct Pen {
    pub(crate) writer: Writer,
    idempotent: bool,
    delivery_timeout: Duration,
    buffer_bytes: usize,
}

/// A message on its way.
struct Sent {
    id: MessageId,
    delivery: Delivery,
    /// By then it has an outcome.
    deadline: Duration,
}

/// A writer with settings drawn from the seed.
pub(crate) fn pen(stage: &Stage, client: &Client<SimRuntime>, chance: &mut Chance) -> Pen {
    let idempotent = chance.per_mille(700) && stage.settings.release >= Release::V0_11;
    let idempotence = if idempotent { Idempotence::Required } else { Idempotence::Off };
    let compression = [
        kafka_core::Compression::None,
        kafka_core::Compression::Gzip,
        kafka_core::Compression::Snappy,
        kafka_core::Compression::Lz4,
    ];
    let small = stage.settings.small_buffers || chance.per_mille(200);
    let batch = if small { 1024 } else { 4096 };
    let buffer_bytes = if small { batch * 3 } else { 1 << 20 };
    let delivery_timeout = chance.millis(3000, 60_000);
    let built = client
        .writer(TOPIC)
        .idempotence(idempotence)
        .compression(*chance.pick(&compression).unwrap_or(&kafka_core::Compression::None))
        .balancer(Manual)
        .batch_bytes(batch)
        .buffer_bytes(buffer_bytes)
        .linger(chance.millis(0, 20))
        .delivery_timeout(delivery_timeout)
        .build();
    let writer = built.unwrap_or_else(|error| panic!("{error}"));
    Pen { writer, idempotent, delivery_timeout, buffer_bytes }
}

/// Sends messages until all has healed, and then some more, which must succeed.
pub(crate) async fn write(stage: Stage, pen: Pen, task: u32, mut chance: Chance) {
    let mut open: Vec<Sent> = Vec::new();
    let mut after_healing = 0;
    for at in 0.. {
        after_healing += u32::from(stage.is_healed());
        if after_healing > AFTER_HEALING {
            break;
        }
        if at == 40 {
            stage.runtime.sleep(stage.settings.quiet).await;
        }
        open.extend(send(&stage, &pen, (task, at), &mut chance).await);
        if chance.per_mille(30) {
            flush(&stage, &pen.writer, &mut open, &mut chance).await;
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
    flush(&stage, &pen.writer, &mut open, &mut chance).await;
    for sent in open {
        deliver(&stage, sent).await;
    }
}

async fn send(stage: &Stage, pen: &Pen, id: MessageId, chance: &mut Chance) -> Option<Sent> {
    let partition = chance.below(stage.partitions as u64) as i32;
    let begun = stage.runtime.elapsed();
    let written = Written { partition, idempotent: pen.idempotent, outcome: Outcome::Unknown, begun };
    stage.history().written.insert(id, written);
    let sending = pen.writer.send(Message::new(value_of(id)).partition(partition));
    // Once all has healed each call shall be waited for.
    let sent = match chance.below(40) {
        0 if !stage.is_healed() => stage.runtime.within(chance.millis(0, 50), sending).await,
        1 if !stage.is_healed() => stage.runtime.polled(chance.below(4), sending).await,
        _ => Some(sending.await),
    };
    let mut history = stage.history();
    let held = pen.writer.buffered_bytes();
    if held > pen.buffer_bytes {
        history.violation(format!("I11: a writer holds {held} bytes of {}", pen.buffer_bytes));
    }
    match sent {
        Some(Ok(_)) if chance.per_mille(30) => {
            history.count("dropped futures", 1);
            None
        }
        Some(Ok(delivery)) => {
            let deadline = stage.runtime.elapsed() + pen.delivery_timeout;
            Some(Sent { id, delivery, deadline })
        }
        Some(Err(error)) => {
            history.error(&error.error);
            history.ended(id, History::outcome_of(error.fate));
            None
        }
        None => {
            // A send that was dropped before it was ready has taken nothing; `begun` is before the healing.
            history.count("dropped futures", 1);
            history.ended(id, Outcome::NotWritten);
            None
        }
    }
}

/// After a flush that was waited for everything sent before has an outcome.
async fn flush(stage: &Stage, writer: &Writer, open: &mut Vec<Sent>, chance: &mut Chance) {
    if chance.per_mille(300) {
        let patience = chance.millis(0, 100);
        let _ = stage.runtime.within(patience, writer.flush()).await;
        return;
    }
    writer.flush().await;
    for sent in open.drain(..) {
        let Sent { id, delivery, .. } = sent;
        match stage.runtime.polled(1, delivery).await {
            Some(result) => delivered(stage, id, result),
            None => stage.history().violation(format!("I5: {id:?} is flushed and has no outcome")),
        }
    }
}

/// Waits for some of the open deliveries, or for a while for one of them.
async fn settle(stage: &Stage, open: &mut Vec<Sent>, chance: &mut Chance) {
    let count = 1 + chance.index(open.len());
    for sent in open.drain(..count.min(open.len())) {
        let is_over = match chance.below(50) {
            0 => stage.runtime.within(chance.millis(0, 50), deliver(stage, sent)).await.is_some(),
            1 => stage.runtime.polled(chance.below(3), deliver(stage, sent)).await.is_some(),
            _ => {
                deliver(stage, sent).await;
                true
            }
        };
        if !is_over {
            stage.history().count("dropped futures", 1);
        }
    }
}

async fn deliver(stage: &Stage, Sent { id, delivery, deadline }: Sent) {
    let left = (deadline + SLACK).saturating_sub(stage.runtime.elapsed());
    match stage.runtime.within(left.max(SLACK), delivery).await {
        Some(result) => delivered(stage, id, result),
        None => stage.history().violation(format!("I8: {id:?} has no outcome at its deadline")),
    }
}

fn delivered(stage: &Stage, id: MessageId, result: Result<Delivered, SendError>) {
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
    history.count("read", 1);
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
