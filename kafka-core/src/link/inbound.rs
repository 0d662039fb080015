//! The reading half of a link.

use super::fit;
use super::frame::FrameReader;
use super::versions::BrokerVersions;
use super::{Answered, Answering, InFlight, RequestId, Shared, Unanswered};
use crate::error::{ConnectionError, lost};
use bytes::Bytes;
use kafka_proto::ResponseKind;
use kafka_proto::frame::decode_response;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Bytes in, responses out.
#[derive(Debug)]
pub struct LinkInbound {
    shared: Shared,
    frames: FrameReader,
    any_frame: bool,
    any_response: bool,
    /// The correlation id up to which answers came, or need not come any more.
    answered: i32,
}

/// What came in.
///
/// It is exhaustive: a loop that passes over one of them does not work.
#[derive(Debug)]
pub enum Received {
    /// The versions are agreed on: requests may be sent.
    Ready(Arc<BrokerVersions>),
    /// ApiVersions has to be asked again: the writing half has something to send.
    SetupGoesOn,
    /// A request was answered.
    Response {
        /// The request.
        id: RequestId,
        /// Its response.
        response: Answered,
        /// How long the broker asks for silence on this connection (KIP-219); zero where the broker itself delayed.
        throttle: Duration,
    },
}

impl LinkInbound {
    pub(super) fn new(shared: Shared) -> Self {
        let frames = FrameReader::new(shared.config.max_response_bytes);
        Self { shared, frames, any_frame: false, any_response: false, answered: 0 }
    }

    /// Where the next bytes of the socket go; never empty.
    pub fn room(&mut self) -> &mut [u8] {
        self.frames.room()
    }

    /// So many bytes were put into [`room`](Self::room).
    pub fn received(&mut self, len: usize) {
        self.frames.received(len);
    }

    /// What the bytes so far make; call it until it gives `None`.
    ///
    /// # Errors
    /// The connection is of no use any more.
    pub fn poll(&mut self) -> Result<Option<Received>, ConnectionError> {
        if !self.any_frame {
            recognize(self.frames.pending())?;
        }
        while let Some(frame) = self.next_frame()? {
            self.any_frame = true;
            if let Some(received) = self.take(frame)? {
                return Ok(Some(received));
            }
        }
        Ok(None)
    }

    /// What a frame says; `None` for an answer to a request that asked for none.
    fn take(&mut self, frame: Bytes) -> Result<Option<Received>, ConnectionError> {
        let got = correlation_id_of(&frame);
        let mut state = self.shared.lock();
        if !state.setup.is_done() {
            let ready = state.setup.handle(&frame)?;
            self.answered = got;
            return Ok(Some(ready.map_or(Received::SetupGoesOn, Received::Ready)));
        }
        let oldest = state.in_flight.iter().position(|r| r.answering.is_awaited());
        let expected = oldest.map_or(state.next_correlation_id, |at| state.in_flight[at].correlation_id);
        if is_between(self.answered, got, expected) {
            // Azure Event Hubs answers Produce with acks of none.
            self.answered = got;
            return Ok(None);
        }
        let Some(in_flight) = oldest.and_then(|at| state.in_flight.remove(at)) else {
            return Err(ConnectionError::NotKafka("a response that nobody asked for".into()));
        };
        drop(state);
        (self.any_response, self.answered) = (true, expected);
        answer(in_flight, frame).map(Some)
    }

    fn next_frame(&mut self) -> Result<Option<Bytes>, ConnectionError> {
        match self.frames.next_frame() {
            // What never was a frame is text, or another protocol.
            Err(ConnectionError::FrameLength(length)) if !self.any_frame => {
                Err(ConnectionError::NotKafka(beginning(self.frames.pending(), length)))
            }
            other => other,
        }
    }

    /// How the end of the stream is to be understood.
    pub fn end_of_stream(&self) -> ConnectionError {
        let state = self.shared.lock();
        if !state.setup.is_done() {
            return ConnectionError::ClosedDuringSetup;
        }
        if !self.frames.pending().is_empty() {
            return ConnectionError::Lost("closed by the broker in the middle of a response".into());
        }
        if state.in_flight.iter().any(|r| r.answering.is_awaited()) {
            return match self.any_response {
                true => ConnectionError::ClosedUnanswered,
                false => ConnectionError::ClosedAfterSetup,
            };
        }
        ConnectionError::Lost("closed by the broker".into())
    }

