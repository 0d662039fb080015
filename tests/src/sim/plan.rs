//! Named mixes: who uses the cluster how, and what goes wrong meanwhile.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::chance::Chance;
use super::fault::FaultKind;
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
    /// Members of two groups come and go, coordinators move; others change what they read.
    Rebalance,
    /// Handlers and disks are slow, buffers small, wires narrow.
    SlowConsumer,
    /// Many messages are sent in one call, by writers with little memory, while leaders move and do not acknowledge.
    Bulk,
    /// The cluster is of any release, from the oldest to the newest.
    OldBrokers,
    /// The nodes are of two releases, and change between them when they start.
    Upgrade,
    /// Nodes do not hear of changes: their metadata is old, and who was replaced goes on as leader; names move.
    Outdated,
    /// Replicas that lack records become leaders.
    Unclean,
    /// Machines of members stand still for longer than their sessions last, while the others go on.
    Suspended,
    /// Readers keep messages, and with them all that was fetched at the same time, until their buffers have no room.
    Keeping,
    /// A topic is deleted and made anew with other numbers of partitions, and metadata tells less than there is.
    Remade,
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
    /// Applications that write, one after the other with several writers.
    pub(crate) writers: u32,
    pub(crate) readers: u32,
    pub(crate) groups: usize,
    /// Of each group.
    pub(crate) members: u32,
    /// How often of a thousand a member leaves after a message.
    pub(crate) churn: u64,
    /// The longest time a handler takes for a message.
    pub(crate) handling: Duration,
    pub(crate) small_buffers: bool,
    /// Calls that send many messages.
    pub(crate) bulk: bool,
    /// How often of a thousand a reader keeps a message.
    pub(crate) keeping: u64,
    /// There is a topic that may be made anew, with applications of its own.
    pub(crate) remade: bool,
    /// Of a group that reads it. None, as long as commits do not keep the id of their topic.
    pub(crate) remade_members: u32,
    /// There are topics that come one after the other, and applications that change what they read of them.
    pub(crate) subscribing: bool,
    /// How old metadata may be at most, where it is not asked for before.
    pub(crate) freshness: Duration,
    /// So long nothing is written, in the middle.
    pub(crate) quiet: Duration,
    /// What the cluster poses as.
    pub(crate) release: Release,
    /// What some of its nodes pose as, where that is not the same.
    pub(crate) newer: Release,
}

/// Once faults have stopped it takes so long until everybody has noticed: the longest request timeout, and a connection.
const SETTLING: Duration = Duration::from_secs(15);

impl Settings {
    /// From then on every call succeeds.
    pub(crate) fn settled(&self) -> Duration {
        self.healing + if self.faults.is_empty() { Duration::ZERO } else { SETTLING }
    }

    pub(crate) fn is_mixed(&self) -> bool {
        self.release != self.newer
    }
}

const NETWORK: &[FaultKind] = &[
    FaultKind::Reset,
    FaultKind::Reset,
    FaultKind::ResetNode,
    FaultKind::HalfOpen,
    FaultKind::BlackHole,
    FaultKind::Refuse,
    FaultKind::Error,
    FaultKind::Error,
    FaultKind::Error,
    FaultKind::Error,
    FaultKind::Delay,
    FaultKind::CloseBefore,
    FaultKind::CloseAfter,
    FaultKind::Throttle,
    FaultKind::NoAnswer,
    FaultKind::ClockJump,
    FaultKind::Unresolved,
    FaultKind::SkipEpochs,
    FaultKind::Forget,
    FaultKind::TooLarge,
    FaultKind::BadItem,
    FaultKind::BadItem,
    FaultKind::Narrow,
    FaultKind::Foreign,
    FaultKind::Middlebox,
    FaultKind::Strict,
];

const NODES: &[FaultKind] = &[
    FaultKind::Kill,
    FaultKind::Kill,
    FaultKind::MoveLeader,
    FaultKind::MoveLeader,
    FaultKind::Mute,
    FaultKind::Stall,
    FaultKind::Stall,
    FaultKind::StallAcks,
    FaultKind::StallAcks,
    FaultKind::Reset,
    FaultKind::Readdress,
    FaultKind::SkipEpochs,
    FaultKind::Depose,
    FaultKind::TooLarge,
    FaultKind::Foreign,
    FaultKind::Narrow,
];

