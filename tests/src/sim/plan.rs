//! Named mixes: who uses the cluster how, and what goes wrong meanwhile.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::chaos::FaultKind;
use super::network::Quality;

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
];

const NODES: &[FaultKind] =
    &[FaultKind::Kill, FaultKind::MoveLeader, FaultKind::Mute, FaultKind::Stall, FaultKind::Reset];

const GROUPS: &[FaultKind] =
    &[FaultKind::MoveLeader, FaultKind::Kill, FaultKind::Error, FaultKind::Reset, FaultKind::Delay];

impl Plan {
    /// All of them.
    pub const ALL: [Plan; 5] =
        [Plan::Calm, Plan::Flaky, Plan::RollingRestart, Plan::Rebalance, Plan::SlowConsumer];

    /// As it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Plan::Calm => "calm",
            Plan::Flaky => "flaky",
            Plan::RollingRestart => "rolling_restart",
            Plan::Rebalance => "rebalance",
            Plan::SlowConsumer => "slow_consumer",
        }
    }

    pub(crate) fn settings(self) -> Settings {
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
        };
        let latency = (Duration::from_micros(100), Duration::from_millis(60));
        match self {
            Plan::Calm => calm,
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
