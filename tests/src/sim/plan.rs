//! Named mixes: who uses the cluster how, and what goes wrong meanwhile.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::chance::Chance;
use super::chaos::FaultKind;
use super::network::Quality;
use crate::broker::Release;

/// A named mix of applications and faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plan {
    /// Nothing goes wrong.
    Calm,
    /// Connections break, stall and are refused; brokers answer with errors.
    Flaky,
    /// Nodes stop and come back, leaders move.
    RollingRestart,
    /// Members come and go, coordinators move.
    Rebalance,
    /// Handlers are slow and buffers small.
    SlowConsumer,
    /// The cluster is of any release, from the oldest to the newest.
    OldBrokers,
}

/// There is no such plan.
#[derive(Debug, Clone, thiserror::Error)]
#[error("there is no plan {0:?}; there are: {names}", names = Plan::ALL.map(Plan::name).join(", "))]
pub struct UnknownPlan(String);

/// What a plan says in numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) quality: Quality,
    pub(crate) faults: &'static [FaultKind],
    /// The longest pause between two faults.
    pub(crate) fault_pause: Duration,
    /// Faults stop then.
    pub(crate) healing: Duration,
    pub(crate) writers: u32,
    pub(crate) readers: u32,
    pub(crate) members: u32,
    /// How often of a thousand a member leaves after a message.
    pub(crate) churn: u64,
    /// The longest time a handler takes for a message.
    pub(crate) handling: Duration,
    pub(crate) small_buffers: bool,
    /// So long nothing is written, in the middle.
    pub(crate) quiet: Duration,
    /// What the brokers pose as.
    pub(crate) release: Release,
}

/// Once faults have stopped it takes so long until everybody has noticed: the longest request timeout, and a connection.
const SETTLING: Duration = Duration::from_secs(20);

impl Settings {
    /// From then on every call succeeds.
    pub(crate) fn settled(&self) -> Duration {
        self.healing + if self.faults.is_empty() { Duration::ZERO } else { SETTLING }
    }
}

const NETWORK: &[FaultKind] = &[
    FaultKind::Reset,
    FaultKind::ResetNode,
    FaultKind::HalfOpen,
    FaultKind::BlackHole,
    FaultKind::Refuse,
    FaultKind::Error,
    FaultKind::Delay,
    FaultKind::CloseBefore,
    FaultKind::CloseAfter,
    FaultKind::Throttle,
    FaultKind::NoAnswer,
    FaultKind::ClockJump,
];

const NODES: &[FaultKind] =
    &[FaultKind::Kill, FaultKind::MoveLeader, FaultKind::Mute, FaultKind::Stall, FaultKind::Reset];

const GROUPS: &[FaultKind] =
    &[FaultKind::MoveLeader, FaultKind::Kill, FaultKind::Error, FaultKind::Reset, FaultKind::Freeze];

const MIXED: &[FaultKind] = &[
    FaultKind::Reset,
    FaultKind::BlackHole,
    FaultKind::Kill,
    FaultKind::MoveLeader,
    FaultKind::Error,
    FaultKind::Error,
    FaultKind::CloseAfter,
    FaultKind::NoAnswer,
];

impl Plan {
    /// All of them.
    pub const ALL: [Plan; 6] = [
        Plan::Calm,
        Plan::Flaky,
        Plan::RollingRestart,
        Plan::Rebalance,
        Plan::SlowConsumer,
        Plan::OldBrokers,
    ];

    /// As it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Plan::Calm => "calm",
            Plan::Flaky => "flaky",
            Plan::RollingRestart => "rolling_restart",
            Plan::Rebalance => "rebalance",
            Plan::SlowConsumer => "slow_consumer",
            Plan::OldBrokers => "old_brokers",
        }
    }

    pub(crate) fn settings(self, chance: &mut Chance) -> Settings {
        let calm = Settings {
            quality: Quality { latency: (Duration::from_micros(100), Duration::from_millis(5)), pieces: 100 },
            faults: &[],
            fault_pause: Duration::from_secs(4),
            healing: Duration::from_secs(5),
            writers: 3,
            readers: 1,
            members: 2,
            churn: 0,
            handling: Duration::from_millis(2),
            small_buffers: false,
            quiet: Duration::ZERO,
            release: Release::NEWEST,
        };
        let latency = (Duration::from_micros(100), Duration::from_millis(60));
        match self {
            Plan::Calm => {
                let quiet = Duration::from_secs(if chance.per_mille(500) { 30 } else { 0 });
                Settings { quiet, ..calm }
            }
            Plan::Flaky => Settings {
                quality: Quality { latency, pieces: 300 },
                faults: NETWORK,
                fault_pause: Duration::from_secs(2),
                healing: Duration::from_secs(40),
                ..calm
            },
            Plan::RollingRestart => {
                Settings { faults: NODES, healing: Duration::from_secs(40), readers: 2, members: 1, ..calm }
            }
            Plan::Rebalance => Settings {
                faults: GROUPS,
                fault_pause: Duration::from_secs(5),
                healing: Duration::from_secs(60),
                writers: 2,
                readers: 0,
                members: 4,
                churn: 20,
                ..calm
            },
            Plan::SlowConsumer => Settings {
                faults: &[FaultKind::Reset, FaultKind::MoveLeader, FaultKind::Delay],
                fault_pause: Duration::from_secs(5),
                healing: Duration::from_secs(25),
                handling: Duration::from_millis(150),
                small_buffers: true,
                ..calm
            },
            Plan::OldBrokers => {
                let releases: Vec<Release> = Release::all().collect();
                Settings {
                    faults: MIXED,
                    fault_pause: Duration::from_secs(3),
                    healing: Duration::from_secs(30),
                    churn: 5,
                    release: chance.pick(&releases).copied().unwrap_or(Release::NEWEST),
                    ..calm
                }
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Plan {
    type Err = UnknownPlan;

    fn from_str(name: &str) -> Result<Plan, UnknownPlan> {
        Plan::ALL.into_iter().find(|plan| plan.name() == name).ok_or_else(|| UnknownPlan(name.to_owned()))
    }
}
