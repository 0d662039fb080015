//! Handing requests out to connections that have room.

use super::Client;
#[cfg(feature = "record")]
use super::door::{Outcome, What};
use super::entry::enter;
use super::lane::Proof;
use super::requests::{Owner, Request};
use super::timers::Timer;
use crate::error::{Error, ErrorKind};
use crate::link::{ConnId, Payload, RequestId, Transmit, newest};
use crate::machine::{LaneKey, Now, Target, Time};
use kafka_proto::ApiKey;
use kafka_proto::messages::metadata::MetadataRequest;
use std::time::Duration;

/// The first version of Metadata that tells the cluster's id.
const CLUSTER_ID_SINCE: i16 = 2;

impl Client {
    /// Returns the next request for a connection; `None` where there is none for now, until an
    /// [`Event::Wake`](super::Event::Wake) of [`Key::Conn`](super::Key::Conn). It must be handed to the connection's link.
    pub fn poll_transmit(&mut self, now: Now, conn: ConnId) -> Option<Transmit> {
        enter!(self, Some(now), What::Transmit(conn));
        let transmit = self.next_transmit(now, conn);
        if transmit.is_none()
            && let Some((_, lane)) = self.lanes.by_conn(conn)
        {
            lane.found_nothing();
        }
        self.settle(now);
        #[cfg(feature = "record")]
        self.leave_with(|| Outcome::of_transmit(transmit.as_ref()));
        transmit
    }

    fn next_transmit(&mut self, now: Now, conn: ConnId) -> Option<Transmit> {
        let max_in_flight = self.config.max_in_flight;
        let (key, lane) = self.lanes.by_conn(conn)?;
        if !lane.may_send(now.time, conn, max_in_flight) {
            return None;
        }
        match lane.proof() {
            Proof::NotNeeded => {}
            Proof::Wanted => return self.ask_for_proof(now, key, conn),
            Proof::Asked => return None,
        }
        while let Some(id) = self.lanes.get_mut(key)?.pop() {
            if let Some(transmit) = self.hand_out(now, key, conn, id) {
                return Some(transmit);
            }
        }
        self.next_built(now, key, conn)
    }

    /// Asks a broker for nothing but its cluster's id.
    fn ask_for_proof(&mut self, now: Now, key: LaneKey, conn: ConnId) -> Option<Transmit> {
        let lane = self.lanes.get_mut(key)?;
        let version = lane.versions()?.version(ApiKey::Metadata).filter(|v| *v >= CLUSTER_ID_SINCE);
        lane.ask_for_proof(version.is_some());
        let Some(version) = version else {
            return self.next_transmit(now, conn);
        };
        let id = RequestId(self.next_id());
        self.book(now.time, id, Owner::Proof, key, conn, ApiKey::Metadata, self.config.request_timeout);
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        Some(Transmit { id, version, payload: Payload::Plain(Box::new(request.into())) })
    }

    fn hand_out(&mut self, now: Now, key: LaneKey, conn: ConnId, id: RequestId) -> Option<Transmit> {
        let versions = self.lanes.get(key)?.versions()?;
        let body = self.requests.take_body(id)?;
        let Request { api, deadline, .. } = *self.requests.get(id)?;
        let version = versions.version_up_to(api, newest(&body));
        self.timers.stop(&Timer::Queued(id));
        let Some(version) = version else {
            let error = Error::new(ErrorKind::Unsupported {
                feature: api.name(),
                needs: "a newer broker, or one that offers it on this listener",
            });
            let error = error.with_api(api).with_broker(self.broker_name(key.peer));
            self.finish(id, Some(key.peer), Err(error));
            return None;
        };
        self.handed_out(now.time, key, conn, id, deadline);
        Some(Transmit { id, version, payload: Payload::Plain(Box::new(body)) })
    }

    /// Books a request as in flight.
    pub(super) fn handed_out(
        &mut self,
        now: Time,
        key: LaneKey,
        conn: ConnId,
        id: RequestId,
        deadline: Time,
    ) {
        self.stats.requests += 1;
        let Some(lane) = self.lanes.get_mut(key) else { return };
        lane.handed_out(now, id, deadline);
        // What was asked before may have more time.
        self.timers.set_earlier(Timer::Conn(conn), deadline);
    }

    /// Books a request that is built when it is handed out.
    #[expect(clippy::too_many_arguments, reason = "each is a part of the one fact that is booked")]
    pub(super) fn book(
        &mut self,
        now: Time,
        id: RequestId,
        owner: Owner,
        key: LaneKey,
        conn: ConnId,
        api: ApiKey,
        timeout: Duration,
    ) {
        let (target, lane, deadline) = (Target::Peer(key.peer), key.lane, now + timeout);
        let request = Request { owner, target, lane, key: Some(key), api, body: None, asked: now, deadline };
        self.requests.insert(id, request);
        self.handed_out(now, key, conn, id, deadline);
    }
}
