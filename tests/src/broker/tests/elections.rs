use super::*;
use kafka_proto::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use kafka_proto::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

impl ClusterState {
    /// The coordinator of a group, as FindCoordinator would name it.
    pub(super) fn ensure_coordinator(&mut self, group: &str) -> NodeId {
        self.ensure_offsets_topic();
        let partition = self.group_partition(group);
        self.leader("__consumer_offsets", partition).unwrap()
    }
}

fn values(rig: &Rig) -> Vec<Bytes> {
    rig.cluster.log("t", 0).into_iter().map(|record| record.value.unwrap()).collect()
}

#[test]
fn another_replica_leads_when_the_leader_dies_and_nothing_is_lost() {
    let mut rig = Rig::new(3);
    rig.put("t", "a");
    rig.cluster.kill(rig.now, 0).unwrap();
    assert_eq!(rig.cluster.leader("t", 0), Some(1));
    rig.put("t", "b");
    rig.cluster.restart(rig.now, 0).unwrap();
    assert_eq!(rig.cluster.leader("t", 0), Some(1));
    assert_eq!(values(&rig), ["a", "b"]);
    rig.cluster.move_leader(rig.now, "t", 0, 0).unwrap();
    let epochs: Vec<_> = rig.cluster.log("t", 0).iter().map(|record| record.leader_epoch).collect();
    assert_eq!(epochs, [0, 1]);
    assert_eq!(rig.cluster.topics.partition("t", 0).unwrap().leader_epoch, 2);
}

#[test]
fn the_last_in_sync_replica_is_waited_for() {
    let mut rig = Rig::new(2);
    rig.cluster.kill(rig.now, 1).unwrap();
    rig.put("t", "only node 0 has it");
    rig.cluster.kill(rig.now, 0).unwrap();
    rig.cluster.restart(rig.now, 1).unwrap();
    assert_eq!(rig.cluster.leader("t", 0), None);
    assert_eq!(error(rig.produce(1, "t", one("x")).error_code), ErrorCode::NotLeaderOrFollower);
    rig.cluster.restart(rig.now, 0).unwrap();
    assert_eq!(rig.cluster.leader("t", 0), Some(0));
    assert_eq!(values(&rig).len(), 1);
    assert_eq!(rig.cluster.topics.partition("t", 0).unwrap().isr, [0, 1]);
}

#[test]
fn an_unclean_election_loses_what_the_new_leader_never_had() {
    let mut rig = Rig::new(2);
    rig.cluster
        .topics
        .get_mut("t")
        .unwrap()
        .config
        .set("unclean.leader.election.enable", Some("true"))
        .unwrap();
    rig.put("t", "both");
    rig.cluster.kill(rig.now, 1).unwrap();
    rig.put("t", "only node 0 has it");
    rig.cluster.restart(rig.now, 1).unwrap();
    rig.cluster.kill(rig.now, 1).unwrap();
    rig.put("t", "only node 0 has this");
    rig.cluster.kill(rig.now, 0).unwrap();
    assert_eq!(rig.cluster.leader("t", 0), None);
    rig.cluster.restart(rig.now, 1).unwrap();
    assert_eq!(rig.cluster.leader("t", 0), Some(1));
    assert_eq!(values(&rig), ["both", "only node 0 has it"]);
}

#[test]
fn unreplicated_records_are_lost_with_their_leader() {
    let mut rig = Rig::new(3);
    rig.put("t", "kept");
    rig.cluster.stall_replication("t", 0).unwrap();
    rig.call(0, 9, produce("t", 1, one("lost")));
    rig.cluster.kill(rig.now, 0).unwrap();
    assert_eq!(values(&rig), ["kept"]);
    rig.put("t", "new");
    assert_eq!(rig.cluster.offsets("t", 0), Some((0, 2, 2)));
}

