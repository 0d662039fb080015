//! What a test wants of single requests and answers: to see them, to change them, or somebody else in a node's place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use kafka_proto::messages::headers::RequestHeader;
use kafka_proto::{ApiKey, Bytes, RequestKind, ResponseKind, frame};

use crate::broker::NodeId;

/// A request as a node got it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Asked {
    /// When it had arrived whole.
    pub at: Duration,
    /// The node.
    pub node: NodeId,
    /// The connection, numbered over all nodes.
    pub conn: u64,
    /// The API.
    pub api: ApiKey,
    /// Its bytes, without the length.
    pub frame: Bytes,
}

impl Asked {
    /// What is asked.
    ///
    /// # Panics
    /// If the node cannot make sense of it either.
    pub fn request(&self) -> RequestKind {
        self.decoded().1
    }

    /// The version of the API.
    ///
    /// # Panics
    /// If the node cannot make sense of it either.
    pub fn version(&self) -> i16 {
        self.decoded().0.request_api_version
    }

    fn decoded(&self) -> (RequestHeader, RequestKind) {
        frame::decode_request(&self.frame).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Makes the bytes of an answer, in a version, into others.
type Spoil = Box<dyn FnMut(i16, Bytes) -> Bytes + Send>;

struct Rule {
    /// What answers are then, for who counts them.
    what: Option<&'static str>,
    api: ApiKey,
    node: Option<NodeId>,
    times: u32,
    spoil: Spoil,
}

#[derive(Default)]
pub(crate) struct Script {
    recorded: BTreeSet<i16>,
    asked: Vec<Asked>,
    rules: Vec<Rule>,
    strangers: BTreeMap<NodeId, Bytes>,
}

impl Script {
    pub(super) fn record(&mut self, api: ApiKey) {
        self.recorded.insert(api.code());
    }

    pub(super) fn recorded(&self, api: ApiKey) -> Vec<Asked> {
        self.asked.iter().filter(|asked| asked.api == api).cloned().collect()
    }

    pub(super) fn spoil(&mut self, api: ApiKey, node: Option<NodeId>, times: u32, spoil: Spoil) {
        self.rules.push(Rule { what: None, api, node, times, spoil });
    }

    /// As [`Self::spoil`]; what was changed is counted.
    pub(super) fn spoil_counted(
        &mut self,
        what: &'static str,
        (api, node, times): (ApiKey, Option<NodeId>, u32),
        spoil: Spoil,
    ) {
        self.rules.push(Rule { what: Some(what), api, node, times, spoil });
    }

    /// Answers are as they are from now on.
    pub(super) fn end(&mut self) {
        self.rules.clear();
    }

    /// Whether answers of an API are still to be changed.
    pub(super) fn has_rule(&self, api: ApiKey) -> bool {
        self.rules.iter().any(|rule| rule.times > 0 && rule.api == api)
    }

    pub(super) fn put_stranger(&mut self, node: NodeId, says: Bytes) {
        self.strangers.insert(node, says);
    }

    /// What a node says to whatever it is told, where it is none of Kafka's.
    pub(super) fn stranger(&self, node: NodeId) -> Option<Bytes> {
        self.strangers.get(&node).cloned()
    }

    pub(super) fn asked(&mut self, at: Duration, node: NodeId, conn: u64, api: ApiKey, frame: &Bytes) {
        if self.recorded.contains(&api.code()) {
            self.asked.push(Asked { at, node, conn, api, frame: frame.clone() });
        }
    }

    /// An answer, its length first, as it is to be sent, and what was done to it, where that is counted.
    pub(super) fn answered(
        &mut self,
        node: NodeId,
        asked: Option<(ApiKey, i16)>,
        answer: Bytes,
    ) -> (Bytes, Option<&'static str>) {
        let Some((api, version)) = asked else { return (answer, None) };
        let fits =
            |rule: &&mut Rule| rule.times > 0 && rule.api == api && rule.node.is_none_or(|only| only == node);
        let Some(rule) = self.rules.iter_mut().find(fits) else { return (answer, None) };
        rule.times -= 1;
        let spoilt = (rule.spoil)(version, answer.clone());
        let what = rule.what.filter(|_| spoilt != answer);
        (spoilt, what)
    }
}

/// As [`Spoil`], of what was decoded.
pub(super) fn altered(
    api: ApiKey,
    mut alter: impl FnMut(&mut ResponseKind) + Send + 'static,
) -> impl FnMut(i16, Bytes) -> Bytes + Send + 'static {
    move |version, answer| {
        let decoded = frame::decode_response(api, version, &answer.slice(4..));
        let (correlation_id, mut response) = decoded.unwrap_or_else(|error| panic!("{error}"));
        alter(&mut response);
        let encoded = frame::encode_response(correlation_id, version, &response);
        encoded.unwrap_or_else(|error| panic!("{error}")).concat().into()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("asked", &self.asked.len()).field("rules", &self.rules.len()).finish()
    }
}
