//! The first half of a rebalance: everyone joins, a protocol all can do is chosen, a generation begins.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_proto::error_code::ErrorCode;
use kafka_proto::{Bytes, Str};

use super::{Group, GroupAnswer, GroupTimer, Identity, Limits, Member, State, Tools};
use crate::broker::waits::WaitId;

/// A JoinGroup request.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    pub(crate) wait: WaitId,
    pub(crate) identity: Identity,
    /// The id to give to a member that has none.
    pub(crate) new_id: Str,
    /// A new member must come back with the id it is given (JoinGroup 4+).
    pub(crate) id_required: bool,
    /// The member knows that it may be the leader and still have nothing to assign (JoinGroup 9+).
    pub(crate) can_skip_assignment: bool,
    pub(crate) client_id: Str,
    pub(crate) client_host: Str,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: Str,
    pub(crate) protocols: Vec<(Str, Bytes)>,
}

/// Its answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Joined {
    pub(crate) error: Option<ErrorCode>,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<Str>,
    pub(crate) protocol: Option<Str>,
    pub(crate) leader: Str,
    pub(crate) skip_assignment: bool,
    pub(crate) member_id: Str,
    /// For the leader only.
    pub(crate) members: Vec<JoinedMember>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JoinedMember {
    pub(crate) id: Str,
    pub(crate) instance_id: Option<Str>,
    pub(crate) metadata: Bytes,
}

impl Joined {
    pub(crate) fn refused(error: ErrorCode, member_id: Str) -> Joined {
        Joined { error: Some(error), generation: -1, member_id, ..Joined::default() }
    }
}

impl Group {
    /// Takes a JoinGroup request; its answer comes by its number.
    pub(crate) fn join(&mut self, tools: &mut Tools<'_>, join: Join, limits: Limits) {
        let (wait, member_id) = (join.wait, join.identity.member_id.clone());
        if let Err(error) = self.try_join(tools, join, limits) {
            let refused = Joined::refused(error, member_id);
            tools.answers.push_back((wait, GroupAnswer::Joined(refused)));
        }
    }

    fn try_join(&mut self, tools: &mut Tools<'_>, join: Join, limits: Limits) -> Result<(), ErrorCode> {
        if !self.can_do(&join) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if join.identity.member_id.is_empty() {
            self.check_room(limits)?;
            return self.join_unknown(tools, join, limits);
        }
        if self.pending.remove(&join.identity.member_id) {
            self.check_room(limits)?;
            self.cancel_timer(tools, GroupTimer::Pending(join.identity.member_id.clone()));
            let id = join.identity.member_id.clone();
            self.add_member(tools, id, join, limits);
            return Ok(());
        }
        let id = self.identify(&join.identity)?;
        self.join_again(tools, &id, join, limits);
        Ok(())
    }

    fn check_room(&self, limits: Limits) -> Result<(), ErrorCode> {
        if self.members.len() >= limits.max_size { Err(ErrorCode::GroupMaxSizeReached) } else { Ok(()) }
    }

    /// Whether there is a protocol that the new member and all others can do.
    fn can_do(&self, join: &Join) -> bool {
        if join.protocol_type.is_empty() || join.protocols.is_empty() {
            return false;
        }
        let others: Vec<&Member> =
            self.members.iter().filter(|member| member.id != join.identity.member_id).collect();
        let knows = |member: &&Member, name: &Str| member.protocols.iter().any(|(own, _)| own == name);
        let common = |name: &Str| others.iter().all(|member| knows(member, name));
        let same_type = self.protocol_type.as_ref() == Some(&join.protocol_type);
        others.is_empty() || (same_type && join.protocols.iter().any(|(name, _)| common(name)))
    }

    fn join_unknown(&mut self, tools: &mut Tools<'_>, join: Join, limits: Limits) -> Result<(), ErrorCode> {
        let id = join.new_id.clone();
        if let Some(instance) = &join.identity.instance_id {
            match self.member_of_instance(instance).map(|holder| holder.id.clone()) {
                Some(holder) => self.replace_static(tools, &holder, join, limits),
                None => self.add_member(tools, id, join, limits),
            }
        } else if join.id_required {
            self.set_timer(tools, GroupTimer::Pending(id.clone()), join.session_timeout);
            self.pending.insert(id.clone());
            let told = Joined::refused(ErrorCode::MemberIdRequired, id);
            tools.answers.push_back((join.wait, GroupAnswer::Joined(told)));
        } else {
            self.add_member(tools, id, join, limits);
        }
        Ok(())
    }