    /// What an error of the socket means here: one that was reset ended as one that was closed.
    pub fn broken(&self, error: io::Error) -> ConnectionError {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        match error.kind() {
            ConnectionReset | ConnectionAborted | BrokenPipe => match self.end_of_stream() {
                ConnectionError::Lost(cause) => ConnectionError::Lost(cause.reported_by(error)),
                end => end,
            },
            _ => lost(error),
        }
    }

    /// Ends the link: what was handed out and not answered.
    pub fn finish(&mut self) -> Vec<Unanswered> {
        let mut state = self.shared.lock();
        let taken = state.taken;
        state.in_flight.drain(..).map(|r| Unanswered { id: r.id, taken: r.end <= taken }).collect()
    }
}

fn answer(in_flight: InFlight, frame: Bytes) -> Result<Received, ConnectionError> {
    let InFlight { id, correlation_id, api, version, mut answering, .. } = in_flight;
    let frame = match &mut answering {
        Answering::Digested(digest) => digest.hold(frame),
        Answering::Lifted | Answering::Nothing => frame,
    };
    // The correlation id is looked at first: the body of another response may decode as anything.
    let got = correlation_id_of(&frame);
    if got != correlation_id {
        return Err(ConnectionError::Correlation { expected: correlation_id, got });
    }
    let (_, response) = decode_response(api, version, &frame)
        .map_err(|error| ConnectionError::Undecodable(format!("{} {version}: {error}", api.name())))?;
    let throttle = throttle(&response, version);
    let response = match answering {
        Answering::Digested(digest) => Answered::Digested(digest.digest(response, frame)),
        Answering::Lifted | Answering::Nothing => {
            let mut response = Box::new(response);
            fit::lift(&mut response, version);
            Answered::Plain(response)
        }
    };
    Ok(Received::Response { id, response, throttle })
}

fn correlation_id_of(frame: &[u8]) -> i32 {
    frame.first_chunk::<4>().map_or(0, |b| i32::from_be_bytes(*b))
}

/// Whether an id was given out after `last` and before `next`; ids wrap.
pub(super) fn is_between(last: i32, id: i32, next: i32) -> bool {
    let after = |id: i32| id.wrapping_sub(last).cast_unsigned();
    (1..after(next)).contains(&after(id))
}

/// From the version on that says so the client has to keep silent; before, the broker delayed its answer.
fn throttle(response: &ResponseKind, version: i16) -> Duration {
    let applies = response.api_key().throttles_since().is_some_and(|since| version >= since);
    let ms = if applies { throttle_time_ms(response) } else { 0 };
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn throttle_time_ms(response: &ResponseKind) -> i32 {
    use ResponseKind::*;
    match response {
        Produce(r) => r.throttle_time_ms,
        Fetch(r) => r.throttle_time_ms,
        ListOffsets(r) => r.throttle_time_ms,
        Metadata(r) => r.throttle_time_ms,
        OffsetCommit(r) => r.throttle_time_ms,
        OffsetFetch(r) => r.throttle_time_ms,
        FindCoordinator(r) => r.throttle_time_ms,
        JoinGroup(r) => r.throttle_time_ms,
        Heartbeat(r) => r.throttle_time_ms,
        LeaveGroup(r) => r.throttle_time_ms,
        SyncGroup(r) => r.throttle_time_ms,
        CreateTopics(r) => r.throttle_time_ms,
        DeleteTopics(r) => r.throttle_time_ms,
        InitProducerId(r) => r.throttle_time_ms,
        OffsetForLeaderEpoch(r) => r.throttle_time_ms,
        _ => 0,
    }
}

/// What stands where the length of a frame should: text as text.
fn beginning(bytes: &[u8], length: i64) -> String {
    let printable = |byte: &&u8| byte.is_ascii_graphic() || **byte == b' ';
    let text: String = bytes.iter().take(16).take_while(printable).map(|byte| char::from(*byte)).collect();
    if text.len() >= 4 {
        format!("it begins with `{text}`")
    } else {
        format!("it begins with a frame of {length} bytes")
    }
}

/// Other protocols by their first bytes, for an error that explains.
fn recognize(first: &[u8]) -> Result<(), ConnectionError> {
    match first {
        [b'H', b'T', b'T', b'P', ..] => Err(ConnectionError::HttpServer),
        // A TLS record: alert or handshake, version 3.x.
        [0x15 | 0x16, 0x03, 0..=4, ..] => Err(ConnectionError::TlsListener),
        _ => Ok(()),
    }
}
