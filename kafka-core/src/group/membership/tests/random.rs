//! Any order of calls, answers and timeouts.

use super::rig::*;
use crate::error::Error;
use crate::group::{GroupConfig, GroupEvent};
use kafka_proto::ResponseKind;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::sync_group::SyncGroupRequest;
use kafka_proto::{ApiKey, Bytes};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    /// Answers one of the open asks, well or with this error.
    Answer(usize, Option<ErrorCode>),
    Odd(usize, u8),
    Fail(usize, bool),
    Sleep(u64),
    Subscribe(u8),
    Grow,
    Revoked,
    Commit(u8, u64),
    Leave,
}

const CODES: [ErrorCode; 14] = [
    ErrorCode::CoordinatorLoadInProgress,
    ErrorCode::CoordinatorNotAvailable,
    ErrorCode::NotCoordinator,
    ErrorCode::RebalanceInProgress,
    ErrorCode::IllegalGeneration,
    ErrorCode::UnknownMemberId,
    ErrorCode::MemberIdRequired,
    ErrorCode::FencedInstanceId,
    ErrorCode::GroupAuthorizationFailed,
    ErrorCode::TopicAuthorizationFailed,
    ErrorCode::GroupMaxSizeReached,
    ErrorCode::UnknownServerError,
    ErrorCode::UnstableOffsetCommit,
    ErrorCode::UnknownTopicOrPartition,
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let error = (0..CODES.len()).prop_map(|i| Some(CODES[i]));
    let step = prop_oneof![
        12 => any::<usize>().prop_map(|i| Step::Answer(i, None)),
        4 => (any::<usize>(), error).prop_map(|(i, code)| Step::Answer(i, code)),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(i, n)| Step::Odd(i, n)),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(i, retry)| Step::Fail(i, retry)),
        6 => prop_oneof![Just(100), Just(3_000), 0..70_000u64].prop_map(Step::Sleep),
        1 => (0..8u8).prop_map(Step::Subscribe),
        1 => Just(Step::Grow),
        2 => Just(Step::Revoked),
        3 => (0..4u8, 0..40_000u64).prop_map(|(n, time)| Step::Commit(n, time)),
        1 => Just(Step::Leave),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What the application may believe.
#[derive(Default)]
struct Seen {
    held: Option<u32>,
    last: u32,
    revoking: bool,
    fenced: bool,
    leaving: bool,
    waiting: BTreeSet<u64>,
}

struct Run {
    rig: Rig,
    seen: Seen,
}

impl Run {
    fn new(instance: bool) -> Self {
        let mut config = GroupConfig::new("g");
        config.instance_id = instance.then(|| "i".into());
        let mut rig = Rig::with(config);
        rig.subscribe(&["t"]);
        Self { rig, seen: Seen::default() }
    }

    fn step(&mut self, step: Step) {
        let rig = &mut self.rig;
        match step {
            Step::Answer(i, code) => self.answer(i, code),
            Step::Odd(i, n) => self.odd(i, n),
            Step::Fail(i, retry) if !rig.asks.is_empty() => {
                let ask = rig.asks.swap_remove(i % rig.asks.len());
                let denied = Error::of_code(ErrorCode::GroupAuthorizationFailed);
                rig.give(ask, Err(if retry { lost() } else { denied }));
            }
            Step::Fail(..) => {}
            Step::Sleep(ms) => rig.sleep(Duration::from_millis(ms)),
            Step::Subscribe(bits) => {
                let topics: Vec<&str> = ["t", "u", "v"]
                    .into_iter()
                    .enumerate()
                    .filter(|(i, _)| bits & 1 << i != 0)
                    .map(|(_, t)| t)
                    .collect();
                self.seen.leaving |= topics.is_empty();
                self.seen.fenced = false;
                rig.subscribe(&topics);
            }
            Step::Grow => {
                let n = rig.cluster.topic("t").map_or(0, |t| t.partitions.len());
                add_topic(&mut rig.cluster, "t", (n + 1) % 6);
                rig.metadata_changed();
            }
            Step::Revoked => {
                let number = self.seen.held.unwrap_or(1);
                rig.revoked(number);
                if self.seen.revoking {
                    (self.seen.held, self.seen.revoking) = (None, false);
                }
            }
            Step::Commit(n, time) => {
                let number = self.seen.held.unwrap_or(0);
                let offsets: Vec<(i32, i64)> = (0..i32::from(n)).map(|p| (p, 1)).collect();
                let id = rig.commit_within(Duration::from_millis(time), number, &offsets);
                self.seen.waiting.insert(id);
            }
            Step::Leave => {
                self.seen.leaving = true;
                rig.leave();
            }
        }
    }

