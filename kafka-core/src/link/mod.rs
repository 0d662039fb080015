//! One connection's bytes: typed requests become bytes, bytes become typed responses.
//!
//! A link belongs to its connection's task and lies **outside the client's lock**: encoding, decoding, compression and
//! checksums happen here. It comes in two halves, so that a blocking adapter can read and write in two threads; between
//! them lies only the queue of unanswered requests.
//!
//! Invariants
//! * Responses come in the order of requests (a broker serves one request of a connection at a time); the correlation
//!   id is a check, and one that does not fit ends the connection. An answer to a request that asked for none is passed over.
//! * A request of which the socket did not take every byte cannot have been executed.
//! * Nothing but ApiVersions is sent before the versions are known.

pub(crate) mod fit;
mod frame;
mod inbound;
mod outbound;
mod setup;
mod versions;

pub(crate) use fit::newest;
pub use inbound::{LinkInbound, Received};
pub use outbound::{LinkOutbound, MAX_SLICES};
pub use versions::BrokerVersions;

use crate::error::{Error, ErrorKind};
use crate::reader::{Fetched, Reservation};
use crate::writer::ProduceBatch;
use kafka_proto::{ApiKey, Str};
use kafka_proto::{RequestKind, ResponseKind};
use setup::Setup;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

/// What a client calls itself at brokers (KIP-511), whichever adapter it runs on.
pub(crate) const SOFTWARE: &str = "kafka-core";

/// A connection of a client, numbered in the order of being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct ConnId(pub u64);

/// A request of a client, numbered in the order of being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct RequestId(pub u64);

/// One request, handed out to a connection.
#[derive(Debug)]
pub struct Transmit {
    /// Comes back with the response.
    pub id: RequestId,
    /// The version that the connection speaks.
    pub version: i16,
    /// The request.
    pub payload: Payload,
}

/// What a request carries.
#[derive(Debug)]
#[non_exhaustive]
pub enum Payload {
    /// Any request, in the newest form; it is fitted to the version.
    Plain(Box<RequestKind>),
    #[doc(hidden)]
    /// A fetch, already in the form of its version, with the bytes that were reserved for its response.
    Fetch(Box<kafka_proto::messages::fetch::FetchRequest>, Reservation),
    #[doc(hidden)]
    /// Batches, which are compressed, sealed and checksummed here.
    Produce(Produce),
}

/// A Produce request before it is encoded.
#[derive(Debug)]
pub struct Produce {
    /// -1 all in-sync replicas, 1 the leader, 0 no answer.
    pub acks: i16,
    /// How long the broker may wait for the replicas, in ms.
    pub timeout_ms: i32,
    /// Its batches have sequences, for which brokers before 2.8 look for a right of its own.
    pub is_idempotent: bool,
    /// One batch a partition.
    pub batches: Vec<ProduceBatch>,
    /// The batches before compression.
    pub bytes: usize,
    /// No further batch is added that makes it larger.
    pub most_bytes: usize,
}

impl Produce {
    /// The first version that names topics by their ids (KIP-516).
    pub(crate) const IDS_SINCE: i16 = 13;

    /// Whether a topic's id is not known, so that the request has to name it.
    pub(crate) fn needs_names(&self) -> bool {
        self.batches.iter().any(ProduceBatch::needs_name)
    }

    /// Whether another batch may find room.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.most_bytes
    }
}

/// A response as the client gets it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answered {
    /// Any response, lifted to the newest form.
    Plain(Box<ResponseKind>),
    #[doc(hidden)]
    /// A fetch response, its batch headers read.
    Fetched(Box<Fetched>),
}

impl Answered {
    /// The response to a request that was no fetch.
    ///
    /// # Errors
    /// It is one to a fetch. Which it is is certain, since the link decodes by the request.
    pub(crate) fn plain(self) -> Result<Box<ResponseKind>, Error> {
        match self {
            Self::Plain(response) => Ok(response),
            Self::Fetched(_) => {
                Err(Error::new(ErrorKind::Decode("a fetch response to another request".into())))
            }
        }
    }
}

/// What each link of a client is told.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// The client id in each request header.
    pub client_id: Str,
    /// The largest response, in bytes.
    pub max_response_bytes: usize,
    /// The version of ApiVersions to begin with; 0 for brokers that reset on a newer one.
    pub api_versions: i16,
}

/// A request that was handed out and not answered, when its connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Unanswered {
    /// The request.
    pub id: RequestId,
    /// Whether the socket took every byte of it, so that the broker may have executed it.
    pub taken: bool,
}

#[derive(Debug)]
struct InFlight {
    id: RequestId,
    correlation_id: i32,
    api: ApiKey,
    version: i16,
    /// The end of the request in the stream of bytes.
    end: u64,
    /// acks=0: done once the socket took it.
    answered: bool,
    reservation: Option<Reservation>,
}

#[derive(Debug)]
struct State {
    setup: Setup,
    in_flight: VecDeque<InFlight>,
    next_correlation_id: i32,
    /// Bytes queued for, and taken by, the socket since the connection began.
    queued: u64,
    taken: u64,
}

#[derive(Clone, Debug)]
struct Shared {
    state: Arc<Mutex<State>>,
    config: Arc<LinkConfig>,
}

/// Makes the two halves of a connection.
pub fn link(config: LinkConfig) -> (LinkInbound, LinkOutbound) {
    let state = State {
        setup: Setup::new(config.api_versions),
        in_flight: VecDeque::new(),
        next_correlation_id: 1,
        queued: 0,
        taken: 0,
    };
    let shared = Shared { state: Arc::new(Mutex::new(state)), config: Arc::new(config) };
    (LinkInbound::new(shared.clone()), LinkOutbound::new(shared))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
