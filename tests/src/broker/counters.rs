//! What the cluster was asked, for tests to look at.

use std::collections::BTreeMap;

use kafka_proto::ApiKey;

use super::config::NodeId;
use super::faults::Fault;

/// Requests by node and API since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    // By the API's code: the keys of a map must be ordered.
    requests: BTreeMap<(NodeId, i16), u64>,
    faults: u64,
    lost_sessions: u64,
    happened: BTreeMap<String, u64>,
}

impl Counters {
    pub(super) fn count(&mut self, node: NodeId, api: ApiKey) {
        *self.requests.entry((node, api.code())).or_default() += 1;
    }

    pub(super) fn count_fault(&mut self, api: ApiKey, fault: &Fault) {
        self.faults += 1;
        let what = match fault {
            Fault::Error(code) => format!("{} {code:?}", api.name()),
            Fault::Delay(_) => "Delay".to_owned(),
            Fault::Throttle(_) => "Throttle".to_owned(),
            other => format!("{other:?}"),
        };
        *self.happened.entry(what).or_default() += 1;
    }

    /// A node refused a fetch session that it does not have, or not like this.
    pub(super) fn count_lost_session(&mut self) {
        self.lost_sessions += 1;
    }

    /// Fetch sessions that nodes refused since they did not have them, or not like this.
    pub fn lost_sessions(&self) -> u64 {
        self.lost_sessions
    }

    /// Requests of one API to all nodes.
    pub fn requests(&self, api: ApiKey) -> u64 {
        self.requests.iter().filter(|((_, code), _)| *code == api.code()).map(|(_, count)| count).sum()
    }

    /// Requests of one API to one node.
    pub fn requests_to(&self, node: NodeId, api: ApiKey) -> u64 {
        self.requests.get(&(node, api.code())).copied().unwrap_or_default()
    }

    /// Requests a fault of [`super::FaultRule`] happened to.
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// The same by kind: an error by its API and name (`Produce NotLeaderOrFollower`), others as [`Fault`] names them.
    pub fn happened(&self) -> &BTreeMap<String, u64> {
        &self.happened
    }
}
