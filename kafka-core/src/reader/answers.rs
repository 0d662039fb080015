//! What fetches brought.
//!
//! An answer counts for a partition only if it is to what the partition would ask now, and of the broker it would ask; anything
//! else is of before a seek or a move.

use super::brokers::{Asked, FetchKind, MainFetch, SecondaryFetch, Verdict};
use super::cursor::CursorId;
use super::fetched::{Data, Fetched, FetchedPartition, FetchedTopic};
use super::machine::{Item, ReaderMachine};
use super::placing::Known;
use super::position::{OffsetAndEpoch, Stage};
use super::trouble::Refusal;
use crate::error::{Error, ErrorKind};
use crate::machine::{Lane, Now};
use crate::snapshot::Cluster;
use kafka_proto::ApiKey;
use kafka_proto::error_code::ErrorCode;

impl ReaderMachine {
    /// What became of a fetch, which is an error also where the connection was lost or never made.
    pub(crate) fn handle_fetched(
        &mut self,
        now: Now,
        cluster: &Cluster,
        broker: i32,
        lane: Lane,
        result: Result<Fetched, Error>,
    ) {
        match self.brokers.kind_of(lane) {
            Some(FetchKind::Main) => self.main_done(now, cluster, broker, result),
            Some(FetchKind::Secondary) => self.secondary_done(now, cluster, broker, result),
            None => return,
        }
        self.brokers.end_unused_session(broker);
    }

    fn main_done(&mut self, now: Now, cluster: &Cluster, id: i32, result: Result<Fetched, Error>) {
        let Some(fetch) = self.brokers.end_main(id, &mut self.timers) else { return };
        let Some(broker) = self.brokers.get_mut(id) else { return };
        let fetched = match result {
            Ok(fetched) => fetched,
            Err(error) => {
                broker.restart_session();
                return self.fetch_failed(now, cluster, id, error);
            }
        };
        let error = ErrorCode::from(fetched.error);
        match broker.session_answered(fetch.heading, error, fetched.session_id) {
            Verdict::Outdated => {}
            // Anew at once, but not again and again.
            Verdict::Lost { failures: ..=1 } => {}
            Verdict::Lost { .. } => self.brokers.back_off(id, now.time, &mut self.timers),
            Verdict::Failed => self.fetch_failed(now, cluster, id, Error::of_code(error)),
            Verdict::Valid => self.main_succeeded(now, cluster, id, fetch, fetched),
        }
    }

    fn main_succeeded(&mut self, now: Now, cluster: &Cluster, id: i32, fetch: MainFetch, fetched: Fetched) {
        if fetched.has_records()
            && let Some(broker) = self.brokers.get_mut(id)
        {
            broker.note_promptness(now.time, &fetch, &self.config);
        }
        let known = Known { cluster, nodes: &fetched.nodes };
        let asked = |this: &Self, cursor| this.brokers.get(id)?.asked(cursor);
        let brought = self.handle_topics(now, known, id, fetched.topics, asked);
        let Some(broker) = self.brokers.get_mut(id) else { return };
        broker.main_brought(brought);
        // Not every broker waits as long as it may.
        let wait = fetch.wait.min(self.config.max_wait);
        if !broker.succeeded(now.time.duration_since(fetch.sent_at), wait, brought) {
            self.brokers.back_off(id, now.time, &mut self.timers);
        }
    }

    fn secondary_done(&mut self, now: Now, cluster: &Cluster, id: i32, result: Result<Fetched, Error>) {
        let Some(fetch) = self.brokers.end_secondary(id) else { return };
        for cursor in fetch.asked.keys() {
            if let Some(cursor) = self.partitions.get_mut(*cursor) {
                cursor.set_in_secondary(false);
            }
        }
        let error = match result {
            Ok(fetched) if fetched.error == 0 => {
                self.secondary_succeeded(now, cluster, id, &fetch, fetched);
                None
            }
            Ok(fetched) => Some(Error::of_code(ErrorCode::from(fetched.error))),
            Err(error) => Some(error),
        };
        fetch.asked.keys().for_each(|cursor| self.update(*cursor));
        if let Some(error) = error {
            self.fetch_failed(now, cluster, id, error);
        }
    }

    fn secondary_succeeded(
        &mut self,
        now: Now,
        cluster: &Cluster,
        id: i32,
        fetch: &SecondaryFetch,
        fetched: Fetched,
    ) {
        let known = Known { cluster, nodes: &fetched.nodes };
        let asked = |_: &Self, cursor| fetch.asked.get(&cursor).copied();
        let brought = self.handle_topics(now, known, id, fetched.topics, asked);
        let Some(broker) = self.brokers.get_mut(id) else { return };
        broker.secondary_brought(brought);
        if !broker.succeeded(now.time.duration_since(fetch.sent_at), fetch.wait, brought) {
            self.brokers.back_off(id, now.time, &mut self.timers);
        }
        if !brought {
            self.brokers.gather(id, now.time, self.config.max_wait, &mut self.timers);
        }
    }

