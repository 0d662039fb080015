//! One connection's task: bytes between a socket and its link, requests between the link and the client.
//!
//! The client's lock is taken to fetch a request and to give an answer, never while anything is encoded, decoded,
//! compressed or checksummed.

use super::outbox::EndHook;
use super::runtime::Stream;
use super::shared::Shared;
use crate::client::{Input, Key};
use crate::error::ConnectionError;
use crate::link::{Answered, ConnId, LinkInbound, LinkOutbound, MAX_SLICES, Received, Transmit, Unanswered};
use kafka_proto::Bytes;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Bytes handed to a socket ahead of its taking them; what is not handed out can still expire or move.
const TRANSMIT_BUDGET: usize = 256 << 10;
/// After so many reads and writes in a row others get their turn.
const TURNS: usize = 64;

/// The reading half of a connection.
#[derive(Debug)]
pub struct Inbound {
    shared: Arc<Shared>,
    conn: ConnId,
    link: LinkInbound,
}

/// The writing half of a connection.
#[derive(Debug)]
pub struct Outbound {
    shared: Arc<Shared>,
    conn: ConnId,
    link: LinkOutbound,
    ready: bool,
}

impl Inbound {
    pub(super) fn new(shared: Arc<Shared>, conn: ConnId, link: LinkInbound) -> Self {
        Self { shared, conn, link }
    }

    /// Where the next bytes of the socket go; never empty.
    pub fn room(&mut self) -> &mut [u8] {
        self.link.room()
    }

    /// The socket gave so many bytes; 0 is the end of the stream.
    ///
    /// # Errors
    /// The connection is to end.
    pub fn received(&mut self, len: usize) -> Result<(), ConnectionError> {
        if len == 0 {
            return Err(self.link.end_of_stream());
        }
        self.link.received(len);
        while let Some(mut received) = self.link.poll()? {
            // What the client keeps nothing of ends with the frame, outside of the lock.
            let mut _frame = Bytes::new();
            if let Received::Response { response: Answered::Digested(digested), .. } = &mut received {
                _frame = digested.take_frame();
            }
            let is_setup = !matches!(received, Received::Response { .. });
            if let Some(input) = received.into_input(self.conn) {
                self.shared.input(input);
            }
            if is_setup {
                self.wake_writer();
            }
        }
        Ok(())
    }

    /// What an error of the socket means here: one that was reset ended as one that was closed.
    pub fn broken(&self, error: io::Error) -> ConnectionError {
        self.link.broken(error)
    }

    /// The writing half may sleep without knowing that it may go on.
    fn wake_writer(&self) {
        self.shared.with(|state| state.wake_conn(self.conn));
    }

    /// The reading half has ended, so the writing half shall: it is woken, and what [`Outbound::on_end`] was given is run.
    pub fn end(&self) {
        self.shared.with(|state| state.end_conn(self.conn));
    }

    /// Ends the link: what was handed out and not answered.
    pub(super) fn finish(&mut self) -> Vec<Unanswered> {
        self.link.finish()
    }
}

impl Outbound {
    pub(super) fn new(shared: Arc<Shared>, conn: ConnId, link: LinkOutbound) -> Self {
        Self { shared, conn, link, ready: false }
    }

    /// Calls `hook`, once and from any thread, as soon as the connection is told to end; not where it ends by itself.
    /// For adapters whose threads wait inside the socket and cannot be woken: the hook shuts it down.
    pub fn on_end(&self, hook: impl FnOnce() + Send + 'static) {
        let hook: EndHook = Box::new(hook);
        self.shared.with(|state| state.on_end(self.conn, hook));
    }

