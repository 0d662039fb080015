//! Topics that are made anew, and metadata that lags or knows no ids, in any order: what is acknowledged is in the log, once.

use super::{BROKER, Harness, Request, acked};
use crate::machine::Hint;
use crate::snapshot::{Cluster, Topic};
use crate::writer::{Delivery, WriterConfig};
use kafka_proto::Uuid;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::produce::{
    LeaderIdAndEpoch, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use kafka_proto::records::{Batch, Record};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    /// The topic is deleted and made again with so many partitions.
    Anew(usize),
    /// Partitions are added.
    Grow(usize),
    /// Metadata tells it, without its id, or without some of its partitions.
    Tell {
        without_id: bool,
        lacking: usize,
    },
    Send(usize),
    /// The next request is handed out; or, where there is none, the first one that is open is answered.
    Serve(How),
    /// The first of what lies before the broker is executed.
    Late,
    /// The other broker leads.
    Move,
    Sleep(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Answered,
    /// Executed, lost.
    Lost,
    /// Taken, perhaps executed later, lost.
    LostBefore,
    /// Not taken.
    NotTaken,
    /// Executed, and answered with an error.
    Appended,
    /// Not executed.
    Refused(ErrorCode),
}

const REFUSALS: [ErrorCode; 7] = [
    ErrorCode::NotEnoughReplicas,
    ErrorCode::UnknownTopicOrPartition,
    ErrorCode::UnknownTopicId,
    ErrorCode::NotLeaderOrFollower,
    ErrorCode::MessageTooLarge,
    ErrorCode::CorruptMessage,
    ErrorCode::UnknownProducerId,
];

fn how() -> impl Strategy<Value = How> {
    use How::*;
    prop_oneof![
        6 => Just(Answered),
        1 => Just(Lost),
        1 => Just(LostBefore),
        1 => Just(NotTaken),
        1 => Just(Appended),
        3 => proptest::sample::select(REFUSALS.to_vec()).prop_map(Refused),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (1usize..6).prop_map(Step::Anew),
        1 => (1usize..3).prop_map(Step::Grow),
        4 => (any::<bool>(), 0usize..4).prop_map(|(without_id, lacking)| Step::Tell { without_id, lacking }),
        8 => (0usize..6).prop_map(Step::Send),
        8 => how().prop_map(Step::Serve),
        1 => Just(Step::Late),
        2 => Just(Step::Move),
        2 => (1u64..3000).prop_map(Step::Sleep),
    ]
}

/// What a broker knows of a partition: the values in its log, and the last batches of the producer.
#[derive(Default)]
struct Log {
    values: Vec<String>,
    epoch: i16,
    next: Option<i32>,
    last: Vec<(i32, ErrorCode)>,
}

impl Log {
    /// As Kafka does: duplicates of the last five batches are known, other sequences have to go on where the log ends.
    fn append(&mut self, batch: &Batch) -> ErrorCode {
        let (epoch, sequence) = (batch.producer_epoch(), batch.base_sequence());
        let count = batch.record_count().unwrap() as i32;
        if self.next.is_some() && epoch < self.epoch {
            return ErrorCode::InvalidProducerEpoch;
        }
        if epoch == self.epoch && self.last.iter().any(|(known, _)| *known == sequence) {
            return ErrorCode::DuplicateSequenceNumber;
        }
        let is_new = self.next.is_none() || epoch > self.epoch;
        let goes_on = if is_new { self.next.is_none() || sequence == 0 } else { self.next == Some(sequence) };
        if !goes_on {
            return ErrorCode::OutOfOrderSequenceNumber;
        }
        if is_new {
            (self.epoch, self.last) = (epoch, Vec::new());
        }
        self.next = Some(sequence + count);
        self.last.push((sequence, ErrorCode::None));
        let surplus = self.last.len().saturating_sub(5);
        self.last.drain(..surplus);
        self.values.extend(values(batch));
        ErrorCode::None
    }
}

fn values(batch: &Batch) -> Vec<String> {
    let value = |record: &Record<'_>| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
    let mut records = batch.records(1 << 20).unwrap();
    std::iter::from_fn(|| records.next_record().map(|record| value(&record.unwrap()))).collect()
}

/// A request, its answer, and what becomes of it.
type Served = (Request, Vec<(ErrorCode, i64)>, How);

struct World {
    h: Harness,
    id: u128,
    count: usize,
    /// How many partitions the producer was told of.
    told: usize,
    logs: BTreeMap<usize, Log>,
    /// All that was ever in a log, with how often.
    written: BTreeMap<String, u32>,
    sent: Vec<(String, Delivery)>,
    /// What lies before the broker: partition and batch. It goes by the topic's name.
    late: Vec<(usize, Batch)>,
    /// What was handed out, and what will be answered.
    open: Vec<Served>,
    leader: i32,
    /// The id that was told last.
    told_id: u128,
    /// What came into a log whose topic the producer knew: before it knows it cannot keep the order.
    in_order: BTreeSet<String>,
}

impl World {
    fn new() -> Self {
        let mut h = Harness::without_identity(1, WriterConfig::default());
        h.give_identity(7, 0);
        let mut world = Self {
            h,
            id: 1,
            count: 1,
            told: 1,
            logs: BTreeMap::new(),
            written: BTreeMap::new(),
            sent: Vec::new(),
            late: Vec::new(),
            open: Vec::new(),
            leader: BROKER,
            told_id: 0,
            in_order: BTreeSet::new(),
        };
        world.tell(false, 0);
        world
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Anew(count) => {
                (self.id, self.count) = (self.id + 1, count);
                self.logs.clear();
            }
            Step::Grow(more) => self.count += more,
            Step::Tell { without_id, lacking } => self.tell(without_id, lacking),
            Step::Send(partition) => {
                let value = self.sent.len().to_string();
                let delivery = self.h.send(partition % self.told, &value);
                self.sent.push((value, delivery));
            }
            Step::Serve(how) => {
                if let Some(request) = self.h.poll_from(self.leader) {
                    self.serve(request, how);
                } else {
                    self.settle_one();
                }
            }
            Step::Late => {
                if !self.late.is_empty() {
                    let (partition, batch) = self.late.remove(0);
                    if partition < self.count {
                        self.append(partition, &batch);
                    }
                }
            }
            Step::Move => {
                self.leader = 3 - self.leader;
                self.tell(false, 0);
            }
            Step::Sleep(ms) => self.h.wait(Duration::from_millis(ms)),
        }
        self.h.work();
        self.h.give_identity(7, 0);
    }

    fn tell(&mut self, without_id: bool, lacking: usize) {
        if !without_id {
            self.told_id = self.id;
        }
        self.told = self.count.saturating_sub(lacking).max(1);
        let id = if without_id { Uuid::ZERO } else { Uuid(self.id.to_be_bytes()) };
        let topic = Topic { id, ..super::topic(self.told as i32, Some(self.leader)) };
        self.h.update(&topic);
    }

    fn append(&mut self, partition: usize, batch: &Batch) -> ErrorCode {
        let code = self.logs.entry(partition).or_default().append(batch);
        if code == ErrorCode::None {
            if self.told_id == self.id {
                self.in_order.extend(values(batch));
            }
            values(batch).into_iter().for_each(|value| *self.written.entry(value).or_default() += 1);
        }
        code
    }

    /// Executes; the answer comes later, in order.
    fn serve(&mut self, request: Request, how: How) {
        let mut codes = Vec::new();
        for (partition, batch) in &request.batches {
            let partition = *partition as usize;
            if partition >= self.count {
                codes.push((ErrorCode::UnknownTopicOrPartition, -1));
                continue;
            }
            codes.push(match how {
                How::Answered | How::Lost => (self.append(partition, batch), 0),
                How::Appended => match self.append(partition, batch) {
                    ErrorCode::None => (ErrorCode::RequestTimedOut, -1),
                    code => (code, -1),
                },
                How::Refused(code) => (code, -1),
                How::LostBefore => {
                    self.late.push((partition, batch.clone()));
                    (ErrorCode::None, 0)
                }
                How::NotTaken => (ErrorCode::None, 0),
            });
        }
        self.open.push((request, codes, how));
    }

    fn settle_one(&mut self) -> bool {
        if self.open.is_empty() {
            return false;
        }
        let (request, codes, how) = self.open.remove(0);
        match how {
            How::Lost | How::LostBefore => self.h.lose(&request, true),
            How::NotTaken => self.h.lose(&request, false),
            _ => self.h.answer(&request, &codes),
        }
        self.h.work();
        true
    }

    /// Metadata tells the truth, and the broker answers: everything ends.
    fn heal(&mut self) {
        self.tell(false, 0);
        let mut rounds = 0;
        while self.sent.iter().any(|(_, delivery)| delivery.try_get().is_none()) {
            rounds += 1;
            assert!(rounds < 5000, "no end");
            if self.settle_one() {
                continue;
            }
            match self.h.poll_from(self.leader) {
                Some(request) => self.serve(request, How::Answered),
                None => self.h.next_deadline(),
            }
            self.h.work();
            self.h.give_identity(7, 0);
        }
    }
}

