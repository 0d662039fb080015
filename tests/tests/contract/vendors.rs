//! Which tests are left out with which vendor, and why. All others of the suite run with every vendor, new ones too.

use crate::adapter::OnBlocking;
use kafka_testkit::broker::Profile::{self, *};
use std::io::{Write, stderr};

/// Why a test, named `module::test`, is not run with a vendor's cluster; `None` if it is.
pub(crate) fn left_out(vendor: Profile, name: &str) -> Option<&'static str> {
    let found = LEFT_OUT.iter().find(|(vendors, test, _)| *test == name && vendors.contains(&vendor));
    found.map(|(.., why)| *why)
}

const EVERY: &[Profile] = &Profile::ALL;

const NOT_IDEMPOTENT: &[Profile] = &[EventHubs, Redpanda];

#[rustfmt::skip]
const LEFT_OUT: &[(&[Profile], &str, &str)] = &[
    (EVERY, "embedded::old_releases", "it starts clusters of its own"),
    (EVERY, "faults::all_brokers_gone_and_back", "the connection is gone whoever the broker was"),
    (EVERY, "groups::a_slow_handler_keeps_its_partitions", "it is about the application's time, and takes three seconds"),
    (NOT_IDEMPOTENT, "faults::a_broker_dies_while_writing", "it requires idempotence, which is not offered"),
    (NOT_IDEMPOTENT, "faults::leaders_move", "it requires idempotence, which is not offered"),
    (NOT_IDEMPOTENT, "faults::answers_that_are_lost_write_nothing_twice", "without idempotence they do"),
    (&[EventHubs], "round_trip::every_codec", "compression is not offered"),
    (&[Kop], "embedded::one_busy_partition_among_idle_ones", "each write would take the wait of a fetch, five seconds"),
    (&[Kop], "cancel::promise_21_dropped_reads", "each write would take the wait of a fetch"),
    // An answer after the grace, of five seconds: Event Hubs is enough, whose Metadata is the oldest.
    (&[Msk, Redpanda, Kop, Envoy, Kroxylicious], "writing::an_unknown_topic", "it takes five seconds"),
    (&[Msk, Redpanda, Kop, Envoy, Kroxylicious], "reading::one_partition_of_several", "it takes five seconds"),
    (
        &[Msk, Redpanda, Envoy, Kroxylicious],
        "embedded::a_member_comes_back_after_any_heartbeat_error",
        "two seconds, and heartbeats are as everywhere",
    ),
    // Requests are counted over five seconds.
    (&[Msk, Kop, Envoy], "embedded::an_idle_client_keeps_quiet", "it takes five seconds"),
];

/// Prints both lists in each run, captured or not.
#[test]
fn what_is_left_out_exists() {
    let with_vendors = LEFT_OUT.iter().map(|(vendors, test, why)| (format!("{vendors:?}"), *test, *why));
    let blocking = OnBlocking::LEFT_OUT.map(|(test, why)| ("blocking handles".to_owned(), test, why));
    for (with, test, why) in with_vendors.chain(blocking) {
        let _ = writeln!(stderr(), "left out with {with}: {test}: {why}");
        assert!(crate::on_tokio::NAMES.contains(&test), "{test}: {why}");
    }
}
