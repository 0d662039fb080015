//! What goes wrong, and that it stops to go wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_proto::{ApiKey, ErrorCode};

use super::chance::Chance;
use super::errors::{APIS, ERRORS};
use super::history::TOPIC;
use super::network::{Network, Wires};
use super::run::NODES;
use super::runtime::broker_now;
use super::stage::Stage;
use crate::broker::{Fault, FaultRule, NodeId};

/// A machine is suspended for longer.
const SUSPENSION: Duration = Duration::from_secs(5);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A connection breaks.
    Reset,
    /// All connections of a node break.
    ResetNode,
    /// A connection carries nothing any more, and nobody says so.
    HalfOpen,
    /// A node cannot be reached for a while.
    BlackHole,
    /// A node refuses connections for a while.
    Refuse,
    /// A node stops, and comes back.
    Kill,
    /// A partition, or a group's coordinator, moves.
    MoveLeader,
    /// A node takes requests and leaves them lying for a while.
    Mute,
    /// Followers of a partition stop to fetch for a while.
    Stall,
    /// Requests are answered with an error.
    Error,
    /// Requests are executed later.
    Delay,
    /// Requests are lost with their connection.
    CloseBefore,
    /// Answers are lost with their connection.
    CloseAfter,
    /// Clients are asked to pause.
    Throttle,
    /// Requests are never answered.
    NoAnswer,
    /// The client's wall clock jumps, forwards or backwards.
    ClockJump,
    /// Nothing moves for a while but the clocks: a machine that was suspended.
    Freeze,
    /// Followers of a partition fetch, but their leader does not hear of it for a while.
    StallAcks,
    /// What a node writes takes its time.
    SlowDisk,
    /// A node moves to another address, which its name tells after a while.
    Readdress,
    /// No name can be looked up for a while.
    Unresolved,
    /// A node hears of no change for a while, and acts on what it knows.
    Outdate,
    /// A replica that lacks records becomes the leader.
    Unclean,
    /// A node stops, and comes back in another release.
    Upgrade,
    /// The fetch sessions of a node are further than their clients know.
    SkipEpochs,
    /// A member's machine stands still for a while, and nothing else.
    Suspend,
    /// Who asks where a leader epoch ended is answered with an error.
    EpochError,
    /// A leader is replaced while what it appended waits for its followers, and the next one takes nothing for a while.
    Depose,
    /// A node hears of no change for a while, and knows nothing of another that was down then and leads now.
    Estrange,
    /// Batches are appended, but the answer is lost, and when they are sent again their producer is not known any more.
    Forget,
    /// Batches are refused as too large.
    TooLarge,
}

impl FaultKind {
    /// All of them.
    pub const ALL: &[FaultKind] = &[
        FaultKind::Reset,
        FaultKind::ResetNode,
        FaultKind::HalfOpen,
        FaultKind::BlackHole,
        FaultKind::Refuse,
        FaultKind::Kill,
        FaultKind::MoveLeader,
        FaultKind::Mute,
        FaultKind::Stall,
        FaultKind::Error,
        FaultKind::Delay,
        FaultKind::CloseBefore,
        FaultKind::CloseAfter,
        FaultKind::Throttle,
        FaultKind::NoAnswer,
        FaultKind::ClockJump,
        FaultKind::Freeze,
        FaultKind::StallAcks,
        FaultKind::SlowDisk,
        FaultKind::Readdress,
        FaultKind::Unresolved,
        FaultKind::Outdate,
        FaultKind::Unclean,
        FaultKind::Upgrade,
        FaultKind::SkipEpochs,
        FaultKind::Suspend,
        FaultKind::EpochError,
        FaultKind::Depose,
        FaultKind::Estrange,
        FaultKind::Forget,
        FaultKind::TooLarge,
    ];
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Faults that were tried; some cannot be done when their time comes.
    pub(crate) attempts: u64,
    pub(crate) done: BTreeMap<FaultKind, u64>,
}

/// Lets things go wrong until it is time to heal, or `most` faults were tried; tells what it did.
pub(crate) async fn chaos(stage: Stage, nodes: i32, most: u64, mut chance: Chance) -> Done {
    let mut done = Done::default();
    while !stage.settings.faults.is_empty() && done.attempts < most {
        let wait = chance.between(Duration::from_millis(1), stage.settings.fault_pause);
        if stage.runtime.elapsed() + wait >= stage.settings.healing {
            break;
        }
        stage.runtime.sleep(wait).await;
        let Some(kind) = chance.pick(stage.settings.faults).copied() else { break };
        let mut fault = Happening { stage: &stage, nodes, chance: &mut chance };
        done.attempts += 1;
        if fault.happen(kind) {
            *done.done.entry(kind).or_default() += 1;
        }
        if chance.per_mille(400) {
            recover(&stage, nodes, &mut chance, false);
        }
    }
    let left = stage.settings.healing.saturating_sub(stage.runtime.elapsed());
    stage.runtime.sleep(left).await;
    recover(&stage, nodes, &mut chance, true);
    done
}