proptest! {
    #[test]
    fn case_d6_d7_what_is_acknowledged_is_in_the_log_once_and_in_order(steps in proptest::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.take(step));
        world.heal();
        for (value, delivery) in &world.sent {
            let times = world.written.get(value).copied().unwrap_or_default();
            match delivery.try_get().unwrap() {
                Ok(_) => prop_assert!(times > 0, "{value} is acknowledged and in no log"),
                Err(error) if times > 0 => prop_assert_ne!(error.fate, crate::writer::Fate::NotWritten),
                Err(_) => {}
            }
        }
        for (partition, log) in &world.logs {
            let once: BTreeSet<_> = log.values.iter().collect();
            prop_assert_eq!(once.len(), log.values.len(), "partition {} has {:?}", partition, log.values);
            let acked: Vec<usize> = log
                .values
                .iter()
                .filter(|v| world.in_order.contains(*v))
                .map(|v| v.parse::<usize>().unwrap())
                .filter(|at| world.sent.get(*at).is_some_and(|(_, d)| matches!(d.try_get(), Some(Ok(_)))))
                .collect();
            prop_assert!(acked.is_sorted(), "partition {} has {:?}", partition, log.values);
        }
        // Afterwards every partition can be written to.
        let from = world.sent.len();
        (0..world.count).for_each(|partition| world.take(&Step::Send(partition)));
        world.heal();
        for (value, delivery) in &world.sent[from..] {
            prop_assert!(delivery.try_get().unwrap().is_ok(), "{value}: {:?}", delivery.try_get());
        }
    }
}