    /// Ready when there is something to write.
    ///
    /// # Errors
    /// The connection is to end.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        if !self.poll_setup()? && self.link.is_empty() {
            self.await_end(cx)?;
            // Asked again: the reading half may have gone on between the first look and the waker's being known.
            if !self.poll_setup()? && self.link.is_empty() {
                return Poll::Pending;
            }
        }
        while self.ready && self.link.pending_bytes() < TRANSMIT_BUDGET {
            match self.next_transmit(cx)? {
                Poll::Ready(transmit) => self.encode(transmit),
                Poll::Pending if self.link.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Whether requests may be handed out.
    fn poll_setup(&mut self) -> Result<bool, ConnectionError> {
        if !self.ready {
            self.ready = self.link.poll_setup()?;
        }
        Ok(self.ready)
    }

    fn next_transmit(&self, cx: &Context<'_>) -> Result<Poll<Transmit>, ConnectionError> {
        let now = self.shared.now();
        self.shared.poll(cx, |state, wait| {
            if state.is_ending(self.conn) {
                return Err(ConnectionError::ClosedByClient);
            }
            match state.core.poll_transmit(now, self.conn) {
                Some(transmit) => Ok(Poll::Ready(transmit)),
                None => {
                    state.wait(Key::Conn(self.conn), wait);
                    Ok(Poll::Pending)
                }
            }
        })
    }

    /// To be woken when the connection is told to end, or has something to do.
    fn await_end(&self, cx: &Context<'_>) -> Result<(), ConnectionError> {
        self.shared.poll(cx, |state, wait| {
            if state.is_ending(self.conn) {
                return Err(ConnectionError::ClosedByClient);
            }
            state.wait(Key::Conn(self.conn), wait);
            Ok(())
        })
    }

    fn encode(&mut self, transmit: Transmit) {
        let id = transmit.id;
        if let Err(error) = self.link.queue(transmit) {
            self.shared.input(Input::Refused { conn: self.conn, id, error });
        }
    }

    /// Calls `write` with the bytes that wait for the socket.
    pub fn gather<R>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let mut few = [IoSlice::new(&[]); 64];
        let count = self.link.slices(&mut few);
        if count < few.len() {
            return write(&few[..count]);
        }
        let mut many = vec![IoSlice::new(&[]); MAX_SLICES];
        let count = self.link.slices(&mut many);
        write(&many[..count])
    }

    /// The socket took so many bytes.
    pub fn written(&mut self, len: usize) {
        for id in self.link.written(len) {
            self.shared.input(Input::Sent { conn: self.conn, id });
        }
    }
}

/// Both directions of a pollable stream in one task.
pub async fn drive_poll(
    mut stream: impl Stream,
    mut inbound: Inbound,
    mut outbound: Outbound,
) -> (ConnectionError, Inbound) {
    let error = poll_fn(|cx| poll_io(&mut stream, &mut inbound, &mut outbound, cx)).await;
    (error, inbound)
}

fn poll_io(
    stream: &mut impl Stream,
    inbound: &mut Inbound,
    outbound: &mut Outbound,
    cx: &mut Context<'_>,
) -> Poll<ConnectionError> {
    let mut reading = true;
    for _ in 0..TURNS {
        if reading {
            match poll_read(stream, inbound, cx) {
                Poll::Pending => reading = false,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(error),
            }
        }
        // What was read may have made room for more requests: the writing half is asked again after each read.
        let writing = match poll_write(stream, inbound, outbound, cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(error)) => return Poll::Ready(error),
        };
        if !reading && !writing {
            return Poll::Pending;
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

fn poll_read(
    stream: &mut impl Stream,
    inbound: &mut Inbound,
    cx: &mut Context<'_>,
) -> Poll<Result<(), ConnectionError>> {
    let len = ready!(stream.poll_read(cx, inbound.room()));
    let len = len.map_err(|error| inbound.broken(error))?;
    Poll::Ready(inbound.received(len))
}

fn poll_write(
    stream: &mut impl Stream,
    inbound: &Inbound,
    outbound: &mut Outbound,
    cx: &mut Context<'_>,
) -> Poll<Result<(), ConnectionError>> {
    ready!(outbound.poll_fill(cx))?;
    let Poll::Ready(len) = outbound.gather(|slices| stream.poll_write_vectored(cx, slices)) else {
        // The socket may never take another byte, and the connection has to hear of its end all the same.
        outbound.await_end(cx)?;
        return Poll::Pending;
    };
    match len.map_err(|error| inbound.broken(error))? {
        0 => Poll::Ready(Err(ConnectionError::Lost("the socket takes no more bytes".into()))),
        len => {
            outbound.written(len);
            Poll::Ready(Ok(()))
        }
    }
}
