//! The handles where the traits of the futures crates are expected.

use super::reader::Reader;
use super::writer::Writer;
use crate::error::Result;
use crate::message::{Message, Record};
use crate::sans_io::TrySendReason;
use crate::writer::{Delivery, SendError};
use futures_core::Stream;
use futures_sink::Sink;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// As [`Reader::fetch`], record by record.
impl Stream for Reader {
    type Item = Result<Record>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_fetch(cx).map(Result::transpose)
    }
}

type Sending = Pin<Box<dyn Future<Output = Result<Delivery, SendError>> + Send>>;

/// A writer as a sink, see [`Writer::sink`].
pub struct WriterSink {
    writer: Writer,
    /// A message that waits for room or metadata.
    sending: Option<Sending>,
    deliveries: VecDeque<Delivery>,
}

impl WriterSink {
    pub(super) fn new(writer: Writer) -> Self {
        Self { writer, sending: None, deliveries: VecDeque::new() }
    }

    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if let Some(sending) = &mut self.sending {
            let sent = ready!(sending.as_mut().poll(cx));
            self.sending = None;
            self.deliveries.push_back(sent?);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes off the deliveries that have ended, from the front; an error of one.
    fn poll_delivered(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        while let Some(delivery) = self.deliveries.front_mut() {
            let delivered = ready!(Pin::new(delivery).poll(cx));
            self.deliveries.pop_front();
            delivered?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Sink<Message> for WriterSink {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let this = self.get_mut();
        if let Poll::Ready(Err(error)) = this.poll_delivered(cx) {
            return Poll::Ready(Err(error));
        }
        this.poll_sending(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        let this = self.get_mut();
        match this.writer.try_send(message) {
            Ok(delivery) => this.deliveries.push_back(delivery),
            Err(refused) => match refused.reason {
                TrySendReason::Failed(error) => return Err(error),
                TrySendReason::Full | TrySendReason::TopicPending => {
                    let writer = this.writer.clone();
                    let message = *refused.message;
                    this.sending = Some(Box::pin(async move { writer.send(message).await }));
                }
            },
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let this = self.get_mut();
        ready!(this.poll_sending(cx))?;
        if !this.deliveries.is_empty() {
            this.writer.begin_flush();
        }
        this.poll_delivered(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_flush(cx)
    }
}

impl fmt::Debug for WriterSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterSink").field("writer", &self.writer).finish_non_exhaustive()
    }
}