/// The new log takes any sequence of a producer that it does not know: were the first batch refused, it would take the second
/// before it. What the old log acknowledges meanwhile says nothing of the new one.
#[test]
fn case_d6_the_first_batch_of_a_topic_made_anew_goes_alone_whatever_the_old_one_answers() {
    for code in [ErrorCode::None, ErrorCode::DuplicateSequenceNumber] {
        let mut h = Harness::new(1, WriterConfig::default());
        h.make_anew(1, 1);
        let old = h.send(0, "old");
        let request = h.poll().unwrap();
        h.make_anew(2, 1);
        h.answer(&request, &[(code, 5)]);
        assert!(old.try_get().unwrap().is_ok());
        let sent = ["a", "b", "c"].map(|value| {
            let sent = h.send(0, value);
            h.producer.flush(h.now);
            sent
        });
        let first = h.poll().unwrap();
        assert_eq!(first.stamps()[0].1, 1, "under the next epoch");
        drop(h.send(0, "d"));
        h.producer.flush(h.now);
        assert!(h.poll().is_none(), "before the new log knows the producer");
        h.answer(&first, &[(ErrorCode::None, 0)]);
        assert_eq!(acked(&sent[0]), 0);
        let two = [h.poll().is_some(), {
            drop(h.send(0, "e"));
            h.producer.flush(h.now);
            h.poll().is_some()
        }];
        assert_eq!(two, [true, true], "afterwards more than one is in flight");
    }
}

/// Its high epoch would keep the leaders of the new topic away for as long as the grace.
#[test]
fn case_m1_the_leader_of_a_deleted_topic_is_not_that_of_the_next_one() {
    for (is_anew, by_id) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut h = Harness::new(1, WriterConfig::default());
        h.make_anew(1, 1);
        drop(h.send(0, "a"));
        let request = h.poll().unwrap();
        if is_anew {
            h.make_anew(2, 1);
        }
        let current_leader = LeaderIdAndEpoch { leader_id: 3, leader_epoch: 50, ..Default::default() };
        let error_code = ErrorCode::NotLeaderOrFollower.code();
        let told = PartitionProduceResponse { error_code, current_leader, ..Default::default() };
        let (name, topic_id) = if by_id { ("", Uuid(1u128.to_be_bytes())) } else { ("t", Uuid::ZERO) };
        let topic = TopicProduceResponse {
            name: name.into(),
            topic_id,
            partition_responses: vec![told],
            ..Default::default()
        };
        let response = ProduceResponse { responses: vec![topic], ..Default::default() };
        h.producer.produced(h.now, &Cluster::default(), request.id, response);
        let hints = h.producer.effects.take_hints();
        let is_told = hints.iter().any(|hint| matches!(hint, Hint::Leader { .. }));
        assert_eq!(is_told, !is_anew, "{hints:?}");
        assert!(hints.iter().any(|hint| matches!(hint, Hint::Refresh(_))), "it is asked for");
    }
}

/// The answer says that it is in the log, and not in which: the topic may have been made anew just before.
#[test]
fn case_d7_what_was_appended_and_refused_keeps_its_sequence_in_a_topic_made_anew() {
    use ErrorCode::{KafkaStorageError, NotEnoughReplicasAfterAppend, NotLeaderOrFollower, RequestTimedOut};
    for code in [RequestTimedOut, NotEnoughReplicasAfterAppend, NotLeaderOrFollower, KafkaStorageError] {
        let mut h = Harness::new(1, WriterConfig::default());
        h.make_anew(1, 1);
        let delivery = h.send(0, "a");
        let first = h.poll().unwrap();
        h.answer(&first, &[(code, -1)]);
        h.make_anew(2, 1);
        let again = h.poll_later(BROKER);
        assert_eq!(again.stamps(), first.stamps(), "{code}");
        h.answer(&again, &[(ErrorCode::DuplicateSequenceNumber, 0)]);
        assert!(delivery.try_get().unwrap().is_ok());
        drop(h.send(0, "b"));
        assert_eq!(h.poll().unwrap().stamps()[0].1, 1, "what is new begins anew");
    }
}
