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
        ErrorKind::TimedOut { last: None, .. } => {
            "allow more time; if it lasts, check whether the brokers are up and reachable"
        }
        ErrorKind::Unsupported { .. } => "do without the feature or upgrade the broker",
        ErrorKind::MessageTooLarge { .. } => {
            "send less in a message, or raise this setting, and max.message.bytes of the topic where that is smaller"
        }
        ErrorKind::InvalidMessage(_) => {
            "name the topic in the writer or in the message, not in both; name a partition that the topic has, or none"
        }
        ErrorKind::Balancer(_) => {
            "correct the balancer: it must answer with one of the partitions it is given; `Manual` answers with none"
        }
        ErrorKind::Pattern { .. } => {
            "correct the pattern: it is a regular expression of the `regex-lite` crate, which has no look-around and no Unicode classes here"
        }
        ErrorKind::Assignor(_) => {
            "correct the assignor: each partition of a topic goes to one member that subscribes to it"
        }
        ErrorKind::Corrupt { .. } => {
            "seek to the next batch, or read another replica; raise max_decompressed if the records are merely large"
        }
        ErrorKind::OffsetOutOfRange { .. } => {
            "seek to a position that exists, or choose an offset reset policy"
        }
        ErrorKind::NoOffset => "seek the partition to a position, or choose a start: first, last, or a time",
        ErrorKind::Truncated { .. } => {
            "seek to the first offset that differs, or choose an offset reset policy"
        }
        ErrorKind::TopicRecreated { .. } => {
            "seek the partition to a position in the topic that is there now; it is not read until then"
        }
        ErrorKind::BufferKept { .. } => {
            "drop messages that are no longer needed, keep copies of the others by Record::detach, or raise buffer_bytes"
        }
        ErrorKind::StaleCommit => {
            "commit with the reader that gave the message, before the partition is given up; its new owner reads the records again"
        }
        ErrorKind::Closed => "make a new one; if nobody closed it, check whether its runtime has ended",
        ErrorKind::Misuse(_) => "correct the call, or the order of calls",
        ErrorKind::Decode(_) => "report it as a bug, with the broker's version",
        ErrorKind::Encode(_) => "leave out what the broker's version cannot carry",
    }
}

fn connection(error: &ConnectionError) -> &'static str {
    use ConnectionError::*;
    match error {
        Resolve(_) => "check the host name, also in the broker's advertised.listeners",
        Refused => "check host and port, the broker's advertised.listeners, and whether the broker runs",
        Unreachable(_) | ConnectTimeout => "check the network, and the broker's advertised.listeners",
        SetupTimeout => "check what listens there, and whether the broker is overloaded",
        ClosedDuringSetup | TlsListener => {
            "use the port of a plaintext listener; this version does not speak TLS"
        }
        ClosedAfterSetup => "use a listener without SASL; this version cannot authenticate",
        ClosedUnanswered => {
            "try again; if it lasts, read the broker's log, and lower request_bytes if a proxy takes smaller requests only"
        }
        HttpServer | NotKafka(_) => "use the address of a Kafka broker",
        FrameLength(_) => {
            "check for a proxy or a foreign service at this address; raise max_response_bytes if responses are that large"
        }
        Correlation { .. } | Undecodable(_) => "check for a proxy or a foreign service at this address",
        ResponseTimeout => "check whether the broker is overloaded, or raise request_timeout",
        Lost(_) => "try again; if it lasts, read the broker's log for why connections end",
        ClosedByClient => "nothing has to be done: connections that are idle or no longer needed are closed",
        OtherCluster { .. } => {
            "give addresses of one cluster only; to go on with another cluster, make a new client"
        }
        TooManyOpenFiles => "raise the limit of open files (ulimit -n)",
    }
}