const GROUPS: &[FaultKind] = &[
    FaultKind::MoveLeader,
    FaultKind::MoveLeader,
    FaultKind::Kill,
    FaultKind::Error,
    FaultKind::Reset,
    FaultKind::Freeze,
    FaultKind::ForeignMember,
    FaultKind::BadItem,
];

const SLOW: &[FaultKind] = &[
    FaultKind::Reset,
    FaultKind::MoveLeader,
    FaultKind::Delay,
    FaultKind::SlowDisk,
    FaultKind::SlowDisk,
    FaultKind::SkipEpochs,
];

const BULK: &[FaultKind] = &[
    FaultKind::StallAcks,
    FaultKind::StallAcks,
    FaultKind::SlowDisk,
    FaultKind::MoveLeader,
    FaultKind::Kill,
    FaultKind::Error,
    FaultKind::CloseAfter,
    FaultKind::Reset,
    FaultKind::Narrow,
    FaultKind::TooLarge,
];

const MIXED: &[FaultKind] = &[
    FaultKind::Reset,
    FaultKind::BlackHole,
    FaultKind::Kill,
    FaultKind::MoveLeader,
    FaultKind::Error,
    FaultKind::Error,
    FaultKind::CloseAfter,
    FaultKind::NoAnswer,
    FaultKind::Throttle,
    FaultKind::StallAcks,
    FaultKind::BadItem,
];

const UPGRADE: &[FaultKind] = &[
    FaultKind::Upgrade,
    FaultKind::Upgrade,
    FaultKind::MoveLeader,
    FaultKind::Reset,
    FaultKind::Error,
    FaultKind::Strict,
];

const OUTDATED: &[FaultKind] = &[
    FaultKind::Outdate,
    FaultKind::Outdate,
    FaultKind::MoveLeader,
    FaultKind::MoveLeader,
    FaultKind::MoveLeader,
    FaultKind::Kill,
    FaultKind::Readdress,
    FaultKind::Unresolved,
    FaultKind::Reset,
    FaultKind::Estrange,
    FaultKind::NoTopicIds,
    FaultKind::Lagging,
    FaultKind::Lagging,
    FaultKind::LeftBehind,
    FaultKind::LeftBehind,
    FaultKind::Foreign,
];

const UNCLEAN: &[FaultKind] = &[
    FaultKind::Unclean,
    FaultKind::Unclean,
    FaultKind::EpochError,
    FaultKind::MoveLeader,
    FaultKind::Error,
    FaultKind::Error,
    FaultKind::Reset,
    FaultKind::Kill,
    FaultKind::CloseAfter,
];

const SUSPENDED: &[FaultKind] = &[
    FaultKind::Suspend,
    FaultKind::Suspend,
    FaultKind::Suspend,
    FaultKind::MoveLeader,
    FaultKind::Error,
    FaultKind::Reset,
];

const REMAKING: &[FaultKind] = &[
    FaultKind::NoTopicIds,
    FaultKind::Remake,
    FaultKind::Remake,
    FaultKind::Shrink,
    FaultKind::Shrink,
    FaultKind::Lagging,
    FaultKind::MoveLeader,
    FaultKind::Reset,
    FaultKind::CloseAfter,
];

impl Plan {
    /// All of them.
    pub const ALL: [Plan; 13] = [
        Plan::Calm,
        Plan::Flaky,
        Plan::RollingRestart,
        Plan::Rebalance,
        Plan::SlowConsumer,
        Plan::Bulk,
        Plan::OldBrokers,
        Plan::Upgrade,
        Plan::Outdated,
        Plan::Unclean,
        Plan::Suspended,
        Plan::Keeping,
        Plan::Remade,
    ];

