//! What a Produce error code means for a batch (KIP-98, KIP-360).

use crate::error::Fate;
use kafka_proto::error_code::ErrorCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Acked,
    /// It was written before; the broker has forgotten where.
    Duplicate,
    /// To be sent again; `appended`: the leader has it, the replicas may not.
    Retry {
        appended: bool,
        refresh: bool,
    },
    /// The broker expected another sequence, or does not know the producer; `new_id`: it never will again.
    OutOfOrder {
        new_id: bool,
    },
    /// Nobody may write with sequences here.
    NoSequences,
    /// The broker takes no batch of this size.
    TooLarge,
    Fail(Fate),
}

pub(crate) fn verdict(code: ErrorCode, idempotent: bool) -> Verdict {
    use ErrorCode::*;
    match code {
        None => Verdict::Acked,
        DuplicateSequenceNumber => Verdict::Duplicate,
        OutOfOrderSequenceNumber | UnknownProducerId if idempotent => Verdict::OutOfOrder { new_id: false },
        InvalidProducerEpoch | ProducerFenced | InvalidProducerIdMapping if idempotent => {
            Verdict::OutOfOrder { new_id: true }
        }
        // Brokers before 2.8 look for the right at each request; only one with sequences needs it.
        ClusterAuthorizationFailed if idempotent => Verdict::NoSequences,
        RequestTimedOut | NotEnoughReplicasAfterAppend => Verdict::Retry { appended: true, refresh: false },
        MessageTooLarge | RecordListTooLarge => Verdict::TooLarge,
        // Told as well by a leader that had appended it, and was replaced while it waited for its followers: they may have it.
        // And by a proxy that had passed it on, and lost the broker before the answer.
        NotLeaderOrFollower | KafkaStorageError | NetworkException => {
            Verdict::Retry { appended: true, refresh: code.refreshes_metadata() }
        }
        // Azure Event Hubs says so where others throttle; nothing is written then.
        PolicyViolation => Verdict::Retry { appended: false, refresh: false },
        // Who does not know what it says cannot say that nothing was written.
        UnknownServerError | Unknown(_) => Verdict::Fail(Fate::PossiblyWritten),
        code if code.is_retriable() => Verdict::Retry { appended: false, refresh: code.refreshes_metadata() },
        _ => Verdict::Fail(Fate::NotWritten),
    }
}
