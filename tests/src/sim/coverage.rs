//! A run that exercises nothing finds nothing: what many runs together must have seen.

use super::chaos::FaultKind;
use super::errors::ERRORS;
use super::report::Report;

/// How many runs of each plan it takes until everything must have come up.
const ENOUGH: u64 = 100;

/// Reactions and how often they come up at least, in a hundred runs of each plan.
const REACTIONS: &[(&str, u64)] = &[
    ("assignments", 500),
    ("calls", 1000),
    ("commits", 5000),
    ("dropped futures", 1000),
    ("epoch bumps", 20),
    ("losses", 20),
    ("lost fetch sessions", 20),
    ("pauses", 100),
    ("positions out of range", 5),
    ("read", 100_000),
    ("rebootstraps", 20),
    ("retries of batches", 1000),
    ("retries of calls", 20),
    ("revocations", 200),
    ("seeks", 100),
    ("throttled", 20),
    ("truncations noticed", 20),
    ("written", 100_000),
];

/// Requests that come up only where something happened, and how often at least.
const REQUESTS: &[(&str, u64)] = &[("OffsetForLeaderEpoch", 20), ("LeaveGroup", 20), ("InitProducerId", 100)];

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
        expect(&format!("fault {kind:?}"), total.faults.get(kind), 10);
    }
    for (api, code) in ERRORS {
        let what = format!("{} {code:?}", api.name());
        expect(&what, total.happened.get(&what), 1);
    }
    for what in ["Delay", "CloseBefore", "CloseAfter", "Throttle", "NoAnswer"] {
        expect(what, total.happened.get(what), 10);
    }
    for (what, least) in REACTIONS {
        expect(what, total.reactions.get(what), *least);
    }
    for (what, least) in REQUESTS {
        expect(what, total.requests.get(what), *least);
    }
    lacking
}
