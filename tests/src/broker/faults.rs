//! What goes wrong on request: a list of rules, each used up after a number of requests.

use std::time::Duration;

use kafka_proto::ApiKey;
use kafka_proto::error_code::ErrorCode;

use super::config::NodeId;

/// What happens to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// It is not executed and answered with this error, for every topic, partition or group in it.
    Error(ErrorCode),
    /// It is executed that much later.
    Delay(Duration),
    /// The connection is closed; the request is not executed.
    CloseBefore,
    /// The request is executed; then the connection is closed in place of an answer.
    CloseAfter,
    /// The answer asks the client to pause this long, and the broker holds it to that.
    Throttle(Duration),
    /// The request is taken, not executed and never answered.
    NoAnswer,
}

/// A fault and the requests it happens to.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRule {
    /// Requests of this API; of any if `None`.
    pub api: Option<ApiKey>,
    /// Requests to this node; to any if `None`.
    pub node: Option<NodeId>,
    /// How many of them.
    pub times: u32,
    /// What happens.
    pub fault: Fault,
}

/// The rules in force; the oldest that fits a request applies.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FaultRule>);

impl Faults {
    pub(crate) fn add(&mut self, rule: FaultRule) {
        self.0.push(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Rules that have not been used up.
    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn take(&mut self, node: NodeId, api: ApiKey) -> Option<Fault> {
        self.0.retain(|rule| rule.times > 0);
        let fits = |rule: &FaultRule| {
            rule.api.is_none_or(|only| only == api) && rule.node.is_none_or(|only| only == node)
        };
        let at = self.0.iter().position(fits)?;
        let rule = self.0.get_mut(at)?;
        rule.times -= 1;
        let fault = rule.fault.clone();
        self.0.retain(|rule| rule.times > 0);
        Some(fault)
    }
}
