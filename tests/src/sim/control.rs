//! What a test does to the brokers and wires of its [`Simulation`], and what it sees of them.

use std::time::Duration;

use kafka_core::{Client, ClientBuilder};
use kafka_proto::{ApiKey, Bytes, ErrorCode, ResponseKind};

use super::network::Wires;
use super::runtime::{SimRuntime, broker_now};
use super::script::{Asked, altered};
use super::simulation::Simulation;
use crate::broker::{ClusterState, Fault, FaultRule, NodeId, Now, StoredRecord};

impl Simulation {
    /// Does anything [`ClusterState`] can do.
    pub fn with<R>(&self, change: impl FnOnce(&mut ClusterState, Now) -> R) -> R {
        let mut world = self.runtime.world();
        let now = broker_now(world.now);
        let result = change(&mut world.net.cluster, now);
        world.settle();
        result
    }

    /// Stops a node as if its power had failed: connections break, new ones are refused, and other nodes take over what it
    /// led. Its logs stay.
    pub fn kill(&self, node: NodeId) {
        let mut world = self.runtime.world();
        let now = broker_now(world.now);
        if world.net.down.contains(&node) || world.net.cluster.kill(now, node).is_err() {
            return;
        }
        world.net.down.push(node);
        world.settle();
        world.reset_node(node);
    }

    /// Starts a node that was stopped.
    pub fn restart(&self, node: NodeId) {
        self.runtime.world().net.down.retain(|down| *down != node);
        // A node that does not exist was not stopped either.
        let _ = self.with(|cluster, now| cluster.restart(now, node));
    }

    /// A node cannot be reached for so long, and nobody says so: what is sent to or from it meanwhile arrives afterwards.
    pub fn cut_off(&self, node: NodeId, time: Duration) {
        let mut world = self.runtime.world();
        let until = world.now + time;
        world.net.cut_off(node, until);
    }

    /// A node refuses connections for so long; those it has break.
    pub fn refuse(&self, node: NodeId, time: Duration) {
        let mut world = self.runtime.world();
        let until = world.now + time;
        world.net.refuse(node, until);
        world.reset_node(node);
    }

    /// The connections to a node break.
    pub fn reset(&self, node: NodeId) {
        self.runtime.world().reset_node(node);
    }

    /// The connections to a node carry nothing any more, and nobody says so; new ones work.
    pub fn half_open(&self, node: NodeId) {
        let mut world = self.runtime.world();
        let conns = world.net.open_to(node);
        conns.into_iter().for_each(|conn| world.net.half_open(conn));
    }

    /// Behind a node's address is something else, which answers whatever it gets with these bytes and hangs up.
    pub fn put_stranger(&self, node: NodeId, says: impl Into<Bytes>) {
        let mut world = self.runtime.world();
        world.net.script.put_stranger(node, says.into());
        world.reset_node(node);
    }

    /// The next `times` requests of this API are answered with an error and not executed.
    pub fn fail_next(&self, api: ApiKey, error: ErrorCode, times: u32) {
        self.fault(api, times, Fault::Error(error));
    }

    /// Something happens to the next `times` requests of this API.
    pub fn fault(&self, api: ApiKey, times: u32, fault: Fault) {
        self.with(|cluster, _| cluster.inject(FaultRule { api: Some(api), node: None, times, fault }));
    }

    /// Changes the next `times` answers of this API before they are sent.
    pub fn alter(&self, api: ApiKey, times: u32, alter: impl FnMut(&mut ResponseKind) + Send + 'static) {
        self.runtime.world().net.script.spoil(api, None, times, Box::new(altered(api, alter)));
    }

    /// As [`alter`](Self::alter), of one node's answers.
    pub fn alter_at(
        &self,
        node: NodeId,
        api: ApiKey,
        times: u32,
        alter: impl FnMut(&mut ResponseKind) + Send + 'static,
    ) {
        self.runtime.world().net.script.spoil(api, Some(node), times, Box::new(altered(api, alter)));
    }

    /// Makes the bytes of the next `times` answers of this API, their length first, into others.
    pub fn spoil(&self, api: ApiKey, times: u32, mut spoil: impl FnMut(Bytes) -> Bytes + Send + 'static) {
        let spoil = move |_, answer| spoil(answer);
        self.runtime.world().net.script.spoil(api, None, times, Box::new(spoil));
    }

    /// Keeps the requests of this API from now on, for [`recorded`](Self::recorded).
    pub fn record(&self, api: ApiKey) {
        self.runtime.world().net.script.record(api);
    }

    /// The requests of this API that were kept.
    pub fn recorded(&self, api: ApiKey) -> Vec<Asked> {
        self.runtime.world().net.script.recorded(api)
    }

    /// How many requests of an API all nodes have had.
    pub fn requests(&self, api: ApiKey) -> u64 {
        self.with(|cluster, _| cluster.counters().requests(api))
    }

    /// The connections to a node that clients hold, by their numbers.
    pub fn connections(&self, node: NodeId) -> Vec<u64> {
        self.runtime.world().net.open_to(node)
    }

    /// Everything in the log of a partition.
    pub fn log(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        self.with(|cluster, _| cluster.log(topic, partition))
    }

    /// The node that leads a partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<NodeId> {
        self.with(|cluster, _| cluster.leader(topic, partition))
    }

    /// Makes another replica the leader of a partition, in a new epoch.
    ///
    /// # Panics
    /// If there is no such partition, or the node cannot lead it.
    pub fn move_leader(&self, topic: &str, partition: i32, to: NodeId) {
        let moved = self.with(|cluster, now| cluster.move_leader(now, topic, partition, to));
        moved.unwrap_or_else(|error| panic!("{error}"));
    }

    /// A machine of its own, whose network can fail for all it runs.
    pub fn machine(&self) -> Machine {
        let id = self.runtime.world().net.new_machine();
        Machine { simulation: self.on(self.runtime.on(id)), id }
    }
}

/// A machine in a [`Simulation`] that runs clients. Made by [`Simulation::machine`].
#[derive(Debug, Clone)]
pub struct Machine {
    simulation: Simulation,
    id: u32,
}

impl Machine {
    /// A new client on this machine.
    pub fn client(&self) -> ClientBuilder<SimRuntime> {
        self.simulation.client()
    }

    /// Nothing gets through to or from this machine for so long, and nobody says so; what is sent meanwhile arrives
    /// afterwards.
    pub fn cut_off(&self, time: Duration) {
        let mut world = self.simulation.runtime.world();
        let until = world.now + time;
        world.net.cut_off_machine(self.id, until);
    }
}

/// A client in a simulation.
pub type SimClient = Client;
