//! A fetch as a link carries it out: the bytes that were reserved become its frame's, and its response is digested.

use super::budget::Reservation;
use super::fetched::digest;
use crate::error::Error;
use crate::link::{Answering, Digest, Digested, Exchange};
use kafka_proto::messages::fetch::{FetchRequest, FetchResponse};
use kafka_proto::{ApiKey, Bytes, RequestKind, ResponseKind};
use std::fmt;

/// A fetch request in the form of its version.
pub(crate) struct Fetch {
    request: FetchRequest,
    /// For the response.
    reservation: Reservation,
}

impl Fetch {
    pub(crate) fn new(request: FetchRequest, reservation: Reservation) -> Self {
        Self { request, reservation }
    }

    #[cfg(all(test, not(shuttle)))]
    pub(crate) fn into_reservation(self) -> Reservation {
        self.reservation
    }
}

/// What does not depend on others that share the budget.
impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, reservation } = self;
        f.debug_struct("Fetch").field("request", request).field("room", &reservation.bytes()).finish()
    }
}

impl Exchange for Fetch {
    fn api(&self) -> ApiKey {
        ApiKey::Fetch
    }

    fn into_request(self: Box<Self>, _: i16) -> Result<(RequestKind, Answering), Error> {
        let Self { request, reservation } = *self;
        let room = Room(Some(reservation));
        Ok((RequestKind::Fetch(request), Answering::Digested(Box::new(room))))
    }
}

/// Bytes that are reserved until the frame has come.
#[derive(Debug)]
struct Room(Option<Reservation>);

impl Digest for Room {
    fn hold(&mut self, frame: Bytes) -> Bytes {
        match self.0.take() {
            Some(reservation) => reservation.charge(frame),
            None => frame,
        }
    }

    fn digest(self: Box<Self>, response: ResponseKind, frame: Bytes) -> Box<dyn Digested> {
        // It is one, as the link decodes by the request.
        let response = FetchResponse::try_from(response).unwrap_or_default();
        Box::new(digest(response).keeping(frame))
    }
}
