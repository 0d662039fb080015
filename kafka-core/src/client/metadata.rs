//! When metadata is asked for, and what of an answer is believed.
//!
//! Invariants
//! * What an answer takes back of what is known (a topic, partitions, a newer leader epoch, a topic id) changes nothing until
//!   answers agree, see [`doubts`](super::doubts). A zero topic id is no other id; no leader is no older leader.
//! * A topic or partition that an answer leaves out, or has an error for, costs no other one anything. What nobody needs is passed over.
//! * A hint refreshes at once, but not more often than the retry backoff allows; a topic that was never asked for may pass it
//!   once. What was asked for and is lacking in an answer is asked for again, with growing waits.

use super::doubts::{Claim, Doubts, Subject, Witness};
use super::missed::Missed;
use super::turns::Turns;
use crate::config::ClientConfig;
use crate::error::{ConnectionError, Error};
use crate::machine::{Peer, Time};
use crate::random::Random;
use crate::snapshot::{Cluster, Node, Partition, Topic, TopicPartition, TopicState};
use crate::trace::{Told, Traces};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_proto::{ApiKey, Str, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) cluster: Cluster,
    /// Topics somebody needs, with the number of those who do.
    wanted: BTreeMap<Str, usize>,
    /// Those of them that no request has named yet.
    news: BTreeSet<Str>,
    /// Those that the request under way names.
    asked: BTreeSet<Str>,
    pub(crate) doubts: Doubts,
    missed: Missed,
    /// The ids that topics had before those they have, or before they were deleted. None of them comes back, unless it was a
    /// mistake.
    former: BTreeMap<Str, Uuid>,
    /// Who is asked next where something is open: others may know more.
    turns: Turns,
    /// Topics that answers refused for good.
    refused: BTreeMap<Str, Error>,
    /// What answers say of topics of which nothing is known yet, and which should pass by itself.
    troubles: BTreeMap<Str, Trouble>,
    /// A broker said that what it knows leads nowhere: a bootstrap address is asked next (KIP-1102).
    pub(crate) rebootstraps: bool,
    in_flight: bool,
    /// Since when it is asked for and no broker of this cluster has answered.
    unanswered: Option<Time>,
    /// Why the last request has no answer.
    pub(super) last_error: Option<Error>,
    /// Something is known to be out of date.
    stale: bool,
    last_attempt: Option<Time>,
    last_success: Option<Time>,
    /// Attempts in a row that left something open.
    attempts: u32,
    pub(super) traces: Traces,
}

#[derive(Debug)]
struct Trouble {
    code: ErrorCode,
    since: Time,
    last: Time,
}

/// What an answer changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Topics with another snapshot, or another state, than before.
    pub(crate) topics: Vec<Str>,
}

impl Metadata {
    /// Somebody needs `topic`: it is asked for, unless it was before.
    pub(crate) fn want(&mut self, topic: &Str) {
        let count = self.wanted.entry(topic.clone()).or_default();
        *count += 1;
        let is_asked = *count > 1 || self.in_flight && self.asked.contains(topic);
        if !is_asked && !self.cluster.topics.contains_key(topic) {
            self.news.insert(topic.clone());
            self.stale = true;
        }
    }

    /// The controller has deleted the topic with this id (zero where it tells none). Whether that is the one that is known.
    pub(crate) fn deleted(&mut self, name: &str, id: Uuid) -> bool {
        let is_it = |known: &Arc<Topic>| id.is_zero() || known.id.is_zero() || known.id == id;
        self.cluster.topics.get(name).is_some_and(is_it) && self.forget(name)
    }

    /// The controller has made the topic, with this id (zero where it tells none). Whether the one that is known is another one.
    pub(crate) fn made(&mut self, name: &str, id: Uuid) -> bool {
        let is_another = |known: &Arc<Topic>| id.is_zero() || known.id != id;
        self.cluster.topics.get(name).is_some_and(is_another) && self.forget(name)
    }

    /// The topic is gone, for certain. Brokers that have not heard of it are not believed.
    fn forget(&mut self, name: &str) -> bool {
        let Some(known) = self.cluster.topics.remove(name) else { return false };
        if !known.id.is_zero() {
            self.cluster.names.remove(&known.id);
            self.former.insert(known.name.clone(), known.id);
        }
        self.ask_for(name);
        true
    }

