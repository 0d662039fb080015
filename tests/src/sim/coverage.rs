//! A run that exercises nothing finds nothing: what many runs together must have seen.

use kafka_proto::ApiKey;

use super::errors::ERRORS;
use super::fault::FaultKind;
use super::report::Report;

/// How many runs of each plan it takes until everything must have come up.
const ENOUGH: u64 = 100;

/// Reactions and how often they come up at least, in a hundred runs of each plan: a third of what was seen.
const REACTIONS: &[(&str, u64)] = &[
    ("answers of another cluster", 150),
    ("answers that lag", 45),
    ("answers with a bad item", 350),
    ("answers with a foreign member", 350),
    ("answers with fewer partitions", 170),
    ("answers with the id from before", 25),
    ("answers without topic ids", 170),
    ("assignments", 1000),
    ("calls", 2500),
    ("changes of chosen partitions", 200),
    ("changes of subscriptions", 700),
    ("commits", 20_000),
    ("connection failures", 1000),
    ("connections that were forgotten", 140),
    ("dropped futures", 6000),
    ("epoch bumps", 100),
    ("losses", 70),
    ("lost fetch sessions", 35),
    ("messages kept", 16_000),
    ("pauses", 900),
    ("positions out of range", 5),
    ("read", 400_000),
    ("read by two members", 20),
    ("rebootstraps", 7000),
    ("reports of kept messages", 40),
    ("requests led astray", 100),
    ("requests that were too large", 50),
    ("requests that were too new", 450),
    ("retries of batches", 1600),
    ("retries of calls", 180),
    ("revocations", 340),
    ("runs by arrival", 400),
    ("seeks", 450),
    ("sends of many that waited", 2300),
    ("sends that found it closed", 1200),
    ("shares looked at", 2500),
    ("stale marks", 100),
    ("throttled", 400),
    ("truncations noticed", 50),
    ("written", 180_000),
];

/// Requests that come up only where something happened, and how often at least.
const REQUESTS: &[(&str, u64)] =
    &[("OffsetForLeaderEpoch", 150), ("LeaveGroup", 700), ("InitProducerId", 2500)];

/// What came up less often than it should in so many seeds of each plan, in words. Nothing where there were too few seeds.
pub fn lacking(total: &Report, seeds: u64) -> Vec<String> {
    let hundreds = seeds / ENOUGH;
    if hundreds == 0 {
        return Vec::new();
    }
    let mut lacking = Vec::new();
    let mut expect = |what: &str, count: Option<&u64>, least: u64| {
        let (count, least) = (count.copied().unwrap_or(0), least * hundreds);
        if count < least {
            lacking.push(format!("{what}: {count}, expected at least {least}"));
        }
    };
    for kind in FaultKind::ALL {
        expect(&format!("fault {kind:?}"), total.faults.get(kind), 60);
    }
    for (api, code) in ERRORS {
        let what = format!("{} {code:?}", api.name());
        // Few ask about leader epochs.
        let least = if *api == ApiKey::OffsetForLeaderEpoch { 1 } else { 4 };
        expect(&what, total.happened.get(&what), least);
    }
    for what in ["Delay", "CloseBefore", "CloseAfter", "Throttle", "NoAnswer"] {
        expect(what, total.happened.get(what), 100);
    }
    for (what, least) in REACTIONS {
        expect(what, total.reactions.get(what), *least);
    }
    for (what, least) in REQUESTS {
        expect(what, total.requests.get(what), *least);
    }
    lacking
}
