//! A writer as the client knows it: its producer, the topics it needs, and its end.
//!
//! Invariants
//! * The producer of a writer that is closed is gone; its counters stay for as long as there are handles.
//! * A writer without handles delivers what it took, then ends.

use super::accumulator::{Accumulator, TopicSlots};
use super::batch::Tickets;
use super::encode::BATCHES;
use super::encode::Produce;
use super::producer::{Producer, ProducerStats};
use super::tried::Tried;
use super::work::JobDone;
use crate::error::{Error, ErrorKind};
use crate::link::{Answered, BrokerVersions, Payload, RequestId};
use crate::machine::{
    Alert, Built, Cx, Failure, Lane, LaneKey, Machine, MachineInput, Now, Out, Pace, SHARED_SINCE, Shares,
    Stuck, TOPIC_IDS_SINCE, Time, response,
};
use kafka_proto::{ApiKey, Str};
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Writing {
    producer: Option<Producer>,
    /// The counters of a writer that is closed.
    final_stats: ProducerStats,
    tried: Tried,
    is_orphan: bool,
    /// Something happened since it was asked what it wants.
    pub(super) has_news: bool,
    outs: VecDeque<Out>,
}

/// Callers that wait for a batch.
impl Alert for Tickets {
    fn alert(&self) {
        self.wake();
    }
}

/// Callers that wait for room.
impl Alert for Accumulator {
    fn alert(&self) {
        self.memory.wake();
    }
}

impl Writing {
    pub(crate) fn new(accumulator: Arc<Accumulator>, pace: Pace, seed: u64) -> Self {
        Self {
            producer: Some(Producer::new(accumulator, pace, seed)),
            final_stats: ProducerStats::default(),
            tried: Tried::default(),
            is_orphan: false,
            has_news: false,
            outs: VecDeque::new(),
        }
    }

    /// What follows from whatever has happened.
    fn look_around(&mut self) {
        let Some(producer) = &mut self.producer else { return };
        self.outs.extend(producer.poll_ask().map(Out::Ask));
        if self.is_orphan && producer.is_quiescent() {
            self.close(&Error::new(ErrorKind::Closed));
        }
    }

    // ---- topics ----

    /// The topic stays asked for, for a while, so that the next look finds it.
    pub(super) fn look_for(&mut self, now: Time, topic: Str) {
        if self.producer.is_some() && self.tried.insert(now, topic.clone()) {
            self.outs.push_back(Out::Want(topic));
        }
    }

    pub(super) fn slots(&mut self, cx: &Cx<'_>, topic: &Str) -> Option<Arc<TopicSlots>> {
        let snapshot = cx.cluster.topic(topic)?;
        let producer = self.producer.as_mut()?;
        if !producer.uses(topic) {
            self.outs.push_back(Out::Want(topic.clone()));
        }
        if self.tried.remove(topic) {
            self.outs.push_back(Out::Unwant(topic.clone()));
        }
        Some(producer.update_topic(cx.now, snapshot, takes_headers(cx)))
    }

    // ---- the producer, while there is one ----

    pub(super) fn producer_mut(&mut self) -> Option<&mut Producer> {
        self.producer.as_mut()
    }

    pub(super) fn stats(&self) -> &ProducerStats {
        self.producer.as_ref().map_or(&self.final_stats, |producer| &producer.stats)
    }

    /// Sends everything written so far. Returns what has to be waited for.
    pub(super) fn flush(&mut self, now: Now) -> Vec<Arc<Tickets>> {
        self.producer.as_mut().map(|producer| producer.flush(now)).unwrap_or_default()
    }

    // ---- the end ----

    /// Takes no more messages.
    pub(super) fn close_input(&mut self) {
        if let Some(producer) = &self.producer {
            producer.accumulator.close();
            self.outs.push_back(Out::Alert(producer.accumulator.clone()));
            self.outs.push_back(Out::Wake);
        }
    }

    /// The last handle was dropped: what was taken is delivered, then the writer ends.
    pub(super) fn orphan(&mut self, now: Now) {
        self.is_orphan = true;
        match &mut self.producer {
            Some(producer) => drop(producer.flush(now)),
            None => self.outs.push_back(Out::End),
        }
    }

    /// Resolves what is not delivered with `error`.
    pub(super) fn close(&mut self, error: &Error) {
        if let Some(mut producer) = self.producer.take() {
            producer.abort(error);
            producer.effects.end();
            self.outs.extend(std::iter::from_fn(|| producer.effects.pop(&producer.accumulator)));
            let tried = std::mem::take(&mut self.tried).into_topics();
            self.outs.extend(tried.chain(producer.topics().cloned()).map(Out::Unwant));
            self.final_stats = producer.stats.clone();
            self.outs.push_back(Out::Garbage(Box::new(producer)));
            self.outs.push_back(Out::Wake);
        }
        if self.is_orphan {
            self.outs.push_back(Out::End);
        }
    }

