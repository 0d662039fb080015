//! How a machine asks the cluster for something.
//!
//! A machine writes each request in the **newest form** of its API; the client fits it to the version of the connection,
//! and lifts the answer to the newest form (see `fit`), so that versions are nowhere else.

use super::{Lane, Peer};
use crate::error::Error;
use kafka_proto::{Request, RequestKind, Response, ResponseKind, Str};
use std::fmt;
use std::time::Duration;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Target {
    /// Any broker that can be reached.
    Any,
    /// This one.
    Peer(Peer),
    /// The controller.
    Controller,
    /// The coordinator of a group or transactional id.
    Coordinator(CoordinatorKind, Str),
}

impl Target {
    /// A broker by its node id.
    pub const fn node(id: i32) -> Self {
        Self::Peer(Peer::Node(id))
    }
}

/// What a coordinator coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum CoordinatorKind {
    /// A consumer group (key type 0).
    Group,
    /// A transactional id (key type 1).
    Transaction,
}

/// One request that a machine wants to be sent. The client does not retry it: a failed one is answered with its error.
#[derive(Clone)]
pub(crate) struct Ask {
    /// Chosen by the machine, unique among its open asks.
    pub tag: u64,
    /// Where it goes.
    pub target: Target,
    /// By which connection.
    pub lane: Lane,
    /// The request in the newest form of its API.
    pub request: RequestKind,
    /// From now to its answer, connecting and finding the coordinator included.
    pub timeout: Duration,
}

/// Without the request, which can hold secrets.
impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, target, lane, request, timeout } = self;
        write!(f, "Ask({tag}, {:?} of {target:?} by {lane:?} within {timeout:?})", request.api_key())
    }
}

/// What became of an [`Ask`].
#[derive(Clone)]
pub(crate) struct Answer {
    /// The ask's tag.
    pub tag: u64,
    /// Who answered, or was asked; `None` where nobody could be found.
    pub peer: Option<Peer>,
    /// The response lifted to the newest form, error codes inside not looked at; or why there is none.
    pub result: Result<ResponseKind, Error>,
}

/// Without the response, as [`Ask`].
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, peer, result } = self;
        write!(f, "Answer({tag}, from {peer:?}: {:?})", result.as_ref().map(ResponseKind::api_key))
    }
}

impl Answer {
    /// The response, where the [`Ask`] was of such a request.
    pub(crate) fn response_to<R: Request>(self) -> Result<R::Response, Error> {
        self.result.and_then(response)
    }
}

/// A response of the API that was asked. That it is one of it is certain, since the link decodes by the request.
pub(crate) fn response<R: Response>(response: ResponseKind) -> Result<R, Error> {
    R::try_from(response).map_err(|other| Error::unexpected(&other))
}

/// What a machine learnt that concerns the metadata of the whole client; pulled with its `poll_hint`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Hint {
    /// The metadata of this topic seems to be out of date.
    Refresh(Str),
    /// A response told the new leader (KIP-951); `node` where it told its address too.
    Leader {
        /// The topic.
        topic: Str,
        /// The partition.
        partition: i32,
        /// The new leader.
        leader: i32,
        /// Its epoch.
        leader_epoch: i32,
        /// Its address, where told.
        node: Option<crate::snapshot::Node>,
    },
    /// The coordinator of this group is not, or no longer, where we thought.
    NotCoordinator(CoordinatorKind, Str),
}
