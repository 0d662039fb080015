//! Committed offsets: who may commit, and what is kept.

use kafka_proto::Str;
use kafka_proto::error_code::ErrorCode;

use super::{Group, Identity, State, Tools};

/// A committed position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Str,
}

impl Group {
    /// Whether a member may commit; one that may has shown that it lives.
    ///
    /// A negative generation is a client that is no member; it may commit while the group has none.
    pub(crate) fn may_commit(
        &mut self,
        tools: &mut Tools<'_>,
        identity: &Identity,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        let unknown =
            self.members.is_empty() || (identity.member_id.is_empty() && identity.instance_id.is_none());
        if unknown {
            return Err(ErrorCode::UnknownMemberId);
        }
        let member = self.identify(identity)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        self.heard_of(tools, &member);
        Ok(())
    }
}
