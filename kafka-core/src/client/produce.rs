//! The client's part of writing: it lets the producers speak, and hands out their requests.

use super::machine::{Answer, Lane, LaneKey, Now};
use super::requests::Owner;
use super::timers::Timer;
use super::{Action, Batches, Client, Event, Job, JobDone, Writers};
use crate::error::Error;
use crate::link::{ConnId, Payload, RequestId, Transmit};
use crate::writer::{Accumulator, BATCHES, Producer, ProducerStats, Tickets, TopicSlots};
use kafka_proto::messages::produce::ProduceResponse;
use kafka_proto::{ApiKey, Str};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So long a topic stays asked for that a writer looked for and did not find.
pub(super) const LOOK: Duration = Duration::from_secs(60);

impl Client {
    /// Takes in a writer; its number.
    pub(crate) fn add_writer(&mut self, accumulator: Arc<Accumulator>) -> u32 {
        let id = self.machine_id();
        let seed = self.random.next();
        self.writers.insert(id, Producer::new(accumulator, &self.config, seed));
        id
    }

    /// Gives up a writer; what it has not delivered is resolved with `error`. Its counters stay until it is an orphan.
    pub(crate) fn remove_writer(&mut self, id: u32, error: &Error) {
        self.abort_writer(id, error);
        if let Some(writer) = self.writers.remove(&id) {
            writer.topics().for_each(|topic| self.metadata.unwant(topic));
            self.forget_tried(|of, _| of == id);
            self.final_stats.insert(id, writer.stats.clone());
            self.discard(writer);
        }
        self.timers.stop(&Timer::Writer(id));
        self.cancel_requests(|owner| matches!(owner, Owner::Writer(writer, _) if *writer == id));
    }

    /// The last handle of a writer is gone: it is removed once all it took is resolved.
    pub(crate) fn orphan_writer(&mut self, now: Now, id: u32) {
        if self.writers.contains_key(&id) {
            self.orphans.insert(id);
            self.writer_flush(now, id);
        }
        self.final_stats.remove(&id);
    }

    pub(super) fn abort_writer(&mut self, id: u32, error: &Error) {
        let Some(writer) = self.writers.get_mut(&id) else { return };
        writer.abort(error);
        let resolved = std::mem::take(&mut writer.out.resolved);
        self.traces.append(std::mem::take(&mut writer.out.traces));
        let accumulator = writer.accumulator.clone();
        self.announce(Event::Resolved(Batches(resolved)));
        self.announce(Event::Memory(Writers(accumulator)));
    }

    /// A writer looks whether a topic is known, and does not wait. For a while it stays asked for, so that the next look finds it.
    pub(crate) fn writer_looks_for(&mut self, now: Now, id: u32, topic: &Str) {
        if !self.writers.contains_key(&id) {
            return;
        }
        if self.tried.insert((id, topic.clone()), now.instant).is_none() {
            self.metadata.want(topic);
            self.settle(now);
        }
    }

    /// What writers looked for long ago, or what this one ever did, is not asked for any more.
    pub(super) fn forget_tried(&mut self, is_over: impl Fn(u32, Instant) -> bool) {
        let metadata = &mut self.metadata;
        self.tried.retain(|(id, topic), at| {
            let is_kept = !is_over(*id, *at);
            if !is_kept {
                metadata.unwant(topic);
            }
            is_kept
        });
    }

    /// The slots of a topic whose snapshot is known.
    pub(crate) fn writer_topic(&mut self, now: Now, id: u32, topic: &Str) -> Option<Arc<TopicSlots>> {
        let snapshot = self.snapshot(topic)?;
        let headers = self.takes_headers();
        let writer = self.writers.get_mut(&id)?;
        if !writer.uses(topic) {
            self.metadata.want(topic);
        }
        if self.tried.remove(&(id, topic.clone())).is_some() {
            self.metadata.unwant(topic);
        }
        let writer = self.writers.get_mut(&id)?;
        let slots = writer.update_topic(now, &snapshot, headers);
        self.dirty_writers.insert(id);
        self.settle(now);
        Some(slots)
    }

    /// Whether all brokers that are connected take record batches (0.11+).
    fn takes_headers(&self) -> bool {
        let versions = self.lanes.lanes.values().filter_map(|l| l.versions.as_ref());
        versions.filter_map(|v| v.version(ApiKey::Produce)).all(|version| version >= BATCHES)
    }

    /// A record was appended, and opened or filled a batch.
    pub(crate) fn writer_appended(&mut self, now: Now, id: u32, index: usize, opened: bool) {
        if let Some(writer) = self.writers.get_mut(&id) {
            writer.appended(now, index, opened);
            self.dirty_writers.insert(id);
            self.settle(now);
        }
    }

    /// Somebody waits for a writer's memory.
    pub(crate) fn writer_pressure(&mut self, now: Now, id: u32) {
        if let Some(writer) = self.writers.get_mut(&id) {
            writer.pressure(now);
            self.dirty_writers.insert(id);
            self.settle(now);
        }
    }

    /// Everything written so far leaves; what has to be waited for.
    pub(crate) fn writer_flush(&mut self, now: Now, id: u32) -> Vec<Arc<Tickets>> {
        let Some(writer) = self.writers.get_mut(&id) else { return Vec::new() };
        let batches = writer.flush(now);
        self.dirty_writers.insert(id);
        self.settle(now);
        batches
    }

    /// A writer's counters.
    pub(crate) fn writer_stats(&self, id: u32) -> Option<ProducerStats> {
        self.writers.get(&id).map(|w| &w.stats).or_else(|| self.final_stats.get(&id)).cloned()
    }

