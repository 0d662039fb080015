//! What brokers are asked: counted, and looked at for what no client may do.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_proto::{ApiKey, RequestKind};

use super::conduct::{Conduct, Refusal};
use super::runtime::ClientId;
use crate::broker::{ClusterState, NodeId, Prepared};

/// Requests of one connection in one virtual second. A client that waits for answers stays below by far.
const MOST: u64 = 3000;

#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Requests by API.
    pub(crate) requests: BTreeMap<i16, u64>,
    /// Requests of each connection in the present second.
    present: BTreeMap<u64, u64>,
    /// The same of each client and API.
    of_clients: BTreeMap<(ClientId, i16), u64>,
    second: u64,
    /// The most that one connection asked in a second.
    pub(crate) busiest: u64,
    /// The most that one client asked of an API in a second.
    pub(crate) most: BTreeMap<i16, u64>,
    /// What else came up.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) violations: Vec<String>,
    pub(crate) conduct: Conduct,
}

impl Watch {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A request arrived `now` that was sent before.
    pub(crate) fn arrived(
        &mut self,
        (now, sent): (Duration, Duration),
        (client, conn, node): (ClientId, u64, NodeId),
        api: i16,
        prepared: &Prepared,
    ) {
        *self.requests.entry(api).or_default() += 1;
        if let Prepared::Unreadable(why) = prepared {
            self.violations.push(format!("I13: a broker got a request that it does not take: {why}"));
        }
        if now.as_secs() != self.second {
            self.second = now.as_secs();
            self.present.clear();
            self.of_clients.clear();
        }
        let count = self.present.entry(conn).or_default();
        *count += 1;
        self.busiest = self.busiest.max(*count);
        if *count == MOST {
            self.violations.push(format!("I14: {MOST} requests on one connection in one second"));
        }
        if client > 0 {
            self.count_of_client(now, client, api);
            if let Prepared::Request(arrived) = prepared {
                self.violations.extend(self.conduct.asked(sent, (client, node), &arrived.request));
            }
        }
    }

    /// This client hears that a node closed a connection on a Produce request.
    pub(crate) fn too_large(&mut self, whom: (ClientId, NodeId), refusal: Refusal) {
        self.conduct.too_large(whom, refusal);
    }

    /// An answer to a client was changed.
    pub(crate) fn altered(
        &mut self,
        now: Duration,
        client: ClientId,
        api: Option<ApiKey>,
        what: &'static str,
    ) {
        self.count(what);
        if api == Some(ApiKey::JoinGroup) {
            self.violations.extend(self.conduct.told_of_foreigner(now, client));
        }
    }

    /// The leader of a group may have said who gets what.
    pub(crate) fn shared_out(&mut self, cluster: &ClusterState, client: ClientId, prepared: &Prepared) {
        let Prepared::Request(arrived) = prepared else { return };
        if let RequestKind::SyncGroup(request) = &arrived.request
            && let Some(shares) = self.conduct.shares(cluster, client, request)
        {
            self.count("shares looked at");
            self.violations.extend(shares.err());
        }
    }

    /// A client asks again after its backoffs only.
    fn count_of_client(&mut self, now: Duration, client: ClientId, code: i16) {
        let count = self.of_clients.entry((client, code)).or_default();
        *count += 1;
        let most = self.most.entry(code).or_default();
        *most = (*most).max(*count);
        let Some(api) = ApiKey::from_code(code) else { return };
        if limit(api).is_some_and(|limit| *count == limit) {
            let name = api.name();
            self.violations
                .push(format!("I14: {count} {name} requests of one client in second {}", now.as_secs()));
        }
    }
}

/// So many requests of an API in one second are too many for one client: what is asked again is asked after 80 ms at least, by
/// one who asks (a group), or by several (a client's readers, writers and connections). `None` where each answer may lead to the
/// next request.
fn limit(api: ApiKey) -> Option<u64> {
    match api {
        ApiKey::Produce | ApiKey::Fetch | ApiKey::OffsetCommit => None,
        ApiKey::JoinGroup
        | ApiKey::SyncGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::OffsetFetch
        | ApiKey::FindCoordinator
        | ApiKey::InitProducerId => Some(15),
        _ => Some(60),
    }
}
