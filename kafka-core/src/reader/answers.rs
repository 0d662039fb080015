//! What fetches brought.
//!
//! An answer counts for a partition only if it is to what the partition would ask now, and of the broker it would ask; anything
//! else is of before a seek or a move.

use super::cursor::{CursorId, Stage};
use super::delivery::Chunk;
use super::fetched::{Data, Fetched, FetchedPartition};
use super::machine::{Item, ReaderMachine};
use super::session::{Asked, Verdict};
use super::timers::Timer;
use crate::error::{Error, ErrorKind};
use crate::machine::{Lane, Now, Time};
use crate::message::Origin;
use crate::snapshot::{Cluster, Node};
use crate::trouble::Gravity;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::{ApiKey, Str};
use std::time::Duration;

/// So many answers in a row may bring nothing before their time.
const HASTY: u32 = 4;

impl ReaderMachine {
    /// What became of a fetch, which is an error also where the connection was lost or never made.
    pub fn handle_fetched(
        &mut self,
        now: Now,
        cluster: &Cluster,
        broker: i32,
        lane: Lane,
        result: Result<Fetched, Error>,
    ) {
        match lane {
            Lane::Fetch(id) if id == self.id => self.main_done(now, cluster, broker, result),
            Lane::FetchAside(id) if id == self.id => self.aside_done(now, cluster, broker, result),
            _ => return,
        }
        self.refresh_lanes(broker);
        self.end_unused_session(broker);
    }

    fn main_done(&mut self, now: Now, cluster: &Cluster, id: i32, result: Result<Fetched, Error>) {
        let Some(broker) = self.brokers.get_mut(&id) else { return };
        let Some(flight) = broker.main.take() else { return };
        if let Some(at) = broker.gathers.take() {
            self.timers.stop(at, Timer::Gather(id));
        }
        self.flights -= 1;
        let fetched = match result {
            Ok(fetched) => fetched,
            Err(error) => {
                broker.session.restart();
                return self.fetch_failed(now, id, error);
            }
        };
        let error = ErrorCode::from(fetched.error);
        match broker.session.answered(flight.heading, error, fetched.session_id) {
            Verdict::Outdated => {}
            // Anew at once, but not again and again.
            Verdict::Lost { failures: ..=1 } => {}
            Verdict::Lost { .. } => self.hold_off_broker(now, id),
            Verdict::Failed => self.fetch_failed(now, id, Error::of_code(error)),
            Verdict::Valid => {
                if flight.may_park && self.config.min_bytes <= 1 && fetched.has_records() {
                    let waited = now.time.duration_since(flight.sent_at);
                    broker.promptness.note(waited, flight.wait, self.config.max_wait);
                }
                let brought =
                    self.handle_topics(now, cluster, id, &fetched.nodes, fetched.topics, |this, cursor| {
                        let broker = this.brokers.get(&id)?;
                        broker.session.members.get(&cursor).map(|member| member.asked)
                    });
                if let Some(broker) = self.brokers.get_mut(&id) {
                    broker.quiet = if brought { 0 } else { broker.quiet.saturating_add(1) };
                }
                // Not every broker waits as long as it may.
                let wait = flight.wait.min(self.config.max_wait);
                self.fetch_succeeded(now, id, (flight.sent_at, wait), brought);
            }
        }
    }

    fn aside_done(&mut self, now: Now, cluster: &Cluster, id: i32, result: Result<Fetched, Error>) {
        let Some(flight) = self.brokers.get_mut(&id).and_then(|broker| broker.aside.take()) else { return };
        self.flights -= 1;
        for cursor in flight.asked.keys() {
            if let Some(cursor) = self.partitions.get_mut(*cursor) {
                cursor.aside = false;
            }
        }
        let error = match result {
            Ok(fetched) if fetched.error == 0 => {
                let asked = |_: &Self, cursor| flight.asked.get(&cursor).copied();
                let brought = self.handle_topics(now, cluster, id, &fetched.nodes, fetched.topics, asked);
                if let Some(broker) = self.brokers.get_mut(&id) {
                    broker.quiet_aside = if brought { 0 } else { broker.quiet_aside.saturating_add(1) };
                }
                self.fetch_succeeded(now, id, (flight.sent_at, flight.wait), brought);
                if !brought {
                    self.gather(now, id);
                }
                None
            }
            Ok(fetched) => Some(Error::of_code(ErrorCode::from(fetched.error))),
            Err(error) => Some(error),
        };
        flight.asked.keys().for_each(|cursor| self.update(*cursor));
        if let Some(error) = error {
            self.fetch_failed(now, id, error);
        }
    }

    /// What was aside had nothing, and the main fetch is due: it is waited for, for a moment, so that the next one is of all.
    /// Two fetches that end together would else go on side by side for ever.
    fn gather(&mut self, now: Now, id: i32) {
        let Some(broker) = self.brokers.get_mut(&id) else { return };
        let Some(main) = &broker.main else { return };
        let wait = main.wait.min(self.config.max_wait);
        let waited = now.time.duration_since(main.sent_at);
        if (wait - wait / 16..wait * 2).contains(&waited) {
            let until = now.time + wait / 16;
            broker.gathers = Some(until);
            self.timers.start(until, Timer::Gather(id));
        }
    }