fn broker(code: ErrorCode) -> &'static str {
    use ErrorCode::*;
    match code {
        None => "nothing has to be done",
        UnknownServerError => "read the broker's log for the cause",
        // Positions and what is read.
        OffsetOutOfRange | PositionOutOfRange => {
            "seek to a position that exists, or choose an offset reset policy"
        }
        CorruptMessage => {
            "try again; if it lasts, check the network and the disks of the brokers, or read another replica"
        }
        InvalidFetchSize => "raise max_bytes of the reader",
        OffsetNotAvailable | FencedLeaderEpoch | UnknownLeaderEpoch => {
            "nothing has to be done: brokers and client agree on the leader within seconds"
        }
        UnstableOffsetCommit => "wait until the transaction that holds the offsets has ended",
        FetchSessionIdNotFound | InvalidFetchSessionEpoch | FetchSessionTopicIdError => {
            "nothing has to be done: the reader begins a new fetch session"
        }
        OffsetMovedToTieredStorage => "check that the broker can reach its tiered storage",
        // Topics.
        UnknownTopicOrPartition | UnknownTopicId => {
            "create the topic, or check its name and the number of the partition; to have topics created, allow it at client and broker"
        }
        InconsistentTopicId => {
            "wait for the brokers to agree; if it lasts, the topic was deleted and made again: seek to where the new one is to be read from"
        }
        InvalidTopicException => "use letters, digits, '.', '_' and '-' in topic names, 249 at most",
        TopicAlreadyExists => "use the topic that is there, or another name",
        TopicDeletionDisabled => "set delete.topic.enable at the brokers, or keep the topic",
        InvalidPartitions => "ask for at least one partition",
        InvalidReplicationFactor => "ask for at most as many replicas as there are brokers",
        InvalidReplicaAssignment => {
            "name registered brokers only, each once per partition, and the same number for each partition"
        }
        InvalidConfig => "correct the name or the value of the configuration",
        PolicyViolation => "ask who runs the cluster what its policy for topics and configurations demands",
        ReassignmentInProgress => "wait until the reassignment has ended",
        NoReassignmentInProgress => "nothing has to be done: there is no reassignment to cancel",
        ElectionNotNeeded => "nothing has to be done: the preferred replica is the leader",
        PreferredLeaderNotAvailable | EligibleLeadersNotAvailable => {
            "bring a replica that is in sync back; an unclean election loses records"
        }
        // Leaders and replicas.
        LeaderNotAvailable | NotLeaderOrFollower | ReplicaNotAvailable | ListenerNotFound => {
            "wait for a leader; if it lasts, check whether the brokers with the partition's replicas run"
        }
        KafkaStorageError => "check the disks of the broker that leads the partition",
        NotEnoughReplicas | NotEnoughReplicasAfterAppend => {
            "bring the replicas back, or lower min.insync.replicas"
        }
        IneligibleReplica | NewLeaderElected | StaleBrokerEpoch | StaleControllerEpoch => {
            "nothing has to be done by clients; read the controller's log"
        }
        // Writing.
        MessageTooLarge => {
            "send less in a message, or raise max.message.bytes of the topic, and batch_bytes of the writer with it"
        }
        RecordListTooLarge => "lower batch_bytes of the writer, or raise segment.bytes of the topic",
        InvalidRequiredAcks => "choose acks of all, one or none",
        InvalidTimestamp => "use a timestamp within message.timestamp.before/after.max.ms of the topic",
        InvalidRecord => {
            "send what the topic takes: a key where it is compacted, and a timestamp within its limits"
        }
        UnsupportedCompressionType => "use another compression codec, or upgrade the broker",
        UnsupportedForMessageFormat => {
            "leave out what the topic's record format cannot carry, or upgrade the brokers"
        }
        OutOfOrderSequenceNumber | DuplicateSequenceNumber | UnknownProducerId => {
            "check which records are in the log before writing them again; the writer goes on under a new epoch"
        }
        // Identities and transactions.
        InvalidProducerEpoch | ProducerFenced | TransactionCoordinatorFenced => {
            "let one writer at a time use the transactional id; close this one, since a newer one has replaced it"
        }
        InvalidProducerIdMapping | TransactionalIdNotFound => {
            "begin anew with a new writer: the transactional id has expired"
        }
        InvalidTxnState => "begin a transaction before writing in it, and end it once",
        InvalidTransactionTimeout => {
            "lower the transaction timeout, or raise transaction.max.timeout.ms at the brokers"
        }
        ConcurrentTransactions => "wait: the transaction before this one is being completed",
        TransactionAbortable => "abort the transaction and do its work again",
        // Groups.
        CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator => {
            "wait for the coordinator; if it lasts, check the replicas of the internal topics __consumer_offsets and __transaction_state"
        }
        IllegalGeneration | UnknownMemberId | FencedMemberEpoch | StaleMemberEpoch => {
            "let the reader join again, which it does by itself; if it happens often, call it more often or raise the group's timeouts"
        }
        FencedInstanceId => {
            "give each member an instance id of its own; another one has this id now, and this member has ended"
        }
        UnreleasedInstanceId => {
            "wait until the member that held the instance id has left, or give this one another id"
        }
        RebalanceInProgress => {
            "wait: all members have to rejoin, and one whose application does not call its reader delays the others"
        }
        InconsistentGroupProtocol | UnsupportedAssignor => {
            "give all members of the group a common assignor and protocol type"
        }
        InvalidGroupId => "give the group an id that is not empty",
        InvalidSessionTimeout => {
            "use a session timeout within group.min/max.session.timeout.ms of the broker"
        }
        GroupMaxSizeReached => "raise group.max.size at the broker, or start fewer members",
        MemberIdRequired => "nothing has to be done: the member joins again with the id it was given",
        OffsetMetadataTooLarge => {
            "shorten the text that is committed, or raise offset.metadata.max.bytes at the brokers"
        }
        InvalidCommitOffsetSize => "commit fewer partitions at once",
        NonEmptyGroup => "stop all members of the group first",
        GroupIdNotFound => "check the group's id; a group without members and offsets is forgotten",
        GroupSubscribedToTopic => "stop the members that subscribe to the topic first",
        GroupDeletionFailed => "delete the group again",
        InvalidRegularExpression => "correct the pattern; brokers read it as RE2 does",
        // Share groups.
        InvalidRecordState => "acknowledge each record once, before its acquisition lock ends",
        ShareSessionNotFound | InvalidShareSessionEpoch => {
            "nothing has to be done: a new share session is begun"
        }
        ShareSessionLimitReached => "wait, or raise the broker's limit of share sessions",
        FencedStateEpoch => "try again: the share coordinator has moved",
        // Streams groups.
        StreamsInvalidTopology | StreamsInvalidTopologyEpoch | StreamsTopologyFenced => {
            "start all members of the group with the same topology"
        }
        StreamsTopologyDescriptionUpdateFailed => "try again later",
        // Rights and credentials.
        TopicAuthorizationFailed => "grant the user the right to the topic by an ACL",
        GroupAuthorizationFailed => "grant the user the right to the group by an ACL",
        ClusterAuthorizationFailed => "grant the user the right to the cluster by an ACL",
        TransactionalIdAuthorizationFailed => "grant the user the right to the transactional id by an ACL",
        DelegationTokenAuthorizationFailed => "grant the user the right to the delegation token by an ACL",
        SecurityDisabled => "set an authorizer at the brokers before using ACLs",
        UnsupportedSaslMechanism => "use one of the SASL mechanisms that the listener has enabled",
        IllegalSaslState => "use a listener with SASL for this request",
        SaslAuthenticationFailed => "correct the user name, password or token",
        UnacceptableCredential => {
            "choose credentials that meet the broker's rules, such as the number of iterations"
        }
        DelegationTokenAuthDisabled => "set delegation.token.secret.key at the brokers",
        DelegationTokenNotFound | DelegationTokenExpired => "create a new delegation token",
        DelegationTokenOwnerMismatch => "use the token as its owner or one of its renewers",
        DelegationTokenRequestNotAllowed => {
            "ask over a connection that was authenticated, and not by a delegation token"
        }
        InvalidPrincipalType => "name principals of the type User",
        PrincipalDeserializationFailure => "give all brokers and controllers the same principal builder",
        // Versions, features, controllers, the quorum.
        UnsupportedVersion => "do without the feature or upgrade the broker",
        NotController | UnknownControllerId | ControllerIdNotRegistered => {
            "try again; if it lasts, check whether the controllers run"
        }
        MismatchedEndpointType | UnsupportedEndpointType => {
            "give addresses of brokers for what brokers serve, and of controllers for what controllers serve"
        }
        FeatureUpdateFailed => "upgrade all brokers and controllers to a release that has the feature level",
        InvalidUpdateVersion => "read the present state, and try again with it",
        InconsistentVoterSet | InvalidVoterKey | DuplicateVoter | VoterNotFound => {
            "describe the quorum and use the voter ids and directory ids that it has"
        }
        InconsistentClusterId => "give addresses of one cluster only",
        DuplicateBrokerRegistration | BrokerIdNotRegistered | InvalidRegistration => {
            "check the ids of the brokers, and which of them run"
        }
        SnapshotNotFound => "read the controller's log",
        // Requests.
        InvalidRequest => {
            "correct the arguments of the call; if they are right, report it with the broker's version"
        }
        DuplicateResource => "name each resource once",
        ResourceNotFound => "check the name of the resource",
        LogDirNotFound => "name a log directory that the broker has",
        OperationNotAttempted => "correct what failed beside it, and try again",
        ThrottlingQuotaExceeded => "wait, or raise the user's controller_mutation_rate",
        RequestTimedOut | NetworkException | BrokerNotAvailable => {
            "try again; if it lasts, check whether the brokers are overloaded or down"
        }
        RebootstrapRequired => "nothing has to be done: the client begins with its bootstrap addresses again",
        UnknownSubscriptionId | TelemetryTooLarge => "nothing has to be done: telemetry is sent again",
        _ => "look the code up in the documentation of the broker's release",
    }
}
