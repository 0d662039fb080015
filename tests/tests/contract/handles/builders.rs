//! The builders of the handles. Settings are forwarded from the lists of kafka-core.

use super::{Client, Reader, Writer};
use kafka_core as rt;
use kafka_core::runtime::Runtime;
use kafka_core::{
    Acks, Assignor, Balancer, Compression, GroupConfig, Idempotence, Isolation, Reset, Result, Start, Str,
};
use std::sync::Arc;
use std::time::Duration;

/// A client to be, on a runtime.
#[derive(Debug)]
pub(crate) enum ClientBuilder<R> {
    Async(rt::ClientBuilder<R>),
    Blocking(kafka_blocking::ClientBuilder),
}

/// A reader to be.
#[derive(Debug)]
pub(crate) enum ReaderBuilder {
    Async(rt::ReaderBuilder),
    Blocking(rt::ReaderBuilder<kafka_blocking::Reader>),
}

/// A writer to be.
#[derive(Debug)]
pub(crate) enum WriterBuilder {
    Async(rt::WriterBuilder),
    Blocking(rt::WriterBuilder<kafka_blocking::Writer>),
}

/// Forwards the methods that a list has.
macro_rules! forward {
    ($(#[$attribute:meta])* struct $config:ident of $part:ident, drafted as $draft:ident;
     $($how:ident $name:ident $arguments:tt $fields:tt)+) => {
        $(forward_one! { $how $name $arguments })+
    };
}

macro_rules! forward_one {
    (method $name:ident ($($argument:ident: $kind:ty $(as $value:expr)?),+)) => {
        pub(crate) fn $name(self, $($argument: $kind),+) -> Self {
            match self {
                Self::Async(it) => Self::Async(it.$name($($argument),+)),
                Self::Blocking(it) => Self::Blocking(it.$name($($argument),+)),
            }
        }
    };
    ($how:ident $name:ident ()) => {};
}

#[allow(dead_code, reason = "scenarios set some of the settings")]
impl<R: Runtime> ClientBuilder<R> {
    kafka_core::client_settings!(forward);

    pub(crate) async fn connect(self) -> Result<Client> {
        match self {
            Self::Async(it) => it.connect().await.map(Client::Async),
            Self::Blocking(it) => it.connect().map(Client::Blocking),
        }
    }
}

#[allow(dead_code, reason = "scenarios set some of the settings")]
impl ReaderBuilder {
    kafka_core::reader_settings!(forward);
    kafka_core::group_settings!(forward);
    forward_one! { method partition(partition: i32) }
    forward_one! { method topic(topic: impl Into<Str>) }
    forward_one! { method start(start: Start) }
    forward_one! { method group(id: impl Into<Str>) }
    forward_one! { method group_config(config: GroupConfig) }

    pub(crate) fn build(self) -> Result<Reader> {
        match self {
            Self::Async(it) => it.build().map(Reader::Async),
            Self::Blocking(it) => it.build().map(Reader::Blocking),
        }
    }
}

#[allow(dead_code, reason = "scenarios set some of the settings")]
impl WriterBuilder {
    kafka_core::writer_settings!(forward);

    pub(crate) fn build(self) -> Result<Writer> {
        match self {
            Self::Async(it) => it.build().map(Writer::Async),
            Self::Blocking(it) => it.build().map(Writer::Blocking),
        }
    }
}
