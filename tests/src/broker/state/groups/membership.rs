//! Being a member: names, heartbeats, leaving, and being given up.

use kafka_proto::Str;
use kafka_proto::error_code::ErrorCode;

use super::{Group, GroupTimer, State, Tools};

/// How a request names its member.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    pub(crate) member_id: Str,
    pub(crate) instance_id: Option<Str>,
}

impl Group {
    /// The member a request is from: its id must be known, and with a static name be that name's current id.
    pub(crate) fn identify(&self, identity: &Identity) -> Result<Str, ErrorCode> {
        if let Some(instance) = &identity.instance_id {
            let holder = self.member_of_instance(instance).ok_or(ErrorCode::UnknownMemberId)?;
            return if holder.id == identity.member_id {
                Ok(holder.id.clone())
            } else {
                Err(ErrorCode::FencedInstanceId)
            };
        }
        let member = self.member(&identity.member_id).ok_or(ErrorCode::UnknownMemberId)?;
        Ok(member.id.clone())
    }

    /// Takes a heartbeat.
    pub(crate) fn heartbeat(
        &mut self,
        tools: &mut Tools<'_>,
        identity: &Identity,
        generation: i32,
        completing_is_fine: bool,
    ) -> Result<(), ErrorCode> {
        let member = self.identify(identity)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.state {
            State::Empty => return Err(ErrorCode::UnknownMemberId),
            State::CompletingRebalance if !completing_is_fine => return Err(ErrorCode::RebalanceInProgress),
            State::CompletingRebalance | State::Stable | State::PreparingRebalance => {}
        }
        self.heard_of(tools, &member);
        if self.state == State::PreparingRebalance { Err(ErrorCode::RebalanceInProgress) } else { Ok(()) }
    }

    /// Starts the member's session anew, unless it waits for an answer: then the broker knows that it lives.
    pub(super) fn heard_of(&mut self, tools: &mut Tools<'_>, id: &Str) {
        let Some(member) = self.member(id) else { return };
        let (waiting, timeout) = (member.is_waiting(), member.session_timeout);
        if !waiting {
            self.set_timer(tools, GroupTimer::Session(id.clone()), timeout);
        }
    }

    pub(super) fn session_expired(&mut self, tools: &mut Tools<'_>, id: &Str) {
        self.remove_member(tools, id);
    }

    /// Takes a member's leave. A static member may be named by its instance alone.
    pub(crate) fn leave(&mut self, tools: &mut Tools<'_>, identity: &Identity) -> Result<(), ErrorCode> {
        let id = match &identity.instance_id {
            Some(instance) if identity.member_id.is_empty() => {
                self.member_of_instance(instance).ok_or(ErrorCode::UnknownMemberId)?.id.clone()
            }
            _ if self.pending.contains(&identity.member_id) => {
                self.pending.remove(&identity.member_id);
                self.cancel_timer(tools, GroupTimer::Pending(identity.member_id.clone()));
                self.complete_join_if_all_are_here(tools);
                return Ok(());
            }
            _ => self.identify(identity)?,
        };
        self.remove_member(tools, &id);
        Ok(())
    }

    /// Removes a member and rebalances over those who stay.
    fn remove_member(&mut self, tools: &mut Tools<'_>, id: &Str) {
        if self.member(id).is_none() {
            return;
        }
        self.forget_member(tools, id);
        match self.state {
            State::Empty => {}
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(tools),
            State::PreparingRebalance => self.complete_join_if_all_are_here(tools),
        }
    }

    pub(super) fn forget_member(&mut self, tools: &mut Tools<'_>, id: &Str) {
        self.cancel_timer(tools, GroupTimer::Session(id.clone()));
        self.members.retain(|member| member.id != *id);
        if self.leader.as_ref() == Some(id) {
            self.leader = self.members.first().map(|member| member.id.clone());
        }
    }
}

/// The topics in the subscription a consumer brings with its join: int16 version, then an array of strings.
fn subscribed_topics(metadata: &[u8]) -> Option<Vec<&[u8]>> {
    let (_, mut rest) = metadata.split_first_chunk::<2>()?;
    let (count, after) = rest.split_first_chunk::<4>()?;
    rest = after;
    let mut topics = Vec::new();
    for _ in 0..i32::from_be_bytes(*count).max(0) {
        let (len, after) = rest.split_first_chunk::<2>()?;
        let (topic, after) = after.split_at_checked(usize::try_from(i16::from_be_bytes(*len)).ok()?)?;
        topics.push(topic);
        rest = after;
    }
    Some(topics)
}

impl Group {
    /// Whether a member of a consumer group reads the topic.
    pub(crate) fn subscribes_to(&self, topic: &str) -> bool {
        self.members.iter().any(|member| {
            let metadata = member.metadata(self.protocol.as_ref());
            subscribed_topics(&metadata).is_some_and(|topics| topics.contains(&topic.as_bytes()))
        })
    }
}
