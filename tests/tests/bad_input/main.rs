//! The table of bad input: whatever a user, a broker or the machine gets wrong ends in one typed error that says what,
//! whose fault and what to do, by the deadline; nothing hangs and the rest goes on.
//!
//! The cases know no runtime: they use the handles of `kafka_core`, and [`on`] instantiates all of them for an adapter.

mod addresses;
mod brokers;
mod calls;
mod fake;
mod misuse;
mod support;
mod surroundings;
mod wrapped;

/// All cases on one adapter: `on!(module, its Runtime, what runs a future to its end)`.
macro_rules! on {
    ($adapter:ident, $runtime:ty, $block_on:path) => {
        mod $adapter {
            table! { $runtime, $block_on,
                addresses {
                    malformed ipv6_literal no_such_host nobody_listens dead_ipv6_beside_live_ipv4 http_server
                    tls_listener_that_alerts tls_listener_that_closes sasl_listener foreign_protocol
                    accepts_and_never_answers trickles advertised_address_unreachable two_clusters
                    bad_addresses_beside_a_good_one
                }
                brokers {
                    wrong_correlation_id negative_frame_length huge_frame_length truncated_response
                    undecodable_response stops_reading bad_crc unknown_codec decompression_bomb not_enough_replicas
                    headers_on_an_old_broker zstd_on_an_old_broker idempotence_on_an_old_broker
                }
                calls {
                    invalid_topic unknown_topic topic_not_authorised topic_not_readable group_not_authorised partition_out_of_range
                    message_too_large_for_the_writer message_too_large_for_the_broker timestamp_refused
                    balancer_that_panics balancer_out_of_range assignor_that_panics assignor_out_of_range
                    assignor_whose_user_data_panics zero_partitions client_settings writer_settings
                    reader_settings extreme_times session_timeout_refused inconsistent_group_protocol group_full
                }
                misuse {
                    use_after_close commit_of_another_reader commit_of_an_ended_assignment commit_without_a_group
                    two_topics_or_none
                }
                surroundings { out_of_file_descriptors }
            }
        }
    };
}

macro_rules! table {
    ($runtime:ty, $block_on:path, $($module:ident { $($case:ident)* })*) => {$(
        mod $module {$(
            #[test]
            fn $case() {
                let name = concat!(module_path!(), "::", stringify!($case));
                crate::support::watched(name, || $block_on(crate::$module::$case::<$runtime>()));
            }
        )*}
    )*};
}

/// Each ends in an error of its own kind, with a hint.
mod promise_23 {
    on!(on_tokio, kafka_tokio::Tokio, crate::support::block_on_tokio);
    on!(on_smol, kafka_smol::Smol, smol::block_on);
    on!(on_async_std, kafka_smol::AsyncStd, async_std::task::block_on);
    on!(on_threads, kafka_blocking::Blocking, crate::support::block_on_threads);
}

/// What only a runtime that can be missing or dropped is asked.
mod only_tokio {
    use crate::misuse::tokio::{outside_a_runtime, runtime_dropped};
    use crate::support::watched;

    #[test]
    fn outside() {
        watched("bad_input::only_tokio::outside", outside_a_runtime);
    }

    #[test]
    fn dropped() {
        watched("bad_input::only_tokio::dropped", runtime_dropped);
    }
}

/// Calls of kafka-blocking, where they should not be made.
mod only_blocking {
    use crate::misuse::blocking;
    use crate::support::watched;

    #[test]
    fn in_a_tokio_task() {
        watched("bad_input::only_blocking::in_a_tokio_task", blocking::in_a_tokio_task);
    }

    #[test]
    fn in_the_only_thread_of_tokio() {
        let name = "bad_input::only_blocking::in_the_only_thread_of_tokio";
        watched(name, blocking::in_the_only_thread_of_tokio);
    }

    #[test]
    fn in_a_smol_task() {
        watched("bad_input::only_blocking::in_a_smol_task", blocking::in_a_smol_task);
    }

    #[test]
    fn in_an_async_std_task() {
        watched("bad_input::only_blocking::in_an_async_std_task", blocking::in_an_async_std_task);
    }

    #[test]
    fn in_a_balancer() {
        watched("bad_input::only_blocking::in_a_balancer", blocking::in_a_balancer);
    }

    #[test]
    fn in_an_assignor() {
        watched("bad_input::only_blocking::in_an_assignor", blocking::in_an_assignor);
    }
}
