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

mod exchange;
pub(crate) mod fit;
mod frame;
mod inbound;
mod outbound;
mod setup;
mod versions;

pub(crate) use exchange::{Answering, Digest, Digested, Exchange};
pub(crate) use fit::newest;
pub use inbound::{LinkInbound, Received};
pub use outbound::{LinkOutbound, MAX_SLICES};
pub use versions::BrokerVersions;

use crate::error::{Error, ErrorKind};
use kafka_proto::{ApiKey, Str};
use kafka_proto::{RequestKind, ResponseKind};
use setup::Setup;
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
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

/// What a request carries. Its `Debug` names the API alone, since a request can hold secrets.
#[non_exhaustive]
pub enum Payload {
    /// Any request, in the newest form; it is fitted to the version.
    Plain(Box<RequestKind>),
    #[doc(hidden)]
    /// What a machine has built; it knows itself how to take the form of the version.
    Built(Box<dyn Exchange>),
}

impl Payload {
    /// What is asked.
    pub(crate) fn api(&self) -> ApiKey {
        match self {
            Self::Plain(request) => request.api_key(),
            Self::Built(exchange) => exchange.api(),
        }
    }

    /// What a machine has built, if it is of this kind.
    pub(crate) fn built_mut<E: Exchange>(&mut self) -> Option<&mut E> {
        match self {
            Self::Built(exchange) => (exchange.as_mut() as &mut dyn Any).downcast_mut(),
            Self::Plain(_) => None,
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Payload").field(&self.api()).finish()
    }
}

/// A response as the client gets it. Its `Debug` names the API alone, as that of [`Payload`].
#[non_exhaustive]
pub enum Answered {
    /// Any response, lifted to the newest form.
    Plain(Box<ResponseKind>),
    #[doc(hidden)]
    /// What was made of the response to what a machine had built.
    Digested(Box<dyn Digested>),
}

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(response) => f.debug_tuple("Plain").field(&response.api_key()).finish(),
            Self::Digested(digested) => f.debug_tuple("Digested").field(digested).finish(),
        }
    }
}

impl Answered {
    /// The response to a plain request.
    ///
    /// # Errors
    /// It is of another one. Which it is is certain, since the link decodes by the request.
    pub(crate) fn plain(self) -> Result<Box<ResponseKind>, Error> {
        match self {
            Self::Plain(response) => Ok(response),
            Self::Digested(_) => {
                Err(Error::new(ErrorKind::Decode("a digested response to a plain request".into())))
            }
        }
    }

    /// What was made of the response, by who knows that it is of this kind.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn digested<D: Digested>(self) -> Result<Box<D>, Error> {
        let digested = match self {
            Self::Digested(digested) => (digested as Box<dyn Any>).downcast().ok(),
            Self::Plain(_) => None,
        };
        digested.ok_or_else(|| Error::new(ErrorKind::Decode("the response to another request".into())))
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
    answering: Answering,
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
