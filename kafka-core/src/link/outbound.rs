//! The writing half of a link.

use super::fit;
use super::{Answering, InFlight, Payload, RequestId, Shared, State, Transmit};
use crate::error::{ConnectionError, Error, ErrorKind};
use bytes::{Buf, Bytes};
use kafka_proto::RequestKind;
use kafka_proto::frame;
use std::collections::VecDeque;
use std::io::IoSlice;

/// The most segments of one vectored write.
pub const MAX_SLICES: usize = 1024;

/// Requests in, bytes out.
#[derive(Debug)]
pub struct LinkOutbound {
    shared: Shared,
    queue: VecDeque<Bytes>,
}

impl LinkOutbound {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared, queue: VecDeque::new() }
    }

    /// Queues what the setup has to send, and returns whether requests may be queued. Called before [`queue`](Self::queue), when the
    /// connection is there and after each [`Received::SetupGoesOn`](super::Received::SetupGoesOn).
    ///
    /// # Errors
    /// The first request cannot be encoded: a client id of more than 32 KiB. The connection must end.
    pub fn poll_setup(&mut self) -> Result<bool, ConnectionError> {
        let mut state = self.shared.lock();
        let state = &mut *state;
        let id = state.next_correlation_id;
        if let Some(frame) = state.setup.poll_transmit(id, &self.shared.config.client_id) {
            state.next_correlation_id = id.wrapping_add(1);
            let segments = frame.map_err(|e| {
                let error = Error::new(ErrorKind::Encode(e.to_string()));
                ConnectionError::Lost(error.to_string().into())
            })?;
            state.queued += enqueue(&mut self.queue, segments);
        }
        Ok(state.setup.is_done())
    }

    /// Encodes a request and queues its bytes.
    ///
    /// # Errors
    /// It cannot be encoded; nothing was queued, and the connection is as good as before.
    pub fn queue(&mut self, transmit: Transmit) -> Result<(), Error> {
        let Transmit { id, version, payload } = transmit;
        match payload {
            Payload::Plain(mut request) => {
                fit::fit(&mut request, version)?;
                self.send(id, version, &request, Answering::Lifted)
            }
            Payload::Built(exchange) => {
                let (request, answering) = exchange.into_request(version)?;
                self.send(id, version, &request, answering)
            }
        }
    }

    fn send(
        &mut self,
        id: RequestId,
        version: i16,
        request: &RequestKind,
        answering: Answering,
    ) -> Result<(), Error> {
        let api = request.api_key();
        let correlation_id = self.shared.lock().take_correlation_id();
        let segments =
            frame::encode_request(correlation_id, Some(&self.shared.config.client_id), version, request)
                .map_err(|e| Error::new(ErrorKind::Encode(e.to_string())).with_api(api))?;
        let mut state = self.shared.lock();
        state.queued += enqueue(&mut self.queue, segments);
        let end = state.queued;
        state.in_flight.push_back(InFlight { id, correlation_id, api, version, end, answering });
        Ok(())
    }

    /// Whether there is something to write.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The bytes that wait for the socket, segment by segment; how many slots were filled.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slot, segment) in slices.iter_mut().zip(&self.queue) {
            *slot = IoSlice::new(segment);
            count += 1;
        }
        count
    }

    /// How many bytes wait for the socket.
    pub fn pending_bytes(&self) -> usize {
        let state = self.shared.lock();
        usize::try_from(state.queued - state.taken).unwrap_or(usize::MAX)
    }

    /// The socket took so many bytes, where more than there are count as all of them. Returns the requests without an answer that
    /// are thereby done.
    pub fn written(&mut self, len: usize) -> Vec<RequestId> {
        let left = self.advance(len);
        self.shared.lock().taken((len - left) as u64)
    }

    /// Drops so many bytes from the queue. Returns how many it did not have.
    fn advance(&mut self, mut left: usize) -> usize {
        while left > 0 {
            let Some(front) = self.queue.front_mut() else { break };
            if left < front.len() {
                front.advance(left);
                return 0;
            }
            left -= front.len();
            self.queue.pop_front();
        }
        left
    }
}

impl State {
    fn take_correlation_id(&mut self) -> i32 {
        let id = self.next_correlation_id;
        self.next_correlation_id = id.wrapping_add(1);
        id
    }

    fn taken(&mut self, len: u64) -> Vec<RequestId> {
        self.taken += len;
        let mut sent = Vec::new();
        let taken = self.taken;
        if self.in_flight.iter().any(|r| !r.answering.is_awaited()) {
            self.in_flight.retain(|r| {
                let done = !r.answering.is_awaited() && r.end <= taken;
                if done {
                    sent.push(r.id);
                }
                !done
            });
        }
        sent
    }
}

fn enqueue(queue: &mut VecDeque<Bytes>, segments: Vec<Bytes>) -> u64 {
    let mut len = 0;
    for segment in segments {
        len += segment.len() as u64;
        if !segment.is_empty() {
            queue.push_back(segment);
        }
    }
    len
}
