//! Who else may be at the other end of a connection: what a node left behind when it moved, or a broker of another cluster.
//!
//! Both are played by the node itself: they lead and coordinate nothing, so that what would change anything is refused.

use kafka_proto::{ApiKey, ErrorCode, ResponseKind, Str};

/// What the other end of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Guise {
    /// The node.
    #[default]
    Node,
    /// Something that listens where the node was.
    Former,
    /// A broker of another cluster, if it is asked first which it is of: what a client asks over the first connection to a
    /// broker it has to take on trust, and it is no use to punish that.
    Perhaps,
    /// A broker of another cluster.
    Foreign,
}

impl Guise {
    /// What it is once it was asked this.
    pub(super) fn asked(self, api: ApiKey) -> Guise {
        match (self, api) {
            (Guise::Perhaps, ApiKey::ApiVersions) => Guise::Perhaps,
            (Guise::Perhaps, ApiKey::Metadata) => Guise::Foreign,
            (Guise::Perhaps, _) => Guise::Node,
            (other, _) => other,
        }
    }

    /// The error with which it refuses a request.
    pub(super) fn refuses(self, api: ApiKey) -> Option<ErrorCode> {
        match (self, api) {
            (Guise::Node | Guise::Perhaps, _) => None,
            (_, ApiKey::Produce | ApiKey::Fetch | ApiKey::ListOffsets | ApiKey::OffsetForLeaderEpoch) => {
                Some(ErrorCode::NotLeaderOrFollower)
            }
            (
                _,
                ApiKey::JoinGroup
                | ApiKey::SyncGroup
                | ApiKey::Heartbeat
                | ApiKey::LeaveGroup
                | ApiKey::OffsetCommit
                | ApiKey::OffsetFetch,
            ) => Some(ErrorCode::NotCoordinator),
            _ => None,
        }
    }

    /// Another cluster has another id, and takes what is written to it.
    pub(super) fn pose(response: &mut ResponseKind) {
        match response {
            // Also where it says that something is wrong.
            ResponseKind::Metadata(response) => {
                response.cluster_id = Some(Str::from("foreign"));
            }
            ResponseKind::Produce(response) => {
                let items = response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses);
                items.for_each(|item| (item.error_code, item.base_offset) = (0, 0));
            }
            _ => {}
        }
    }
}
