//! Settings that contradict each other: an error where both were said, and a default that gives way otherwise.

use super::*;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn client() -> Client {
    builder().build().unwrap()
}

/// What a writer was built with.
fn writer(change: impl FnOnce(crate::rt::WriterBuilder) -> crate::rt::WriterBuilder) -> WriterConfig {
    change(client().writer("t")).build().unwrap().config().clone()
}

fn bad_writer(
    other: &str,
    change: impl FnOnce(crate::rt::WriterBuilder) -> crate::rt::WriterBuilder,
) -> &'static str {
    refused(change(client().writer("t")).build(), other)
}

/// What a reader of this draft would be built with.
fn reader(draft: Draft<ReaderConfig>, max_response: usize) -> ReaderConfig {
    draft.finish(|draft| pairs::reader(draft, max_response)).unwrap()
}

#[test]
fn a_backoff_is_not_above_its_longest() {
    let min = |min, max| refused(builder().retry_backoff(min, max).build(), "retry_backoff_max");
    assert_eq!(min(secs(2), secs(1)), "retry_backoff");
    let result = builder().reconnect_backoff(secs(2), secs(1)).build();
    assert_eq!(refused(result, "reconnect_backoff_max"), "reconnect_backoff");
    let result = client().reader("t").retry_backoff(secs(2), secs(1)).build();
    assert_eq!(refused(result, "backoff_max"), "backoff_min");
    // Of properties one can be said alone.
    let one =
        |name, value| ClientBuilder::<Still>::from_properties([("bootstrap.servers", "b"), (name, value)]);
    one("retry.backoff.ms", "5000").unwrap().build().unwrap().reader("t").build().unwrap();
    one("retry.backoff.max.ms", "10").unwrap().build().unwrap().reader("t").group("g").build().unwrap();
}

#[test]
fn a_batch_fits_into_a_request_and_the_buffer() {
    let named = bad_writer("request_bytes", |w| w.batch_bytes(4000).request_bytes(3000));
    assert_eq!(named, "batch_bytes");
    assert_eq!(bad_writer("buffer_bytes", |w| w.buffer_bytes(3000).batch_bytes(4000)), "batch_bytes");
    assert_eq!(writer(|w| w.request_bytes(3000)).batch_bytes, 3000);
    assert_eq!(writer(|w| w.buffer_bytes(3000)).batch_bytes, 3000);
    assert_eq!(writer(|w| w.request_bytes(3000).buffer_bytes(2000)).batch_bytes, 2000);
    let large = writer(|w| w.batch_bytes(64 << 20));
    assert_eq!((large.request_bytes, large.buffer_bytes), (64 << 20, 64 << 20));
}

#[test]
fn a_record_does_not_wait_for_others_until_its_delivery_has_to_end() {
    let named = bad_writer("delivery_timeout", |w| w.linger(secs(2)).delivery_timeout(secs(2)));
    assert_eq!(named, "linger");
    assert_eq!(writer(|w| w.delivery_timeout(ms(4))).linger, ms(2));
    assert_eq!(writer(|w| w.linger(secs(180))).delivery_timeout, secs(360));
}

#[test]
fn required_idempotence_needs_the_acks_of_all_replicas() {
    for acks in [Acks::One, Acks::None] {
        assert_eq!(bad_writer("acks", |w| w.idempotence(Idempotence::Required).acks(acks)), "idempotence");
        // The default does without.
        assert_eq!(writer(|w| w.acks(acks)).idempotence, Idempotence::IfSupported);
    }
    writer(|w| w.idempotence(Idempotence::Required));
}

#[test]
fn case_u6_a_level_is_one_of_its_codec() {
    use Compression::*;
    for (codec, level) in
        [(Gzip, 0), (Gzip, 10), (Gzip, -1), (Zstd, 99), (Zstd, -131_073), (Lz4, 1), (Snappy, 1), (None, 1)]
    {
        let named = bad_writer("compression`", |w| w.compression(codec).compression_level(level));
        assert_eq!(named, "compression_level", "{codec:?} {level}");
    }
    assert_eq!(bad_writer("compression`", |w| w.compression_level(3)), "compression_level");
    let good = [(Gzip, 1), (Gzip, 9), (Zstd, 22), (Zstd, -131_072), (Zstd, 0)];
    for (codec, level) in good.into_iter().filter(|(codec, _)| codec.is_enabled()) {
        writer(|w| w.compression_level(level).compression(codec));
    }
}

#[test]
fn a_codec_is_in_the_build() {
    for codec in Compression::ALL {
        let result = client().writer("t").compression(codec).build();
        match codec.is_enabled() {
            true => drop(result.unwrap()),
            false => assert_eq!(refused(result, "feature"), "compression"),
        }
    }
}

