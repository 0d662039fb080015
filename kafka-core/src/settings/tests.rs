//! What all settings have in common is tested by walking the lists, so that a new setting is tested without another line.

mod dependent;
mod methods;
mod properties;
mod ranges;

use super::draft::{Declared, Draft};
use super::*;
use crate::address::Address;
use crate::error::{ConnectionError, ErrorKind};
use crate::group::Assignor;
use crate::reader::{Isolation, Reset};
use crate::rt::{Client, ClientBuilder, Inbound, Outbound, Runtime};
use crate::writer::{Acks, Idempotence};
use kafka_proto::Str;
use kafka_proto::records::Compression;
use std::any::Any;
use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The fields of a configuration by name.
trait Fields: Declared {
    fn field(&mut self, name: &str) -> &mut dyn Any;
    fn show(&self, name: &str) -> String;
}

macro_rules! fields {
    ($(#[$attribute:meta])* struct $config:ident of $part:ident, drafted as $draft:ident;
     $($how:ident $method:ident $arguments:tt {$(
        $(#[doc = $meaning:literal])+
        $field:ident: $type:ty = $default:tt, $unit:literal, $range:tt, $java:tt
        $(else client.$inherited:ident)? $(also group.$twin:ident)?;
     )+})+) => {
        impl Fields for $config {
            fn field(&mut self, name: &str) -> &mut dyn Any {
                match name {
                    $($(stringify!($field) => &mut self.$field,)+)+
                    _ => panic!("there is no {name}"),
                }
            }

            fn show(&self, name: &str) -> String {
                match name {
                    $($(stringify!($field) => format!("{:?}", self.$field),)+)+
                    _ => panic!("there is no {name}"),
                }
            }
        }
    };
}

crate::client_settings!(fields);
crate::writer_settings!(fields);
crate::reader_settings!(fields);
crate::group_settings!(fields);

#[test]
fn each_has_a_meaning_and_one_name_per_part() {
    let mut names = BTreeSet::new();
    for setting in all() {
        assert!(setting.meaning.len() > 5, "{setting}");
        let row = setting.to_string();
        assert_eq!(row.matches('|').count(), 8, "{row}");
        assert!(!row.contains("]("), "a link in the table: {row}");
        assert!(names.insert((setting.part as u8, setting.name)), "{setting}");
    }
}

#[test]
fn defaults_are_those_of_the_code() {
    let of = |part, name| all().into_iter().find(|s| s.part == part && s.name == name).unwrap().default;
    let buffer = WriterConfig::default().buffer_bytes >> 20;
    assert_eq!(of(Part::Writer, "buffer_bytes"), format!("{buffer} MiB"));
    let timeout = ClientConfig::default().request_timeout.as_secs();
    assert_eq!(of(Part::Client, "request_timeout"), format!("{timeout} s"));
    assert_eq!(of(Part::Group, "assignors"), "`range`, `roundrobin`");
    assert_eq!(of(Part::Writer, "acks"), "`Acks::All`");
}

#[test]
fn the_defaults_are_valid() {
    ClientConfig { bootstrap: vec![address()], ..ClientConfig::default() }.validate().unwrap();
    WriterConfig::default().validate().unwrap();
    ReaderConfig::default().validate().unwrap();
    GroupConfig::new("g").validate().unwrap();
}

fn address() -> Address {
    Address::parse("b:9092").unwrap()
}

fn builder() -> ClientBuilder<Still> {
    ClientBuilder::new("b:9092")
}

/// The setting that is named first, once the error names the other one as well.
#[track_caller]
fn refused<T>(result: crate::Result<T>, other: &str) -> &'static str {
    let Err(error) = result else { panic!("it was accepted") };
    assert!(error.to_string().contains(other), "{error} does not name {other}");
    match error.kind() {
        ErrorKind::Config { setting, .. } => setting,
        kind => panic!("{kind:?}"),
    }
}

/// A runtime on which nothing ever happens.
#[derive(Clone, Debug)]
struct Still(Instant);

impl Runtime for Still {
    type Stream = ();

    #[expect(clippy::disallowed_methods, reason = "time has to begin somewhere")]
    fn current() -> crate::Result<Self> {
        Ok(Self(Instant::now()))
    }

    fn seed(&self) -> u64 {
        7
    }

    fn now(&self) -> Instant {
        self.0
    }

    fn wall_ms(&self) -> i64 {
        0
    }

    /// A task that is dropped would end the client.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        std::mem::forget(Box::pin(task));
    }

    async fn resolve(&self, _: Str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(Vec::new())
    }

    async fn connect(&self, _: SocketAddr, _: Instant) -> io::Result<()> {
        Ok(())
    }

    async fn sleep_until(&self, _: Instant) {
        std::future::pending().await
    }

    async fn drive(&self, (): (), inbound: Inbound, _: Outbound) -> (ConnectionError, Inbound) {
        (ConnectionError::ClosedByClient, inbound)
    }

    fn offload(&self, _: impl FnOnce() + Send + 'static) {}
}
