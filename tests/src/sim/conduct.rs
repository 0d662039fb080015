//! What clients ask, held against what they asked before and against what they were told: rules whose breach no application sees.
//!
//! A request counts when its client wrote it: on its way it may be overtaken by later ones on other connections.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_core::internal::subscription::Assignment;
use kafka_proto::messages::fetch::FetchRequest;
use kafka_proto::messages::metadata::MetadataRequest;
use kafka_proto::messages::produce::ProduceRequest;
use kafka_proto::messages::sync_group::SyncGroupRequest;
use kafka_proto::{RequestKind, Uuid};

use super::history::TOPIC;
use super::runtime::ClientId;
use crate::broker::{ClusterState, NodeId};

/// Metadata is not asked for again sooner: the retry backoff, less its jitter and what requests take.
const REST: Duration = Duration::from_millis(70);
/// So many in a row come sooner than that from nobody, unless they ask for a topic that the one before did not: for such news a client
/// does not wait. A request that waits for its connection comes late.
const HASTE: u32 = 6;
/// What was on its way when a client heard of another epoch may still be asked under the old one.
const LATE: Duration = Duration::from_secs(1);
/// By then a client has heard that its connection is closed.
const HEARD: Duration = Duration::from_millis(300);
/// After so many answers larger requests may be tried again.
const PATIENCE: u32 = 8;
/// So many requests are too large from nobody: a client that had not heard of the end of its connection may send some.
const BREACHES: u32 = 3;
/// The bits of a batch's attributes that tell its codec.
const COMPRESSION: u8 = 7;
/// So often in a row a leader may come to nothing: its group has begun another round meanwhile.
const ROUNDS: u32 = 4;

/// The topic, as the rules know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
    /// No two brokers tell an older leader than there is.
    pub(crate) has_epochs: bool,
    /// No broker tells fewer partitions than there are.
    pub(crate) has_partitions: bool,
}

/// When a client asked for metadata last, of which topics, and how many times in a row without a rest or news.
#[derive(Debug, Default)]
struct Asked {
    last: Duration,
    topics: BTreeSet<(String, Uuid)>,
    count: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Conduct {
    pub(crate) known: Option<Known>,
    metadata: BTreeMap<ClientId, Asked>,
    /// The newest leader epoch under which each client fetched a partition, and since when.
    epochs: BTreeMap<(ClientId, i32), (i32, Duration)>,
    /// The ids that the topic had which is made anew, the oldest first.
    gone: Vec<Uuid>,
    /// How many of them were older than the newest one under which each client fetched or wrote, and since when.
    ids: BTreeMap<ClientId, (usize, Duration)>,
    /// How many times each client was told of a foreign member of the group that it leads, since it shared out.
    foreigners: BTreeMap<ClientId, u32>,
    /// By producer.
    closings: BTreeMap<(ClientId, NodeId, i64), Closing>,
}

/// A Produce request of several batches on which a node closes the connection.
#[derive(Debug)]
pub(crate) struct Refusal {
    at: Duration,
    producer: i64,
    /// Half of it, or of what stood behind it.
    limit: usize,
}

impl Refusal {
    /// `None` where the request could not have been smaller.
    pub(crate) fn of(now: Duration, request: &RequestKind) -> Option<Self> {
        let RequestKind::Produce(request) = request else { return None };
        let (producer, sizes) = (producer_of(request)?, sizes(request));
        let limit = sizes.iter().sum::<usize>() / 2;
        (sizes.len() > 1).then_some(Self { at: now, producer, limit })
    }

