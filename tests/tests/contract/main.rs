//! The contract: what every adapter does, against the embedded broker and against real clusters.
//!
//! One body of tests, instantiated for each adapter, and once more with the blocking handles. It runs against an embedded cluster unless
//! `KAFKA_BOOTSTRAP_SERVERS` is set, see [`target`]. On tokio it also runs against the broker of each vendor, as the embedded
//! cluster plays it, see [`vendors`].

mod adapter;
mod blocking;
mod cancel;
mod embedded;
mod faults;
mod groups;
mod handles;
mod oddities;
mod reading;
mod round_trip;
mod subscribing;
mod target;
mod tools;
mod vendors;
mod writing;

use adapter::Adapter;
use kafka_testkit::broker::Profile;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use target::{Target, Turn};

/// A test that takes longer has failed. Real brokers need a while to notice that one is gone, and to start.
fn watchdog(real: bool) -> Duration {
    Duration::from_secs(if real { 180 } else { 60 })
}

/// Where a test can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Anywhere.
    Any,
    /// Anywhere, alone: it stops brokers.
    Alone,
    /// On the embedded cluster only.
    Embedded,
}

/// Runs one test with the vendor's cluster, unless it is among those that are left out there or with the adapter.
fn run_on<A: Adapter>(
    vendor: Option<Profile>,
    kind: Kind,
    name: &str,
    test: impl AsyncFnOnce(&Target) + Send + 'static,
) {
    let left_out = vendor.and_then(|vendor| vendors::left_out(vendor, name));
    match left_out.or(A::left_out(name)) {
        Some(why) => println!("LEFT OUT: {why}"),
        None => run::<A>(vendor, kind, test),
    }
}

/// Runs one test in a thread of its own, and fails it where it hangs.
fn run<A: Adapter>(vendor: Option<Profile>, kind: Kind, test: impl AsyncFnOnce(&Target) + Send + 'static) {
    let real = std::env::var_os("KAFKA_BOOTSTRAP_SERVERS").is_some();
    if real && vendor.is_some() {
        return println!("SKIPPED: the embedded cluster plays a vendor");
    }
    let _turn = real.then(|| Turn::take(kind == Kind::Alone));
    let (done, ended) = channel();
    let body = thread::spawn(move || {
        if kind == Kind::Embedded && real {
            println!("SKIPPED: it needs the embedded cluster");
        } else {
            let target = vendor.map_or_else(|| Target::new(3), |vendor| Target::of_vendor(vendor, 3));
            if kind == Kind::Alone {
                target.heal();
            }
            A::block_on(test(&target));
        }
        // Not sent after a panic: the channel is closed then.
        let _ = done.send(());
    });
    match ended.recv_timeout(watchdog(real)) {
        Err(RecvTimeoutError::Timeout) => panic!("not finished after {:?}", watchdog(real)),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
    }
    if let Err(panic) = body.join() {
        resume_unwind(panic);
    }
}

macro_rules! tests {
    ($adapter:ty, $vendor:expr; $($module:ident: $($kind:ident $test:ident),+;)+) => {
        /// All that is run here, as `module::test`.
        #[allow(dead_code, reason = "one suite is asked")]
        pub(crate) const NAMES: &[&str] =
            &[$($(concat!(stringify!($module), "::", stringify!($test)),)+)+];
        $(mod $module {
            use crate::{Kind, run_on};
            $(#[test]
            fn $test() {
                let name = concat!(stringify!($module), "::", stringify!($test));
                run_on::<$adapter>($vendor, Kind::$kind, name, crate::$module::$test::<$adapter>);
            })+
        })+
    };
}

