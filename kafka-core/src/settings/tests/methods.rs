//! Each method of a builder changes the fields that it names.

use super::*;
use crate::group::Range;
use crate::writer::Manual;

/// A value that is nobody's default.
trait Sample {
    fn sample() -> Self;
}

macro_rules! samples {
    ($($type:ty = $value:expr),+ $(,)?) => {$(
        impl Sample for $type {
            fn sample() -> Self {
                $value
            }
        }
    )+};
}

samples!(
    Duration = Duration::from_millis(1234),
    usize = 123_456,
    u32 = 123,
    u64 = 123,
    i32 = 5,
    Acks = Acks::One,
    Idempotence = Idempotence::Off,
    Compression = Compression::Gzip,
    Isolation = Isolation::ReadCommitted,
    Reset = Reset::Last,
    Vec<Arc<dyn Assignor>> = vec![Arc::new(Range)],
);

/// An argument's value: by its name where its type does not say which.
macro_rules! sample {
    (id) => {
        "sample"
    };
    (rack) => {
        "sample"
    };
    (balancer) => {
        Manual
    };
    // The one that is on by default, and the one that is off.
    (check) => {
        false
    };
    (allow) => {
        true
    };
    ($argument:ident) => {
        Sample::sample()
    };
}

/// Calls each method of a list on a builder, and compares the fields.
macro_rules! each {
    ($(#[$attribute:meta])* struct $config:ident of $part:ident, drafted as $draft:ident;
     $($how:ident $method:ident $arguments:tt $fields:tt)+) => {
        fn $draft() {
            let _client = builder().build().unwrap();
            $( one!($draft _client $how $method $arguments $fields); )+
        }
    };
}

macro_rules! one {
    ($draft:ident $client:ident method $method:ident ($($argument:ident: $kind:ty $(as $value:expr)?),+) {$(
        $(#[doc = $meaning:literal])+
        $field:ident: $type:ty = $default:tt, $unit:literal, $range:tt, $java:tt
        $(else client.$inherited:ident)? $(also group.$twin:ident)?;
    )+}) => {
        let before = begin!($draft $client);
        let after = begin!($draft $client).$method($(sample!($argument)),+);
        $(
            let name = stringify!($field);
            let (old, new) = (before.$draft.config.show(name), after.$draft.config.show(name));
            assert_ne!(old, new, "{}", stringify!($method));
            assert!(!before.$draft.said.has(name) && after.$draft.said.has(name), "{name}");
            $(
                let name = stringify!($twin);
                assert_ne!(before.group.config.show(name), after.group.config.show(name), "{name}");
                assert!(after.group.said.has(name), "{name}");
            )?
        )+
    };
    ($draft:ident $client:ident elsewhere $($rest:tt)*) => {};
    ($draft:ident $client:ident only $($rest:tt)*) => {};
}

macro_rules! begin {
    (client $client:ident) => {
        builder()
    };
    (writer $client:ident) => {
        $client.writer("t")
    };
    ($draft:ident $client:ident) => {
        $client.reader("t")
    };
}

crate::client_settings!(each);
crate::writer_settings!(each);
crate::reader_settings!(each);
crate::group_settings!(each);

#[test]
fn each_method_changes_its_fields() {
    client();
    writer();
    reader();
    group();
}

#[test]
fn readers_take_over_what_the_client_was_given() {
    let (min, max) = (Duration::from_millis(11), Duration::from_millis(22));
    let client = builder()
        .retry_backoff(min, max)
        .request_timeout(Duration::from_secs(3))
        .call_timeout(Duration::from_secs(4))
        .unknown_topic_grace(Duration::from_secs(5));
    let reader = client.build().unwrap().reader("t");
    let (config, group) = (&reader.reader.config, &reader.group.config);
    assert_eq!((config.backoff_min, config.backoff_max), (min, max));
    assert_eq!((group.backoff_min, group.backoff_max), (min, max));
    assert_eq!(config.request_timeout, Duration::from_secs(3));
    assert_eq!(group.request_timeout, Duration::from_secs(3));
    assert_eq!(group.commit_timeout, Duration::from_secs(4));
    assert_eq!(config.unknown_topic_grace, Duration::from_secs(5));
}