    /// As it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Plan::Calm => "calm",
            Plan::Flaky => "flaky",
            Plan::RollingRestart => "rolling_restart",
            Plan::Rebalance => "rebalance",
            Plan::SlowConsumer => "slow_consumer",
            Plan::Bulk => "bulk",
            Plan::OldBrokers => "old_brokers",
            Plan::Upgrade => "upgrade",
            Plan::Outdated => "outdated",
            Plan::Unclean => "unclean",
            Plan::Suspended => "suspended",
            Plan::Keeping => "keeping",
            Plan::Remade => "remade",
        }
    }

    pub(crate) fn settings(self, chance: &mut Chance) -> Settings {
        let calm = Settings {
            quality: Quality {
                latency: (Duration::from_micros(100), Duration::from_millis(5)),
                pieces: 100,
                bytes_per_ms: u64::MAX,
            },
            faults: &[],
            fault_pause: Duration::from_secs(2),
            healing: Duration::from_secs(5),
            writers: 2,
            readers: 1,
            groups: 1,
            members: 2,
            churn: 0,
            handling: Duration::from_millis(2),
            small_buffers: false,
            bulk: false,
            keeping: 0,
            remade: false,
            remade_members: 0,
            subscribing: false,
            freshness: Duration::from_secs(300),
            quiet: Duration::ZERO,
            release: Release::NEWEST,
            newer: Release::NEWEST,
        };
        let secs = Duration::from_secs;
        let latency = (Duration::from_micros(100), Duration::from_millis(60));
        match self {
            Plan::Calm => {
                let quiet = secs(if chance.per_mille(500) { 30 } else { 0 });
                Settings { quiet, ..calm }
            }
            Plan::Flaky => {
                let quality = Quality { latency, pieces: 300, ..calm.quality };
                Settings { quality, faults: NETWORK, fault_pause: secs(1), healing: secs(20), ..calm }
            }
            Plan::RollingRestart => Settings { faults: NODES, healing: secs(20), members: 1, ..calm },
            Plan::Rebalance => Settings {
                faults: GROUPS,
                fault_pause: secs(4),
                healing: secs(40),
                writers: 1,
                readers: 0,
                groups: 2,
                members: 3,
                churn: 25,
                subscribing: true,
                ..calm
            },
            Plan::SlowConsumer => Settings {
                quality: Quality { bytes_per_ms: 20 + chance.below(200), ..calm.quality },
                faults: SLOW,
                healing: secs(20),
                handling: Duration::from_millis(100),
                small_buffers: true,
                ..calm
            },
            Plan::Bulk => Settings {
                faults: BULK,
                healing: secs(20),
                groups: 0,
                small_buffers: true,
                bulk: true,
                ..calm
            },
            Plan::Keeping => {
                let release = any_release(chance);
                Settings {
                    faults: MIXED,
                    healing: secs(20),
                    readers: 3,
                    groups: 0,
                    small_buffers: true,
                    keeping: 400,
                    release,
                    newer: release,
                    ..calm
                }
            }
            Plan::OldBrokers => {
                let release = any_release(chance);
                Settings {
                    faults: MIXED,
                    healing: secs(20),
                    churn: 5,
                    subscribing: true,
                    release,
                    newer: release,
                    ..calm
                }
            }
            Plan::Upgrade => {
                let (one, other) = (any_release(chance), any_release(chance));
                // Topics have ids since 2.8, and 4.x is not without them.
                let latest = if one.min(other) < Release::V2_8 { Release::V3_9 } else { Release::NEWEST };
                let (release, newer) = (one.min(other), one.max(other).min(latest));
                Settings { faults: UPGRADE, healing: secs(20), release, newer, ..calm }
            }
            Plan::Remade => {
                // What belongs to which topic is known by its id only: members are promised nothing where brokers tell none.
                let (faults, remade_members) =
                    if chance.per_mille(500) { (&REMAKING[1..], 2) } else { (REMAKING, 0) };
                Settings {
                    faults,
                    fault_pause: secs(4),
                    healing: secs(30),
                    writers: 1,
                    groups: 0,
                    remade: true,
                    remade_members,
                    // What is wrong in it is to be heard while it lasts.
                    freshness: secs(4),
                    ..calm
                }
            }
            Plan::Outdated => Settings { faults: OUTDATED, healing: secs(20), ..calm },
            Plan::Unclean => {
                let release = any_release(chance);
                Settings { faults: UNCLEAN, healing: secs(20), release, newer: release, ..calm }
            }
            Plan::Suspended => Settings {
                faults: SUSPENDED,
                fault_pause: secs(4),
                healing: secs(40),
                // Slow enough that messages wait for their handlers when a machine stands still.
                handling: Duration::from_millis(500),
                readers: 0,
                groups: 2,
                members: 3,
                churn: 5,
                ..calm
            },
        }
    }
}

/// The newest is what is used most.
fn any_release(chance: &mut Chance) -> Release {
    let releases: Vec<Release> = Release::all().collect();
    let known = if chance.per_mille(300) { None } else { chance.pick(&releases).copied() };
    known.unwrap_or(Release::NEWEST)
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
