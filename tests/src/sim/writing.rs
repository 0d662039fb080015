//! Applications that write: several in a row, each with a writer of its own, which ends in good order or not.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_core::{
    Client, Compression, Delivered, Delivery, ErrorKind, Idempotence, Manual, Message, SendError,
    TrySendReason, Writer,
};

use super::chance::Chance;
use super::history::{History, MessageId, Outcome, TOPIC, Written, value_of};
use super::stage::{SLACK, Stage};
use crate::broker::Release;

/// Messages that each task of the last writer sends once all has healed.
const AFTER_HEALING: u32 = 15;
/// A rough end takes less.
const ROUGH: Duration = Duration::from_secs(3);
/// Of messages sent, before the quiet time.
const BEFORE_QUIET: u32 = 10;

/// A writer, and what is to be expected of it.
#[derive(Debug, Clone)]
struct Pen {
    writer: Writer,
    idempotent: bool,
    delivery_timeout: Duration,
    buffer_bytes: usize,
    /// No more is to be written.
    stop: Arc<AtomicBool>,
    /// Partitions that it has written to.
    written: Arc<Mutex<BTreeSet<i32>>>,
}

/// A message on its way.
struct Sent {
    id: MessageId,
    delivery: Delivery,
    /// By then it has an outcome.
    deadline: Duration,
}

/// How a writer ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Flushed,
    /// With messages on their way, perhaps while others are being sent.
    Closed(Duration),
    /// The same of its client.
    ClientClosed(Duration),
    /// Its last handle is dropped; the client goes on.
    Dropped,
    /// The client's last handle as well.
    ClientDropped,
}

/// Writes until all has healed, and then some more, which must succeed.
pub(crate) async fn write(stage: Stage, shared: Client, mut chance: Chance) {
    loop {
        let is_last = stage.is_healed();
        let own = chance.per_mille(400);
        let client = if own { stage.client(&mut chance) } else { shared.clone() };
        // After a quiet time all has healed, and everything shall end well.
        let is_rough = !is_last && stage.settings.quiet.is_zero();
        let ending = if is_rough { ending(own, &mut chance) } else { Ending::Flushed };
        let count = if is_last { AFTER_HEALING } else { 10 + chance.below(60) as u32 };
        session(&stage, client, count, ending, &mut chance).await;
        if is_last {
            return;
        }
        let rest = chance.millis(0, 1000);
        stage.runtime.sleep(rest).await;
    }
}

fn ending(own_client: bool, chance: &mut Chance) -> Ending {
    let patience = if chance.per_mille(300) { Duration::ZERO } else { chance.millis(0, 2000) };
    match chance.below(if own_client { 8 } else { 6 }) {
        0..=3 => Ending::Flushed,
        4 => Ending::Closed(patience),
        5 => Ending::Dropped,
        6 => Ending::ClientClosed(patience),
        _ => Ending::ClientDropped,
    }
}

/// A writer's life: two tasks write with it.
async fn session(stage: &Stage, client: Client, count: u32, ending: Ending, chance: &mut Chance) {
    let pen = pen(stage, &client, chance);
    let open: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let mut halves = Vec::new();
    for _ in 0..2 {
        let author = stage.history().author();
        let (stage_, pen, open, chance) = (stage.clone(), pen.clone(), open.clone(), chance.fork());
        halves.push(stage.spawn(async move {
            let left = write_all(&stage_, &pen, (author, count), chance).await;
            open.lock().unwrap_or_else(PoisonError::into_inner).extend(left);
        }));
    }
    let is_rough = ending != Ending::Flushed;
    if is_rough {
        let before = chance.millis(0, 6000);
        stage.runtime.sleep(before).await;
    }
    // Where all has healed before it is over, everything shall end well.
    let ending = if is_rough && stage.runtime.elapsed() + ROUGH < stage.settings.settled() {
        ending
    } else {
        Ending::Flushed
    };
    match ending {
        Ending::Closed(patience) => {
            stage.by("the close of a writer", patience, pen.writer.close(patience)).await;
        }
        Ending::ClientClosed(patience) => {
            stage.by("the close of a client", patience, client.close(patience)).await;
        }
        Ending::Dropped | Ending::ClientDropped => pen.stop.store(true, Ordering::Relaxed),
        Ending::Flushed => {}
    }
    for half in halves {
        half.wait().await;
    }
    let open = std::mem::take(&mut *open.lock().unwrap_or_else(PoisonError::into_inner));
    end(stage, (pen, client), open, ending).await;
}

