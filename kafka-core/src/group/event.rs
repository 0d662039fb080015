//! What a membership reports, and the offsets that go in and come out.

use crate::error::Error;
use crate::machine::Time;
use crate::snapshot::TopicPartition;
use kafka_proto::{Str, Uuid};

/// An offset to commit: the position from which the group goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct CommitOffset {
    /// The partition; it must be one of the assignment's.
    pub partition: TopicPartition,
    /// The next offset to read, that is one more than that of the last message handled.
    pub offset: i64,
    /// The leader epoch of the last message handled (KIP-320); -1 where unknown. With it a later reader notices truncation.
    pub leader_epoch: i32,
    /// The id of the topic when the message was read; zero where unknown (brokers before 2.8). Where the topic has another
    /// id by now, it was deleted and made again, and the offset means nothing in it: it is not committed.
    #[cfg_attr(feature = "record", serde(with = "crate::tape::with::uuid"))]
    pub topic_id: Uuid,
    /// A note that is kept beside the offset, at most 4 KiB unless the broker is configured otherwise.
    pub metadata: Option<Str>,
}

/// An offset that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch that was committed with it; -1 where none was, or the broker is older than 2.1.
    pub leader_epoch: i32,
    /// The note that was committed with it.
    pub metadata: Option<Str>,
}

/// What happened to a membership.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum GroupEvent {
    /// The member has these partitions from now on. An assignment without partitions ends without further notice.
    Assigned {
        /// This member's own count of its assignments; commits and revocations name it.
        assignment: u32,
        /// The group's generation.
        generation: i32,
        /// The partitions with their committed offsets; `None` only where the coordinator answered that there is none.
        /// Those whose offsets cannot be had for the moment follow in [`AssignedMore`](Self::AssignedMore).
        partitions: Vec<(TopicPartition, Option<CommittedOffset>)>,
    },
    /// Further partitions of the assignment, whose committed offsets could not be had with those of the others.
    AssignedMore {
        /// The assignment, which was reported already.
        assignment: u32,
        /// The partitions with their committed offsets.
        partitions: Vec<(TopicPartition, Option<CommittedOffset>)>,
    },
    /// All partitions of the assignment must be given up: finish, commit, and answer with
    /// [`revoked`](super::Membership::revoked).
    Revoking {
        /// The assignment.
        assignment: u32,
        /// Without an answer by then the partitions are lost.
        deadline: Time,
    },
    /// The partitions belong, or may belong, to others already; no commit is possible any more. The member joins again by itself
    /// unless its instance id was taken over ([`Failed`](Self::Failed) follows).
    Lost {
        /// The assignment.
        assignment: u32,
        /// Why.
        error: Error,
    },
    /// What became of a commit. With several partitions at fault it is the first error, naming topic and partition.
    Committed {
        /// What [`commit`](super::Membership::commit) returned.
        id: u64,
        /// Done, or why not.
        result: Result<(), Error>,
    },
    /// Joining does not work for a reason that repetition alone will not heal: missing rights, a group that is full or
    /// uses other protocols, a session timeout the broker refuses. Reported once for each reason until the member is
    /// assigned again. It goes on trying, each `join_backoff`; only after `FENCED_INSTANCE_ID` it does not, because another
    /// member has taken over its instance id and both would push each other out indefinitely.
    Failed(Error),
    /// Something that the application may want to know and that needs nothing of it: another member that cannot be given
    /// partitions, or a trouble that should pass by itself and has not for some seconds. Reported once while it lasts.
    Notice(Error),
    /// The group was left, or given up because the coordinator could not be reached in time.
    Left,
}