#[test]
fn case_m6_what_a_reader_asks_for_fits_into_a_response() {
    let client = builder().max_response_bytes(128 << 20).build().unwrap();
    let large = |bytes| client.reader("t").buffer_bytes(1 << 30).max_bytes(bytes);
    assert_eq!(refused(large(256 << 20).build(), "max_response_bytes"), "max_bytes");
    assert_eq!(refused(large(113 << 20).build(), "max_response_bytes"), "max_bytes");
    large(112 << 20).build().unwrap();
    // The buffer is the most that one answer brings.
    client.reader("t").max_bytes(256 << 20).build().unwrap();
    let result = client.reader("t").buffer_bytes(1 << 30).partition_max_bytes(200 << 20).build();
    assert_eq!(refused(result, "max_response_bytes"), "partition_max_bytes");

    // Defaults are cut.
    let cut = reader(Draft::default(), 64 << 10);
    assert_eq!((cut.max_bytes, cut.partition_max_bytes), (56 << 10, 56 << 10));
    builder().max_response_bytes(1 << 20).build().unwrap().reader("t").build().unwrap();
}

#[test]
fn case_m6_sizes_of_a_reader_fit_each_other() {
    let both = |result: crate::Result<crate::rt::Reader>, other| refused(result, other);
    let small = || client().reader("t").max_bytes(4000);
    assert_eq!(both(small().partition_max_bytes(5000).build(), "max_bytes"), "partition_max_bytes");
    assert_eq!(both(small().min_bytes(5000).build(), "max_bytes"), "min_bytes");
    let result = client().reader("t").buffer_bytes(4000).partition_max_bytes(5000).build();
    assert_eq!(both(result, "buffer"), "partition_max_bytes");

    let said = |names: [(&'static str, usize); 1]| {
        let mut draft = Draft::<ReaderConfig>::default();
        for (name, value) in names {
            *draft.config.field(name).downcast_mut::<usize>().unwrap() = value;
            draft.said.add(name);
        }
        reader(draft, usize::MAX)
    };
    assert_eq!(said([("max_bytes", 4000)]).partition_max_bytes, 4000);
    assert_eq!(said([("buffer", 4000)]).partition_max_bytes, 4000);
    assert_eq!(said([("min_bytes", 60 << 20)]).max_bytes, 60 << 20);
    assert_eq!(said([("partition_max_bytes", 60 << 20)]).buffer, 60 << 20);
}

#[test]
fn heartbeats_come_within_the_session() {
    let member = || client().reader("t").group("g");
    let result = member().session_timeout(secs(9)).heartbeat_interval(secs(9)).build();
    assert_eq!(refused(result, "session_timeout"), "heartbeat_interval");
    let given = |reader: crate::rt::ReaderBuilder| reader.group.finish(pairs::group).unwrap();
    assert_eq!(given(member().session_timeout(secs(3))).heartbeat_interval, secs(1));
    assert_eq!(given(member().session_timeout(secs(4))).heartbeat_interval, secs(3));
    assert_eq!(given(member().heartbeat_interval(secs(60))).session_timeout, secs(180));
}

#[test]
fn what_belongs_to_a_group_needs_one() {
    let alone = || client().reader("t");
    assert_eq!(refused(alone().session_timeout(secs(9)).build(), "group_id"), "session_timeout");
    assert_eq!(refused(alone().instance_id("i").build(), "group_id"), "instance_id");
    assert_eq!(refused(alone().assignors(Vec::new()).build(), "group_id"), "assignors");
    assert_eq!(refused(alone().group("g").partition(0).build(), "group_id"), "partition");
    // These are a reader's as well.
    alone().rack("r").retry_backoff(ms(1), ms(2)).request_timeout(secs(1)).build().unwrap();
}

#[test]
fn a_group_that_was_made_as_a_whole_has_no_defaults() {
    let mut config = GroupConfig::new("g");
    config.session_timeout = secs(2);
    assert_eq!(refused(config.validate(), "session_timeout"), "heartbeat_interval");
    assert_eq!(
        refused(client().reader("t").group_config(config).build(), "session_timeout"),
        "heartbeat_interval"
    );
}

/// They bound different things, so that either may be the longer one.
#[test]
fn no_contradictions_are_refused() {
    for (call, request) in [(secs(1), secs(90)), (secs(90), secs(1))] {
        let client =
            builder().call_timeout(call).request_timeout(request).connect_timeout(call).build().unwrap();
        let reader = || client.reader("t").request_timeout(request).max_wait(call);
        reader().build().unwrap();
        reader()
            .group("g")
            .session_timeout(call)
            .rebalance_timeout(request)
            .commit_timeout(call)
            .build()
            .unwrap();
        client.writer("t").delivery_timeout(call).build().unwrap();
    }
    let client = builder().max_in_flight(100).build().unwrap();
    client.writer("t").idempotence(Idempotence::Required).max_attempts(1).build().unwrap();
}
