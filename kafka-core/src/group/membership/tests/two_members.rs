//! Two members and a coordinator in miniature.

use super::fake::Coordinator;
use super::rig::*;
use crate::group::{CommitOffset, GroupConfig, GroupEvent, Membership};
use crate::machine::{Answer, Now, Peer, Time};
use crate::snapshot::TopicPartition;
use kafka_proto::Str;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What the application of a member sees.
#[derive(Default)]
struct App {
    assignment: u32,
    /// Partitions with the offset to go on from.
    owns: BTreeMap<i32, i64>,
    lost: usize,
    left: bool,
    /// Does not answer when asked to give up.
    sleeps: bool,
}

struct World {
    now: Time,
    cluster: crate::snapshot::Cluster,
    coordinator: Coordinator,
    members: Vec<(Membership, App)>,
}

impl World {
    fn new(partitions: usize) -> Self {
        let mut cluster = Default::default();
        add_topic(&mut cluster, "t", partitions);
        Self { now: some_instant(), cluster, coordinator: Coordinator::default(), members: Vec::new() }
    }

    fn now(&self) -> Now {
        Now { time: self.now, wall_ms: 0 }
    }

    fn enter(&mut self) {
        let id = self.members.len() as u32;
        let mut member =
            Membership::new(crate::machine::MachineId(id), Arc::new(GroupConfig::new("g")), id.into());
        member.subscribe(self.now(), vec!["t".into()]);
        self.members.push((member, App::default()));
        self.settle();
    }

    /// Passes requests, answers and events to and fro until all is quiet.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.step() {
                return self.check();
            }
        }
        panic!("never quiet");
    }

    fn step(&mut self) -> bool {
        let now = self.now();
        let mut moved = false;
        for (i, (member, app)) in self.members.iter_mut().enumerate() {
            while let Some(call) = member.poll_call(now, &self.cluster) {
                member.handle_called(now, call.run());
                moved = true;
            }
            while let Some(ask) = member.poll_ask(now, &self.cluster) {
                self.coordinator.handle((i, ask.tag), ask.request);
                moved = true;
            }
            while let Some(event) = member.poll_event() {
                app.see(now, member, event);
                moved = true;
            }
        }
        for ((i, tag), response) in std::mem::take(&mut self.coordinator.replies) {
            let answer = Answer { tag, peer: Some(Peer::Node(1)), result: Ok(response) };
            self.members[i].0.handle_answer(now, &self.cluster, answer);
            moved = true;
        }
        moved
    }

    /// I9: no partition is read by two.
    fn check(&self) {
        let owned: Vec<i32> = self.members.iter().flat_map(|(_, app)| app.owns.keys().copied()).collect();
        let mut once = owned.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), owned.len(), "{owned:?}");
    }

    fn sleep(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) =
            self.members.iter().filter_map(|(m, _)| m.poll_timeout()).min().filter(|at| *at <= end)
        {
            self.now = self.now.max(at);
            let now = self.now();
            self.members.iter_mut().for_each(|(m, _)| m.handle_timeout(now));
            self.settle();
        }
        self.now = end;
    }

    /// Each member reads and commits `n` of each of its partitions.
    fn work(&mut self, n: i64) {
        let (now, deadline) = (self.now(), self.now + MINUTE);
        for (member, app) in self.members.iter_mut().filter(|(_, app)| !app.owns.is_empty()) {
            let offset = |(p, at): (&i32, &mut i64)| {
                *at += n;
                CommitOffset {
                    partition: TopicPartition::new("t", *p),
                    offset: *at,
                    leader_epoch: -1,
                    topic_id: kafka_proto::Uuid::ZERO,
                    metadata: None,
                }
            };
            let offsets = app.owns.iter_mut().map(offset).collect();
            member.commit(now, app.assignment, offsets, deadline, &self.cluster);
        }
        self.settle();
    }

    fn owns(&self, member: usize) -> Vec<i32> {
        self.members[member].1.owns.keys().copied().collect()
    }

    fn committed(&self) -> Vec<i64> {
        self.coordinator.offsets.values().copied().collect()
    }
}