/// All tests, for one adapter, on the cluster of a vendor if one is named.
macro_rules! suite {
    ($name:ident, $adapter:ty) => {
        suite!($name, $adapter, None);
    };
    ($name:ident, $adapter:ty, $vendor:expr) => {
        mod $name {
            tests! { $adapter, $vendor;
                round_trip:
                    Any every_codec,
                    Any a_record_is_forwarded,
                    Any keys_are_placed_as_by_java,
                    Any headers_keep_order_duplicates_and_nulls,
                    Any null_and_empty_are_different,
                    Any timestamps,
                    Any large_values;
                writing:
                    Any acks_of_one_and_of_none,
                    Any many_topics_from_one_writer,
                    Any a_message_larger_than_the_writer_allows,
                    Any a_message_larger_than_the_broker_allows,
                    Any an_unknown_topic,
                    Any a_topic_made_anew_is_known_at_once,
                    Any a_topic_that_comes_within_the_grace,
                    Any each_batch_of_a_call_has_the_time_at_which_it_was_begun,
                    Any flush_waits_for_all,
                    Any close_delivers_and_refuses_what_comes_later,
                    Any use_after_close,
                    Any unread_deliveries_stall_nobody,
                    Any two_hundred_writers_on_one_client,
                    Any one_writer_shared_by_tasks;
                reading:
                    Any starts_where_it_is_told,
                    Any seeks,
                    Any positions_of_many_partitions,
                    Any pauses_and_resumes,
                    Any lends_batches,
                    Any one_partition_of_several;
                subscribing:
                    Any several_topics_without_a_group,
                    Any a_pattern_finds_a_topic_that_comes_later,
                    Any a_change_of_topics_keeps_what_stays,
                    Any chosen_partitions_are_replaced,
                    Any a_group_of_two_changes_its_topics,
                    Any a_member_waits_for_a_topic_that_matches,
                    Any each_kind_of_reader_refuses_the_other_change;
                groups:
                    Any members_come_and_go,
                    Any commits_and_resumes,
                    Any read_commits_what_was_handled,
                    Any what_is_marked_is_committed,
                    Embedded an_assignor_may_use_the_client,
                    Any a_stale_commit_is_an_error,
                    Embedded a_slow_handler_keeps_its_partitions,
                    Any where_nothing_is_committed_a_group_begins_at_its_start;
                faults:
                    Alone a_broker_dies_while_writing,
                    Alone a_broker_dies_while_reading,
                    Embedded leaders_move,
                    Embedded leaders_move_without_idempotence,
                    Embedded the_first_batches_are_refused,
                    Embedded answers_that_are_lost_write_nothing_twice,
                    Embedded all_brokers_gone_and_back,
                    Embedded close_reports_what_it_could_not_deliver,
                    Embedded try_send_gives_the_message_back,
                    Embedded a_member_survives_its_coordinator;
                cancel:
                    Any promise_21_dropped_sends,
                    Any promise_21_dropped_deliveries_and_flushes,
                    Any promise_21_dropped_writes,
                    Any promise_21_dropped_reads,
                    Any promise_21_dropped_commits,
                    Any promise_21_dropped_calls;
                embedded:
                    Embedded an_idle_client_keeps_quiet,
                    Embedded one_busy_partition_among_idle_ones,
                    Embedded old_releases,
                    Embedded a_member_comes_back_after_any_heartbeat_error;
            }
        }
    };
}

suite!(on_tokio, crate::adapter::OnTokio);
suite!(on_smol, crate::adapter::OnSmol);
suite!(on_async_std, crate::adapter::OnAsyncStd);
suite!(on_threads, crate::adapter::OnThreads);
suite!(on_blocking, crate::adapter::OnBlocking);

/// The suite on tokio for each vendor, and what only makes sense with one.
mod with {
    suite!(event_hubs, crate::adapter::OnTokio, Some(kafka_testkit::broker::Profile::EventHubs));
    suite!(msk, crate::adapter::OnTokio, Some(kafka_testkit::broker::Profile::Msk));
    suite!(redpanda, crate::adapter::OnTokio, Some(kafka_testkit::broker::Profile::Redpanda));
    suite!(kop, crate::adapter::OnTokio, Some(kafka_testkit::broker::Profile::Kop));
    suite!(envoy, crate::adapter::OnTokio, Some(kafka_testkit::broker::Profile::Envoy));
    suite!(kroxylicious, crate::adapter::OnTokio, Some(kafka_testkit::broker::Profile::Kroxylicious));
}

/// What only shows with a vendor's broker.
mod oddities_on_tokio {
    use crate::adapter::OnTokio;
    use crate::{Kind, oddities, run};
    use kafka_testkit::broker::Profile;

    #[test]
    fn a_forgotten_connection_costs_one_attempt() {
        run::<OnTokio>(Some(Profile::Msk), Kind::Any, oddities::a_forgotten_connection_costs_one_attempt);
    }

    #[test]
    fn requests_shrink_to_what_the_broker_takes() {
        let vendor = Some(Profile::EventHubs);
        run::<OnTokio>(vendor, Kind::Any, oddities::requests_shrink_to_what_the_broker_takes);
    }

    #[test]
    fn an_old_proxy_fails_few_connections() {
        let vendor = Some(Profile::Kroxylicious);
        run::<OnTokio>(vendor, Kind::Any, oddities::an_old_proxy_fails_few_connections);
    }

    #[test]
    fn writing_without_idempotence_is_told() {
        for vendor in [Profile::EventHubs, Profile::Redpanda] {
            run::<OnTokio>(Some(vendor), Kind::Any, oddities::writing_without_idempotence_is_told);
        }
    }

    #[test]
    fn acks_of_none_disturb_nobody() {
        run::<OnTokio>(Some(Profile::EventHubs), Kind::Any, oddities::acks_of_none_disturb_nobody);
    }

    #[test]
    fn null_assignments_break_no_connection() {
        let vendor = Some(Profile::EventHubs);
        run::<OnTokio>(vendor, Kind::Any, oddities::null_assignments_break_no_connection);
    }
}

/// What only the blocking adapter's handles have.
mod blocking_handles {
    use crate::{Kind, run};

    #[test]
    fn write_read_commit_and_close() {
        run::<crate::adapter::OnThreads>(None, Kind::Any, crate::blocking::write_read_commit_and_close);
    }

    #[test]
    fn waits_end_in_time() {
        run::<crate::adapter::OnThreads>(None, Kind::Any, crate::blocking::waits_end_in_time);
    }

    #[test]
    fn waits_that_end_lose_nothing() {
        run::<crate::adapter::OnThreads>(None, Kind::Any, crate::blocking::waits_that_end_lose_nothing);
    }
}