    /// Says whether there was anything worth the answer.
    fn handle_topics(
        &mut self,
        now: Now,
        cluster: &Cluster,
        broker: i32,
        nodes: &[Node],
        topics: Vec<super::fetched::FetchedTopic>,
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
                brought |= self.handle_partition(now, (cluster, nodes), (broker, id), asked, partition);
            }
        }
        brought
    }

    fn handle_partition(
        &mut self,
        now: Now,
        known: (&Cluster, &[Node]),
        (broker, id): (i32, CursorId),
        asked: Asked,
        p: FetchedPartition,
    ) -> bool {
        let Some(cursor) = self.partitions.visit(id) else { return false };
        let moved = cursor.position != asked.offset;
        if cursor.home != Some(broker) || cursor.stage != Stage::Fetching || moved {
            return false;
        }
        match ErrorCode::from(p.error) {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange => {
                self.out_of_range(now, id, asked);
                return true;
            }
            code => {
                self.leave_replica(id);
                self.refused(now, id, (ApiKey::Fetch, code), p.leader, known);
                return true;
            }
        }
        let has_moved = cursor.marks != p.marks;
        cursor.marks = p.marks;
        if let Some((_, ..=-1)) = p.diverging {
            self.nothing_in_common(now, id, ApiKey::Fetch);
            return true;
        }
        cursor.resets = 0;
        if let Some((epoch, end)) = p.diverging {
            self.truncated(now, id, ApiKey::Fetch, (epoch, end));
        } else if let Some(size) = p.cut_off {
            self.enlarge(now, id, size);
        } else if let Some(data) = p.data {
            self.accept(now, id, data);
        } else {
            let is_sent_on =
                p.preferred_replica.is_some_and(|replica| self.visit_replica(now, id, replica, known.0));
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
        let origin = Origin { reader: self.id, assignment: self.assignment, topic_id, leader_epoch: -1 };
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        let (start, epoch) = (cursor.position, cursor.last_epoch);
        let next = data.next_offset.unwrap_or(start);
        if next <= start && !data.broken {
            // All of it is from before the position: a broker that answers like this would do so again at once.
            return self.struggle(
                now,
                id,
                Error::of_code(ErrorCode::UnknownServerError).with_api(ApiKey::Fetch),
            );
        }
        if data.broken {
            // The walk tells of it, as soon as it is there.
            cursor.stage = Stage::Halted;
        }
        cursor.recover();
        (cursor.position, cursor.last_epoch) = (next.max(start), data.leader_epoch);
        let (topic, partition) = (cursor.tp.topic.clone(), cursor.tp.partition);
        cursor.push_chunk(Chunk::new(&topic, partition, origin, (start, epoch), data));
        self.rotate(id);
        self.update(id);
    }

    /// Not even one batch fitted, which is how brokers before 0.10.1 answer to a limit that is too small.
    fn enlarge(&mut self, now: Now, id: CursorId, size: usize) {
        let most = self.config.max_bytes.min(self.budget.limit());
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        let limit = cursor.limit;
        if size > most {
            let error = Error::new(ErrorKind::MessageTooLarge { size, limit: most });
            return self.halt(id, error.with_api(ApiKey::Fetch));
        }
        cursor.limit = limit.saturating_mul(2).max(size).min(most);
        if size <= limit {
            // It should have fitted: the broker is at odds with itself.
            return self.struggle(
                now,
                id,
                Error::of_code(ErrorCode::UnknownServerError).with_api(ApiKey::Fetch),
            );
        }
        self.update(id);
    }

    /// A broker that does not wait although there is nothing must not be asked again and again.
    fn fetch_succeeded(&mut self, now: Now, id: i32, (sent_at, wait): (Time, Duration), brought: bool) {
        let waited = now.time.duration_since(sent_at);
        let is_hasty = !brought && waited < wait / 2;
        let Some(broker) = self.brokers.get_mut(&id) else { return };
        broker.trouble.is_over();
        broker.hasty = if is_hasty { broker.hasty.saturating_add(1) } else { 0 };
        if broker.hasty < HASTY {
            broker.retry.recover();
        } else {
            self.hold_off_broker(now, id);
        }
    }

    /// A broker cannot even be reached: there was no fetch that could fail.
    pub(crate) fn unreachable(&mut self, now: Now, broker: i32, error: Error) {
        if self.brokers.get(&broker).is_some_and(|b| b.main.is_none()) {
            self.fetch_failed(now, broker, error);
            self.refresh_lanes(broker);
        }
    }

    /// A whole fetch failed: positions stay, the broker is tried again after a while. What should pass is told if it lasts.
    fn fetch_failed(&mut self, now: Now, id: i32, error: Error) {
        self.hint_topics_of(id);
        let Some(broker) = self.brokers.get_mut(&id) else { return };
        let passes = error.is_retriable()
            || *error.kind() == ErrorKind::Closed
            || error.code() == Some(ErrorCode::UnknownServerError);
        let grace = if passes { self.config.unknown_topic_grace } else { Duration::ZERO };
        if broker.trouble.lasts(now.time, now.time, grace, Gravity::of(passes)) {
            let error = match &error.context().broker {
                Some(_) => error,
                None => error.with_broker(Str::from(format!("{id}"))),
            };
            let error = error.with_api(ApiKey::Fetch);
            self.notices.push_back(if passes { Item::Notice(error) } else { Item::Error(error) });
        }
        for guest in broker.guests.clone() {
            self.leave_replica(guest);
        }
        self.hold_off_broker(now, id);
    }
}