    /// As a coordinator would, more or less.
    fn answer(&mut self, i: usize, code: Option<ErrorCode>) {
        let rig = &mut self.rig;
        if rig.asks.is_empty() {
            return;
        }
        let key = rig.asks[i % rig.asks.len()].request.api_key();
        let code = code.unwrap_or(ErrorCode::None);
        let response = match key {
            ApiKey::JoinGroup if code == ErrorCode::None => {
                join_ok("m", i as i32 & 0xff, i & 1 == 0, &["t", "u"])
            }
            ApiKey::JoinGroup => {
                let ResponseKind::JoinGroup(mut answer) = join_error(code) else { return };
                answer.member_id = "m2".into();
                answer.into()
            }
            ApiKey::SyncGroup if code == ErrorCode::None => {
                let request: SyncGroupRequest = rig.asked(key);
                let own = request.assignments.first().map(|a| a.assignment.clone());
                sync_ok(own.unwrap_or_else(|| blob(&[("t", 0), ("t", 1)][..i % 3])))
            }
            ApiKey::SyncGroup => sync_error(code),
            ApiKey::Heartbeat => heartbeat(code),
            ApiKey::LeaveGroup => left(code),
            ApiKey::OffsetFetch => {
                let all: Vec<_> =
                    (0..6).map(|p| ("t", p, 4, if p == 1 { code } else { ErrorCode::None })).collect();
                offsets_with(&all, if i & 3 == 0 { code } else { ErrorCode::None })
            }
            ApiKey::OffsetCommit => committed(&[(0, ErrorCode::None), (1, code), (2, code), (3, code)]),
            other => panic!("{other:?}"),
        };
        rig.answer(response);
    }

    /// What no coordinator should say.
    fn odd(&mut self, i: usize, n: u8) {
        let rig = &mut self.rig;
        if rig.asks.is_empty() {
            return;
        }
        let ask = rig.asks.swap_remove(i % rig.asks.len());
        let response = match n % 5 {
            0 => heartbeat(ErrorCode::None),
            1 => sync_ok(Bytes::from(vec![n; usize::from(n)])),
            2 => committed(&[]),
            3 => offsets(&[]),
            _ => join_ok("", -1, true, &[]),
        };
        rig.give(ask, Ok(response));
    }

    fn look(&mut self) {
        let seen = &mut self.seen;
        for event in self.rig.events() {
            match event {
                GroupEvent::Assigned { assignment, partitions, .. } => {
                    assert!(seen.held.is_none() && !seen.revoking, "assigned while something is held");
                    assert!(assignment > seen.last);
                    seen.last = assignment;
                    // One without partitions ends without notice.
                    seen.held = (!partitions.is_empty()).then_some(assignment);
                }
                GroupEvent::AssignedMore { assignment, partitions } => {
                    assert!(seen.held == Some(assignment) && !seen.revoking && !partitions.is_empty());
                }
                GroupEvent::Revoking { assignment, .. } => {
                    assert!(seen.held == Some(assignment) && !seen.revoking);
                    seen.revoking = true;
                }
                GroupEvent::Lost { assignment, .. } => {
                    assert_eq!(seen.held.take(), Some(assignment), "lost once, and only what was held");
                    seen.revoking = false;
                }
                GroupEvent::Committed { id, .. } => assert!(seen.waiting.remove(&id), "two outcomes"),
                GroupEvent::Failed(error) => seen.fenced |= error.code() == Some(ErrorCode::FencedInstanceId),
                GroupEvent::Notice(_) => {}
                GroupEvent::Left => {
                    assert!(seen.leaving, "left without being asked");
                    (seen.held, seen.revoking, seen.leaving) = (None, false, false);
                }
            }
        }
    }

    /// While subscribed something is open or timed; nothing that is timed is overdue.
    fn check_liveness(&mut self) {
        let rig = &self.rig;
        let alive = !rig.asks.is_empty() || rig.machine.poll_timeout().is_some();
        let subscribed = !rig.machine.topics().is_empty() && !self.seen.fenced;
        assert!(alive || !subscribed, "stalled: {:?}", rig.machine);
    }

    /// Everything ends when the coordinator comes to its senses.
    fn finish(mut self) {
        self.rig.leave();
        self.seen.leaving = true;
        for _ in 0..40 {
            for _ in 0..10 {
                self.answer(0, None);
            }
            self.rig.sleep(2 * SECOND);
            self.look();
        }
        assert!(!self.seen.leaving, "never left: {:?}", self.rig.machine);
        assert!(self.seen.waiting.is_empty(), "commits without an outcome: {:?}", self.seen.waiting);
        assert!(self.rig.machine.is_quiescent() && self.rig.machine.poll_timeout().is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

    #[test]
    fn any_order_of_calls_is_valid_and_never_stalls(instance in any::<bool>(), steps in steps()) {
        let mut run = Run::new(instance);
        for step in steps {
            run.step(step);
            run.look();
            run.check_liveness();
        }
        run.finish();
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let pauses = || {
        let mut rig = Rig::new();
        let mut pauses = Vec::new();
        for _ in 0..20 {
            rig.answer(join_error(ErrorCode::NotCoordinator));
            let pause = rig.machine.poll_timeout().unwrap() - rig.now;
            pauses.push(pause);
            rig.sleep(pause);
        }
        pauses
    };
    assert_eq!(pauses(), pauses());
}
