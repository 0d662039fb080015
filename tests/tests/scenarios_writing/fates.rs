//! What is told of each record is true: in every order of events, with idempotence and without.

use crate::support::{ms, one_by_one, secs, text, three_nodes, to};
use kafka_core::{Delivery, ErrorCode, Fate, Idempotence, SendError};
use kafka_proto::ApiKey;
use kafka_testkit::broker::Fault;
use kafka_testkit::sim::Simulation;
use std::collections::BTreeMap;
use std::time::Duration;

const RECORDS: usize = 60;

/// Something that goes wrong with what is written to partition 0 of `t`.
#[derive(Debug, Clone)]
enum Trouble {
    /// To some Produce requests.
    Requests(Fault, u32),
    Error(ErrorCode, u32),
    /// The leader's connections break.
    Reset,
    HalfOpen,
    CutOff(Duration),
    /// The leader dies, and comes back after a while.
    Kill(Duration),
    Move,
    /// The broker has forgotten the producer, or another has its id.
    Stall(Duration),
}

fn troubles() -> Vec<Trouble> {
    use ErrorCode::*;
    let requests = [
        (Fault::CloseBefore, 1),
        (Fault::CloseBefore, 4),
        (Fault::CloseAfter, 1),
        (Fault::CloseAfter, 4),
        (Fault::NoAnswer, 1),
        (Fault::NoAnswer, 3),
        (Fault::Delay(secs(1)), 3),
        (Fault::Delay(secs(4)), 3),
    ];
    // Whatever a broker may answer to Produce.
    let errors = [
        NotLeaderOrFollower,
        LeaderNotAvailable,
        NotEnoughReplicas,
        KafkaStorageError,
        UnknownTopicOrPartition,
        UnknownTopicId,
        FencedLeaderEpoch,
        CorruptMessage,
        NetworkException,
        OutOfOrderSequenceNumber,
        UnknownProducerId,
        InvalidProducerEpoch,
        ProducerFenced,
        InvalidProducerIdMapping,
        ThrottlingQuotaExceeded,
        InvalidRecord,
        InvalidTimestamp,
        MessageTooLarge,
    ];
    let requests = requests.into_iter().map(|(fault, times)| Trouble::Requests(fault, times));
    let errors = errors.into_iter().flat_map(|error| [1, 2, 7].map(|times| Trouble::Error(error, times)));
    let others = [
        Trouble::Reset,
        Trouble::HalfOpen,
        Trouble::CutOff(secs(2)),
        Trouble::CutOff(secs(12)),
        Trouble::Kill(secs(1)),
        Trouble::Kill(secs(20)),
        Trouble::Move,
        Trouble::Stall(secs(2)),
        Trouble::Stall(secs(12)),
    ];
    requests.chain(errors).chain(others).collect()
}

impl Trouble {
    async fn happen(self, sim: Simulation) {
        let leader = sim.leader("t", 0).unwrap();
        match self {
            Trouble::Requests(fault, times) => sim.fault(ApiKey::Produce, times, fault),
            Trouble::Error(error, times) => sim.fail_next(ApiKey::Produce, error, times),
            Trouble::Reset => sim.reset(leader),
            Trouble::HalfOpen => sim.half_open(leader),
            Trouble::CutOff(time) => sim.cut_off(leader, time),
            Trouble::Kill(time) => {
                sim.kill(leader);
                sim.sleep(time).await;
                sim.restart(leader);
            }
            Trouble::Move => sim.move_leader("t", 0, (leader + 1) % 3),
            Trouble::Stall(time) => {
                sim.with(|cluster, _| cluster.stall_replication("t", 0)).unwrap();
                sim.sleep(time).await;
                sim.with(|cluster, now| cluster.resume_replication(now, "t", 0)).unwrap();
            }
        }
    }
}

/// What became of a record, as far as the application knows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Acked(i64),
    NotWritten,
    PossiblyWritten,
    /// The application did not wait for it.
    Dropped,
}

impl End {
    fn of(result: Result<kafka_core::Delivered, SendError>) -> End {
        match result {
            Ok(delivered) => End::Acked(delivered.offset.unwrap()),
            Err(error) if error.fate == Fate::NotWritten => End::NotWritten,
            Err(_) => End::PossiblyWritten,
        }
    }
}

struct Ended {
    ends: Vec<End>,
    /// How often each is in the log.
    logged: BTreeMap<usize, usize>,
    /// The log, in its order.
    log: Vec<usize>,
    /// What was sent once all was well again failed.
    is_broken: Option<SendError>,
    idempotent: bool,
}

