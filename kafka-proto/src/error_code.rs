//! What brokers answer in `error_code` fields.

use core::fmt;

/// Builds the enum and its tables: code, variant, protocol name, flags, text.
macro_rules! errors {
    ($($code:literal $variant:ident $name:ident [$($flag:ident)*] $text:literal;)*) => {
        /// An error code of the protocol. A code that is not known, of a newer broker, keeps its number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = concat!(stringify!($name), " (", stringify!($code), "): ", $text, ".")]
            $variant,)*
            /// A code that this version of the crate does not know.
            Unknown(i16),
        }

        impl ErrorCode {
            /// All known codes, in ascending order.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The number on the wire.
            pub const fn code(self) -> i16 {
                match self {
                    $(ErrorCode::$variant => $code,)*
                    ErrorCode::Unknown(code) => code,
                }
            }

            /// The protocol's name, such as `NOT_LEADER_OR_FOLLOWER`; `UNKNOWN` for an unknown code.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => stringify!($name),)*
                    ErrorCode::Unknown(_) => "UNKNOWN",
                }
            }

            /// What it means, in a few words without a full stop.
            pub const fn message(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $text,)*
                    ErrorCode::Unknown(_) => "an error that this client does not know",
                }
            }

            const fn flags(self) -> &'static [Flag] {
                match self {
                    $(ErrorCode::$variant => &[$(Flag::$flag),*],)*
                    ErrorCode::Unknown(_) => &[],
                }
            }
        }

        impl From<i16> for ErrorCode {
            fn from(code: i16) -> Self {
                match code {
                    $($code => ErrorCode::$variant,)*
                    code => ErrorCode::Unknown(code),
                }
            }
        }
    };
}

#[derive(PartialEq, Eq, Clone, Copy)]
#[allow(non_camel_case_types, reason = "words of the table below")]
enum Flag {
    retriable,
    metadata,
    coordinator,
    authorization,
    authentication,
    recoverable,
}

impl ErrorCode {
    /// True for [`ErrorCode::None`].
    pub const fn is_none(self) -> bool {
        matches!(self, ErrorCode::None)
    }

    /// `Err` for anything but [`ErrorCode::None`].
    ///
    /// # Errors
    /// The code itself.
    pub fn check(code: i16) -> Result<(), ErrorCode> {
        match ErrorCode::from(code) {
            ErrorCode::None => Ok(()),
            error => Err(error),
        }
    }

    /// True where the same request may succeed later.
    pub fn is_retriable(self) -> bool {
        self.flags().contains(&Flag::retriable)
    }

    /// True where what the client knows of leaders and topics is out of date.
    pub fn refreshes_metadata(self) -> bool {
        self.flags().contains(&Flag::metadata)
    }

    /// True where the coordinator has to be looked for again.
    pub fn refreshes_coordinator(self) -> bool {
        self.flags().contains(&Flag::coordinator)
    }

    /// True where the principal lacks a permission.
    pub fn is_authorization(self) -> bool {
        self.flags().contains(&Flag::authorization)
    }

    /// True where the principal could not be established.
    pub fn is_authentication(self) -> bool {
        self.flags().contains(&Flag::authentication)
    }

    /// True where the application can go on with a new producer or as a new member (KIP-1050).
    pub fn is_application_recoverable(self) -> bool {
        self.flags().contains(&Flag::recoverable)
    }
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> i16 {
        error.code()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name(), self.code(), self.message())
    }
}

impl core::error::Error for ErrorCode {}