    /// Returns whether there was anything worth the answer.
    fn handle_topics(
        &mut self,
        now: Now,
        known: Known<'_>,
        broker: i32,
        topics: Vec<FetchedTopic>,
        asked: impl Fn(&Self, CursorId) -> Option<Asked>,
    ) -> bool {
        let mut brought = false;
        for topic in topics {
            let name = if topic.name.is_empty() {
                self.partitions.topic_with_id(topic.id).cloned()
            } else {
                Some(topic.name)
            };
            let Some(name) = name else { continue };
            for partition in topic.partitions {
                let Some(id) = self.partitions.lookup(&name, partition.partition) else { continue };
                let Some(asked) = asked(self, id) else { continue };
                brought |= self.handle_partition(now, known, broker, id, asked, partition);
            }
        }
        brought
    }

    fn handle_partition(
        &mut self,
        now: Now,
        known: Known<'_>,
        broker: i32,
        id: CursorId,
        asked: Asked,
        p: FetchedPartition,
    ) -> bool {
        let Some(cursor) = self.partitions.visit(id) else { return false };
        let moved = cursor.position() != asked.offset;
        if cursor.placement.home() != Some(broker) || cursor.stage() != Stage::Fetching || moved {
            return false;
        }
        match ErrorCode::from(p.error) {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange => {
                self.out_of_range(now, known.cluster, id, asked);
                return true;
            }
            code => {
                self.leave_replica(id);
                let refusal = Refusal { api: ApiKey::Fetch, code, broker: Some(broker), leader: p.leader };
                self.refused(now, id, refusal, known);
                return true;
            }
        }
        let has_moved = cursor.note_marks(p.marks);
        if let Some(OffsetAndEpoch { offset: ..=-1, .. }) = p.diverging {
            self.nothing_in_common(now, id, ApiKey::Fetch);
            return true;
        }
        cursor.position_is_found();
        if let Some(end) = p.diverging {
            self.truncated(now, id, ApiKey::Fetch, end);
        } else if let Some(size) = p.cut_off {
            self.enlarge(now, id, size);
        } else if let Some(data) = p.data {
            self.accept(now, id, data);
        } else {
            let is_sent_on = p
                .preferred_replica
                .is_some_and(|replica| self.visit_replica(now, id, replica, known.cluster));
            // To be sent on is no success yet: the replica may fail, again and again.
            if !is_sent_on {
                self.recovered(id);
            }
            self.update(id);
            return has_moved || is_sent_on;
        }
        true
    }

    fn accept(&mut self, now: Now, id: CursorId, data: Data) {
        let Some(cursor) = self.partitions.get(id) else { return };
        let Some(topic_id) = self.partitions.topic_id(cursor.topic()) else { return };
        let origin = self.origin(topic_id);
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        if cursor.accept(data, origin) {
            self.brokers.rotate(id, cursor);
            self.update(id);
        } else {
            // A broker that answers like this would do so again at once.
            self.at_odds(now, id);
        }
    }

    /// Not even one batch fitted, which is how brokers before 0.10.1 answer to a limit that is too small.
    fn enlarge(&mut self, now: Now, id: CursorId, size: usize) {
        let most = self.config.max_bytes.min(self.room.limit());
        if size > most {
            let setting = if most < self.config.max_bytes { "buffer" } else { "max_bytes" };
            let error = Error::new(ErrorKind::MessageTooLarge { size, limit: most, setting });
            return self.halt(id, error.with_api(ApiKey::Fetch));
        }
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        if cursor.raise_limit(size, most) {
            self.update(id);
        } else {
            self.at_odds(now, id);
        }
    }

    /// The broker is at odds with itself.
    fn at_odds(&mut self, now: Now, id: CursorId) {
        let error = Error::of_code(ErrorCode::UnknownServerError);
        self.retry_later(now, id, error.with_api(ApiKey::Fetch));
    }

    /// A broker cannot even be reached: there was no fetch that could fail.
    pub(crate) fn unreachable(&mut self, now: Now, cluster: &Cluster, broker: i32, error: Error) {
        if self.brokers.get(broker).is_some_and(|broker| !broker.is_fetching_main()) {
            self.fetch_failed(now, cluster, broker, error);
        }
    }

    /// A whole fetch failed: positions stay, the broker is tried again after a while. What should pass is reported if it lasts.
    fn fetch_failed(&mut self, now: Now, cluster: &Cluster, id: i32, error: Error) {
        self.hint_topics_of(id);
        let Some(broker) = self.brokers.get_mut(id) else { return };
        let passes = error.is_retriable()
            || *error.kind() == ErrorKind::Closed
            || error.code() == Some(ErrorCode::UnknownServerError);
        if broker.failed(now.time, self.config.unknown_topic_grace, passes) {
            let error = match &error.context().broker {
                Some(_) => error,
                None => error.with_broker(cluster.broker_name(id)),
            };
            let error = error.with_api(ApiKey::Fetch);
            self.deliveries.notify(if passes { Item::Notice(error) } else { Item::Error(error) });
        }
        for partition in broker.on_preferred_replica() {
            self.leave_replica(partition);
        }
        self.brokers.back_off(id, now.time, &mut self.timers);
    }
}