    pub(super) fn pump_writer(&mut self, now: Now, id: u32) {
        let Some(writer) = self.writers.get_mut(&id) else { return };
        let ask = writer.poll_ask();
        let timeout = writer.poll_timeout();
        let out = std::mem::take(&mut writer.out);
        let accumulator = writer.accumulator.clone();
        self.timers.set_option(Timer::Writer(id), timeout);
        self.traces.append(out.traces);
        for (partition, work) in out.jobs {
            self.actions.push_back(Action::Run(Job { writer: id, partition, work }));
        }
        if !out.resolved.is_empty() {
            self.announce(Event::Resolved(Batches(out.resolved)));
            self.announce(Event::Memory(Writers(accumulator)));
        }
        if let Some(error) = out.degraded {
            self.announce_degraded(error);
        }
        if let Some(ask) = ask {
            self.ask(now.instant, Owner::Writer(id, ask.tag), ask);
        }
        for broker in out.kicks.into_iter().filter(|_| !mutant!("lane_not_kicked")) {
            self.kick(now.instant, LaneKey::node(broker, Lane::Produce));
        }
        for hint in out.hints {
            self.hint(now, hint);
        }
        if self.orphans.contains(&id) && self.writers.get(&id).is_some_and(Producer::is_quiescent) {
            self.orphans.remove(&id);
            self.remove_writer(id, &Error::new(crate::error::ErrorKind::Closed));
            self.final_stats.remove(&id);
        }
    }

    /// Reports, once, what the client does without.
    pub(crate) fn announce_degraded(&mut self, error: Error) {
        if !self.degraded.contains(&error) {
            self.degraded.push(error.clone());
            self.announce(Event::Degraded(error));
        }
    }

    pub(super) fn writer_timeout(&mut self, now: Now, id: u32) {
        if let Some(writer) = self.writers.get_mut(&id) {
            writer.handle_timeout(now);
            self.dirty_writers.insert(id);
        }
    }

    pub(super) fn writer_answered(&mut self, now: Now, id: u32, answer: Answer) {
        if let Some(writer) = self.writers.get_mut(&id) {
            writer.handle_answer(now, answer);
            self.dirty_writers.insert(id);
        }
    }

    pub(super) fn job_done(&mut self, now: Now, done: JobDone) {
        if let Some(writer) = self.writers.get_mut(&done.writer) {
            writer.worked(now, done.partition, done.worked);
            self.dirty_writers.insert(done.writer);
        }
    }

    pub(super) fn topic_changed_for_writers(&mut self, now: Now, topic: &Str) {
        let headers = self.takes_headers();
        for (id, writer) in self.writers.iter_mut().filter(|(_, w)| w.uses(topic)) {
            writer.metadata_changed(now, &self.metadata.cluster, topic, headers);
            self.dirty_writers.insert(*id);
        }
    }

    /// The next Produce request for a lane. The writers take turns.
    pub(super) fn next_produce(&mut self, now: Now, key: LaneKey, conn: ConnId) -> Option<Transmit> {
        let broker = key.peer.node()?;
        let ready: Vec<u32> =
            self.writers.iter().filter(|(_, w)| w.is_ready_for(broker)).map(|(id, _)| *id).collect();
        let start = self.stats.requests as usize % ready.len().max(1);
        for at in 0..ready.len() {
            let writer_id = ready[(start + at) % ready.len()];
            if let Some(transmit) = self.produce_of(now, key, conn, writer_id) {
                return Some(transmit);
            }
        }
        None
    }

    fn produce_of(&mut self, now: Now, key: LaneKey, conn: ConnId, writer_id: u32) -> Option<Transmit> {
        let version = self.lanes.get(key)?.versions.as_ref()?.version(ApiKey::Produce)?;
        let id = RequestId(self.next_id());
        let writer = self.writers.get_mut(&writer_id)?;
        self.dirty_writers.insert(writer_id);
        let produce = writer.poll_produce(now, id, key.peer.node()?, version)?;
        let version = if produce.needs_names() { version.min(12) } else { version };
        self.book(
            now.instant,
            id,
            Owner::Produce(writer_id),
            key,
            conn,
            ApiKey::Produce,
            self.config.request_timeout,
        );
        Some(Transmit { id, version, payload: Payload::Produce(produce) })
    }

    pub(super) fn produced(
        &mut self,
        now: Now,
        writer: u32,
        id: RequestId,
        _: LaneKey,
        result: Result<ProduceResponse, (Error, bool)>,
    ) {
        let Some(producer) = self.writers.get_mut(&writer) else { return };
        match result {
            Ok(response) => producer.produced(now, id, response),
            Err((error, taken)) => producer.failed(now, id, &error, taken),
        }
        self.dirty_writers.insert(writer);
    }

    /// The socket took a request that is not answered.
    pub(super) fn request_sent(&mut self, now: Now, conn: ConnId, id: RequestId) {
        let Some((key, lane)) = self.lanes.by_conn(conn) else { return };
        lane.answered(id);
        lane.last_used = now.instant;
        if lane.in_flight.is_empty() {
            self.timers.stop(&Timer::Conn(conn));
        }
        let Some(request) = self.requests.remove(&id) else { return };
        if let Owner::Produce(writer) = request.owner
            && let Some(producer) = self.writers.get_mut(&writer)
        {
            producer.sent(now, id);
            self.dirty_writers.insert(writer);
        }
        self.after_response(now, key);
    }
}
