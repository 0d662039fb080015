//! A fault happens.

use std::time::Duration;

use kafka_proto::{ApiKey, ErrorCode, ResponseKind};

use super::altering::{
    WITH_ITEMS, lagging, of_the_id_before, shrunk, with_a_bad_item, with_a_foreign_member, without_ids,
};
use super::chance::Chance;
use super::errors::{APIS, ERRORS};
use super::fault::FaultKind;
use super::history::TOPIC;
use super::network::{Middlebox, Network, Wires};
use super::remaking::REMADE;
use super::run::NODES;
use super::runtime::{World, broker_now};
use super::script::altered;
use super::stage::Stage;
use crate::broker::{Fault, FaultRule, NodeId, Now, Release};

/// A machine is suspended for longer.
const SUSPENSION: Duration = Duration::from_secs(5);

/// The largest request that a narrow node takes: one batch of most writers.
const NARROW: usize = 1300;

/// So many times a foreign member is told of at most.
const STAYS: u32 = 60;

/// All nodes tell fewer partitions for longer: until clients believe it.
const SHRUNK: Duration = Duration::from_secs(6);

/// What a fault happens to, and what decides how.
pub(super) struct Happening<'a> {
    pub(super) stage: &'a Stage,
    pub(super) nodes: i32,
    pub(super) chance: &'a mut Chance,
}

impl Happening<'_> {
    /// Whether it could be done.
    pub(super) fn happen(&mut self, kind: FaultKind) -> bool {
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
            FaultKind::TooLarge => {
                let times = 1 + self.chance.below(3) as u32 / 2;
                world.net.cluster.fail_next(ApiKey::Produce, ErrorCode::MessageTooLarge, times);
                true
            }
            FaultKind::NoTopicIds => {
                let times = 1 + self.chance.below(6) as u32;
                let whose = (ApiKey::Metadata, None, times);
                self.alter(world, "answers without topic ids", whose, |response, _| without_ids(response))
            }
            // Two that say the same would be believed.
            FaultKind::Lagging if world.net.script.has_rule(ApiKey::Metadata) => false,
            FaultKind::Lagging => {
                let times = 1 + self.chance.below(3) as u32;
                self.alter(world, "answers that lag", (ApiKey::Metadata, Some(node), times), lagging)
            }
            FaultKind::BadItem => {
                let api = self.chance.pick(WITH_ITEMS).copied().unwrap_or(ApiKey::Fetch);
                let times = 1 + self.chance.below(4) as u32;
                self.alter(world, "answers with a bad item", (api, None, times), with_a_bad_item)
            }
            FaultKind::ForeignMember => {
                let whose = (ApiKey::JoinGroup, None, STAYS);
                self.alter(world, "answers with a foreign member", whose, with_a_foreign_member)
            }
            FaultKind::Remake => self.remake(world, node, time),
            FaultKind::Shrink if world.net.script.has_rule(ApiKey::Metadata) => false,
            FaultKind::Shrink => {
                self.later(world, SHRUNK + time, |net, _| net.script.end());
                let whose = (ApiKey::Metadata, None, u32::MAX);
                self.alter(world, "answers with fewer partitions", whose, |response, draw| {
                    shrunk(response, REMADE, draw)
                })
            }
            FaultKind::LeftBehind => {
                world.net.leave_behind(node);
                true
            }
            FaultKind::Foreign => {
                world.net.put_foreign(node, elapsed + time);
                world.reset_node(node);
                // Before there was no way to tell clusters apart.
                self.stage.settings.release >= Release::V0_11
            }
            FaultKind::Narrow => {
                world.net.narrow(node, NARROW, elapsed + time * 2);
                // Who leads much gets requests of several batches.
                for at in (0..self.stage.partitions).filter(|_| self.chance.per_mille(700)) {
                    let _ = world.net.cluster.move_leader(now, TOPIC, at, node);
                }
                world.settle();
                true
            }
            FaultKind::Middlebox => {
                let (idle, until) = (self.chance.millis(500, 4000), elapsed + time * 2);
                let resets = self.chance.per_mille(500);
                world.net.put_middlebox(Middlebox { idle, until, resets });
                true
            }
            FaultKind::Strict => {
                world.net.restrict(node, elapsed + time);
                world.reset_node(node);
                true
            }
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
        world: &mut World,
        wait: Duration,
        what: impl FnOnce(&mut Network, Now) + Send + 'static,
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
    fn kill(&self, world: &mut World, node: NodeId) -> bool {
        if world.net.down.len() + 1 >= self.nodes as usize || world.net.down.contains(&node) {
            return false;
        }
        world.net.down.push(node);
        let killed = world.net.cluster.kill(broker_now(world.now), node).is_ok();
        world.settle();
        world.reset_node(node);
        killed
    }

    /// The topic goes, and comes back, if it is there. A node may go on to tell of the one that is gone.
    fn remake(&mut self, world: &mut World, node: NodeId, time: Duration) -> bool {
        let partitions = 1 + self.chance.below(5) as i32;
        self.stage.history().remade.bury(&world.net.cluster);
        if let Some(before) = world.net.cluster.topic_id(REMADE) {
            world.net.watch.conduct.gone(before);
            if !world.net.script.has_rule(ApiKey::Metadata) {
                let whose = (ApiKey::Metadata, Some(node), 1 + self.chance.below(3) as u32);
                self.alter(world, "answers with the id from before", whose, move |response, _| {
                    of_the_id_before(response, REMADE, before)
                });
            }
        }
        let deleted = world.net.cluster.delete_topic(REMADE).is_ok();
        world.settle();
        let at_once = self.chance.per_mille(500);
        let wait = if at_once { Duration::ZERO } else { time };
        if deleted {
            self.later(world, wait, move |net, _| _ = net.cluster.create_topic(REMADE, partitions, 2, &[]));
        }
        deleted
    }

    fn fail(&mut self, world: &mut World, errors: &[(ApiKey, ErrorCode)]) -> bool {
        let Some((api, error)) = self.chance.pick(errors) else { return false };
        let times = 1 + self.chance.below(4) as u32;
        world.trace.line(world.now, format_args!("{times} {} {error:?}", api.name()));
        world.net.cluster.fail_next(*api, *error, times);
        true
    }

    /// The next answers of an API are changed, by the same draw.
    fn alter(
        &mut self,
        world: &mut World,
        what: &'static str,
        (api, node, times): (ApiKey, Option<NodeId>, u32),
        mut change: impl FnMut(&mut ResponseKind, u64) + Send + 'static,
    ) -> bool {
        let draw = self.chance.below(u64::MAX);
        world.trace.line(world.now, format_args!("{times} {} by {draw}", api.name()));
        let change = altered(api, move |response| change(response, draw));
        world.net.script.spoil_counted(what, (api, node, times), Box::new(change));
        true
    }

    fn inject(&mut self, world: &mut World, fault: Fault) -> bool {
        let api = self.chance.pick(APIS).copied();
        let times = 1 + self.chance.below(3) as u32;
        world.trace.line(world.now, format_args!("{times} {api:?} {fault:?}"));
        world.net.cluster.inject(FaultRule { api, node: None, times, fault });
        true
    }
}
