//! The builder of writers.

use crate::error::Result;
use crate::rt::shared::Handle;
use crate::rt::writer::Writer;
use crate::settings::draft::Draft;
use crate::settings::pairs;
use crate::writer::{Acks, Balancer, Idempotence, WriterConfig};
use kafka_proto::Str;
use kafka_proto::records::Compression;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// Builds a [`Writer`].
///
/// `W` is the handle that [`build`](Self::build) returns. It differs where an adapter has handles of its own, as kafka-blocking does.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct WriterBuilder<W = Writer> {
    handle: Handle,
    pub(crate) writer: Draft<WriterConfig>,
    made: PhantomData<fn() -> W>,
}

impl<W: From<Writer>> WriterBuilder<W> {
    pub(in crate::rt) fn new(handle: Handle, mut writer: Draft<WriterConfig>, topic: Option<Str>) -> Self {
        writer.config.topic = topic;
        Self { handle, writer, made: PhantomData }
    }

    /// The same settings for another form of the handle.
    pub fn making<V: From<Writer>>(self) -> WriterBuilder<V> {
        WriterBuilder { handle: self.handle, writer: self.writer, made: PhantomData }
    }

    crate::writer_settings!(crate::declare::methods);

    /// Makes the writer. Nothing is asked of a broker before the first message.
    ///
    /// # Errors
    /// A setting out of its range, or two that contradict each other, by name; or that the client is closed.
    pub fn build(self) -> Result<W> {
        let config = self.writer.finish(pairs::writer)?;
        Writer::new(self.handle, config).map(W::from)
    }
}
