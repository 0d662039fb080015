//! What is known of the cluster: which topics are needed, when brokers are asked, and what an answer changes.
//!
//! Invariants
//! * What an answer takes back of what is known changes nothing until answers agree, see [`beliefs`].
//! * A topic or partition that an answer leaves out, or has an error for, costs no other one anything. What nobody needs is passed over.
//! * What was asked for and is lacking in an answer is asked for again.

mod absent;
mod beliefs;
mod doubts;
mod missed;
mod schedule;
mod traces;
mod turns;
mod wanted;

use crate::address::Address;
use crate::config::ClientConfig;
use crate::error::{ConnectionError, Error};
use crate::machine::{Peer, Time};
use crate::random::Random;
use crate::snapshot::{Cluster, Node, Partition, Topic, TopicPartition, TopicState};
use crate::trace::{Told, Trace, Traces};
use absent::Absent;
use beliefs::{Beliefs, Testimony};
use doubts::Witness;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_proto::{Str, Uuid};
use schedule::Schedule;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use wanted::Wanted;

#[derive(Debug, Default)]
pub(super) struct Metadata {
    cluster: Cluster,
    wanted: Wanted,
    schedule: Schedule,
    beliefs: Beliefs,
    absent: Absent,
    traces: Traces,
}

/// What an answer changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Topics with another snapshot, or another state, than before.
    pub(super) topics: Vec<Str>,
}

impl Metadata {
    /// What is known.
    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Returns what is known of a topic.
    pub(super) fn topic(&self, name: &str, config: &ClientConfig) -> TopicState {
        if let Some(topic) = self.cluster.topic(name) {
            return TopicState::Known(topic.clone());
        }
        if let Some(error) = self.absent.refusal(name) {
            return TopicState::Failed(error.clone());
        }
        let name = Str::from(name);
        match self.beliefs.missing(&name, self.enough_brokers(), config.unknown_topic_grace) {
            Some(code) => TopicState::Failed(absent::error(&name, code)),
            None => TopicState::Pending,
        }
    }

    /// Returns why nothing is known of a topic, where that should pass by itself.
    pub(super) fn trouble(&self, name: &str) -> Option<Error> {
        self.absent.trouble(name)
    }

    /// Returns the same, where it has lasted for longer than a topic may be missing.
    pub(super) fn lasting_trouble(&self, name: &str, config: &ClientConfig) -> Option<Error> {
        self.absent.lasting_trouble(name, config.unknown_topic_grace)
    }

    pub(super) fn pop_trace(&mut self) -> Option<Trace> {
        self.traces.pop()
    }

    // ---- what is needed ----

    /// Adds a need of a topic: it is asked for, unless it was before.
    pub(super) fn want(&mut self, topic: &Str) {
        let is_first = self.wanted.add(topic);
        let is_asked = !is_first || self.schedule.is_asking() && self.wanted.is_asked(topic);
        if !is_asked && self.cluster.topic(topic).is_none() {
            self.wanted.add_news(topic);
            self.schedule.refresh();
        }
    }

    /// Takes a need of a topic back. What nobody keeps fresh is forgotten: who needs it next asks anew.
    pub(super) fn unwant(&mut self, topic: &str) {
        if self.wanted.remove(topic) {
            self.beliefs.forget(topic);
            self.absent.forget(topic);
            self.cluster.refusals.remove(topic);
            self.cluster.remove_topic(topic);
        }
    }

    /// Somebody waits for a partition that its topic is not known to have. Another broker than the last may know it.
    pub(super) fn want_partition(&mut self, partition: TopicPartition) {
        self.wanted.add_partition(partition);
        if !self.schedule.is_stale() {
            self.schedule.left_open();
        }
    }

    pub(super) fn unwant_partition(&mut self, partition: &TopicPartition) {
        self.wanted.remove_partition(partition);
    }

