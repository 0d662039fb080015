//! What a link knows of a request: how it takes the form of a version, and what is made of its answer.
//!
//! Who builds requests that are more than their fields implements these traits, so that the link knows none of them. All of it runs in
//! the connection's task, outside of every lock.

use crate::error::Error;
use bytes::Bytes;
use kafka_proto::{ApiKey, RequestKind, ResponseKind};
use std::any::Any;
use std::fmt::Debug;

/// A request that takes its form as late as it is sent.
pub trait Exchange: Any + Debug + Send {
    /// What is asked.
    fn api(&self) -> ApiKey;

    /// The request in the form of a version, and what becomes of its answer.
    ///
    /// # Errors
    /// The version cannot carry it.
    fn into_request(self: Box<Self>, version: i16) -> Result<(RequestKind, Answering), Error>;
}

/// What becomes of the answer to a request.
#[derive(Debug)]
pub enum Answering {
    /// There is none: the request is done once the socket has taken it.
    Nothing,
    /// It is lifted to the newest form.
    Lifted,
    /// Somebody makes something else of it.
    Digested(Box<dyn Digest>),
}

impl Answering {
    pub(super) fn is_awaited(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

/// Makes something of a response.
pub trait Digest: Debug + Send {
    /// The frame has come. What is decoded holds on to what this returns.
    fn hold(&mut self, frame: Bytes) -> Bytes;

    /// Makes something of the response, which came in this frame.
    fn digest(self: Box<Self>, response: ResponseKind, frame: Bytes) -> Box<dyn Digested>;
}

/// What was made of a response.
pub trait Digested: Any + Debug + Send {
    /// What must not end under a lock, such as the frame.
    fn take_frame(&mut self) -> Bytes;
}
