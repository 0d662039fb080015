//! What goes wrong, and that it stops to go wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use super::chance::Chance;
use super::fault::FaultKind;
use super::happening::Happening;
use super::history::TOPIC;
use super::network::Wires;
use super::remaking::REMADE;
use super::runtime::broker_now;
use super::stage::Stage;
use crate::broker::NodeId;

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
        if stage.settings.remade {
            // Where it was deleted; else it is there.
            let _ = world.net.cluster.create_topic(REMADE, stage.partitions, 1, &[]);
        }
        world.net.heal();
        for conn in world.net.dead_conns().into_iter().chain(world.net.led_astray()) {
            world.reset(conn);
        }
    }
    world.trace.line(world.now, format_args!("recovery of {}", if all { -1 } else { one }));
    world.settle();
}