    /// So many bytes stood behind it on the connection: the client cannot know that it was not one of those.
    pub(crate) fn among(self, behind: usize) -> Self {
        Self { limit: self.limit.max(behind / 2), ..self }
    }
}

/// What a producer was closed on at a node.
#[derive(Debug, Default)]
struct Closing {
    at: Duration,
    /// Half of the smallest request of several batches.
    limit: usize,
    /// Requests since then that were not too large.
    answers: u32,
    breaches: u32,
}

impl Conduct {
    /// What is wrong with a request of this time, if anything.
    pub(crate) fn asked(
        &mut self,
        sent: Duration,
        (client, node): (ClientId, NodeId),
        request: &RequestKind,
    ) -> Option<String> {
        match request {
            RequestKind::Produce(request) => {
                let ids = request.topic_data.iter().map(|topic| topic.topic_id);
                self.check_ids(sent, client, ids).or_else(|| self.check_size(sent, client, node, request))
            }
            RequestKind::Metadata(request) => self.check_haste(sent, client, request),
            RequestKind::Fetch(request) => {
                let ids = request.topics.iter().map(|topic| topic.topic_id);
                self.check_ids(sent, client, ids).or_else(|| self.check_epochs(sent, client, request))
            }
            _ => None,
        }
    }

    /// I14: who asked for the metadata of topics rests before asking again.
    fn check_haste(&mut self, sent: Duration, client: ClientId, request: &MetadataRequest) -> Option<String> {
        let named = request.topics.as_ref().filter(|topics| !topics.is_empty())?;
        let topics = named.iter().map(|it| (it.name.as_deref().unwrap_or_default().to_owned(), it.topic_id));
        let topics: BTreeSet<_> = topics.collect();
        let Asked { last, topics: before, count } = self.metadata.entry(client).or_default();
        let is_soon = sent < *last + REST && topics.is_subset(before);
        (*last, *before, *count) = (sent, topics, if is_soon { *count + 1 } else { 1 });
        (*count == HASTE)
            .then(|| format!("I14: at {sent:?} client {client} asks for metadata time after time"))
    }

    /// I15: who has fetched under a leader epoch goes back to no older one, as long as no two brokers tell it.
    fn check_epochs(&mut self, sent: Duration, client: ClientId, request: &FetchRequest) -> Option<String> {
        let known = self.known.filter(|known| known.has_epochs)?;
        let of_topic =
            request.topics.iter().filter(|topic| topic.topic == TOPIC || topic.topic_id == known.id);
        let mut wrong = None;
        for asked in of_topic.flat_map(|topic| &topic.partitions) {
            let (partition, epoch) = (asked.partition, asked.current_leader_epoch);
            let (newest, since) = self.epochs.entry((client, partition)).or_insert((epoch, sent));
            if epoch > *newest {
                (*newest, *since) = (epoch, sent);
            }
            if (0..*newest).contains(&epoch) && sent > *since + LATE {
                wrong = Some(format!(
                    "I15: at {sent:?} client {client} fetches partition {partition} under leader epoch {epoch}, \
                     and knew {newest} at {since:?}"
                ));
            }
        }
        wrong
    }

    /// A topic that had this id is gone.
    pub(crate) fn gone(&mut self, id: Uuid) {
        self.gone.push(id);
    }

    /// I15: who knows that a topic was made anew goes back to no older one of that name: no two brokers tell of it.
    fn check_ids(
        &mut self,
        sent: Duration,
        client: ClientId,
        ids: impl Iterator<Item = Uuid>,
    ) -> Option<String> {
        let constant = self.known.map(|known| known.id);
        let mut wrong = None;
        for id in ids.filter(|id| !id.is_zero() && Some(*id) != constant) {
            let age = self.gone.iter().position(|gone| *gone == id).unwrap_or(self.gone.len());
            let (newest, since) = self.ids.entry(client).or_insert((age, sent));
            if age > *newest {
                (*newest, *since) = (age, sent);
            }
            if age < *newest && sent > *since + LATE {
                wrong = Some(format!(
                    "I15: at {sent:?} client {client} asks for topic {id}, and knew a newer one at {since:?}"
                ));
            }
        }
        wrong
    }