errors! {
    -1 UnknownServerError UNKNOWN_SERVER_ERROR [] "the broker met an error it has no code for";
    0 None NONE [] "no error";
    1 OffsetOutOfRange OFFSET_OUT_OF_RANGE [] "the partition has no such offset, or has it no more";
    2 CorruptMessage CORRUPT_MESSAGE [retriable] "a record batch is damaged: wrong checksum, size or form";
    3 UnknownTopicOrPartition UNKNOWN_TOPIC_OR_PARTITION [retriable metadata] "the broker does not have this topic or partition";
    4 InvalidFetchSize INVALID_FETCH_SIZE [] "the fetch size is not valid";
    5 LeaderNotAvailable LEADER_NOT_AVAILABLE [retriable metadata] "the partition has no leader at the moment";
    6 NotLeaderOrFollower NOT_LEADER_OR_FOLLOWER [retriable metadata] "the broker is not the leader, or has no replica, of this partition";
    7 RequestTimedOut REQUEST_TIMED_OUT [retriable] "the broker did not finish in the time given";
    8 BrokerNotAvailable BROKER_NOT_AVAILABLE [] "the broker cannot be reached";
    9 ReplicaNotAvailable REPLICA_NOT_AVAILABLE [retriable metadata] "the replica is not available on this broker";
    10 MessageTooLarge MESSAGE_TOO_LARGE [] "the record batch is larger than the topic takes";
    11 StaleControllerEpoch STALE_CONTROLLER_EPOCH [] "the controller has been replaced";
    12 OffsetMetadataTooLarge OFFSET_METADATA_TOO_LARGE [] "the text committed with an offset is too long";
    13 NetworkException NETWORK_EXCEPTION [retriable metadata] "the broker lost a connection before it had an answer";
    14 CoordinatorLoadInProgress COORDINATOR_LOAD_IN_PROGRESS [retriable] "the coordinator is still loading its state";
    15 CoordinatorNotAvailable COORDINATOR_NOT_AVAILABLE [retriable coordinator] "there is no coordinator at the moment";
    16 NotCoordinator NOT_COORDINATOR [retriable coordinator] "this broker is not the coordinator";
    17 InvalidTopicException INVALID_TOPIC_EXCEPTION [] "the topic's name is not valid, or the topic is not for this use";
    18 RecordListTooLarge RECORD_LIST_TOO_LARGE [] "the batch is larger than a segment of the log";
    19 NotEnoughReplicas NOT_ENOUGH_REPLICAS [retriable] "fewer replicas are in sync than the topic demands";
    20 NotEnoughReplicasAfterAppend NOT_ENOUGH_REPLICAS_AFTER_APPEND [retriable] "the records were written, but to fewer replicas than the topic demands";
    21 InvalidRequiredAcks INVALID_REQUIRED_ACKS [] "acks is none of -1, 0 and 1";
    22 IllegalGeneration ILLEGAL_GENERATION [recoverable] "the group has moved on to another generation";
    23 InconsistentGroupProtocol INCONSISTENT_GROUP_PROTOCOL [] "the member has no protocol in common with the group";
    24 InvalidGroupId INVALID_GROUP_ID [] "the group's id is not valid";
    25 UnknownMemberId UNKNOWN_MEMBER_ID [recoverable] "the group does not know this member";
    26 InvalidSessionTimeout INVALID_SESSION_TIMEOUT [] "the session timeout is outside of what the broker allows";
    27 RebalanceInProgress REBALANCE_IN_PROGRESS [] "the group is rebalancing, so the member has to join again";
    28 InvalidCommitOffsetSize INVALID_COMMIT_OFFSET_SIZE [] "the offsets are too large to be committed at once";
    29 TopicAuthorizationFailed TOPIC_AUTHORIZATION_FAILED [authorization] "no permission for this topic";
    30 GroupAuthorizationFailed GROUP_AUTHORIZATION_FAILED [authorization] "no permission for this group";
    31 ClusterAuthorizationFailed CLUSTER_AUTHORIZATION_FAILED [authorization] "no permission for this operation on the cluster";
    32 InvalidTimestamp INVALID_TIMESTAMP [] "a record's timestamp is outside of what the topic allows";
    33 UnsupportedSaslMechanism UNSUPPORTED_SASL_MECHANISM [authentication] "the broker does not have this SASL mechanism";
    34 IllegalSaslState ILLEGAL_SASL_STATE [authentication] "the request is not allowed at this point of authentication";
    35 UnsupportedVersion UNSUPPORTED_VERSION [] "the broker does not have this version of the API";
    36 TopicAlreadyExists TOPIC_ALREADY_EXISTS [] "a topic of this name is there already";
    37 InvalidPartitions INVALID_PARTITIONS [] "the number of partitions is not valid";
    38 InvalidReplicationFactor INVALID_REPLICATION_FACTOR [] "the replication factor is not positive, or larger than the number of brokers";
    39 InvalidReplicaAssignment INVALID_REPLICA_ASSIGNMENT [] "the assignment of replicas to brokers is not valid";
    40 InvalidConfig INVALID_CONFIG [] "a configuration is not valid";
    41 NotController NOT_CONTROLLER [retriable] "this node is not the controller";
    42 InvalidRequest INVALID_REQUEST [] "the request contradicts itself or the rules of its API";
    43 UnsupportedForMessageFormat UNSUPPORTED_FOR_MESSAGE_FORMAT [] "the topic's record format does not support this";
    44 PolicyViolation POLICY_VIOLATION [] "a policy of the cluster forbids this";
    45 OutOfOrderSequenceNumber OUT_OF_ORDER_SEQUENCE_NUMBER [] "the batch does not follow the one before it";
    46 DuplicateSequenceNumber DUPLICATE_SEQUENCE_NUMBER [] "the batch has been written before";
    47 InvalidProducerEpoch INVALID_PRODUCER_EPOCH [recoverable] "the producer's epoch is out of date";
    48 InvalidTxnState INVALID_TXN_STATE [] "the transaction is not in a state that allows this";
    49 InvalidProducerIdMapping INVALID_PRODUCER_ID_MAPPING [recoverable] "the transactional id has another producer id";
    50 InvalidTransactionTimeout INVALID_TRANSACTION_TIMEOUT [] "the transaction timeout is longer than the broker allows";
    51 ConcurrentTransactions CONCURRENT_TRANSACTIONS [retriable] "the transaction before this one has not ended yet";
    52 TransactionCoordinatorFenced TRANSACTION_COORDINATOR_FENCED [] "a newer transaction coordinator has taken over";
    53 TransactionalIdAuthorizationFailed TRANSACTIONAL_ID_AUTHORIZATION_FAILED [authorization] "no permission for this transactional id";
    54 SecurityDisabled SECURITY_DISABLED [] "the cluster has no authorizer, so there are no ACLs";
    55 OperationNotAttempted OPERATION_NOT_ATTEMPTED [] "nothing was done, because another part of the request failed";
    56 KafkaStorageError KAFKA_STORAGE_ERROR [retriable metadata] "the broker cannot use the disk of this partition";
    57 LogDirNotFound LOG_DIR_NOT_FOUND [] "the broker has no such log directory";
    58 SaslAuthenticationFailed SASL_AUTHENTICATION_FAILED [authentication] "the credentials were refused";
    59 UnknownProducerId UNKNOWN_PRODUCER_ID [] "the partition holds no records of this producer any more";
    60 ReassignmentInProgress REASSIGNMENT_IN_PROGRESS [] "the partitions are being reassigned";
    61 DelegationTokenAuthDisabled DELEGATION_TOKEN_AUTH_DISABLED [] "the cluster has delegation tokens switched off";
    62 DelegationTokenNotFound DELEGATION_TOKEN_NOT_FOUND [] "there is no such delegation token";
    63 DelegationTokenOwnerMismatch DELEGATION_TOKEN_OWNER_MISMATCH [] "the principal neither owns the delegation token nor may renew it";
    64 DelegationTokenRequestNotAllowed DELEGATION_TOKEN_REQUEST_NOT_ALLOWED [] "delegation tokens cannot be handled over this kind of connection";
    65 DelegationTokenAuthorizationFailed DELEGATION_TOKEN_AUTHORIZATION_FAILED [authorization] "no permission for this delegation token";
    66 DelegationTokenExpired DELEGATION_TOKEN_EXPIRED [] "the delegation token has expired";
    67 InvalidPrincipalType INVALID_PRINCIPAL_TYPE [] "the principal is not of a type that is supported here";
    68 NonEmptyGroup NON_EMPTY_GROUP [] "the group still has members";
    69 GroupIdNotFound GROUP_ID_NOT_FOUND [] "there is no such group";
    70 FetchSessionIdNotFound FETCH_SESSION_ID_NOT_FOUND [retriable] "the broker has dropped the fetch session";
    71 InvalidFetchSessionEpoch INVALID_FETCH_SESSION_EPOCH [retriable] "the fetch session is at another epoch";
    72 ListenerNotFound LISTENER_NOT_FOUND [retriable metadata] "the leader has no listener of the name this one has";
    73 TopicDeletionDisabled TOPIC_DELETION_DISABLED [] "the cluster has the deletion of topics switched off";
    74 FencedLeaderEpoch FENCED_LEADER_EPOCH [retriable metadata] "the client's leader epoch is older than the broker's";
    75 UnknownLeaderEpoch UNKNOWN_LEADER_EPOCH [retriable] "the client's leader epoch is newer than the broker's";
    76 UnsupportedCompressionType UNSUPPORTED_COMPRESSION_TYPE [] "the version of the request does not allow this compression";
    77 StaleBrokerEpoch STALE_BROKER_EPOCH [] "the broker has registered anew since";
    78 OffsetNotAvailable OFFSET_NOT_AVAILABLE [retriable] "a new leader does not know the high watermark yet";
    79 MemberIdRequired MEMBER_ID_REQUIRED [] "the member has to join again with the id it was given";
    80 PreferredLeaderNotAvailable PREFERRED_LEADER_NOT_AVAILABLE [retriable metadata] "the preferred leader is not available";
    81 GroupMaxSizeReached GROUP_MAX_SIZE_REACHED [] "the group is full";
    82 FencedInstanceId FENCED_INSTANCE_ID [recoverable] "another member uses the same group instance id";
    83 EligibleLeadersNotAvailable ELIGIBLE_LEADERS_NOT_AVAILABLE [retriable metadata] "no replica may become the leader";
    84 ElectionNotNeeded ELECTION_NOT_NEEDED [retriable metadata] "the partition has the wanted leader already";
    85 NoReassignmentInProgress NO_REASSIGNMENT_IN_PROGRESS [] "the partition is not being reassigned";
    86 GroupSubscribedToTopic GROUP_SUBSCRIBED_TO_TOPIC [] "the group still subscribes to the topic, so its offsets stay";
    87 InvalidRecord INVALID_RECORD [] "the broker refused a record";
    88 UnstableOffsetCommit UNSTABLE_OFFSET_COMMIT [retriable] "a transaction holds offsets that are not decided yet";
    89 ThrottlingQuotaExceeded THROTTLING_QUOTA_EXCEEDED [retriable] "the quota for changes is used up";
    90 ProducerFenced PRODUCER_FENCED [recoverable] "a newer producer has the same transactional id";
    91 ResourceNotFound RESOURCE_NOT_FOUND [] "there is no such resource";
    92 DuplicateResource DUPLICATE_RESOURCE [] "the request names a resource twice";
    93 UnacceptableCredential UNACCEPTABLE_CREDENTIAL [] "the credential does not meet the rules";
    94 InconsistentVoterSet INCONSISTENT_VOTER_SET [] "sender and receiver do not agree who the voters are";
    95 InvalidUpdateVersion INVALID_UPDATE_VERSION [] "the update is based on a version that is not the current one";
    96 FeatureUpdateFailed FEATURE_UPDATE_FAILED [] "the finalized features could not be changed";
    97 PrincipalDeserializationFailure PRINCIPAL_DESERIALIZATION_FAILURE [] "the forwarded principal cannot be read";
    98 SnapshotNotFound SNAPSHOT_NOT_FOUND [] "there is no such snapshot";
    99 PositionOutOfRange POSITION_OUT_OF_RANGE [] "the snapshot has no such position";
    100 UnknownTopicId UNKNOWN_TOPIC_ID [retriable metadata] "the broker does not know this topic id";
    101 DuplicateBrokerRegistration DUPLICATE_BROKER_REGISTRATION [] "a broker of this id is registered already";
    102 BrokerIdNotRegistered BROKER_ID_NOT_REGISTERED [] "no broker of this id is registered";
    103 InconsistentTopicId INCONSISTENT_TOPIC_ID [retriable metadata] "the topic id is not the one in the broker's log";
    104 InconsistentClusterId INCONSISTENT_CLUSTER_ID [] "the request is meant for another cluster";
    105 TransactionalIdNotFound TRANSACTIONAL_ID_NOT_FOUND [] "there is no such transactional id";
    106 FetchSessionTopicIdError FETCH_SESSION_TOPIC_ID_ERROR [retriable] "a fetch session mixes topics by name and by id";
    107 IneligibleReplica INELIGIBLE_REPLICA [] "a replica may not join those in sync";
    108 NewLeaderElected NEW_LEADER_ELECTED [] "the change made another replica the leader";
    109 OffsetMovedToTieredStorage OFFSET_MOVED_TO_TIERED_STORAGE [] "the offset is in tiered storage only";
    110 FencedMemberEpoch FENCED_MEMBER_EPOCH [] "the coordinator has fenced the member, which has to join again";
    111 UnreleasedInstanceId UNRELEASED_INSTANCE_ID [] "another member still holds the group instance id";
    112 UnsupportedAssignor UNSUPPORTED_ASSIGNOR [] "the group does not have this assignor";
    113 StaleMemberEpoch STALE_MEMBER_EPOCH [] "the member's epoch is out of date, the next heartbeat brings the new one";
    114 MismatchedEndpointType MISMATCHED_ENDPOINT_TYPE [] "a broker was asked as a controller, or the reverse";
    115 UnsupportedEndpointType UNSUPPORTED_ENDPOINT_TYPE [] "there is no such type of endpoint";
    116 UnknownControllerId UNKNOWN_CONTROLLER_ID [] "there is no controller of this id";
    117 UnknownSubscriptionId UNKNOWN_SUBSCRIPTION_ID [] "the telemetry subscription has changed";
    118 TelemetryTooLarge TELEMETRY_TOO_LARGE [] "the telemetry is larger than the broker takes";
    119 InvalidRegistration INVALID_REGISTRATION [] "the registration of a broker or controller is not valid";
    120 TransactionAbortable TRANSACTION_ABORTABLE [] "the transaction cannot go on and has to be aborted";
    121 InvalidRecordState INVALID_RECORD_STATE [] "the record is not in a state that allows this acknowledgement";
    122 ShareSessionNotFound SHARE_SESSION_NOT_FOUND [retriable] "the broker has dropped the share session";
    123 InvalidShareSessionEpoch INVALID_SHARE_SESSION_EPOCH [retriable] "the share session is at another epoch";
    124 FencedStateEpoch FENCED_STATE_EPOCH [] "the share coordinator has a newer state epoch";
    125 InvalidVoterKey INVALID_VOTER_KEY [] "the voter's directory id is not the expected one";
    126 DuplicateVoter DUPLICATE_VOTER [] "the voter is in the set already";
    127 VoterNotFound VOTER_NOT_FOUND [] "the voter is not in the set";
    128 InvalidRegularExpression INVALID_REGULAR_EXPRESSION [] "the regular expression is not valid";
    129 RebootstrapRequired REBOOTSTRAP_REQUIRED [] "the client's metadata is useless, it has to bootstrap again";
    130 StreamsInvalidTopology STREAMS_INVALID_TOPOLOGY [] "the topology is not valid";
    131 StreamsInvalidTopologyEpoch STREAMS_INVALID_TOPOLOGY_EPOCH [] "the topology's epoch is not valid";
    132 StreamsTopologyFenced STREAMS_TOPOLOGY_FENCED [] "the group has a newer topology";
    133 ShareSessionLimitReached SHARE_SESSION_LIMIT_REACHED [retriable] "the broker has as many share sessions as it takes";
    134 GroupDeletionFailed GROUP_DELETION_FAILED [] "the group could not be deleted in full";
    135 StreamsTopologyDescriptionUpdateFailed STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED [] "the description of the topology could not be stored";
    136 ControllerIdNotRegistered CONTROLLER_ID_NOT_REGISTERED [] "no controller of this id is registered";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_values_are_inverse() {
        assert_eq!(ErrorCode::ALL.len(), 138);
        for code in -1..=136 {
            assert_eq!(ErrorCode::ALL[(code + 1) as usize], ErrorCode::from(code));
            assert_eq!(ErrorCode::from(code).code(), code);
        }
        assert_eq!(ErrorCode::from(137), ErrorCode::Unknown(137));
        assert_eq!(ErrorCode::Unknown(137).code(), 137);
    }

    #[test]
    fn classes() {
        let count = |is: fn(ErrorCode) -> bool| ErrorCode::ALL.iter().filter(|e| is(**e)).count();
        assert_eq!(count(ErrorCode::is_retriable), 32);
        assert_eq!(count(ErrorCode::refreshes_metadata), 13);
        assert_eq!(count(ErrorCode::refreshes_coordinator), 2);
        assert_eq!(count(ErrorCode::is_authorization), 5);
        assert_eq!(count(ErrorCode::is_authentication), 3);
        assert_eq!(count(ErrorCode::is_application_recoverable), 6);
        assert!(
            ErrorCode::NotLeaderOrFollower.is_retriable()
                && ErrorCode::NotLeaderOrFollower.refreshes_metadata()
        );
    }
}
