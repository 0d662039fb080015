//! What brokers are asked: counted, and looked at for what no client may do.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::broker::Prepared;

/// Requests of one connection in one virtual second. A client that waits for answers stays below by far.
const MOST: u64 = 3000;

#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Requests by API.
    pub(crate) requests: BTreeMap<i16, u64>,
    /// Requests of each connection in the present second.
    present: BTreeMap<u64, u64>,
    second: u64,
    /// The most that one connection asked in a second.
    pub(crate) busiest: u64,
    pub(crate) violations: Vec<String>,
}

impl Watch {
    pub(crate) fn arrived(&mut self, now: Duration, conn: u64, api: i16, prepared: &Prepared) {
        *self.requests.entry(api).or_default() += 1;
        if let Prepared::Unreadable(why) = prepared {
            self.violations.push(format!("I13: a broker got a request that it does not take: {why}"));
        }
        if now.as_secs() != self.second {
            self.second = now.as_secs();
            self.present.clear();
        }
        let count = self.present.entry(conn).or_default();
        *count += 1;
        self.busiest = self.busiest.max(*count);
        if *count == MOST {
            self.violations.push(format!("I14: {MOST} requests on one connection in one second"));
        }
    }
}
