//! Which broker a request goes to, and by which lane.

use super::lane::{LaneState, Rank};
use super::requests::{Owner, Request};
use super::timers::Timer;
use super::{Client, not_in_metadata};
use crate::link::RequestId;
use crate::machine::{Ask, LaneKey, Peer, Target, Time};
use kafka_proto::Str;

impl Client {
    /// Takes a request of a machine and sends it on its way.
    pub(super) fn ask(&mut self, now: Time, owner: Owner, ask: Ask) {
        let id = RequestId(self.next_id());
        let Ask { target, lane, request, timeout, .. } = ask;
        let deadline = now + timeout;
        let api = request.api_key();
        self.timers.set(Timer::Queued(id), deadline);
        let request =
            Request { owner, target, lane, key: None, api, body: Some(request), asked: now, deadline };
        self.requests.insert(id, request);
        self.route(now, id);
    }

    pub(super) fn route(&mut self, now: Time, id: RequestId) {
        let Some(request) = self.requests.get(id) else { return };
        let (target, lane) = (request.target.clone(), request.lane);
        let peer = match target {
            Target::Peer(peer) => Some(peer),
            Target::Any => self.any_broker(now),
            Target::Controller => {
                let known = self.metadata.cluster().controller;
                let known = known.filter(|c| self.metadata.cluster().nodes.contains_key(c));
                known.map(Peer::Node).or_else(|| self.any_broker(now))
            }
            Target::Coordinator(kind, key) => match self.coordinators.broker(kind, &key) {
                Some(broker) => Some(Peer::Node(broker)),
                None => return self.await_coordinator(now, id, kind, &key),
            },
        };
        match peer.filter(|peer| self.address_of(*peer).is_some()) {
            Some(peer) => self.enqueue(now, id, LaneKey { peer, lane }),
            None => {
                self.metadata.hint_stale();
                self.finish(id, None, Err(not_in_metadata().into()));
            }
        }
    }

    fn enqueue(&mut self, now: Time, id: RequestId, key: LaneKey) {
        self.requests.take_lane(id, key);
        self.lanes.entry(now, key).push(id);
        self.kick(now, key);
    }

    /// Where all that could serve it are down it waits for the first that comes back, or its deadline.
    pub(super) fn route_again(&mut self, now: Time, id: RequestId) {
        let Some(peer) = self.any_broker(now) else { return };
        let Some(lane) = self.requests.get(id).map(|r| r.lane) else { return };
        self.enqueue(now, id, LaneKey { peer, lane });
    }

    /// The broker that will answer soonest, as far as can be told; bootstrap addresses where no known broker is left.
    pub(super) fn any_broker(&mut self, now: Time) -> Option<Peer> {
        let known: Vec<Peer> = self.metadata.cluster().nodes.keys().copied().map(Peer::Node).collect();
        let mut candidates = known;
        if candidates.iter().all(|broker| self.has_fallen(*broker)) {
            if !candidates.is_empty() {
                self.stats.rebootstraps += 1;
            }
            candidates.extend(self.bootstrap());
        }
        // Equal ones are taken in turn, from a start that differs from client to client.
        let start = self.random.below(candidates.len() as u64) as usize;
        candidates.rotate_left(start);
        let rank = |broker: &Peer| self.lanes.other(*broker).map_or(Rank::NEW, |lane| lane.rank(now));
        candidates.into_iter().min_by_key(rank)
    }

    /// The last attempts to talk to a broker failed, or what is there is none.
    pub(super) fn has_fallen(&self, broker: Peer) -> bool {
        self.lanes.other(broker).is_some_and(LaneState::has_fallen)
    }

    /// The known brokers that can be asked now, be it in the hope that they are there again.
    pub(super) fn talkative(&self, now: Time) -> impl Iterator<Item = i32> + Clone {
        let is_talkative = move |broker: &i32| {
            self.lanes.other(Peer::Node(*broker)).is_none_or(|lane| lane.is_talkative(now))
        };
        self.metadata.cluster().nodes.keys().copied().filter(is_talkative)
    }

    /// Whether any broker, or bootstrap address, may yet turn out to be one.
    pub(super) fn has_hope(&self) -> bool {
        let mut all = self.metadata.cluster().nodes.keys().copied().map(Peer::Node).chain(self.bootstrap());
        all.any(|broker| self.lanes.other(broker).is_none_or(|lane| !lane.is_hopeless()))
    }

    /// What errors call a broker: its id and where it is, as far as that is known.
    pub(super) fn broker_name(&self, peer: Peer) -> Str {
        match (peer, self.address_of(peer)) {
            (Peer::Node(id), _) => self.metadata.cluster().broker_name(id),
            (_, Some(address)) => address.to_string().into(),
            (Peer::Bootstrap(at), None) => format!("bootstrap address {at}").into(),
        }
    }
}