    fn exchanged(&mut self, cx: &Cx<'_>, id: RequestId, result: Result<Answered, Failure>) {
        let Some(producer) = &mut self.producer else { return };
        match result {
            Ok(answer) => match answer.plain().and_then(|answer| response(*answer)) {
                Ok(response) => producer.produced(cx.now, cx.cluster, id, response),
                Err(error) => producer.failed(cx.now, id, &error, true),
            },
            Err(Failure { error, is_taken }) => producer.failed(cx.now, id, &error, is_taken),
        }
    }
}

/// Whether all brokers that are connected take record batches (0.11+).
fn takes_headers(cx: &Cx<'_>) -> bool {
    cx.world.oldest(ApiKey::Produce).is_none_or(|version| version >= BATCHES)
}

impl Machine for Writing {
    fn handle(&mut self, cx: &mut Cx<'_>, input: MachineInput) {
        self.has_news = true;
        if matches!(input, MachineInput::Timeout) {
            self.outs.extend(self.tried.over(cx.now.time).map(Out::Unwant));
        }
        let Some(producer) = &mut self.producer else { return };
        match input {
            MachineInput::Answer(answer) => producer.handle_answer(cx.now, *answer),
            MachineInput::Exchanged { id, result, .. } => self.exchanged(cx, id, result),
            MachineInput::Sent(id) => producer.sent(cx.now, id),
            MachineInput::Timeout => producer.handle_timeout(cx.now),
            MachineInput::TopicChanged(topic) => {
                if producer.uses(&topic) {
                    producer.metadata_changed(cx.now, cx.cluster, &topic, takes_headers(cx));
                }
            }
            MachineInput::LaneDown(key, error) => producer.lane_failed(key, &error),
            MachineInput::WorkDone(done) => {
                if let Ok(done) = (done as Box<dyn Any>).downcast::<JobDone>() {
                    producer.work_done(cx.now, done.partition, done.worked);
                }
            }
            MachineInput::ClientClosed => self.close(&Error::new(ErrorKind::Closed)),
            MachineInput::NoCoordinator(..) | MachineInput::NoMetadata { .. } | MachineInput::RoomAgain => {}
        }
    }

    fn poll(&mut self, _: &mut Cx<'_>) -> Option<Out> {
        if std::mem::take(&mut self.has_news) {
            self.look_around();
        }
        let producer = &mut self.producer;
        self.outs.pop_front().or_else(|| {
            let producer = producer.as_mut()?;
            producer.effects.pop(&producer.accumulator)
        })
    }

    fn poll_timeout(&self) -> Option<Time> {
        [self.producer.as_ref()?.poll_timeout(), self.tried.next()].into_iter().flatten().min()
    }

    fn wants(&self, key: LaneKey) -> bool {
        let (producer, broker) = (self.producer.as_ref(), key.peer.node());
        key.lane == Lane::Produce
            && producer.zip(broker).is_some_and(|(producer, broker)| producer.is_ready_for(broker))
    }

    fn build(&mut self, cx: &mut Cx<'_>, id: RequestId, key: LaneKey, to: &BrokerVersions) -> Option<Built> {
        self.has_news = true;
        let producer = self.producer.as_mut()?;
        let version = to.version(ApiKey::Produce)?;
        let produce = producer.poll_produce(cx.now, id, key.peer.node()?, version)?;
        let version = if produce.needs_names() { version.min(TOPIC_IDS_SINCE - 1) } else { version };
        let has_room = version >= SHARED_SINCE && produce.has_room();
        let (payload, timeout) = (Payload::Built(Box::new(produce)), producer.request_timeout());
        Some(Built { version, payload, timeout, has_room })
    }

    fn join(&mut self, cx: &mut Cx<'_>, id: RequestId, key: LaneKey, built: &mut Built, shares: &mut Shares) {
        self.has_news = true;
        let (Some(producer), Some(broker)) = (&mut self.producer, key.peer.node()) else { return };
        let Some(produce) = built.payload.built_mut::<Produce>() else { return };
        if built.timeout != producer.request_timeout() {
            return;
        }
        producer.join_produce(cx.now, id, broker, produce, shares);
        built.has_room = produce.has_room();
    }

    fn is_quiescent(&self) -> bool {
        self.producer.as_ref().is_none_or(Producer::is_quiescent)
    }

    fn stuck(&self, now: Time) -> Stuck {
        let Some(producer) = &self.producer else { return Stuck::default() };
        let lane = |broker| LaneKey::node(broker, Lane::Produce);
        Stuck {
            found: producer.stuck(now).collect(),
            lanes: producer.busy_brokers().map(lane).collect(),
            needs_metadata: false,
        }
    }
}
