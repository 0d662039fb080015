//! What sets a vendor's broker apart from the Kafka release it poses as: one switch for each oddity.
//!
//! What holds here:
//! * Each switch names a public source that describes the oddity; [`super::profile`] says which vendor has which.
//! * All are off by default, and the rest of the broker asks for switches only, never for a vendor.

use std::num::NonZeroU64;
use std::time::Duration;

use kafka_proto::ApiKey;
use kafka_proto::records::Compression;

/// An API with the oldest and the newest version that is offered.
pub type Offer = (ApiKey, i16, i16);

/// The oddities of a cluster. `Default` has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Oddities {
    offered: Option<&'static [Offer]>,
    unimplemented: &'static [ApiKey],
    closed_on: &'static [ApiKey],
    closes_on_new_api_versions: bool,
    max_request_bytes: Option<usize>,
    no_compression: bool,
    no_idempotent_write: bool,
    policy_violation_every: Option<NonZeroU64>,
    answers_acks_none: bool,
    null_for_empty_bytes: bool,
    fetch_waits_to_the_end: bool,
    idle: Option<IdleCut>,
}

/// What becomes of a connection that nothing has passed over for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleCut {
    /// It is closed, as brokers do (`connections.max.idle.ms`), and Envoy's `tcp_proxy` (`idle_timeout`).
    Close(Duration),
    /// A middlebox forgets it without a word; what is sent over it then is answered with a reset.
    Forget(Duration),
}

impl Oddities {
    /// Offers these APIs and versions only, as far as the release has them; others are neither listed nor taken.
    pub fn offering(mut self, offers: &'static [Offer]) -> Self {
        self.offered = Some(offers);
        self
    }

    /// Lists these APIs and answers them with UNKNOWN_SERVER_ERROR all the same.
    ///
    /// Kafka-on-Pulsar lists every API that its Kafka library knows:
    /// `overloadDefaultApiVersionsResponse` and `handleError` in
    /// <https://github.com/streamnative/kop/blob/master/kafka-impl/src/main/java/io/streamnative/pulsar/handlers/kop/KafkaRequestHandler.java>.
    pub fn unimplemented(mut self, apis: &'static [ApiKey]) -> Self {
        self.unimplemented = apis;
        self
    }

    /// Lists these APIs and closes the connection on each of their requests.
    ///
    /// Envoy's broker filter does so with API keys that its configuration denies:
    /// <https://github.com/envoyproxy/envoy/pull/36979>.
    pub fn closing_on(mut self, apis: &'static [ApiKey]) -> Self {
        self.closed_on = apis;
        self
    }

    /// Closes the connection on an ApiVersions request newer than what is offered, where Kafka answers
    /// UNSUPPORTED_VERSION (KIP-511).
    ///
    /// Kroxylicious before 0.9: <https://github.com/kroxylicious/kroxylicious/pull/1635>. Event Hubs:
    /// <https://github.com/dpkp/kafka-python/issues/2602>.
    pub fn closing_on_new_api_versions(mut self) -> Self {
        self.closes_on_new_api_versions = true;
        self
    }