async fn end(stage: &Stage, (pen, client): (Pen, Client), open: Vec<Sent>, ending: Ending) {
    {
        let stats = pen.writer.stats();
        let mut history = stage.history();
        history.count("retries of batches", stats.retries);
        history.count("epoch bumps", stats.epoch_bumps);
    }
    match ending {
        Ending::Flushed => {
            stage.by("a flush", pen.delivery_timeout, pen.writer.flush()).await;
            expect_outcomes(stage, "flushed", open).await;
            let left = pen.writer.buffered_bytes();
            let time = Duration::from_secs(5);
            let report = stage.by("the close of a writer", time, pen.writer.close(time)).await;
            if left > 0 || report.is_some_and(|report| !report.is_clean()) {
                stage.violation(format!("{left} bytes are left in a flushed writer: {report:?}"));
            }
        }
        Ending::Closed(_) | Ending::ClientClosed(_) => expect_outcomes(stage, "closed", open).await,
        Ending::Dropped => {
            drop(pen);
            for sent in open {
                deliver(stage, sent).await;
            }
        }
        Ending::ClientDropped => {
            let stats = client.stats();
            drop((pen, client));
            expect_outcomes(stage, "dropped with its client", open).await;
            return stage.history().client(&stats);
        }
    }
    stage.history().client(&client.stats());
}

/// I5: each delivery has its outcome now.
async fn expect_outcomes(stage: &Stage, what: &str, open: Vec<Sent>) {
    for Sent { id, delivery, .. } in open {
        match stage.runtime.polled(1, delivery).await {
            Some(result) => delivered(stage, id, result),
            None => stage.violation(format!("I5: the writer of {id:?} was {what}, and it has no outcome")),
        }
    }
}

/// A writer with settings drawn from the seed.
fn pen(stage: &Stage, client: &Client, chance: &mut Chance) -> Pen {
    let idempotent = chance.per_mille(700) && stage.settings.release >= Release::V0_11;
    // Where some nodes are too old for it a writer may do without.
    let could = stage.settings.is_mixed() && !idempotent && chance.per_mille(300);
    let idempotence = match (idempotent, could) {
        (true, _) => Idempotence::Required,
        (false, true) => Idempotence::IfSupported,
        (false, false) => Idempotence::Off,
    };
    let compressions = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4];
    let small = stage.settings.small_buffers || chance.per_mille(200);
    let batch = if small { 1024 } else { 4096 };
    // Who has much to send has batches of many partitions at the same time.
    let much = stage.settings.bulk && chance.per_mille(400);
    let buffer_bytes = if small && !much { batch * 3 } else { 1 << 20 };
    let delivery_timeout = chance.millis(3000, 30_000);
    let built = client
        .writer(TOPIC)
        .idempotence(idempotence)
        .compression(chance.pick(&compressions).copied().unwrap_or(Compression::None))
        .balancer(Manual)
        .batch_bytes(batch)
        .buffer_bytes(buffer_bytes)
        .linger(chance.millis(0, 20))
        .delivery_timeout(delivery_timeout)
        .build();
    let writer = built.unwrap_or_else(|error| panic!("{error}"));
    Pen { writer, idempotent, delivery_timeout, buffer_bytes, stop: Arc::default(), written: Arc::default() }
}