    /// The controller said that the topic exists. What brokers said before counts no more, and they are asked at once.
    pub(crate) fn expect(&mut self, topic: &str) {
        if !self.cluster.topics.contains_key(topic) {
            self.ask_for(topic);
        }
    }

    /// What brokers said of a topic counts no more, and they are asked at once.
    fn ask_for(&mut self, topic: &str) {
        self.doubts.forget_topic(topic);
        self.refused.remove(topic);
        if self.wanted.contains_key(topic) {
            self.news.insert(Str::from(topic));
            (self.stale, self.attempts) = (true, 0);
        }
    }

    /// Why nothing is known of a topic, where that should pass by itself.
    pub(crate) fn trouble(&self, name: &str) -> Option<Error> {
        let trouble = self.troubles.get(name)?;
        Some(Error::of_code(trouble.code).with_api(ApiKey::Metadata).with_topic(&Str::from(name)))
    }

    /// The same, where it has lasted for longer than a topic may be missing.
    pub(crate) fn lasting_trouble(&self, name: &str, config: &ClientConfig) -> Option<Error> {
        let trouble = self.troubles.get(name)?;
        let lasts = trouble.last.duration_since(trouble.since) >= config.unknown_topic_grace;
        self.trouble(name).filter(|_| lasts)
    }

    #[cfg(test)]
    pub(crate) fn wanted_topics(&self) -> impl Iterator<Item = &str> {
        self.wanted.keys().map(|name| &**name)
    }