    /// I14: who was closed on for a large request sends no other as large until several were answered, unless it is one batch. Of
    /// compressed batches clients count what they had before.
    fn check_size(
        &mut self,
        sent: Duration,
        client: ClientId,
        node: NodeId,
        request: &ProduceRequest,
    ) -> Option<String> {
        let producer = producer_of(request)?;
        let closing = self.closings.get_mut(&(client, node, producer))?;
        let sizes = sizes(request);
        let is_small = sizes.len() < 2 || sizes.iter().sum::<usize>() <= closing.limit;
        if closing.answers >= PATIENCE || is_small {
            closing.answers += 1;
            return None;
        }
        if sent < closing.at + HEARD {
            return None;
        }
        closing.breaches += 1;
        (closing.breaches == BREACHES).then(|| {
            let closed = closing.limit * 2;
            let of = format!("I14: at {sent:?} producer {producer} sends batches of {sizes:?} bytes");
            format!("{of} to node {node}, which closed on {closed}")
        })
    }

    /// A client hears that a node closed a connection on a request.
    pub(crate) fn too_large(&mut self, (client, node): (ClientId, NodeId), refusal: Refusal) {
        let Refusal { at, producer, limit } = refusal;
        let closing =
            self.closings.entry((client, node, producer)).or_insert(Closing { limit, ..Closing::default() });
        let limit = if closing.answers < PATIENCE { limit.min(closing.limit) } else { limit };
        *closing = Closing { at, limit, answers: 0, breaches: closing.breaches };
    }

    /// I9: the leader of a group shares out although one of its members cannot be read.
    pub(crate) fn told_of_foreigner(&mut self, now: Duration, client: ClientId) -> Option<String> {
        let count = self.foreigners.entry(client).or_default();
        *count += 1;
        (*count == ROUNDS).then(|| {
            let of = format!("I9: at {now:?} client {client} leads its group for the {ROUNDS}th time");
            format!("{of}, and shares nothing out")
        })
    }

    /// I9: the leader of a group shares all partitions out to the members that there are, to each as many as to the others.
    /// `None` where it has nothing to share out, or where it is too late for that.
    pub(crate) fn shares(
        &mut self,
        cluster: &ClusterState,
        client: ClientId,
        request: &SyncGroupRequest,
    ) -> Option<Result<(), String>> {
        if !request.assignments.is_empty() {
            self.foreigners.remove(&client);
        }
        let known = self.known.filter(|known| known.has_partitions)?;
        let (generation, members) = cluster.joined(&request.group_id)?;
        // While coordinators move there may be two generations of one number: of another one's members it knows nothing.
        if generation != request.generation_id || !members.iter().any(|member| *member == *request.member_id)
        {
            return None;
        }
        let mut owners: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
        for share in &request.assignments {
            let given = Assignment::decode(&share.assignment).ok()?;
            for at in given.partitions.iter().filter(|at| at.topic == TOPIC) {
                owners.entry(at.partition).or_default().push(&share.member_id);
            }
        }
        // A leader that does not know the topic has nothing to share out.
        if owners.is_empty() {
            return None;
        }
        let count = |member: &String| owners.values().flatten().filter(|owner| *owner == member).count();
        let all = known.partitions as usize;
        let least = all / members.len().max(1);
        let counts: Vec<usize> = members.iter().map(count).collect();
        let is_even = counts.iter().all(|count| (least..=least + 1).contains(count));
        if is_even && owners.len() == all && counts.iter().sum::<usize>() == all {
            return Some(Ok(()));
        }
        let group = &request.group_id;
        Some(Err(format!(
            "I9: in generation {generation} of {group} its leader shares {all} partitions out: {owners:?}"
        )))
    }
}

/// The bytes of its batches.
fn sizes(request: &ProduceRequest) -> Vec<usize> {
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    partitions.map(|at| at.records.as_ref().map_or(0, |records| records.len())).collect()
}

/// Who sends the first batch, where it has an id and is not compressed.
fn producer_of(request: &ProduceRequest) -> Option<i64> {
    let partitions = request.topic_data.first()?.partition_data.first()?;
    let batch = partitions.records.as_ref()?.segments().first()?;
    let (magic, attributes) = (*batch.get(16)?, *batch.get(22)?);
    let id = i64::from_be_bytes(*batch.get(43..)?.first_chunk()?);
    (magic == 2 && attributes & COMPRESSION == 0 && id >= 0).then_some(id)
}