#[test]
fn what_a_lone_leader_has_acknowledged_stays_when_followers_come_back() {
    let mut rig = Rig::new(3);
    rig.put("t", "kept");
    rig.cluster.stall_replication("t", 0).unwrap();
    rig.cluster.kill(rig.now, 1).unwrap();
    rig.cluster.kill(rig.now, 2).unwrap();
    rig.put("t", "acknowledged by the last in sync");
    rig.cluster.restart(rig.now, 1).unwrap();
    assert_eq!(rig.cluster.offsets("t", 0), Some((0, 2, 2)));
    rig.cluster.kill(rig.now, 0).unwrap();
    assert_eq!(values(&rig), ["kept", "acknowledged by the last in sync"]);
}

#[test]
fn only_a_replica_in_sync_can_be_made_leader() {
    let mut rig = Rig::new(3);
    rig.cluster.kill(rig.now, 2).unwrap();
    assert!(rig.cluster.move_leader(rig.now, "t", 0, 2).is_err());
    assert!(rig.cluster.move_leader(rig.now, "t", 0, 7).is_err());
    assert!(rig.cluster.move_leader(rig.now, "t", 5, 1).is_err());
    assert!(rig.cluster.kill(rig.now, 7).is_err());
}

#[test]
fn epochs_tell_where_they_ended() {
    let mut rig = Rig::new(2);
    rig.fill("t", 2);
    rig.cluster.move_leader(rig.now, "t", 0, 1).unwrap();
    rig.put("t", "b");
    rig.cluster.move_leader(rig.now, "t", 0, 0).unwrap();
    rig.cluster.move_leader(rig.now, "t", 0, 1).unwrap();
    rig.put("t", "c");
    let mut ask = |leader_epoch, current_leader_epoch| {
        let asked = OffsetForLeaderPartition { leader_epoch, current_leader_epoch, ..Default::default() };
        let topics =
            vec![OffsetForLeaderTopic { topic: "t".into(), partitions: vec![asked], ..Default::default() }];
        let response = rig.call(1, 4, OffsetForLeaderEpochRequest { topics, ..Default::default() });
        let found = response.topics[0].partitions[0].clone();
        (error(found.error_code), found.leader_epoch, found.end_offset)
    };
    assert_eq!(ask(0, -1), (ErrorCode::None, 0, 2));
    assert_eq!(ask(1, 3), (ErrorCode::None, 1, 3));
    // Nothing was written in epoch 2.
    assert_eq!(ask(2, -1), (ErrorCode::None, 1, 3));
    assert_eq!(ask(3, -1), (ErrorCode::None, 3, 4));
    assert_eq!(ask(4, -1), (ErrorCode::None, -1, -1));
    assert_eq!(ask(0, 2).0, ErrorCode::FencedLeaderEpoch);
    assert_eq!(ask(0, 9).0, ErrorCode::UnknownLeaderEpoch);
}

#[test]
fn offsets_are_found_by_time() {
    let mut rig = Rig::new(1);
    for time in [100, 300, 200, 400] {
        let records =
            batch(&[(None, "a", time), (None, "b", time + 50)], Compression::Lz4, ProducerStamp::NONE);
        assert_eq!(error(rig.produce(0, "t", records).error_code), ErrorCode::None);
    }
    let mut ask = |timestamp| {
        let asked = ListOffsetsPartition { timestamp, ..Default::default() };
        let topics =
            vec![ListOffsetsTopic { name: "t".into(), partitions: vec![asked], ..Default::default() }];
        let response = rig.call(0, 9, ListOffsetsRequest { replica_id: -1, topics, ..Default::default() });
        let found = response.topics[0].partitions[0].clone();
        assert_eq!(error(found.error_code), ErrorCode::None);
        (found.offset, found.timestamp)
    };
    assert_eq!((ask(-1), ask(-2)), ((8, -1), (0, -1)));
    assert_eq!((ask(0), ask(101), ask(151)), ((0, 100), (1, 150), (2, 300)));
    assert_eq!((ask(350), ask(351), ask(451)), ((3, 350), (6, 400), (-1, -1)));
    assert_eq!(ask(-3), (7, 450));
}
