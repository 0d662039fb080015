//! Asking for metadata, and what its answers change for everybody.

use super::lane::LinkState;
use super::requests::Owner;
use super::timers::Timer;
use super::{Client, Event, Key};
use crate::error::Error;
use crate::machine::{Answer, Ask, Hint, Lane, LaneKey, MachineInput, Now, Peer, Target, Time};
use crate::snapshot::Node;
use kafka_proto::messages::metadata::MetadataRequest;
use kafka_proto::{ApiKey, Str};
use std::time::Duration;

/// How long a broker is waited for that could not be reached, where others can.
const SECOND_CHANCE: Duration = Duration::from_secs(1);

impl Client {
    pub(super) fn plan_metadata(&mut self, now: Now) {
        if self.closed {
            return;
        }
        let begun = !self.calls.is_empty() || self.metadata.is_any_wanted();
        if begun && self.metadata.may_ask_now(now.time, &self.config) {
            return self.ask_metadata(now);
        }
        if !self.timers.is_set(&Timer::Metadata) || self.metadata.is_stale() {
            let due = self.metadata.due(&self.config, &mut self.random);
            self.timers.set_option(Timer::Metadata, due);
        }
    }

    pub(super) fn ask_metadata(&mut self, now: Now) {
        let request = self.metadata.request(now.time, &self.config);
        let (target, timeout) = self.whom_to_ask(now.time);
        let is_sent_back = self.metadata.take_rebootstrap();
        let target = if is_sent_back { self.any_bootstrap() } else { target };
        let ask = Ask { tag: 0, target, lane: Lane::Other, request: request.into(), timeout };
        self.timers.stop(&Timer::Metadata);
        self.ask(now.time, Owner::Metadata, ask);
    }

    /// Which broker to ask for metadata, and how long to wait for it: others cannot be asked meanwhile.
    fn whom_to_ask(&self, now: Time) -> (Target, Duration) {
        let timeout = self.config.request_timeout;
        let are_all_down = self.metadata.cluster().nodes.keys().all(|id| self.has_fallen(Peer::Node(*id)));
        match self.metadata.whose_turn(self.talkative(now)) {
            Some(broker) if !self.has_fallen(Peer::Node(broker)) => (Target::node(broker), timeout),
            Some(broker) if !are_all_down => (Target::node(broker), timeout.min(SECOND_CHANCE)),
            _ => (Target::Any, timeout),
        }
    }

    fn any_bootstrap(&mut self) -> Target {
        self.stats.rebootstraps += 1;
        let at = self.random.below(self.config.bootstrap.len() as u64) as usize;
        Target::Peer(Peer::Bootstrap(at))
    }

    pub(super) fn metadata_answered(&mut self, now: Now, answer: Answer) {
        let peer = answer.peer;
        let (response, peer) = match (answer.response_to::<MetadataRequest>(), peer) {
            (Ok(response), Some(peer)) => (response, peer),
            (Ok(_), None) => return self.plan_metadata_retry(),
            (Err(error), _) => {
                self.metadata.failed(now.time, peer);
                self.metadata.note_error(error.clone());
                self.no_metadata(now, &error);
                return self.plan_metadata_retry();
            }
        };
        match self.metadata.apply(now.time, peer, response, &self.config) {
            Ok(changes) => {
                let gone = self.metadata.forget_gone(&self.config);
                for topic in changes.topics.into_iter().chain(gone) {
                    self.topic_changed(now, &topic);
                }
                self.check_addresses(now, Some(peer), |_| true);
                if !self.metadata.cluster().nodes.is_empty() && !self.metadata.rebootstraps() {
                    self.close_bootstrap(now);
                }
                self.kick_idle(now.time);
            }
            Err(error) => self.part_from(now, peer, &error),
        }
        self.plan_metadata_retry();
    }

    /// An answer to another request than Metadata tells where a broker is found.
    pub(super) fn learn_node(&mut self, now: Time, node: Node) {
        self.metadata.learn_node(node);
        self.kick_idle(now);
    }

    /// A lane could not be connected while its broker's address was not known.
    fn kick_idle(&mut self, now: Time) {
        let idle = self.lanes.iter().filter(|(_, lane)| *lane.link() == LinkState::Idle);
        let idle: Vec<LaneKey> = idle.map(|(key, _)| key).collect();
        for key in idle {
            if self.address_of(key.peer).is_some() && self.machines.want_lane(key) {
                self.kick(now, key);
            }
        }
    }

    fn plan_metadata_retry(&mut self) {
        let due = self.metadata.due(&self.config, &mut self.random);
        self.timers.set_option(Timer::Metadata, due.filter(|_| !self.closed));
    }

    pub(super) fn topic_changed(&mut self, now: Now, topic: &Str) {
        self.announce(Event::Wake(Key::Topic(topic.clone())));
        self.tell_who_wants(now, topic);
    }

    pub(super) fn hint(&mut self, now: Now, hint: Hint) {
        match hint {
            Hint::Refresh(_) => self.metadata.hint_stale(),
            Hint::Leader { topic, partition, leader, leader_epoch, node } => {
                if let Some(node) = node {
                    self.learn_node(now.time, node);
                }
                if self.metadata.leader_hint(&topic, partition, leader, leader_epoch) {
                    self.topic_changed(now, &topic);
                }
            }
            Hint::NotCoordinator(kind, key) => self.forget_coordinator(now.time, kind, &key),
        }
    }

    /// No broker tells of topics for the moment.
    pub(super) fn no_metadata(&mut self, now: Now, error: &Error) {
        let Some(since) = self.metadata.unanswered() else { return };
        let error = self.last_trouble().unwrap_or_else(|| error.clone()).with_api(ApiKey::Metadata);
        self.give_all(now, |_| true, || MachineInput::NoMetadata { since, error: error.clone() });
    }
}
