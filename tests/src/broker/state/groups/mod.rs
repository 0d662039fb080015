//! Consumer groups of the classic protocol: who is a member, in which generation, with what assignment, and
//! the offsets they have committed.
//!
//! The machine knows no requests: a joining or syncing member hands in the number of its parked request, and
//! the answer for that number comes out of [`Groups::take_answer`], at once or later.
//!
//! What holds here:
//! * A member waits for a join only in PreparingRebalance, for a sync only in CompletingRebalance.
//! * A member that waits needs no heartbeat; every other one has a session deadline.
//! * The generation grows with every completed join phase.

mod join;
mod membership;
pub(crate) mod offsets;
mod sync;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use kafka_proto::error_code::ErrorCode;
use kafka_proto::{Bytes, Str};

use crate::broker::timers::Timers;
use crate::broker::waits::{Timer, WaitId};
use offsets::Committed;

pub(crate) use join::{Join, Joined, JoinedMember};
pub(crate) use membership::Identity;
pub(crate) use sync::{Sync, Synced};

/// What a group's deadlines are for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupTimer {
    /// The join phase ends without those who are missing.
    Rebalance,
    /// Members that have not synced are dropped.
    Sync,
    /// A member was not heard of.
    Session(Str),
    /// A member id was given out and not used.
    Pending(Str),
}

/// An answer to a parked request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum GroupAnswer {
    Joined(Joined),
    Synced(Synced),
}

/// The states of a group, under Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum State {
    /// No members; perhaps offsets.
    #[default]
    Empty,
    /// Members are asked to join again.
    PreparingRebalance,
    /// All have joined; the leader is to bring the assignment.
    CompletingRebalance,
    /// Everyone can have an assignment.
    Stable,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: Str,
    pub(crate) instance_id: Option<Str>,
    pub(crate) client_id: Str,
    pub(crate) client_host: Str,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// What it can do, preferred first, each with what it tells the leader.
    pub(crate) protocols: Vec<(Str, Bytes)>,
    pub(crate) assignment: Bytes,
    joining: Option<WaitId>,
    syncing: Option<WaitId>,
    /// Has asked for its assignment in this generation.
    has_synced: bool,
}

impl Member {
    pub(crate) fn metadata(&self, protocol: Option<&Str>) -> Bytes {
        let chosen = self.protocols.iter().find(|(name, _)| Some(name) == protocol);
        chosen.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    fn is_waiting(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }
}

/// One group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(crate) id: Str,
    pub(crate) state: State,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<Str>,
    pub(crate) protocol: Option<Str>,
    leader: Option<Str>,
    /// In the order they came.
    pub(crate) members: Vec<Member>,
    /// Member ids that were given out and have not joined yet.
    pending: BTreeSet<Str>,
    pub(crate) offsets: BTreeMap<(Str, i32), Committed>,
    /// What a coordinator that takes over finds: the group as of its last stable generation.
    persisted: Option<Box<Group>>,
    /// The first rebalance still waits for more members to come.
    initial_delay: bool,
}

/// Limits of a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_size: usize,
    pub(crate) initial_rebalance_delay: Duration,
}

/// All groups of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<Str, Group>,
    answers: VecDeque<(WaitId, GroupAnswer)>,
}

/// What a group needs besides itself while it changes.
pub(crate) struct Tools<'a> {
    timers: &'a mut Timers<Timer>,
    now: Duration,
    answers: &'a mut VecDeque<(WaitId, GroupAnswer)>,
}

impl Groups {
    pub(crate) fn get(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.groups.get_mut(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.groups.values_mut()
    }

    /// The group, made if need be.
    pub(crate) fn get_or_create(&mut self, id: &str) -> &mut Group {
        let new = || Group { id: Str::from(id), ..Group::default() };
        self.groups.entry(Str::from(id)).or_insert_with(new)
    }

    /// The group and its tools.
    pub(crate) fn with<'a>(
        &'a mut self,
        timers: &'a mut Timers<Timer>,
        now: Duration,
        id: &str,
    ) -> Option<(&'a mut Group, Tools<'a>)> {
        let group = self.groups.get_mut(id)?;
        Some((group, Tools { timers, now, answers: &mut self.answers }))
    }

