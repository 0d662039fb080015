//! The handles that scenarios hold: those of kafka-core on an async runtime, or those of kafka-blocking.
//!
//! Scenarios await both. A blocking handle's call blocks the thread of the task that awaits it, as it blocks a program's
//! thread: so their adapter gives each task a thread of its own, and a wait that may be in vain ends by `_within`.
//! The methods are generated from the same list as those of kafka-blocking.

mod builders;
mod methods;

pub(crate) use builders::{ClientBuilder, ReaderBuilder, WriterBuilder};

use kafka_core::{Delivered, SendError};
use std::future::{Future, IntoFuture};
use std::pin::Pin;

/// A client.
#[derive(Clone, Debug)]
pub(crate) enum Client {
    Async(kafka_core::Client),
    Blocking(kafka_blocking::Client),
}

/// A reader.
#[derive(Debug)]
pub(crate) enum Reader {
    Async(kafka_core::Reader),
    Blocking(kafka_blocking::Reader),
}

/// A writer.
#[derive(Clone, Debug)]
pub(crate) enum Writer {
    Async(kafka_core::Writer),
    Blocking(kafka_blocking::Writer),
}

/// What becomes of a record.
#[derive(Debug)]
pub(crate) enum Delivery {
    Async(kafka_core::Delivery),
    Blocking(kafka_blocking::Delivery),
}

impl IntoFuture for Delivery {
    type Output = Result<Delivered, SendError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        match self {
            Self::Async(it) => Box::pin(it),
            Self::Blocking(it) => Box::pin(async { it.wait() }),
        }
    }
}