/// Sends messages, in bursts; gives those whose outcome nobody has waited for.
async fn write_all(stage: &Stage, pen: &Pen, (author, count): (u32, u32), mut chance: Chance) -> Vec<Sent> {
    let mut open: Vec<Sent> = Vec::new();
    let (mut at, mut burst) = (0, 0);
    while at < count {
        if pen.stop.load(Ordering::Relaxed) {
            break;
        }
        if at == BEFORE_QUIET && !stage.settings.quiet.is_zero() {
            settle(stage, &mut open, usize::MAX, &mut chance).await;
            stage.runtime.sleep(stage.settings.quiet).await;
        }
        let many = if stage.settings.bulk && chance.per_mille(400) { 2 + chance.below(40) as u32 } else { 1 };
        let next = at..count.min(at + many);
        at = next.end;
        let sent = match next.len() {
            1 => send(stage, pen, (author, next.start), &mut open, &mut chance).await,
            _ => send_many(stage, pen, next.map(|at| (author, at)), &mut open, &mut chance).await,
        };
        if let Err(Closed) = sent {
            break;
        }
        if chance.per_mille(20) {
            flush(stage, pen, &mut open, &mut chance).await;
        }
        if burst > 0 {
            burst -= 1;
            continue;
        }
        burst = if chance.per_mille(200) { chance.below(25) } else { chance.below(4) };
        if stage.is_healed() {
            settle(stage, &mut open, usize::MAX, &mut chance).await;
        } else if chance.per_mille(300) {
            let count = 1 + chance.index(open.len());
            settle(stage, &mut open, count, &mut chance).await;
        }
        let pause = chance.millis(0, 1200);
        stage.runtime.sleep(pause).await;
    }
    if stage.is_healed() {
        settle(stage, &mut open, usize::MAX, &mut chance).await;
    }
    open
}

/// The writer takes nothing more.
struct Closed;

async fn send(
    stage: &Stage,
    pen: &Pen,
    id: MessageId,
    open: &mut Vec<Sent>,
    chance: &mut Chance,
) -> Result<(), Closed> {
    let begun = stage.runtime.elapsed();
    let message = write_down(stage, pen, id, chance);
    let sent = if !stage.is_healed() && chance.per_mille(30) {
        try_send(pen, message)
    } else {
        stage.perhaps("a send", chance, pen.writer.send(message)).await
    };
    check_room(stage, pen);
    match sent {
        Some(result) => taken(stage, pen, (id, begun), result, open, chance),
        // What was dropped before it was ready, or found no room, has taken nothing.
        None => {
            stage.history().ended(stage.runtime.elapsed(), id, Outcome::NotWritten);
            Ok(())
        }
    }
}

/// As [`send`], of many in one call.
async fn send_many(
    stage: &Stage,
    pen: &Pen,
    ids: impl Iterator<Item = MessageId>,
    open: &mut Vec<Sent>,
    chance: &mut Chance,
) -> Result<(), Closed> {
    let begun = stage.runtime.elapsed();
    let (mut asked, mut partitions) = (Vec::new(), chance.fork());
    let messages = ids.map(|id| {
        asked.push(id);
        write_down(stage, pen, id, &mut partitions)
    });
    let results = stage.perhaps("a send of many", chance, pen.writer.send_all(messages)).await;
    check_room(stage, pen);
    if stage.runtime.elapsed() > begun {
        stage.history().count("sends of many that waited", 1);
    }
    // Of a future that was dropped the first messages are taken, and nobody has their deliveries.
    let Some(results) = results else { return Ok(()) };
    if results.len() != asked.len() {
        stage.violation(format!("{} messages were asked for, {} results given", asked.len(), results.len()));
    }
    let mut end = Ok(());
    for (id, result) in asked.into_iter().zip(results) {
        end = end.and(taken(stage, pen, (id, begun), result, open, chance));
    }
    end
}

/// A message that is going to be sent, somewhere.
fn write_down(stage: &Stage, pen: &Pen, id: MessageId, chance: &mut Chance) -> Message {
    let partition = chance.below(stage.partitions as u64) as i32;
    let (begun, outcome, ended) = (stage.runtime.elapsed(), Outcome::Unknown, None);
    let written = Written { partition, idempotent: pen.idempotent, outcome, begun, ended };
    stage.history().written.insert(id, written);
    Message::new(value_of(id)).partition(partition)
}