    /// Closes the connection without an answer on a request of more bytes.
    ///
    /// Event Hubs at 1,046,528: <https://github.com/Azure/azure-event-hubs-for-kafka/issues/255>. Redpanda at its
    /// `kafka_request_max_bytes`: <https://github.com/redpanda-data/redpanda/pull/6283>.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = Some(bytes);
        self
    }

    /// Refuses compressed batches with UNSUPPORTED_FOR_MESSAGE_FORMAT.
    ///
    /// Event Hubs: "Compression / Message Format Version issue" in
    /// <https://github.com/Azure/azure-event-hubs-for-kafka/blob/master/README.md>.
    pub fn without_compression(mut self) -> Self {
        self.no_compression = true;
        self
    }

    /// Answers InitProducerId with CLUSTER_AUTHORIZATION_FAILED: users lack IDEMPOTENT_WRITE, and may write all the same.
    ///
    /// Redpanda before <https://github.com/redpanda-data/redpanda/pull/3368>; Kafka before KIP-679, as in
    /// <https://github.com/confluentinc/librdkafka/issues/2797>.
    pub fn without_idempotent_write(mut self) -> Self {
        self.no_idempotent_write = true;
        self
    }

    /// Refuses each `n`th Produce request with POLICY_VIOLATION and writes nothing of it; never if 0.
    ///
    /// Event Hubs throttles so under much load: "Kafka Throttling" in
    /// <https://github.com/Azure/azure-event-hubs-for-kafka/blob/master/README.md>.
    pub fn policy_violation_every(mut self, n: u64) -> Self {
        self.policy_violation_every = NonZeroU64::new(n);
        self
    }

    /// Answers Produce requests with acks=0.
    ///
    /// Event Hubs: `discard` in <https://github.com/twmb/franz-go/blob/master/pkg/kgo/broker.go>.
    pub fn answering_acks_none(mut self) -> Self {
        self.answers_acks_none = true;
        self
    }

    /// Sends null (length -1) for empty bytes in JoinGroup and SyncGroup responses, whose schema has no null there.
    ///
    /// Event Hubs: `Reader.Bytes` in <https://github.com/twmb/franz-go/blob/master/pkg/kbin/primitives.go>.
    pub fn null_for_empty_bytes(mut self) -> Self {
        self.null_for_empty_bytes = true;
        self
    }

    /// Answers a Fetch that found nothing at the end of its wait only, whatever is written meanwhile.
    ///
    /// Kafka-on-Pulsar before November 2022: <https://github.com/streamnative/kop/issues/1419>.
    pub fn fetch_waits_to_the_end(mut self) -> Self {
        self.fetch_waits_to_the_end = true;
        self
    }

    /// Cuts connections that were idle. Done by the front on sockets; a simulated network has faults of its own.
    ///
    /// Load balancers before MSK, after 350 s:
    /// <https://aws.amazon.com/blogs/networking-and-content-delivery/introducing-nlb-tcp-configurable-idle-timeout/>.
    /// Azure, after 240 s: <https://github.com/Azure/azure-event-hubs-for-kafka/blob/master/CONFIGURATION.md>.
    pub fn idle(mut self, cut: IdleCut) -> Self {
        self.idle = Some(cut);
        self
    }
}

/// What the broker asks.
impl Oddities {
    /// The versions of an API that are offered, of those that the release has.
    pub(crate) fn limit(&self, key: ApiKey, (min, max): (i16, i16)) -> Option<(i16, i16)> {
        let Some(offered) = self.offered else { return Some((min, max)) };
        let (_, oldest, newest) = offered.iter().find(|(api, ..)| *api == key)?;
        let (min, max) = (min.max(*oldest), max.min(*newest));
        (min <= max).then_some((min, max))
    }

    pub(crate) fn implements(&self, key: ApiKey) -> bool {
        !self.unimplemented.contains(&key)
    }

    /// Whether a request of this many bytes ends its connection at once.
    pub(crate) fn closes_on(&self, key: ApiKey, bytes: usize) -> bool {
        self.closed_on.contains(&key) || self.max_request_bytes.is_some_and(|max| bytes > max)
    }

    pub(crate) fn answers_new_api_versions(&self) -> bool {
        !self.closes_on_new_api_versions
    }

    pub(crate) fn takes(&self, compression: Compression) -> bool {
        !self.no_compression || compression == Compression::None
    }

    pub(crate) fn allows_idempotent_write(&self) -> bool {
        !self.no_idempotent_write
    }

    /// Whether the `n`th Produce request, counted from 1, is refused.
    pub(crate) fn throttles(&self, n: u64) -> bool {
        self.policy_violation_every.is_some_and(|every| n.is_multiple_of(every.get()))
    }

    pub(crate) fn answers_acks_of_none(&self) -> bool {
        self.answers_acks_none
    }

    pub(crate) fn has_null_for_empty_bytes(&self) -> bool {
        self.null_for_empty_bytes
    }

    pub(crate) fn wakes_fetches(&self) -> bool {
        !self.fetch_waits_to_the_end
    }

    pub(crate) fn idle_cut(&self) -> Option<IdleCut> {
        self.idle
    }
}