/// Writes numbered records to one partition while something goes wrong; drops some deliveries.
fn run(trouble: Trouble, idempotence: Idempotence, seed: u64) -> Ended {
    let builder = three_nodes(1).seed(seed).latency(Duration::from_micros(200), ms(3)).pieces(50);
    builder.run(move |sim| async move {
        let client = sim.client().request_timeout(secs(2)).retry_backoff(ms(20), ms(500));
        let client = client.connect().await.unwrap();
        let writer = one_by_one(&client).batch_messages(1 + 2 * (seed % 2) as u32).idempotence(idempotence);
        let writer = writer.delivery_timeout(secs(5)).build().unwrap();
        let trouble = {
            let own = sim.clone();
            sim.spawn(async move {
                own.sleep(ms(15 + seed % 7)).await;
                trouble.happen(own).await;
            })
        };
        let mut sent: Vec<Option<Result<Delivery, SendError>>> = Vec::new();
        for number in 0..RECORDS {
            let delivery = writer.send(to(0, number.to_string())).await;
            sent.push((number % 7 != 3).then_some(delivery));
            sim.sleep(ms(1)).await;
        }
        let mut ends = Vec::new();
        for sent in sent {
            ends.push(match sent {
                None => End::Dropped,
                Some(Err(error)) => End::of(Err(error)),
                Some(Ok(delivery)) => {
                    let result = sim.within(secs(6), delivery).await;
                    End::of(result.expect("no outcome by the delivery timeout"))
                }
            });
        }
        trouble.await;
        writer.flush().await;
        sim.with(|cluster, _| cluster.clear_faults());
        sim.sleep(secs(15)).await;
        let mut is_broken = None;
        for number in RECORDS..RECORDS + 10 {
            match writer.send(to(0, number.to_string())).await.unwrap().await {
                Ok(delivered) => ends.push(End::Acked(delivered.offset.unwrap())),
                Err(error) => {
                    ends.push(End::PossiblyWritten);
                    is_broken = Some(error);
                }
            }
        }
        assert_eq!(writer.buffered_bytes(), 0);
        let log = sim.log("t", 0).into_iter().map(|r| text(r.value.as_deref()).parse().unwrap());
        let log: Vec<usize> = log.collect();
        let mut logged = BTreeMap::new();
        log.iter().for_each(|number| *logged.entry(*number).or_default() += 1);
        Ended { ends, logged, log, is_broken, idempotent: idempotence == Idempotence::Required }
    })
}

/// Every trouble, with idempotence and without, each with some seeds.
fn each(check: impl Fn(&Ended) -> Result<(), String>) {
    let mut wrong = Vec::new();
    for trouble in troubles() {
        for idempotence in [Idempotence::Required, Idempotence::Off] {
            for seed in 0..4 {
                if let Err(what) = check(&run(trouble.clone(), idempotence, seed)) {
                    wrong.push(format!("{trouble:?}, {idempotence:?}, seed {seed}: {what}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Acknowledged: in the log. Not written: not in the log, and never. No record is acknowledged in another's place.
#[test]
fn promise_02_what_is_told_of_a_record_is_true() {
    each(|run| {
        for (number, end) in run.ends.iter().enumerate() {
            let times = run.logged.get(&number).copied().unwrap_or(0);
            let there = |offset: &i64| *offset < 0 || run.log.get(*offset as usize) == Some(&number);
            match end {
                End::Acked(offset) if times == 0 || !there(offset) => {
                    return Err(format!("{number} is acknowledged at {offset} and {times} times in the log"));
                }
                End::NotWritten if times > 0 => return Err(format!("{number} was told as not written")),
                _ => {}
            }
        }
        Ok(())
    });
}

/// The order of what is acknowledged is the order in which it was sent.
#[test]
fn promise_05_retries_change_no_order() {
    each(|run| {
        let acked = |number: &usize| matches!(run.ends.get(*number), Some(End::Acked(_)));
        let mut seen = Vec::new();
        for number in run.log.iter().copied().filter(acked) {
            // Without idempotence a retry may write once more what is there already.
            if !seen.contains(&number) {
                seen.push(number);
            }
        }
        if seen.is_sorted() { Ok(()) } else { Err(format!("the log is {:?}", run.log)) }
    });
}

/// Nothing that a broker answers ends an idempotent writer or makes it write twice; what it cannot know of it tells.
#[test]
fn promise_06_an_idempotent_writer_does_not_break_itself() {
    each(|run| {
        if let Some(error) = &run.is_broken {
            return Err(format!("it does not go on: {error}"));
        }
        let twice = run.logged.iter().find(|(number, times)| {
            **times > 1 && !matches!(run.ends[**number], End::PossiblyWritten | End::Dropped)
        });
        match twice.filter(|_| run.idempotent) {
            Some((number, times)) => Err(format!("{number} is {times} times in the log")),
            None => Ok(()),
        }
    });
}

/// A broker that lost track of the sequences of a batch that may be written: the batch may still be written.
#[test]
fn promise_02_what_may_be_written_stays_so_whatever_is_answered_later() {
    for answer in
        [ErrorCode::OutOfOrderSequenceNumber, ErrorCode::InvalidProducerEpoch, ErrorCode::NotEnoughReplicas]
    {
        three_nodes(1).run(move |sim| async move {
            let client = sim.client().connect().await.unwrap();
            let writer = one_by_one(&client).delivery_timeout(secs(5)).build().unwrap();
            writer.write_all([to(0, "warm")]).await.unwrap();
            // It is appended, the answer is lost, and from then on there is nothing but errors.
            sim.fault(ApiKey::Produce, 1, Fault::CloseAfter);
            sim.fail_next(ApiKey::Produce, answer, u32::MAX);
            let failed = writer.send(to(0, "x")).await.unwrap().await.unwrap_err();
            assert_eq!(sim.log("t", 0).len(), 2);
            assert_eq!(failed.fate, Fate::PossiblyWritten, "{answer:?}: {failed}");
        });
    }
}