    /// Removes a group without members.
    pub(crate) fn delete(&mut self, id: &str) -> Result<(), ErrorCode> {
        match self.groups.get(id) {
            None => Err(ErrorCode::GroupIdNotFound),
            Some(group) if group.state != State::Empty => Err(ErrorCode::NonEmptyGroup),
            Some(_) => {
                self.groups.remove(id);
                Ok(())
            }
        }
    }

    pub(crate) fn take_answer(&mut self) -> Option<(WaitId, GroupAnswer)> {
        self.answers.pop_front()
    }

    /// A deadline of a group has come.
    pub(crate) fn fire(&mut self, timers: &mut Timers<Timer>, now: Duration, id: &Str, timer: GroupTimer) {
        let Some((group, mut tools)) = self.with(timers, now, id) else { return };
        match timer {
            GroupTimer::Rebalance => group.end_join_phase(&mut tools),
            GroupTimer::Sync => group.drop_unsynced(&mut tools),
            GroupTimer::Session(member) => group.session_expired(&mut tools, &member),
            GroupTimer::Pending(member) => {
                group.pending.remove(&member);
                group.complete_join_if_all_are_here(&mut tools);
            }
        }
    }

    /// Another node takes over these groups: what was not stable is as it was before, and everyone who
    /// waited has lost the connection with the old coordinator.
    pub(crate) fn coordinator_moved(
        &mut self,
        timers: &mut Timers<Timer>,
        now: Duration,
        moved: impl Fn(&str) -> bool,
    ) {
        for group in self.groups.values_mut().filter(|group| moved(&group.id)) {
            let mut tools = Tools { timers, now, answers: &mut self.answers };
            group.load_again(&mut tools);
        }
    }
}

impl Group {
    pub(crate) fn member(&self, id: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    fn member_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    fn member_of_instance(&self, instance: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.instance_id.as_deref() == Some(instance))
    }

    fn set_timer(&self, tools: &mut Tools<'_>, timer: GroupTimer, after: Duration) {
        tools.timers.set(Timer::Group(self.id.clone(), timer), tools.now + after);
    }

    fn cancel_timer(&self, tools: &mut Tools<'_>, timer: GroupTimer) {
        tools.timers.cancel(&Timer::Group(self.id.clone(), timer));
    }

    /// Keeps what a new coordinator would read from the offsets topic.
    fn persist(&mut self) {
        let offsets = std::mem::take(&mut self.offsets);
        self.persisted = None;
        self.persisted = Some(Box::new(self.clone()));
        self.offsets = offsets;
    }

    fn load_again(&mut self, tools: &mut Tools<'_>) {
        for timer in [GroupTimer::Rebalance, GroupTimer::Sync] {
            self.cancel_timer(tools, timer);
        }
        for member in &self.members {
            self.cancel_timer(tools, GroupTimer::Session(member.id.clone()));
        }
        for pending in &self.pending {
            self.cancel_timer(tools, GroupTimer::Pending(pending.clone()));
        }
        let offsets = std::mem::take(&mut self.offsets);
        let persisted = self.persisted.take();
        *self = match persisted {
            Some(group) => Group { persisted: Some(group.clone()), ..*group },
            None => Group { id: self.id.clone(), ..Group::default() },
        };
        self.offsets = offsets;
        for member in &mut self.members {
            (member.joining, member.syncing, member.has_synced) = (None, None, true);
        }
        let sessions: Vec<_> = self.members.iter().map(|m| (m.id.clone(), m.session_timeout)).collect();
        for (member, timeout) in sessions {
            self.set_timer(tools, GroupTimer::Session(member), timeout);
        }
    }
}