    pub(crate) fn is_any_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }

    pub(crate) fn unwant(&mut self, topic: &str) {
        let Some(count) = self.wanted.get_mut(topic) else { return };
        *count -= 1;
        if *count == 0 {
            self.wanted.remove(topic);
            self.news.remove(topic);
            self.doubts.forget_topic(topic);
            self.former.remove(topic);
            self.refused.remove(topic);
            self.troubles.remove(topic);
            self.cluster.refusals.remove(topic);
            // Nobody keeps it fresh any more: who needs it next asks anew.
            if let Some(known) = self.cluster.topics.remove(topic) {
                self.cluster.names.remove(&known.id);
            }
        }
    }

    pub(crate) fn is_asking(&self) -> bool {
        self.in_flight
    }

    /// Since when no broker of this cluster has answered what they are asked.
    pub(crate) fn unanswered(&self) -> Option<Time> {
        self.unanswered
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(crate) fn hint_stale(&mut self) {
        self.stale = true;
    }

    pub(crate) fn topic(&self, name: &str, config: &ClientConfig) -> TopicState {
        if let Some(topic) = self.cluster.topic(name) {
            return TopicState::Known(topic.clone());
        }
        if let Some(error) = self.refused.get(name) {
            return TopicState::Failed(error.clone());
        }
        let subject = Subject::Topic(Str::from(name));
        match self.agreed(&subject, config.unknown_topic_grace).next() {
            Some(Claim::Missing(code)) => {
                let error = Error::of_code(*code).with_api(ApiKey::Metadata);
                TopicState::Failed(error.with_topic(&Str::from(name)))
            }
            _ => TopicState::Pending,
        }
    }

    /// What enough brokers have said that is something else than is known, for long enough.
    fn agreed(&self, subject: &Subject, grace: Duration) -> impl Iterator<Item = &Claim> {
        self.doubts.agreed(subject, self.enough_brokers(), grace)
    }

    /// A broker says something else than is known. Whether that is believed now.
    pub(crate) fn overturns(
        &mut self,
        subject: &Subject,
        claim: &Claim,
        witness: Witness,
        grace: Duration,
    ) -> bool {
        self.doubts.raise(subject.clone(), claim.clone(), witness);
        self.agreed(subject, grace).any(|agreed| agreed == claim)
    }

    fn enough_brokers(&self) -> usize {
        self.cluster.nodes.len().min(2)
    }

    /// The one of these brokers to ask next where something is open.
    pub(crate) fn whose_turn(&self, candidates: impl Iterator<Item = i32> + Clone) -> Option<i32> {
        match self.attempts {
            0 => None,
            attempt => self.turns.next(candidates, attempt),
        }
    }

    /// When the next request is due; `None` while one is under way.
    pub(crate) fn due(&self, config: &ClientConfig, random: &mut Random) -> Option<Time> {
        if self.in_flight {
            return None;
        }
        let last = self.last_attempt?;
        if self.stale {
            let wait = match self.attempts {
                0 => config.retry_backoff,
                n => random.backoff(n - 1, config.retry_backoff, config.retry_backoff_max),
            };
            return Some(last + wait);
        }
        Some(self.last_success.unwrap_or(last) + config.metadata_max_age)
    }

    /// Whether a request may leave right now.
    pub(crate) fn may_ask_now(&self, now: Time, config: &ClientConfig) -> bool {
        if self.in_flight {
            return false;
        }
        let Some(last) = self.last_attempt else { return true };
        let rested = now.duration_since(last) >= config.retry_backoff;
        self.stale && self.attempts == 0 && (rested || !self.news.is_empty())
    }

    pub(crate) fn request(&mut self, now: Time, config: &ClientConfig) -> MetadataRequest {
        self.in_flight = true;
        self.unanswered.get_or_insert(now);
        self.stale = false;
        self.last_attempt = Some(now);
        self.news.clear();
        self.asked = self.wanted.keys().cloned().collect();
        let topics = self
            .wanted
            .keys()
            .map(|name| MetadataRequestTopic { name: Some(name.clone()), ..MetadataRequestTopic::default() });
        MetadataRequest {
            topics: Some(topics.collect()),
            allow_auto_topic_creation: config.allow_auto_topic_creation,
            ..MetadataRequest::default()
        }
    }

    /// The request failed, at this broker if it had come so far.
    pub(crate) fn failed(&mut self, now: Time, peer: Option<Peer>) {
        self.in_flight = false;
        if let (Some(broker), Some(asked)) = (peer.and_then(Peer::node), self.last_attempt) {
            self.turns.failed(broker, asked, now);
        }
        self.left_open();
    }

    /// Somebody waits for a partition that its topic is not known to have. Another broker than the last may know it.
    pub(crate) fn want_partition(&mut self, partition: TopicPartition) {
        self.missed.add(partition);
        if !self.stale {
            self.left_open();
        }
    }

    pub(crate) fn unwant_partition(&mut self, partition: &TopicPartition) {
        self.missed.remove(partition);
    }

    /// Something is left open that another answer may settle.
    pub(crate) fn left_open(&mut self) {
        self.stale = true;
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// The broker belongs to another cluster: nothing of it is believed.
    pub(crate) fn apply(
        &mut self,
        now: Time,
        from: Peer,
        response: MetadataResponse,
        config: &ClientConfig,
    ) -> Result<Changes, ConnectionError> {
        self.in_flight = false;
        self.check_cluster(&response).inspect_err(|_| self.failed(now, Some(from)))?;
        (self.unanswered, self.last_error) = (None, None);
        if let Some(broker) = from.node() {
            self.turns.answered(broker, self.last_attempt.unwrap_or(now));
        }
        let mut changes = Changes::default();
        let witness = Witness { now, peer: from };
        if response.error_code != 0 {
            self.apply_failure(witness, response, config, &mut changes);
            self.left_open();
            return Ok(changes);
        }
        self.last_success = Some(now);
        let before = self.apply_brokers(&response);
        let mut open = false;
        let mut lacking = std::mem::take(&mut self.asked);
        for topic in response.topics {
            if let Some(name) = &topic.name {
                lacking.remove(name);
            }
            open |= self.apply_topic(witness, topic, config, &mut changes);
        }
        open |= self.lack(&lacking, witness, &mut changes);
        open |= self.keep_leaders(&before);
        open |= self.missed.is_any(&self.cluster);
        match open {
            true => self.left_open(),
            false => self.attempts = 0,
        }
        self.stale |= !self.news.is_empty();
        Ok(changes)
    }

    /// An error of the whole answer: it says nothing but what cannot be said, of each topic that was asked for. Kafka's brokers
    /// give each the same error, and no brokers.
    fn apply_failure(
        &mut self,
        witness: Witness,
        response: MetadataResponse,
        config: &ClientConfig,
        changes: &mut Changes,
    ) {
        let code = ErrorCode::from(response.error_code);
        self.rebootstraps |= code == ErrorCode::RebootstrapRequired;
        let mut unnamed = std::mem::take(&mut self.asked);
        for topic in response.topics.into_iter().filter(|topic| topic.error_code != 0) {
            topic.name.iter().for_each(|name| _ = unnamed.remove(name));
            self.apply_topic(witness, topic, config, changes);
        }
        for name in unnamed.into_iter().filter(|name| self.wanted.contains_key(name)).collect::<Vec<_>>() {
            self.struggle(witness, name, code, changes);
        }
    }

    /// What an answer says of brokers, controller and cluster. The brokers that were known before.
    fn apply_brokers(&mut self, response: &MetadataResponse) -> BTreeMap<i32, Node> {
        if response.controller_id >= 0 {
            self.cluster.controller = Some(response.controller_id);
        }
        if response.cluster_id.is_some() {
            self.cluster.id.clone_from(&response.cluster_id);
        }
        let told = response.brokers.iter().filter_map(node).collect();
        if response.brokers.is_empty() {
            return BTreeMap::new();
        }
        let before = std::mem::replace(&mut self.cluster.nodes, told);
        self.doubts.keep_addresses(|broker| self.cluster.nodes.contains_key(&broker));
        self.turns.keep(|broker| self.cluster.nodes.contains_key(&broker));
        before
    }

    /// An answer does not even name topics that it was asked for. Whether there are any.
    fn lack(&mut self, topics: &BTreeSet<Str>, witness: Witness, changes: &mut Changes) -> bool {
        let mut open = false;
        for name in topics {
            if !self.wanted.contains_key(name) {
                continue;
            }
            open = true;
            if !self.cluster.topics.contains_key(name) {
                self.miss(witness, name, ErrorCode::UnknownTopicOrPartition, changes);
            }
        }
        open
    }

    /// A leader that is known better than the answer knows keeps its address, as far as it is known. Whether there is one.
    fn keep_leaders(&mut self, before: &BTreeMap<i32, Node>) -> bool {
        let Cluster { nodes, topics, .. } = &mut self.cluster;
        let leaders = topics.values().flat_map(|topic| &topic.partitions).filter_map(|p| p.leader);
        let untold: BTreeSet<i32> = leaders.filter(|leader| !nodes.contains_key(leader)).collect();
        nodes.extend(untold.iter().filter_map(|id| Some((*id, before.get(id)?.clone()))));
        !untold.is_empty()
    }

    /// Whether an answer is from the cluster that this client began with.
    pub(crate) fn check_cluster(&self, response: &MetadataResponse) -> Result<(), ConnectionError> {
        match (&self.cluster.id, &response.cluster_id) {
            (Some(expected), Some(got)) if expected != got => {
                Err(ConnectionError::OtherCluster { expected: expected.to_string(), got: got.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Whether the topic has to be asked for again soon.
    fn apply_topic(
        &mut self,
        witness: Witness,
        topic: MetadataResponseTopic,
        config: &ClientConfig,
        changes: &mut Changes,
    ) -> bool {
        // Of what nobody needs any more, or ever did, nothing is kept.
        let wanted = topic.name.clone().filter(|name| self.wanted.contains_key(name));
        let Some(name) = wanted else { return false };
        let code = ErrorCode::from(topic.error_code);
        match code {
            ErrorCode::None | ErrorCode::LeaderNotAvailable if !topic.partitions.is_empty() => {
                self.doubts.end(&Subject::Topic(name.clone()));
                self.refused.remove(&name);
                self.troubles.remove(&name);
                self.cluster.refusals.remove(&name);
                self.adopt(witness, &name, topic, config, changes)
            }
            ErrorCode::None => self.struggle(witness, name, ErrorCode::LeaderNotAvailable, changes),
            ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => {
                self.miss(witness, &name, code, changes);
                true
            }
            code if code.is_retriable() || code == ErrorCode::RebootstrapRequired => {
                self.struggle(witness, name, code, changes)
            }
            code => {
                let error = Error::of_code(code).with_api(ApiKey::Metadata).with_topic(&name);
                self.troubles.remove(&name);
                self.cluster.refusals.insert(name.clone(), code);
                self.refused.insert(name.clone(), error);
                changes.topics.push(name);
                // Rights may be granted later.
                true
            }
        }
    }

    /// Nothing can be said of a topic for the moment, which changes nothing of what is known.
    fn struggle(&mut self, witness: Witness, name: Str, code: ErrorCode, changes: &mut Changes) -> bool {
        self.refused.remove(&name);
        self.cluster.refusals.insert(name.clone(), code);
        if !self.cluster.topics.contains_key(&name) {
            let Witness { now, .. } = witness;
            let trouble = Trouble { code, since: now, last: now };
            let trouble = self.troubles.entry(name.clone()).or_insert(trouble);
            (trouble.code, trouble.last) = (code, now);
            changes.topics.push(name);
        }
        true
    }

    fn miss(&mut self, witness: Witness, name: &Str, code: ErrorCode, changes: &mut Changes) {
        self.troubles.remove(name);
        self.refused.remove(name);
        self.cluster.refusals.insert(name.clone(), code);
        self.doubts.raise(Subject::Topic(name.clone()), Claim::Missing(code), witness);
        changes.topics.push(name.clone());
    }

    /// Topics that were missing for good are forgotten, with the epochs of their leaders.
    pub(crate) fn forget_gone(&mut self, config: &ClientConfig) -> Vec<Str> {
        let is_gone = |name: &&Str| {
            let subject = Subject::Topic((*name).clone());
            self.cluster.topics.contains_key(*name)
                && self.agreed(&subject, config.unknown_topic_grace).next().is_some()
        };
        let gone: Vec<Str> = self.doubts.missing().filter(is_gone).cloned().collect();
        for name in &gone {
            if let Some(topic) = self.cluster.topics.remove(name) {
                self.cluster.names.remove(&topic.id);
            }
        }
        gone
    }

    /// Takes over what an answer says of a topic, as far as it is believed. Whether something of it is doubted or open.
    fn adopt(
        &mut self,
        witness: Witness,
        name: &Str,
        told: MetadataResponseTopic,
        config: &ClientConfig,
        changes: &mut Changes,
    ) -> bool {
        let told_partitions = by_number(told.partitions);
        if told_partitions.is_empty() {
            return true;
        }
        let old = self.cluster.topics.get(name).cloned();
        let Some(id) = self.believed_id(witness, name, old.as_deref(), told.topic_id, config) else {
            return true;
        };
        // The epochs of another topic of that name count from the beginning.
        let same = old.as_deref().filter(|old| old.id == id || old.id.is_zero());
        let mut open = false;
        let mut partitions: Vec<Partition> = Vec::with_capacity(told_partitions.len());
        for told in &told_partitions {
            let known = same.and_then(|old| old.partitions.get(partitions.len()));
            let (partition, is_doubted) = match told {
                Some(told) => self.believed_partition(witness, name, told, known, config),
                None => (known.cloned().unwrap_or_else(not_told), true),
            };
            open |= is_doubted || partition.leader.is_none();
            partitions.push(partition);
        }
        open |= self.keep_partitions(witness, name, &mut partitions, same, config);
        let topic = Topic { name: name.clone(), id, is_internal: told.is_internal, partitions };
        if old.as_ref().is_none_or(|old| **old != topic) {
            self.traces.leaders(old.as_deref(), &topic);
            if let Some(old) = old.filter(|old| old.id != topic.id) {
                self.cluster.names.remove(&old.id);
            }
            if !topic.id.is_zero() {
                self.cluster.names.insert(topic.id, name.clone());
            }
            self.cluster.topics.insert(name.clone(), Arc::new(topic));
            changes.topics.push(name.clone());
        }
        open
    }

    /// The topic's id after an answer; `None` where it speaks of another topic of that name, and is not believed yet.
    fn believed_id(
        &mut self,
        witness: Witness,
        name: &Str,
        old: Option<&Topic>,
        told: Uuid,
        config: &ClientConfig,
    ) -> Option<Uuid> {
        let known = old.map(|old| old.id).filter(|id| !id.is_zero());
        if let Some(known) = known.filter(|_| told.is_zero()) {
            // A broker that does not know ids yet: no other topic.
            return Some(known);
        }
        let subject = Subject::Id(name.clone());
        let is_another = known.is_some_and(|known| known != told);
        // Who tells a former id lags, as far as can be seen; several may do so at once.
        let lags = known != Some(told) && self.former.get(name) == Some(&told);
        if is_another || lags {
            let grace = if lags { config.unknown_topic_grace } else { Duration::ZERO };
            let is_agreed = self.overturns(&subject, &Claim::Id(told), witness, grace);
            if !is_agreed {
                return None;
            }
        }
        if let Some(known) = known.filter(|_| is_another) {
            self.former.insert(name.clone(), known);
            self.doubts.forget_topic(name);
        }
        self.doubts.end(&subject);
        Some(told)
    }

    /// A partition after an answer, and whether the answer is doubted.
    fn believed_partition(
        &mut self,
        witness: Witness,
        name: &Str,
        told: &MetadataResponsePartition,
        known: Option<&Partition>,
        config: &ClientConfig,
    ) -> (Partition, bool) {
        let subject = Subject::Leader(name.clone(), told.partition_index);
        let mut told = partition(told);
        let Some(known) = known else { return (told, false) };
        if told.leader_epoch < 0 && told.leader.is_none() {
            // It knows of no leader, which is no older one.
            told.leader_epoch = known.leader_epoch;
        }
        if (0..known.leader_epoch).contains(&told.leader_epoch) {
            let claim = Claim::Leader(told.leader, told.leader_epoch);
            let is_agreed = self.overturns(&subject, &claim, witness, config.unknown_topic_grace);
            if !is_agreed {
                return (known.clone(), true);
            }
        }
        self.doubts.end(&subject);
        (told, false)
    }

    /// Partitions become fewer only where the topic was made anew: the surplus stays until answers agree. Whether there is one.
    fn keep_partitions(
        &mut self,
        witness: Witness,
        name: &Str,
        told: &mut Vec<Partition>,
        known: Option<&Topic>,
        config: &ClientConfig,
    ) -> bool {
        let subject = Subject::Partitions(name.clone());
        let surplus = known.and_then(|known| known.partitions.get(told.len()..)).unwrap_or_default();
        if !surplus.is_empty() {
            let claim = Claim::Partitions(told.len());
            let is_agreed = self.overturns(&subject, &claim, witness, config.unknown_topic_grace);
            if !is_agreed {
                told.extend_from_slice(surplus);
                return true;
            }
        }
        self.doubts.end(&subject);
        false
    }

    /// A response told the new leader (KIP-951): believed where its epoch is newer. Whether anything changed.
    pub(crate) fn leader_hint(
        &mut self,
        topic: &str,
        partition: i32,
        leader: i32,
        leader_epoch: i32,
        node: Option<Node>,
    ) -> bool {
        if let Some(node) = node {
            self.cluster.nodes.insert(node.id, node);
        }
        if !self.cluster.nodes.contains_key(&leader) {
            self.stale = true;
            return false;
        }
        let Some(old) = self.cluster.topics.get_mut(topic) else { return false };
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let newer = old.partitions.get(index).is_some_and(|p| leader_epoch > p.leader_epoch);
        if newer {
            let partition = &mut Arc::make_mut(old).partitions[index];
            (partition.leader, partition.leader_epoch) = (Some(leader), leader_epoch);
            let (topic, partition) = (old.name.clone(), index as i32);
            self.doubts.end(&Subject::Leader(topic.clone(), partition));
            self.traces.push(|| Told::LeaderMoved { topic, partition, leader, leader_epoch });
        }
        newer
    }
}

fn node(broker: &kafka_proto::messages::metadata::MetadataResponseBroker) -> Option<(i32, Node)> {
    let node = Node::told(broker.node_id, &broker.host, broker.port, broker.rack.as_ref())?;
    Some((node.id, node))
}

/// The partitions at their numbers, `None` where one is left out. One that is named twice counts once, a number below zero not
/// at all, nor the last ones of an answer that leaves out more than it names.
fn by_number(mut told: Vec<MetadataResponsePartition>) -> Vec<Option<MetadataResponsePartition>> {
    let number = |p: &MetadataResponsePartition| usize::try_from(p.partition_index).ok();
    told.retain(|p| number(p).is_some());
    told.sort_by_key(|p| p.partition_index);
    told.dedup_by_key(|p| p.partition_index);
    while told.last().and_then(number).is_some_and(|last| last >= 2 * told.len()) {
        told.pop();
    }
    let count = told.last().map_or(0, |last| last.partition_index + 1);
    let mut told = told.into_iter().peekable();
    (0..count).map(|index| told.next_if(|p| p.partition_index == index)).collect()
}

/// A partition that an answer leaves out, and of which nothing is known.
fn not_told() -> Partition {
    Partition { leader: None, leader_epoch: -1, replicas: Vec::new(), isr: Vec::new(), offline: Vec::new() }
}

fn partition(told: &MetadataResponsePartition) -> Partition {
    Partition {
        leader: (told.leader_id >= 0).then_some(told.leader_id),
        leader_epoch: told.leader_epoch,
        replicas: told.replica_nodes.to_vec(),
        isr: told.isr_nodes.to_vec(),
        offline: told.offline_replicas.to_vec(),
    }
}