    pub(super) fn is_any_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }

    #[cfg(test)]
    pub(super) fn wanted_topics(&self) -> impl Iterator<Item = &str> {
        self.wanted.names().map(|name| &**name)
    }

    // ---- when brokers are asked ----

    pub(super) fn is_asking(&self) -> bool {
        self.schedule.is_asking()
    }

    /// Returns since when no broker of this cluster has answered what they are asked.
    pub(super) fn unanswered(&self) -> Option<Time> {
        self.schedule.unanswered()
    }

    /// Returns why the last request has no answer.
    pub(super) fn last_error(&self) -> Option<&Error> {
        self.schedule.last_error()
    }

    pub(super) fn is_stale(&self) -> bool {
        self.schedule.is_stale()
    }

    /// Marks what is known as out of date.
    pub(super) fn hint_stale(&mut self) {
        self.schedule.refresh();
    }

    pub(super) fn rebootstraps(&self) -> bool {
        self.schedule.rebootstraps()
    }

    /// Returns whether the next request goes to a bootstrap address, which ends that.
    pub(super) fn take_rebootstrap(&mut self) -> bool {
        self.schedule.take_rebootstrap()
    }

    /// Returns which of these brokers to ask next, where something is open.
    pub(super) fn whose_turn(&self, candidates: impl Iterator<Item = i32> + Clone) -> Option<i32> {
        self.schedule.whose_turn(candidates)
    }

    /// Returns when the next request is due; `None` while one is under way.
    pub(super) fn due(&self, config: &ClientConfig, random: &mut Random) -> Option<Time> {
        self.schedule.due(config, random)
    }

    /// Returns whether a request may leave right now.
    pub(super) fn may_ask_now(&self, now: Time, config: &ClientConfig) -> bool {
        self.schedule.may_ask_now(now, self.wanted.has_news(), config)
    }

    /// Begins a request for all topics that are needed.
    pub(super) fn request(&mut self, now: Time, config: &ClientConfig) -> MetadataRequest {
        self.schedule.begin(now);
        self.wanted.ask();
        let topic = |name: &Str| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        MetadataRequest {
            topics: Some(self.wanted.names().map(topic).collect()),
            allow_auto_topic_creation: config.allow_auto_topic_creation,
            ..MetadataRequest::default()
        }
    }

    /// Notes that the request failed, at this broker if it had come so far.
    pub(super) fn failed(&mut self, now: Time, peer: Option<Peer>) {
        self.schedule.failed(now, peer);
    }

    pub(super) fn note_error(&mut self, error: Error) {
        self.schedule.note_error(error);
    }

    // ---- what is known for certain ----

    /// The controller has deleted the topic with this id (zero where it reports none). Returns whether that is the one that is known.
    pub(super) fn deleted(&mut self, name: &str, id: Uuid) -> bool {
        let is_it = |known: &Arc<Topic>| id.is_zero() || known.id.is_zero() || known.id == id;
        self.cluster.topic(name).is_some_and(is_it) && self.forget(name)
    }

    /// The controller has made the topic, with this id (zero where it reports none). Returns whether the one that is known is another
    /// one.
    pub(super) fn made(&mut self, name: &str, id: Uuid) -> bool {
        let is_another = |known: &Arc<Topic>| id.is_zero() || known.id != id;
        self.cluster.topic(name).is_some_and(is_another) && self.forget(name)
    }

    /// The topic is gone, for certain. Brokers that have not heard of it are not believed.
    fn forget(&mut self, name: &str) -> bool {
        let Some(known) = self.cluster.remove_topic(name) else { return false };
        if !known.id.is_zero() {
            self.beliefs.deleted(&known.name, known.id);
        }
        self.ask_for(name);
        true
    }

    /// The controller reported that the topic exists. What brokers said before counts no more, and they are asked at once.
    pub(super) fn expect(&mut self, topic: &str) {
        if self.cluster.topic(topic).is_none() {
            self.ask_for(topic);
        }
    }

    /// What brokers said of a topic counts no more, and they are asked at once.
    fn ask_for(&mut self, topic: &str) {
        self.beliefs.forget_claims(topic);
        self.absent.allow(topic);
        if self.wanted.add_news(topic) {
            self.schedule.restart();
        }
    }

    /// Notes where a broker is found, as another API than Metadata reports it.
    pub(super) fn learn_node(&mut self, node: Node) {
        self.cluster.nodes.insert(node.id, node);
    }

    /// A response named the new leader (KIP-951): believed where its epoch is newer. Returns whether anything changed.
    pub(super) fn leader_hint(
        &mut self,
        topic: &str,
        partition: i32,
        leader: i32,
        leader_epoch: i32,
    ) -> bool {
        if !self.cluster.nodes.contains_key(&leader) {
            self.schedule.refresh();
            return false;
        }
        let Some(old) = self.cluster.topics.get_mut(topic) else { return false };
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let newer = old.partitions.get(index).is_some_and(|p| Some(leader_epoch) > p.leader_epoch);
        if newer {
            let partition = &mut Arc::make_mut(old).partitions[index];
            (partition.leader, partition.leader_epoch) = (Some(leader), Some(leader_epoch));
            let (topic, partition) = (old.name.clone(), index as i32);
            self.beliefs.leader_named(&topic, partition);
            self.traces.push(|| Told::LeaderMoved { topic, partition, leader, leader_epoch });
        }
        newer
    }

    /// A broker reported where brokers are found: these, whose connections lead there, and those that have moved. Returns those of the
    /// latter of which that is believed now; any other one is asked about again.
    pub(super) fn check_addresses(
        &mut self,
        now: Time,
        peer: Peer,
        stayed: &[i32],
        moved: impl IntoIterator<Item = (i32, Address)>,
    ) -> Vec<i32> {
        let by = self.testimony(Witness { now, peer }, Duration::ZERO);
        stayed.iter().for_each(|broker| self.beliefs.has_stayed(*broker));
        let mut believed = Vec::new();
        for (broker, to) in moved {
            if self.beliefs.has_moved(broker, to, by) {
                believed.push(broker);
            } else {
                self.schedule.left_open();
            }
        }
        believed
    }

    fn testimony(&self, witness: Witness, grace: Duration) -> Testimony {
        Testimony { witness, enough: self.enough_brokers(), grace }
    }

    fn enough_brokers(&self) -> usize {
        self.cluster.nodes.len().min(2)
    }

    // ---- answers ----

    /// Takes an answer.
    ///
    /// # Errors
    /// The broker belongs to another cluster: nothing of it is believed.
    pub(super) fn apply(
        &mut self,
        now: Time,
        from: Peer,
        response: MetadataResponse,
        config: &ClientConfig,
    ) -> Result<Changes, ConnectionError> {
        self.check_cluster(&response).inspect_err(|_| self.schedule.failed(now, Some(from)))?;
        self.schedule.answered(now, from);
        let mut changes = Changes::default();
        let witness = Witness { now, peer: from };
        if response.error_code != 0 {
            self.apply_failure(witness, response, config, &mut changes);
            self.schedule.left_open();
            return Ok(changes);
        }
        self.schedule.succeeded(now);
        let before = self.apply_brokers(&response);
        let mut open = false;
        let mut lacking = self.wanted.take_asked();
        for topic in response.topics {
            if let Some(name) = &topic.name {
                lacking.remove(name);
            }
            open |= self.apply_topic(witness, topic, config, &mut changes);
        }
        open |= self.apply_lacking(&lacking, witness, &mut changes);
        open |= self.keep_leaders(&before);
        open |= self.wanted.lacks_partition(&self.cluster);
        match open {
            true => self.schedule.left_open(),
            false => self.schedule.settled(),
        }
        if self.wanted.has_news() {
            self.schedule.refresh();
        }
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
        if code == ErrorCode::RebootstrapRequired {
            self.schedule.rebootstrap();
        }
        let mut unnamed = self.wanted.take_asked();
        for topic in response.topics.into_iter().filter(|topic| topic.error_code != 0) {
            topic.name.iter().for_each(|name| _ = unnamed.remove(name));
            self.apply_topic(witness, topic, config, changes);
        }
        unnamed.retain(|name| self.wanted.contains(name));
        for name in unnamed {
            self.not_now(witness, name, code, changes);
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
        self.beliefs.keep_brokers(|broker| self.cluster.nodes.contains_key(&broker));
        self.schedule.keep_brokers(|broker| self.cluster.nodes.contains_key(&broker));
        before
    }

    /// An answer does not even name topics that it was asked for. Whether there are any.
    fn apply_lacking(&mut self, topics: &BTreeSet<Str>, witness: Witness, changes: &mut Changes) -> bool {
        let mut open = false;
        for name in topics {
            if !self.wanted.contains(name) {
                continue;
            }
            open = true;
            if self.cluster.topic(name).is_none() {
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
    pub(super) fn check_cluster(&self, response: &MetadataResponse) -> Result<(), ConnectionError> {
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
        let wanted = topic.name.clone().filter(|name| self.wanted.contains(name));
        let Some(name) = wanted else { return false };
        let code = ErrorCode::from(topic.error_code);
        match code {
            ErrorCode::None | ErrorCode::LeaderNotAvailable if !topic.partitions.is_empty() => {
                self.beliefs.found(&name);
                self.absent.forget(&name);
                self.cluster.refusals.remove(&name);
                self.adopt(witness, &name, topic, config, changes)
            }
            ErrorCode::None => self.not_now(witness, name, ErrorCode::LeaderNotAvailable, changes),
            ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => {
                self.miss(witness, &name, code, changes);
                true
            }
            code if code.is_retriable() || code == ErrorCode::RebootstrapRequired => {
                self.not_now(witness, name, code, changes)
            }
            code => {
                self.cluster.refusals.insert(name.clone(), code);
                self.absent.refuse(&name, code);
                changes.topics.push(name);
                // Rights may be granted later.
                true
            }
        }
    }

    /// Nothing can be said of a topic for the moment, which changes nothing of what is known.
    fn not_now(&mut self, witness: Witness, name: Str, code: ErrorCode, changes: &mut Changes) -> bool {
        self.absent.allow(&name);
        self.cluster.refusals.insert(name.clone(), code);
        if self.cluster.topic(&name).is_none() {
            self.absent.note(witness.now, &name, code);
            changes.topics.push(name);
        }
        true
    }

    fn miss(&mut self, witness: Witness, name: &Str, code: ErrorCode, changes: &mut Changes) {
        self.absent.forget(name);
        self.cluster.refusals.insert(name.clone(), code);
        self.beliefs.miss(name, code, witness);
        changes.topics.push(name.clone());
    }

    /// Topics that were missing for good are forgotten, with the epochs of their leaders.
    pub(super) fn forget_gone(&mut self, config: &ClientConfig) -> Vec<Str> {
        let (enough, grace) = (self.enough_brokers(), config.unknown_topic_grace);
        let is_gone = |name: &&Str| {
            self.cluster.topic(name).is_some() && self.beliefs.missing(name, enough, grace).is_some()
        };
        let gone: Vec<Str> = self.beliefs.all_missed().filter(is_gone).cloned().collect();
        gone.iter().for_each(|name| _ = self.cluster.remove_topic(name));
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
        let old = self.cluster.topic(name).cloned();
        let by = self.testimony(witness, config.unknown_topic_grace);
        let Some(id) = self.beliefs.id(name, old.as_deref(), told.topic_id, by) else {
            return true;
        };
        // The epochs of another topic of that name count from the beginning.
        let same = old.as_deref().filter(|old| old.id == id || old.id.is_zero());
        let mut open = false;
        let mut partitions: Vec<Partition> = Vec::with_capacity(told_partitions.len());
        for told in &told_partitions {
            let known = same.and_then(|old| old.partitions.get(partitions.len()));
            let (partition, is_doubted) = match told {
                Some(told) => self.beliefs.partition(name, told, known, by),
                None => (known.cloned().unwrap_or_else(not_told), true),
            };
            open |= is_doubted || partition.leader.is_none();
            partitions.push(partition);
        }
        open |= self.beliefs.keep_partitions(name, &mut partitions, same, by);
        let topic = Topic { name: name.clone(), id, is_internal: told.is_internal, partitions };
        if old.as_ref().is_none_or(|old| **old != topic) {
            self.traces.leaders(old.as_deref(), &topic);
            self.cluster.insert_topic(topic);
            changes.topics.push(name.clone());
        }
        open
    }
}

fn node(broker: &MetadataResponseBroker) -> Option<(i32, Node)> {
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
    Partition { leader: None, leader_epoch: None, replicas: Vec::new(), isr: Vec::new(), offline: Vec::new() }
}
