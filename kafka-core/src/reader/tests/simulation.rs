//! A small model of brokers with fetch sessions, parked fetches, moving leaders and lost connections. Whatever happens,
//! each record is delivered once and in order, nothing is stuck, and once all is quiet everything was read.

use super::*;
use crate::random::Random;
use kafka_proto::messages::fetch::LeaderIdAndEpoch;
use proptest::prelude::*;
use std::collections::BTreeMap;

const PARTITIONS: usize = 6;
const MAX_WAIT: Duration = Duration::from_millis(500);

/// What a broker remembers of a fetch session: the epoch that is due, and the offset of each partition.
#[derive(Default)]
struct Remembered {
    id: i32,
    epoch: i32,
    offsets: BTreeMap<i32, i64>,
}

struct Parked {
    /// `None`: the session's partitions.
    offsets: Option<BTreeMap<i32, i64>>,
    until: Time,
    /// An answer that is due already.
    refusal: Option<ErrorCode>,
    plan: FetchPlan,
}

struct Model {
    rig: Rig,
    dice: Random,
    leaders: Vec<(i32, i32)>,
    /// The end of each partition's log.
    ends: Vec<i64>,
    /// What the application has to see next of each partition.
    due: Vec<i64>,
    paused: Vec<bool>,
    remembered: BTreeMap<i32, Remembered>,
    parked: BTreeMap<(i32, Lane), Parked>,
    walk: Option<Walk>,
    sessions: i32,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut rig = Rig::with(|config| (config.partition_max_bytes, config.buffer) = (2048, 1 << 20));
        let leaders: Vec<_> = (0..PARTITIONS as i32).map(|p| (1 + p % 3, 5)).collect();
        rig.topic(&leaders);
        rig.assign([at(0); PARTITIONS]);
        Self {
            rig,
            dice: Random::new(seed),
            leaders,
            ends: vec![0; PARTITIONS],
            due: vec![0; PARTITIONS],
            paused: vec![false; PARTITIONS],
            remembered: BTreeMap::new(),
            parked: BTreeMap::new(),
            walk: None,
            sessions: 100,
        }
    }

    fn any_partition(&mut self) -> usize {
        self.dice.below(PARTITIONS as u64) as usize
    }

    fn step(&mut self) {
        match self.dice.below(20) {
            0..=3 => {
                let p = self.any_partition();
                self.ends[p] += 1 + self.dice.below(5) as i64;
            }
            4 => self.seek(),
            5 => self.pause(),
            6 => self.move_leader(),
            7 => self.lose_connection(),
            8 => self.evict_session(),
            9 => self.rig.later(Duration::from_millis(50)),
            10..=14 => self.read(),
            _ => self.serve(),
        }
        self.send();
        self.rig.check();
    }

    fn seek(&mut self) {
        let p = self.any_partition();
        let to = self.dice.below(self.ends[p] as u64 + 1) as i64;
        self.rig.machine.seek(&tp(p as i32), at(to)).unwrap();
        self.due[p] = to;
    }

    fn pause(&mut self) {
        let p = self.any_partition();
        self.set_paused(p, !self.paused[p]);
    }

    fn set_paused(&mut self, p: usize, paused: bool) {
        let tp = tp(p as i32);
        match paused {
            true => self.rig.machine.pause(&tp).unwrap(),
            false => self.rig.machine.resume(&tp).unwrap(),
        }
        self.paused[p] = paused;
    }

    /// The client learns of it by metadata, or later by an error.
    fn move_leader(&mut self) {
        let p = self.any_partition();
        self.leaders[p] = (1 + self.dice.below(3) as i32, self.leaders[p].1 + 1);
        if self.dice.below(2) == 0 {
            self.rig.topic(&self.leaders.clone());
        }
    }

    fn lose_connection(&mut self) {
        if let Some(key) = self.parked.keys().next().copied() {
            self.parked.remove(&key);
            self.rig.lost(key.0, key.1);
        }
    }

    fn evict_session(&mut self) {
        let broker = 1 + self.dice.below(3) as i32;
        self.remembered.remove(&broker);
    }

    fn send(&mut self) {
        while self.rig.ask().is_some() {}
        for hint in self.rig.hints() {
            if matches!(hint, Hint::Refresh(_)) {
                self.rig.topic(&self.leaders.clone());
            }
        }
        self.rig.machine.budget_freed();
        for (broker, lane) in self.rig.lanes() {
            let plan = self.rig.machine.poll_fetch(self.rig.now, broker, lane, 12);
            if let Some(plan) = plan {
                let parked = self.arrive(broker, lane, plan);
                assert!(self.parked.insert((broker, lane), parked).is_none(), "one fetch a lane");
            }
        }
    }

    /// The broker's part of KIP-227.
    fn arrive(&mut self, broker: i32, lane: Lane, plan: FetchPlan) -> Parked {
        let until = self.rig.now.time + Duration::from_millis(plan.request.max_wait_ms as u64);
        let mut parked = Parked { offsets: None, until, refusal: None, plan };
        let listed: BTreeMap<_, _> = listed(&parked.plan).into_iter().collect();
        let request = &parked.plan.request;
        if request.session_epoch == -1 {
            assert_eq!((lane, request.session_id), (ASIDE, 0));
            parked.offsets = Some(listed);
            return parked;
        }
        assert_eq!(lane, MAIN);
        if request.session_epoch == 0 {
            self.sessions += 1;
            let session = Remembered { id: self.sessions, epoch: 1, offsets: listed };
            self.remembered.insert(broker, session);
            return parked;
        }
        match self.remembered.get_mut(&broker) {
            Some(session) if session.id == request.session_id => {
                assert_eq!(session.epoch, request.session_epoch);
                session.epoch += 1;
                for partition in forgotten(&parked.plan) {
                    assert!(
                        session.offsets.remove(&partition).is_some(),
                        "only what it has is to be forgotten"
                    );
                }
                session.offsets.extend(listed);
                assert!(!session.offsets.is_empty());
            }
            _ => parked.refusal = Some(ErrorCode::FetchSessionIdNotFound),
        }
        parked
    }

    /// A broker answers one of its fetches, if it has something or the time is over.
    fn serve(&mut self) {
        let nth = self.dice.below(self.parked.len() as u64) as usize;
        let Some(key) = self.parked.keys().nth(nth).copied() else { return };
        let parked = &self.parked[&key];
        let session = self.remembered.get(&key.0);
        let id = session.map_or(0, |session| session.id);
        let mut answer = response(if parked.offsets.is_some() { 0 } else { id }, vec![]);
        if let Some(code) = parked.refusal {
            answer.error_code = code.into();
        } else {
            let offsets = parked.offsets.clone().or_else(|| session.map(|session| session.offsets.clone()));
            let parts: Vec<_> = offsets
                .unwrap_or_default()
                .into_iter()
                .filter_map(|(p, o)| self.partition(key.0, p, o))
                .collect();
            if parts.is_empty() && parked.until > self.rig.now.time {
                return;
            }
            answer = response(answer.session_id, parts);
        }
        self.parked.remove(&key);
        self.rig.respond(key.0, key.1, answer);
    }

    fn partition(&self, broker: i32, partition: i32, offset: i64) -> Option<PartitionData> {
        let (leader, epoch) = self.leaders[partition as usize];
        let end = self.ends[partition as usize];
        if leader != broker {
            let current_leader =
                LeaderIdAndEpoch { leader_id: leader, leader_epoch: epoch, ..Default::default() };
            return Some(PartitionData {
                current_leader,
                ..failed(partition, ErrorCode::NotLeaderOrFollower)
            });
        }
        if offset >= end {
            return None;
        }
        // Batches are of four offsets, and answers of two batches.
        let mut batches = Vec::new();
        let mut base = offset - offset % 4;
        while base < end && batches.len() < 2 {
            batches.push(Batch { value: 100, ..Batch::plain(base, (base + 4).min(end)) });
            base += 4;
        }
        Some(PartitionData { high_watermark: end, ..data(partition, &batches) })
    }

    /// The application reads a few records, and sometimes gives a walk up.
    fn read(&mut self) {
        if self.walk.is_none() {
            match self.rig.take() {
                Some(Item::Chunk(chunk)) => self.walk = Some(Walk::new(chunk, &self.rig.config)),
                Some(other) => panic!("{other:?}"),
                None => return,
            }
        }
        for _ in 0..self.dice.below(6) {
            let Some(record) = self.walk.as_mut().and_then(|walk| walk.next()) else {
                self.walk = None;
                return;
            };
            let record = record.unwrap();
            let (p, offset) = (record.partition() as usize, record.offset());
            assert!(!self.paused[p], "nothing of a paused partition");
            assert_eq!(offset, self.due[p], "partition {p}");
            self.due[p] = offset + 1;
        }
        if self.dice.below(10) == 0 {
            self.walk = None;
        }
    }

    /// No more trouble: all that is in the logs is read, without waiting for long.
    fn calm_down(&mut self) {
        (0..PARTITIONS).for_each(|p| self.set_paused(p, false));
        self.rig.topic(&self.leaders.clone());
        for round in 0.. {
            if self.due == self.ends && self.walk.is_none() {
                return;
            }
            assert!(round < 5000, "read {:?} of {:?}", self.due, self.ends);
            self.send();
            self.read();
            self.serve();
            if round % 10 == 9 {
                self.rig.later(MAX_WAIT);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn promise_01_each_record_once_in_order_and_nothing_stuck(seed in any::<u64>()) {
        let mut model = Model::new(seed);
        for _ in 0..400 {
            model.step();
        }
        model.calm_down();
        prop_assert!(model.rig.budget.used() <= model.rig.budget.limit());
    }
}