impl App {
    fn see(&mut self, now: Now, member: &mut Membership, event: GroupEvent) {
        match event {
            GroupEvent::Assigned { assignment, partitions, .. } => {
                assert!(assignment > self.assignment && self.owns.is_empty());
                self.assignment = assignment;
                let start = |(p, c): (TopicPartition, Option<crate::group::CommittedOffset>)| {
                    (p.partition, c.map_or(0, |c| c.offset))
                };
                self.owns = partitions.into_iter().map(start).collect();
            }
            GroupEvent::AssignedMore { .. } => panic!("all offsets can be had"),
            GroupEvent::Revoking { assignment, .. } if !self.sleeps => {
                self.owns.clear();
                member.revoked(now, assignment);
            }
            GroupEvent::Revoking { .. } => {}
            GroupEvent::Lost { .. } => {
                self.owns.clear();
                self.lost += 1;
            }
            GroupEvent::Committed { result, .. } => result.unwrap(),
            GroupEvent::Failed(error) | GroupEvent::Notice(error) => panic!("{error:?}"),
            GroupEvent::Left => {
                self.owns.clear();
                self.left = true;
            }
        }
    }
}

#[test]
fn a_second_member_takes_half_and_gives_it_back() {
    let mut world = World::new(5);
    world.enter();
    assert_eq!(world.owns(0), [0, 1, 2, 3, 4]);
    world.work(10);
    world.enter();
    world.sleep(3 * SECOND);
    assert_eq!((world.owns(0), world.owns(1)), (vec![0, 1, 2], vec![3, 4]));
    world.work(1);
    assert_eq!(world.committed(), [11; 5], "who takes over goes on where the other committed");

    let now = world.now();
    world.members[1].0.leave(now);
    world.settle();
    assert!(world.members[1].1.left);
    world.sleep(3 * SECOND);
    assert_eq!(world.owns(0), [0, 1, 2, 3, 4]);
    world.work(1);
    assert_eq!(world.committed(), [12; 5]);
    assert_eq!((world.coordinator.generation, world.members[0].1.lost), (3, 0));
}

#[test]
fn a_leader_that_leaves_hands_over_the_lead() {
    let mut world = World::new(4);
    world.enter();
    world.enter();
    world.sleep(3 * SECOND);
    let now = world.now();
    world.members[0].0.leave(now);
    world.sleep(3 * SECOND);
    assert_eq!(world.owns(1), [0, 1, 2, 3]);
    add_topic(&mut world.cluster, "t", 6);
    let now = world.now();
    let World { members, cluster, .. } = &mut world;
    members[1].0.metadata_changed(now, cluster);
    world.settle();
    assert_eq!(world.owns(1), [0, 1, 2, 3, 4, 5], "the new leader watches the topic");
}

#[test]
fn promise_10_a_member_thrown_out_is_told_once_and_comes_back() {
    let mut world = World::new(4);
    world.enter();
    world.enter();
    world.sleep(3 * SECOND);
    world.work(5);
    world.members[1].1.sleeps = true;
    world.coordinator.kick(&Str::from("member-2"));
    world.sleep(3 * SECOND);
    assert_eq!(world.members[1].1.lost, 1);
    world.sleep(6 * SECOND);
    assert_eq!((world.owns(0), world.owns(1)), (vec![0, 1], vec![2, 3]));
    world.work(5);
    assert_eq!(world.committed(), [10; 4]);
    assert_eq!((world.members[0].1.lost, world.members[1].1.lost), (0, 1));
}

#[test]
fn a_sleeping_application_loses_its_partitions_at_the_deadline_and_gets_new_ones() {
    let mut world = World::new(2);
    world.enter();
    world.members[0].1.sleeps = true;
    world.enter();
    world.sleep(59 * SECOND);
    assert_eq!((world.owns(0), world.owns(1)), (vec![0, 1], vec![]));
    world.sleep(5 * SECOND);
    assert_eq!((world.owns(0), world.owns(1)), (vec![0], vec![1]));
    assert_eq!(world.members[0].1.lost, 1);
}

#[test]
fn ten_members_come_and_go_and_every_partition_has_one_owner() {
    let mut world = World::new(12);
    for _ in 0..10 {
        world.enter();
        world.sleep(4 * SECOND);
        world.work(1);
        let owned: usize = world.members.iter().map(|(_, app)| app.owns.len()).sum();
        assert_eq!(owned, 12);
    }
    for i in 0..9 {
        let now = world.now();
        world.members[i].0.leave(now);
        world.settle();
        world.sleep(4 * SECOND);
        world.work(1);
    }
    assert_eq!(world.owns(9).len(), 12);
    assert_eq!(world.committed(), [19; 12]);
}