fn check_room(stage: &Stage, pen: &Pen) {
    let held = pen.writer.buffered_bytes();
    if held > pen.buffer_bytes {
        stage.violation(format!("I11: a writer holds {held} bytes of {}", pen.buffer_bytes));
    }
}

/// The writer took a message, whose delivery somebody may wait for, or refused it.
fn taken(
    stage: &Stage,
    pen: &Pen,
    (id, begun): (MessageId, Duration),
    result: Result<Delivery, SendError>,
    open: &mut Vec<Sent>,
    chance: &mut Chance,
) -> Result<(), Closed> {
    let now = stage.runtime.elapsed();
    check_place(stage, pen, id, result.as_ref().map(|_| ()));
    match result {
        Ok(_) if begun < stage.settings.settled() && chance.per_mille(30) => {
            stage.history().count("dropped futures", 1);
        }
        Ok(delivery) => open.push(Sent { id, delivery, deadline: now + pen.delivery_timeout }),
        Err(error) => {
            let mut history = stage.history();
            history.error(&error.error);
            history.ended(now, id, History::outcome_of(error.fate));
            if matches!(error.error.kind(), ErrorKind::Closed) {
                return Err(Closed);
            }
        }
    }
    Ok(())
}

/// I15: a partition that a writer has written to is there, whatever one broker tells.
fn check_place(stage: &Stage, pen: &Pen, id: MessageId, result: Result<(), &SendError>) {
    let mut history = stage.history();
    let Some(partition) = history.written.get(&id).map(|written| written.partition) else { return };
    let mut written = pen.written.lock().unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok(()) => _ = written.insert(partition),
        Err(error)
            if matches!(error.error.kind(), ErrorKind::InvalidMessage(_)) && written.contains(&partition) =>
        {
            history.violation(format!(
                "I15: {id:?} to partition {partition}, which was written to: {}",
                error.error
            ));
        }
        Err(_) => {}
    }
}

fn try_send(pen: &Pen, message: Message) -> Option<Result<Delivery, SendError>> {
    match pen.writer.try_send(message) {
        Ok(delivery) => Some(Ok(delivery)),
        Err(error) => match error.reason {
            TrySendReason::Failed(error) => Some(Err(error)),
            _ => None,
        },
    }
}

/// After a flush that was waited for everything sent before has an outcome.
async fn flush(stage: &Stage, pen: &Pen, open: &mut Vec<Sent>, chance: &mut Chance) {
    if chance.per_mille(300) {
        let patience = chance.millis(0, 100);
        let _ = stage.within("a flush", patience, pen.writer.flush()).await;
        return;
    }
    stage.by("a flush", pen.delivery_timeout, pen.writer.flush()).await;
    expect_outcomes(stage, "flushed", std::mem::take(open)).await;
}

/// Waits for the oldest open deliveries; for some only a while.
async fn settle(stage: &Stage, open: &mut Vec<Sent>, count: usize, chance: &mut Chance) {
    for sent in open.drain(..count.min(open.len())) {
        let delivery = deliver(stage, sent);
        let kind = if stage.is_healed() { 50 } else { chance.below(50) };
        let over = match kind {
            0 => stage.runtime.within(chance.millis(0, 50), delivery).await,
            1 => stage.runtime.polled(chance.below(3), delivery).await,
            _ => {
                delivery.await;
                continue;
            }
        };
        if over.is_none() {
            stage.history().count("dropped futures", 1);
        }
    }
}

async fn deliver(stage: &Stage, Sent { id, delivery, deadline }: Sent) {
    let left = deadline.saturating_sub(stage.runtime.elapsed());
    if let Some(result) = stage.by("a delivery", left.max(SLACK), delivery).await {
        delivered(stage, id, result);
    }
}

fn delivered(stage: &Stage, id: MessageId, result: Result<Delivered, SendError>) {
    let now = stage.runtime.elapsed();
    let mut history = stage.history();
    match result {
        Ok(delivered) => history.ended(now, id, Outcome::Acked(delivered.offset.unwrap_or(-1))),
        Err(error) => {
            history.error(&error.error);
            history.ended(now, id, History::outcome_of(error.fate));
        }
    }
}
