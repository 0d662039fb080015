//! What to do about each error, in a sentence: shown by `Debug` and by [`Error::advice`](crate::Error::advice).

use super::{ConnectionError, Error, ErrorKind};
use kafka_proto::error_code::ErrorCode;

pub(crate) fn advice(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Config { .. } => "correct the setting",
        ErrorKind::Address { .. } => "give addresses as host:port, several separated by commas",
        ErrorKind::Connection(error) => connection(error),
        ErrorKind::Broker(code) => broker(*code),
        ErrorKind::TimedOut { last: Some(last), .. } => last.advice(),
        ErrorKind::TimedOut { last: None, .. } => "look whether the brokers are up, or allow more time",
        ErrorKind::Unsupported { .. } => "do without the feature or upgrade the broker",
        ErrorKind::MessageTooLarge { .. } => {
            "send less in a message, or raise batch_bytes of the writer and max.message.bytes of the topic; when reading, raise max_bytes"
        }
        ErrorKind::InvalidMessage(_) => "correct the message",
        ErrorKind::Balancer(_) => {
            "correct the balancer: it must answer with one of the partitions it is given"
        }
        ErrorKind::Assignor(_) => {
            "correct the assignor: each partition of a topic goes to one member that subscribes to it"
        }
        ErrorKind::Corrupt { .. } => {
            "seek to the next batch, or read another replica; raise max_decompressed where the records are only large"
        }
        ErrorKind::OffsetOutOfRange { .. } => {
            "seek to a position that exists, or choose an offset reset policy"
        }
        ErrorKind::NoOffset => {
            "seek to where the partition is to be read from, or choose a start: first, last, or a time"
        }
        ErrorKind::Truncated { .. } => {
            "seek to the first offset that differs, or choose an offset reset policy"
        }
        ErrorKind::TopicRecreated { .. } => {
            "seek the partition to where the topic that is there now is to be read from; until then it is not read"
        }
        ErrorKind::BufferKept { .. } => {
            "drop messages that are no longer needed, keep copies of the others by Record::detach, or raise buffer_bytes"
        }
        ErrorKind::StaleCommit => {
            "commit with the reader that gave the message, before the partition is given up; its new owner reads the records again"
        }
        ErrorKind::Closed => "make a new one; where nobody closed it, look whether its runtime has ended",
        ErrorKind::Misuse(_) => "correct the call, or the order of calls",
        ErrorKind::Decode(_) => "report it with the broker's version",
        ErrorKind::Encode(_) => "leave out what the broker's version cannot carry",
    }
}

fn connection(error: &ConnectionError) -> &'static str {
    use ConnectionError::*;
    match error {
        Resolve(_) => "check the host name, also in the broker's advertised.listeners",
        Refused => {
            "check host and port (where it is a broker's own address: its advertised.listeners), and whether it runs"
        }
        Unreachable(_) | ConnectTimeout => "check the network, and the broker's advertised.listeners",
        SetupTimeout => "look what listens there, and whether the broker is overloaded",
        ClosedDuringSetup | TlsListener => {
            "use the port of a plaintext listener; this version does not speak TLS"
        }
        ClosedAfterSetup => "use a listener without SASL; this version cannot authenticate",
        ClosedUnanswered => {
            "try again; if it lasts, look at the broker's log, and lower request_bytes where a proxy takes smaller requests only"
        }
        HttpServer | NotKafka(_) => "use the address of a Kafka broker",
        FrameLength(_) => {
            "look for a proxy or a foreign service at this address; raise max_response_bytes where responses are so large"
        }
        Correlation { .. } | Undecodable(_) => "look for a proxy or a foreign service at this address",
        ResponseTimeout => "look whether the broker is overloaded, or raise request_timeout",
        Lost(_) | ClosedByClient => {
            "try again; if it lasts, look at the broker's log for why connections end"
        }
        OtherCluster { .. } => {
            "give addresses of one cluster only; to go on with another cluster, make a new client"
        }
        TooManyOpenFiles => "raise the limit of open files (ulimit -n)",
    }
}

fn broker(code: ErrorCode) -> &'static str {
    use ErrorCode::*;
    match code {
        UnknownTopicOrPartition | UnknownTopicId => {
            "create the topic, or check its name and the number of the partition; to have topics created, allow it at client and broker"
        }
        InvalidTopicException => "use letters, digits, '.', '_' and '-' in topic names, 249 at most",
        TopicAuthorizationFailed | GroupAuthorizationFailed | ClusterAuthorizationFailed => {
            "grant the user the right by an ACL"
        }
        NotEnoughReplicas | NotEnoughReplicasAfterAppend => {
            "bring the replicas back, or lower min.insync.replicas"
        }
        MessageTooLarge | RecordListTooLarge => {
            "send less in a message, or raise max.message.bytes of the topic"
        }
        InvalidPartitions => "ask for at least one partition",
        InvalidReplicationFactor => "ask for at most as many replicas as there are brokers",
        InvalidTimestamp => "use a timestamp within message.timestamp.before/after.max.ms of the topic",
        InvalidSessionTimeout => {
            "use a session timeout within group.min/max.session.timeout.ms of the broker"
        }
        InconsistentGroupProtocol => "give all members of the group a common assignor and protocol type",
        GroupMaxSizeReached => "raise group.max.size at the broker, or start fewer members",
        IllegalGeneration | UnknownMemberId | FencedInstanceId => {
            "let the reader rejoin; another member took over"
        }
        RebalanceInProgress => {
            "wait: all members have to rejoin, and one whose application does not call its reader delays the others"
        }
        UnsupportedCompressionType => "use another compression codec, or upgrade the broker",
        _ if code.is_retriable() => "try again later",
        _ => "see the broker's log",
    }
}