    fn add_member(&mut self, tools: &mut Tools<'_>, id: Str, join: Join, limits: Limits) {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
            self.leader = Some(id.clone());
        }
        let was_empty = self.state == State::Empty;
        self.members.push(Member {
            id,
            instance_id: join.identity.instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols,
            assignment: Bytes::new(),
            joining: Some(join.wait),
            syncing: None,
            has_synced: false,
        });
        self.initial_delay |= was_empty && !limits.initial_rebalance_delay.is_zero();
        self.rebalance(tools, limits);
    }

    /// A member joins with the id it has.
    fn join_again(&mut self, tools: &mut Tools<'_>, id: &Str, join: Join, limits: Limits) {
        let is_leader = self.leader.as_ref() == Some(id);
        let unchanged = self.member(id).is_some_and(|member| member.protocols == join.protocols);
        let answer_only = match self.state {
            State::Empty | State::PreparingRebalance => false,
            // It lost the answer to its join.
            State::CompletingRebalance => unchanged,
            // A leader that joins wants a rebalance; a follower may only have been late.
            State::Stable => unchanged && !is_leader,
        };
        let wait = join.wait;
        self.update_member(tools, id, join);
        if answer_only {
            self.answer_join(tools, id, wait, false);
        } else {
            if let Some(member) = self.member_mut(id) {
                member.joining = Some(wait);
            }
            self.cancel_timer(tools, GroupTimer::Session(id.clone()));
            self.rebalance(tools, limits);
        }
    }

    fn update_member(&mut self, tools: &mut Tools<'_>, id: &Str, join: Join) {
        if let Some(member) = self.member_mut(id) {
            member.protocols = join.protocols;
            member.session_timeout = join.session_timeout;
            member.rebalance_timeout = join.rebalance_timeout;
            member.client_id = join.client_id;
        }
        self.heard_of(tools, id);
    }

    /// A static member comes back under its name: it gets a new id and, where nothing changed, its old part.
    fn replace_static(&mut self, tools: &mut Tools<'_>, old_id: &Str, join: Join, limits: Limits) {
        self.cancel_timer(tools, GroupTimer::Session(old_id.clone()));
        let new_id = join.new_id.clone();
        let was_leader = self.leader.as_ref() == Some(old_id);
        let Some(member) = self.member_mut(old_id) else { return };
        let unchanged = member.protocols == join.protocols;
        member.id = new_id.clone();
        let (joining, syncing) = (member.joining.take(), member.syncing.take());
        if was_leader {
            self.leader = Some(new_id.clone());
        }
        if let Some(wait) = joining {
            let fenced = Joined::refused(ErrorCode::FencedInstanceId, old_id.clone());
            tools.answers.push_back((wait, GroupAnswer::Joined(fenced)));
        }
        if let Some(wait) = syncing {
            let fenced = super::Synced { error: Some(ErrorCode::FencedInstanceId), ..Default::default() };
            tools.answers.push_back((wait, GroupAnswer::Synced(fenced)));
        }
        let (wait, can_skip) = (join.wait, join.can_skip_assignment);
        self.update_member(tools, &new_id, join);
        if self.state == State::Stable && unchanged {
            self.persist();
            self.answer_join(tools, &new_id, wait, can_skip);
            if was_leader
                && !can_skip
                && let Some((_, GroupAnswer::Joined(joined))) = tools.answers.back_mut()
            {
                // An old client that reads its own id here would assign again, so it is told its former one.
                joined.leader = old_id.clone();
                joined.members.clear();
            }
        } else {
            if let Some(member) = self.member_mut(&new_id) {
                member.joining = Some(wait);
            }
            self.cancel_timer(tools, GroupTimer::Session(new_id));
            self.rebalance(tools, limits);
        }
    }

    fn rebalance(&mut self, tools: &mut Tools<'_>, limits: Limits) {
        if self.state == State::PreparingRebalance {
            return self.complete_join_if_all_are_here(tools);
        }
        if self.initial_delay {
            self.state = State::PreparingRebalance;
            self.set_timer(tools, GroupTimer::Rebalance, limits.initial_rebalance_delay);
        } else {
            self.prepare_rebalance(tools);
        }
    }

    /// Asks everyone to join again.
    pub(super) fn prepare_rebalance(&mut self, tools: &mut Tools<'_>) {
        self.answer_syncs(tools, Some(ErrorCode::RebalanceInProgress));
        self.cancel_timer(tools, GroupTimer::Sync);
        self.state = State::PreparingRebalance;
        let timeout = self.members.iter().map(|member| member.rebalance_timeout).max().unwrap_or_default();
        self.set_timer(tools, GroupTimer::Rebalance, timeout);
        self.complete_join_if_all_are_here(tools);
    }

    pub(super) fn complete_join_if_all_are_here(&mut self, tools: &mut Tools<'_>) {
        let all_joined = self.members.iter().all(|member| member.joining.is_some());
        let may = self.state == State::PreparingRebalance && !self.initial_delay;
        if may && all_joined && self.pending.is_empty() {
            self.complete_join(tools);
        }
    }

    /// The time to join is over: who is missing is a member no longer, unless it is a static one.
    pub(super) fn end_join_phase(&mut self, tools: &mut Tools<'_>) {
        self.initial_delay = false;
        let missing = self.members.iter().filter(|m| m.joining.is_none() && m.instance_id.is_none());
        let missing: Vec<Str> = missing.map(|member| member.id.clone()).collect();
        missing.iter().for_each(|id| self.forget_member(tools, id));
        let nobody_joined = self.members.iter().all(|member| member.joining.is_none());
        if nobody_joined && !self.members.is_empty() {
            let timeout =
                self.members.iter().map(|member| member.rebalance_timeout).max().unwrap_or_default();
            self.set_timer(tools, GroupTimer::Rebalance, timeout);
        } else {
            self.complete_join(tools);
        }
    }

    fn complete_join(&mut self, tools: &mut Tools<'_>) {
        self.cancel_timer(tools, GroupTimer::Rebalance);
        self.generation += 1;
        if self.members.is_empty() {
            self.state = State::Empty;
            self.protocol = None;
            self.leader = None;
            return self.persist();
        }
        self.elect_joined_leader();
        self.protocol = self.choose_protocol();
        self.state = State::CompletingRebalance;
        let joined: Vec<(Str, Option<WaitId>)> =
            self.members.iter_mut().map(|member| (member.id.clone(), member.joining.take())).collect();
        self.members.iter_mut().for_each(|member| member.has_synced = false);
        for (id, wait) in joined {
            if let Some(wait) = wait {
                self.answer_join(tools, &id, wait, false);
                self.heard_of(tools, &id);
            }
        }
        let timeout = self.members.iter().map(|member| member.rebalance_timeout).max().unwrap_or_default();
        self.set_timer(tools, GroupTimer::Sync, timeout);
    }

    /// A leader that has not joined cannot assign.
    fn elect_joined_leader(&mut self) {
        let joined = |member: &&Member| member.joining.is_some();
        let current =
            self.members.iter().filter(joined).find(|member| Some(&member.id) == self.leader.as_ref());
        let elected = current.or_else(|| self.members.iter().find(joined));
        self.leader = elected.or(self.members.first()).map(|member| member.id.clone());
    }

    /// Each member votes for the first of its protocols that all can do.
    fn choose_protocol(&self) -> Option<Str> {
        let all_know =
            |name: &Str| self.members.iter().all(|m| m.protocols.iter().any(|(own, _)| own == name));
        let mut votes: BTreeMap<&Str, usize> = BTreeMap::new();
        for member in &self.members {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| all_know(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    fn answer_join(&self, tools: &mut Tools<'_>, id: &Str, wait: WaitId, skip_assignment: bool) {
        let is_leader = self.leader.as_ref() == Some(id);
        let members = self.members.iter().filter(|_| is_leader).map(|member| JoinedMember {
            id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(self.protocol.as_ref()),
        });
        let joined = Joined {
            error: None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: skip_assignment && is_leader,
            member_id: id.clone(),
            members: members.collect(),
        };
        tools.answers.push_back((wait, GroupAnswer::Joined(joined)));
    }
}
