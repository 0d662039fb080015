//! The second half of a rebalance: the leader brings the assignment, everyone asks for its part.

use kafka_proto::error_code::ErrorCode;
use kafka_proto::{Bytes, Str};

use super::{Group, GroupAnswer, GroupTimer, Identity, State, Tools};
use crate::broker::waits::WaitId;

/// A SyncGroup request.
#[derive(Debug, Clone)]
pub(crate) struct Sync {
    pub(crate) wait: WaitId,
    pub(crate) identity: Identity,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<Str>,
    pub(crate) protocol: Option<Str>,
    pub(crate) assignments: Vec<(Str, Bytes)>,
}

/// Its answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Synced {
    pub(crate) error: Option<ErrorCode>,
    pub(crate) protocol_type: Option<Str>,
    pub(crate) protocol: Option<Str>,
    pub(crate) assignment: Bytes,
}

impl Group {
    /// Takes a SyncGroup request; its answer comes by its number.
    pub(crate) fn sync(&mut self, tools: &mut Tools<'_>, sync: Sync) {
        let wait = sync.wait;
        if let Err(error) = self.try_sync(tools, sync) {
            let refused = Synced { error: Some(error), ..Synced::default() };
            tools.answers.push_back((wait, GroupAnswer::Synced(refused)));
        }
    }

    fn try_sync(&mut self, tools: &mut Tools<'_>, sync: Sync) -> Result<(), ErrorCode> {
        let member_id = self.identify(&sync.identity)?;
        if sync.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |told: &Option<Str>, own: &Option<Str>| told.is_some() && told != own;
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        match self.state {
            State::Empty => return Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => return Err(ErrorCode::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => {}
        }
        self.cancel_timer(tools, GroupTimer::Session(member_id.clone()));
        if let Some(member) = self.member_mut(&member_id) {
            // Only one request of a member waits; an older one is of a connection that was given up.
            member.syncing = Some(sync.wait);
            member.has_synced = true;
        }
        if self.state == State::CompletingRebalance && self.leader.as_ref() == Some(&member_id) {
            self.assign(tools, sync.assignments);
        }
        if self.state == State::Stable {
            self.answer_syncs(tools, None);
        }
        Ok(())
    }

    fn assign(&mut self, tools: &mut Tools<'_>, assignments: Vec<(Str, Bytes)>) {
        for member in &mut self.members {
            let own = assignments.iter().find(|(id, _)| *id == member.id);
            // A copy: the assignment outlives the request by far.
            member.assignment = own.map(|(_, part)| Bytes::copy_from_slice(part)).unwrap_or_default();
        }
        self.state = State::Stable;
        self.persist();
        self.answer_syncs(tools, None);
    }

    /// Answers everyone who waits for its assignment, with it or with an error.
    pub(super) fn answer_syncs(&mut self, tools: &mut Tools<'_>, error: Option<ErrorCode>) {
        let mut answered = Vec::new();
        for member in &mut self.members {
            let Some(wait) = member.syncing.take() else { continue };
            answered.push(member.id.clone());
            let synced = match error {
                Some(error) => Synced { error: Some(error), ..Synced::default() },
                None => Synced {
                    error: None,
                    protocol_type: self.protocol_type.clone(),
                    protocol: self.protocol.clone(),
                    assignment: member.assignment.clone(),
                },
            };
            tools.answers.push_back((wait, GroupAnswer::Synced(synced)));
        }
        answered.iter().for_each(|member| self.heard_of(tools, member));
    }

    /// Those who joined and never asked for their assignment hold up the others no longer.
    pub(super) fn drop_unsynced(&mut self, tools: &mut Tools<'_>) {
        if !matches!(self.state, State::CompletingRebalance | State::Stable) {
            return;
        }
        let missing = self.members.iter().filter(|member| !member.has_synced);
        let missing: Vec<Str> = missing.map(|member| member.id.clone()).collect();
        if missing.is_empty() {
            return;
        }
        missing.iter().for_each(|member| self.forget_member(tools, member));
        self.prepare_rebalance(tools);
    }
}
