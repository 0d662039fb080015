//! The connections of a client, one a (broker, lane): their states, queues and in-flight requests.
//!
//! This file holds and counts; what is to happen is decided by [`connections`](super::connections) and the client.

use super::address::Address;
use super::machine::Lane;
use crate::error::ConnectionError;
use crate::link::{BrokerVersions, ConnId, RequestId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// A broker (negative: the bootstrap address -1 - id) and a lane to it.
pub(crate) type LaneKey = (i32, Lane);

#[derive(Debug)]
pub(crate) struct LaneState {
    pub(crate) link: LinkState,
    /// Requests that wait to be handed out.
    pub(crate) queue: VecDeque<RequestId>,
    /// Requests handed out and not answered, with their deadlines.
    pub(crate) in_flight: VecDeque<(RequestId, Instant)>,
    /// Failures in a row; a response ends the row.
    pub(crate) failures: u32,
    pub(crate) last_error: Option<ConnectionError>,
    /// What stands against it will not heal by itself: a foreign service at the address.
    pub(crate) is_hopeless: bool,
    /// While it connects: the other side has accepted.
    pub(crate) is_accepted: bool,
    /// Where its connection leads, or the last one led.
    pub(crate) address: Option<Address>,
    /// The broker has moved: what is in flight is waited for, then the connection ends.
    pub(crate) is_draining: bool,
    pub(crate) versions: Option<Arc<BrokerVersions>>,
    /// The broker has answered a request over it, once.
    pub(crate) has_served: bool,
    pub(crate) throttled_until: Option<Instant>,
    pub(crate) last_used: Instant,
    /// The version of ApiVersions to begin the next connection with.
    pub(crate) api_versions: i16,
    /// The broker took the last connection and closed it, perhaps because of a newer ApiVersions.
    pub(crate) has_fallen_back: bool,
    /// It closed on a newer ApiVersions, and served the oldest.
    pub(crate) needs_old_api_versions: bool,
    /// The connection's task was told that there is something to send.
    pub(crate) announced: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LinkState {
    Idle,
    Backoff,
    Connecting(ConnId),
    Up(ConnId),
    /// Told to end; what became of its requests is not known yet.
    Closing(ConnId, ConnectionError),
}

impl LaneState {
    pub(crate) fn new(now: Instant, api_versions: i16) -> Self {
        Self {
            link: LinkState::Idle,
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            failures: 0,
            last_error: None,
            is_hopeless: false,
            is_accepted: false,
            address: None,
            is_draining: false,
            versions: None,
            has_served: false,
            throttled_until: None,
            last_used: now,
            api_versions,
            has_fallen_back: false,
            needs_old_api_versions: false,
            announced: false,
        }
    }

    pub(crate) fn conn(&self) -> Option<ConnId> {
        match self.link {
            LinkState::Connecting(conn) | LinkState::Up(conn) | LinkState::Closing(conn, _) => Some(conn),
            LinkState::Idle | LinkState::Backoff => None,
        }
    }

    pub(crate) fn up(&self) -> Option<ConnId> {
        match self.link {
            LinkState::Up(conn) => Some(conn),
            _ => None,
        }
    }

    pub(crate) fn is_muted(&self, now: Instant) -> bool {
        self.throttled_until.is_some_and(|until| now < until)
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// Takes a request off the in-flight queue; whether it was there.
    pub(crate) fn answered(&mut self, id: RequestId) -> bool {
        let Some(at) = self.in_flight.iter().position(|(r, _)| *r == id) else { return false };
        self.in_flight.remove(at);
        true
    }

    pub(crate) fn earliest_deadline(&self) -> Option<Instant> {
        self.in_flight.iter().map(|(_, at)| *at).min()
    }

    /// How good a lane is for a request that any broker can serve; less is better.
    pub(crate) fn rank(&self, now: Instant) -> (u8, usize) {
        let state = match self.link {
            LinkState::Up(_) if !self.is_muted(now) => 0,
            _ if self.is_hopeless => 6,
            LinkState::Connecting(_) => 1,
            LinkState::Idle => 2,
            LinkState::Up(_) => 3,
            LinkState::Closing(..) => 4,
            LinkState::Backoff => 5,
        };
        (state, self.queue.len() + self.in_flight.len())
    }
}

#[derive(Debug, Default)]
pub(crate) struct Lanes {
    pub(crate) lanes: BTreeMap<LaneKey, LaneState>,
    pub(crate) conns: BTreeMap<ConnId, LaneKey>,
}

impl Lanes {
    pub(crate) fn get(&self, key: LaneKey) -> Option<&LaneState> {
        self.lanes.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: LaneKey) -> Option<&mut LaneState> {
        self.lanes.get_mut(&key)
    }

    /// The brokers with an open connection to another address than theirs.
    pub(crate) fn led_elsewhere(&self, address_of: impl Fn(i32) -> Option<Address>) -> Vec<LaneKey> {
        let up = self.lanes.iter().filter(|(_, lane)| lane.up().is_some() && !lane.is_draining);
        let moved =
            up.filter(|((broker, _), lane)| address_of(*broker).is_some_and(|a| lane.address != Some(a)));
        moved.map(|(key, _)| *key).collect()
    }

    /// Whether a broker has answered requests, over whatever lane.
    pub(crate) fn has_served(&self, broker: i32) -> bool {
        let lanes = self.lanes.range((broker, Lane::Other)..);
        lanes.take_while(|((of, _), _)| *of == broker).any(|(_, lane)| lane.has_served)
    }

    /// Whether a lane has learnt that connections to this address come up with the oldest ApiVersions only.
    pub(crate) fn needs_old_api_versions(&self, address: &Address) -> bool {
        let mut lanes = self.lanes.values().filter(|lane| lane.address.as_ref() == Some(address));
        lanes.any(|lane| lane.needs_old_api_versions)
    }

    /// Whether a broker is connected to, by whatever lane.
    pub(crate) fn is_any_up(&self, broker: i32) -> bool {
        let lanes = self.lanes.range((broker, Lane::Other)..);
        lanes.take_while(|((of, _), _)| *of == broker).any(|(_, lane)| lane.up().is_some())
    }

    pub(crate) fn by_conn(&mut self, conn: ConnId) -> Option<(LaneKey, &mut LaneState)> {
        let key = *self.conns.get(&conn)?;
        self.lanes.get_mut(&key).map(|lane| (key, lane))
    }
}
