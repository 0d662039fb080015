//! Planted bugs: what a simulator that finds none of them would be worth. `xtask sim --mutants` plants them one after the other.

use std::sync::RwLock;

/// Their names and what each does.
pub const ALL: &[(&str, &str)] = &[
    ("sequence_not_rewound", "a batch that is sent again takes the next sequence"),
    ("duplicate_ack_of_lost_batch", "the sequence of a batch that may be written is used again"),
    ("newer_batch_first", "a newer batch leaves before one that failed is back in the queue"),
    ("possibly_written_told_as_not", "what may have been written is told as not written"),
    ("deadline_ignored", "batches have no delivery timeout"),
    ("wakeup_lost", "who waits for room in a full buffer is not woken"),
    (
        "rest_of_room_wakes_nobody",
        "room that was granted and not needed goes to the next in line, who is not woken",
    ),
    ("send_all_overtakes", "the message of a list that waits for room is overtaken by the next"),
    ("send_budget_not_returned", "a send that is dropped keeps the room it was granted"),
    ("fetch_budget_not_returned", "the bytes of a fetched frame are never given back"),
    ("fetch_starves", "a fetch waits for room although the application waits and keeps what it has"),
    ("flush_forgets_open_batch", "a flush does not wait for the batch that is open"),
    ("stale_metadata_trusted", "a broker that says it is not the leader changes nothing"),
    ("session_epoch_not_reset", "a fetch session that was refused goes on"),
    ("revoked_still_delivered", "records of a revoked partition go on to be delivered"),
    ("stale_commit_sent", "an offset of an earlier assignment is committed under the present one"),
    ("commit_without_generation", "commits do not say of which generation they are"),
    ("commit_covers_unhandled", "what is fetched counts as handled"),
    ("heartbeat_behind_fetch", "heartbeats take the connection of the long polls"),
    ("coordinator_never_looked_up_again", "the first coordinator is the coordinator for ever"),
    (
        "appended_told_as_not",
        "a leader that was replaced while it waited for followers counts as not having appended",
    ),
    ("leader_without_address", "a leader that a lagging broker does not know loses its address"),
    (
        "sent_again_under_next_epoch",
        "a batch that a broker may still execute is sent again under another epoch",
    ),
    ("stamped_waits_for_unstamped", "a batch that lost its sequence waits for a newer one that kept its own"),
    ("lane_not_kicked", "a connection is not told that a batch is ready for it"),
    ("fetch_of_before_seek", "what was asked before a seek is taken after it"),
    ("paused_still_delivered", "what was fetched of a partition before its pause is delivered"),
    ("reader_not_woken", "who waits for a message is not woken when one comes"),
    ("zero_id_is_another_topic", "a broker that tells no topic id tells another topic"),
    ("one_other_id_believed", "one answer with another topic id is believed"),
    ("one_fewer_partitions_believed", "one answer with fewer partitions is believed"),
    ("lagging_epoch_believed", "one answer with an older leader epoch is believed"),
    ("partition_comes_back_at_zero", "a partition that was gone goes on under the epoch that it had"),
    ("foreign_cluster_trusted", "a connection goes on although it leads to another cluster"),
    ("estranged_forgets", "a broker of another cluster is asked again at once"),
    ("stale_passes_backoff", "metadata that is out of date is asked for again at once"),
    ("large_requests_sent_again", "what a broker closed its connection on is sent as large again"),
    (
        "unreadable_member_gets_all",
        "a member that cannot be read counts as one that subscribes to all topics",
    ),
    ("list_ends_with_unreadable_member", "the leader reads its members up to the first that it cannot read"),
    ("unreadable_member_ends_the_round", "a leader that cannot read a member begins anew"),
    ("commit_not_woken", "who waits for a commit is not woken when it is done"),
];

static PLANTED: RwLock<Option<&str>> = RwLock::new(None);

/// Plants one of [`ALL`], or none.
pub fn plant(name: Option<&'static str>) {
    *PLANTED.write().unwrap_or_else(std::sync::PoisonError::into_inner) = name;
}

pub(crate) fn is_planted(name: &str) -> bool {
    debug_assert!(ALL.iter().any(|(known, _)| *known == name), "{name}");
    *PLANTED.read().unwrap_or_else(std::sync::PoisonError::into_inner) == Some(name)
}