struct Happening<'a> {
    stage: &'a Stage,
    nodes: i32,
    chance: &'a mut Chance,
}

impl Happening<'_> {
    /// Whether it could be done.
    fn happen(&mut self, kind: FaultKind) -> bool {
        let node = self.chance.below(self.nodes as u64) as NodeId;
        let partition = self.chance.below(self.stage.partitions as u64) as i32;
        let time = self.chance.millis(10, 8000);
        let mut world = self.stage.runtime.world();
        let world = &mut *world;
        let (elapsed, now) = (world.now, broker_now(world.now));
        world
            .trace
            .line(elapsed, format_args!("fault {kind:?}, node {node}, partition {partition}, {time:?}"));
        match kind {
            FaultKind::Reset => {
                let conn = world.net.any_conn();
                conn.into_iter().for_each(|conn| world.reset(conn));
                conn.is_some()
            }
            FaultKind::ResetNode => {
                world.reset_node(node);
                true
            }
            FaultKind::HalfOpen => {
                let conn = world.net.any_conn();
                conn.into_iter().for_each(|conn| world.net.half_open(conn));
                conn.is_some()
            }
            FaultKind::BlackHole => {
                world.net.cut_off(node, elapsed + time);
                true
            }
            FaultKind::Refuse => {
                world.net.refuse(node, elapsed + time);
                world.reset_node(node);
                true
            }
            FaultKind::Kill => self.kill(world, node),
            FaultKind::Upgrade => {
                let settings = &self.stage.settings;
                let release = if self.chance.per_mille(500) { settings.newer } else { settings.release };
                settings.is_mixed()
                    && self.kill(world, node)
                    && world.net.cluster.set_release(node, release).is_ok()
            }
            FaultKind::MoveLeader => {
                let group = self.chance.per_mille(400);
                let (topic, partitions) = if group { ("__consumer_offsets", 50) } else { (TOPIC, 1) };
                let moved = (0..partitions).map(|at| {
                    let at = if group { at } else { partition };
                    world.net.cluster.move_leader(now, topic, at, node).is_ok()
                });
                let moved = moved.filter(|one| *one).count() > 0;
                world.settle();
                moved
            }
            FaultKind::Mute => world.net.cluster.mute(node).is_ok(),
            FaultKind::Stall => world.net.cluster.stall_replication(TOPIC, partition).is_ok(),
            FaultKind::StallAcks => world.net.cluster.stall_acknowledgement(TOPIC, partition).is_ok(),
            FaultKind::SlowDisk => {
                let (times, fault) = (5 + self.chance.below(20) as u32, Fault::Delay(time / 16));
                let api = Some(ApiKey::Produce);
                world.net.cluster.inject(FaultRule { api, node: Some(node), times, fault });
                true
            }
            FaultKind::Readdress => {
                world.net.names.readdress(node, elapsed + time / 4);
                world.reset_node(node);
                true
            }
            FaultKind::Unresolved => {
                world.net.names.fail(elapsed + time);
                true
            }
            FaultKind::Outdate => world.net.cluster.fall_behind(node).is_ok(),
            FaultKind::SkipEpochs => world.net.cluster.skip_session_epochs(now, node).is_ok(),
            FaultKind::Unclean => {
                let lost = 1 + self.chance.below(30) as i64;
                // The node that leads it cannot, but another.
                let elected = (0..NODES)
                    .map(|next| (node + next) % NODES)
                    .any(|node| world.net.cluster.elect_unclean(now, TOPIC, partition, node, lost).is_ok());
                if let Some((from, _)) = world.net.cluster.lost(TOPIC, partition).last().filter(|_| elected) {
                    self.stage.history().truncated(partition, *from);
                }
                world.settle();
                elected
            }
            FaultKind::Error => self.fail(world, ERRORS),
            FaultKind::EpochError => {
                let of_epochs = ERRORS.iter().filter(|(api, _)| *api == ApiKey::OffsetForLeaderEpoch);
                self.fail(world, &of_epochs.copied().collect::<Vec<_>>())
            }
            FaultKind::Depose => {
                let stalled = world.net.cluster.stall_acknowledgement(TOPIC, partition).is_ok();
                let fault = Fault::Error(ErrorCode::NotEnoughReplicas);
                let refusal = FaultRule { api: Some(ApiKey::Produce), node: Some(node), times: 40, fault };
                self.later(world, time / 16, move |net, now| {
                    if net.cluster.move_leader(now, TOPIC, partition, node).is_ok() {
                        net.cluster.inject(refusal);
                    }
                });
                stalled
            }
            FaultKind::Estrange => {
                let lagging = (node + 1 + self.chance.below(self.nodes as u64 - 1) as NodeId) % self.nodes;
                let estranged = self.kill(world, node) && world.net.cluster.fall_behind(lagging).is_ok();
                if estranged {
                    self.later(world, time / 16, move |net, now| {
                        net.down.retain(|down| *down != node);
                        let _ = net.cluster.restart(now, node);
                        let _ = net.cluster.move_leader(now, TOPIC, partition, node);
                    });
                }
                estranged
            }
            FaultKind::Forget => {
                for fault in [Fault::CloseAfter, Fault::Error(ErrorCode::UnknownProducerId)] {
                    let api = Some(ApiKey::Produce);
                    world.net.cluster.inject(FaultRule { api, node: Some(node), times: 1, fault });
                }
                true
            }
            FaultKind::TooLarge => self.fail(world, &[(ApiKey::Produce, ErrorCode::MessageTooLarge)]),
            FaultKind::Suspend => {
                let machines = self.stage.settings.groups as u64 * u64::from(self.stage.settings.members);
                let machine = 1 + self.chance.below(machines) as u32;
                // Most are beyond their session then. It is over when faults stop.
                let until = (elapsed + SUSPENSION + time).min(self.stage.settings.healing);
                world.trace.line(elapsed, format_args!("machine {machine} until {until:?}"));
                world.suspend(machine, until)
            }
            FaultKind::Delay => self.inject(world, Fault::Delay(time)),
            FaultKind::CloseBefore => self.inject(world, Fault::CloseBefore),
            FaultKind::CloseAfter => self.inject(world, Fault::CloseAfter),
            FaultKind::Throttle => self.inject(world, Fault::Throttle(time / 4)),
            FaultKind::NoAnswer => self.inject(world, Fault::NoAnswer),
            FaultKind::ClockJump => {
                // Brokers refuse what is written more than an hour ahead of their clocks.
                let minutes = 55 - self.chance.below(3000) as i64;
                self.stage.runtime.set_wall(minutes * 60_000);
                true
            }
            FaultKind::Freeze => {
                // It is over when faults stop.
                world.now = (world.now + time * 2).min(self.stage.settings.healing);
                self.stage.runtime.set_clock(world.now);
                true
            }
        }
    }

    /// The second half of a fault, unless all heals before.
    fn later(
        &self,
        world: &mut super::runtime::World,
        wait: Duration,
        what: impl FnOnce(&mut Network, crate::broker::Now) + Send + 'static,
    ) {
        let stage = self.stage.clone();
        world.spawn(async move {
            stage.runtime.sleep(wait).await;
            let mut world = stage.runtime.world();
            let world = &mut *world;
            if world.now < stage.settings.healing {
                world.trace.line(world.now, format_args!("the second half of a fault"));
                what(&mut world.net, broker_now(world.now));
                world.settle();
            }
        });
    }

    /// One node stays up.
    fn kill(&self, world: &mut super::runtime::World, node: NodeId) -> bool {
        if world.net.down.len() + 1 >= self.nodes as usize || world.net.down.contains(&node) {
            return false;
        }
        world.net.down.push(node);
        let killed = world.net.cluster.kill(broker_now(world.now), node).is_ok();
        world.settle();
        world.reset_node(node);
        killed
    }

    fn fail(&mut self, world: &mut super::runtime::World, errors: &[(ApiKey, ErrorCode)]) -> bool {
        let Some((api, error)) = self.chance.pick(errors) else { return false };
        let times = 1 + self.chance.below(4) as u32;
        world.trace.line(world.now, format_args!("{times} {} {error:?}", api.name()));
        world.net.cluster.fail_next(*api, *error, times);
        true
    }

    fn inject(&mut self, world: &mut super::runtime::World, fault: Fault) -> bool {
        let api = self.chance.pick(APIS).copied();
        let times = 1 + self.chance.below(3) as u32;
        world.trace.line(world.now, format_args!("{times} {api:?} {fault:?}"));
        world.net.cluster.inject(FaultRule { api, node: None, times, fault });
        true
    }
}

/// Nodes come back, one drawn or all; with `all` nothing is left that may go wrong.
fn recover(stage: &Stage, nodes: i32, chance: &mut Chance, all: bool) {
    let mut world = stage.runtime.world();
    let world = &mut *world;
    let now = broker_now(world.now);
    let one = chance.below(nodes as u64) as NodeId;
    for node in (0..nodes).filter(|node| all || *node == one) {
        if world.net.down.contains(&node) {
            world.net.down.retain(|down| *down != node);
            // The node is one of the cluster's.
            let _ = world.net.cluster.restart(now, node);
        }
        let _ = world.net.cluster.unmute(now, node);
        let _ = world.net.cluster.catch_up(node);
    }
    let partition = chance.below(stage.partitions as u64) as i32;
    for partition in (0..stage.partitions).filter(|at| all || *at == partition) {
        let _ = world.net.cluster.resume_replication(now, TOPIC, partition);
    }
    if all {
        world.net.cluster.clear_faults();
        world.net.heal();
        for conn in world.net.dead_conns() {
            world.reset(conn);
        }
    }
    world.trace.line(world.now, format_args!("recovery of {}", if all { -1 } else { one }));
    world.settle();
}
