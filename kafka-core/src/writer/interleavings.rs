//! Appending, waiting for room, and waiting for outcomes, by several threads.

use super::accumulator::{Accumulator, Refused, Slot};
use super::batch::{Delivery, Outcome, SendError, Tickets};
use super::memory::{Charge, Memory};
use crate::error::Fate;
use crate::error::{Error, ErrorKind};
use crate::interleavings::{explore, poll_once};
use crate::machine::{Now, Time};
use crate::message::Message;
use crate::snapshot::{Partition, Topic};
use crate::writer::WriterConfig;
use shuttle::future::block_on;
use shuttle::sync::mpsc::channel;
use shuttle::thread;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;

// ---- memory ----

fn of(partition: usize, bytes: usize) -> Charge {
    Charge { partition, bytes }
}

/// A writer's memory of ten bytes, for this many partitions.
fn memory(partitions: usize) -> Arc<Memory> {
    let memory = Arc::new(Memory::new(10));
    (0..partitions).for_each(|_| memory.add_partition());
    memory
}

/// Takes bytes as a send does: at once where they are free and nobody waits, or else in line.
fn take(memory: &Memory, need: Charge) {
    if !memory.try_reserve(need) {
        let ticket = memory.enqueue(need);
        block_on(poll_fn(|cx| memory.poll_granted(ticket, cx)));
        memory.taken(ticket);
    }
}

fn give_back(memory: &Memory, bytes: Charge) {
    memory.release(bytes);
    memory.wake();
}

/// There is room for one at a time: each gets its turn, and all comes back.
#[test]
fn who_waits_for_room_is_woken() {
    explore(|| {
        let memory = memory(2);
        let senders: Vec<_> = [of(0, 7), of(1, 6), of(0, 10)]
            .map(|need| {
                let memory = memory.clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        take(&memory, need);
                        assert!(memory.used() <= 10);
                        give_back(&memory, need);
                    }
                })
            })
            .into();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_eq!((memory.used(), memory.is_pressed(0)), (0, false));
    });
}

/// A send is dropped while it waits in line, perhaps just when it was granted its room: the next one has it.
#[test]
fn a_dropped_send_leaves_its_room_to_others() {
    explore(|| {
        let memory = memory(1);
        take(&memory, of(0, 8));
        let dropped = {
            let memory = memory.clone();
            thread::spawn(move || {
                let ticket = memory.enqueue(of(0, 6));
                let _ = poll_once(|cx| memory.poll_granted(ticket, cx));
                memory.leave(ticket);
            })
        };
        let other = {
            let memory = memory.clone();
            thread::spawn(move || {
                take(&memory, of(0, 9));
                give_back(&memory, of(0, 9));
            })
        };
        give_back(&memory, of(0, 8));
        dropped.join().unwrap();
        other.join().unwrap();
        assert_eq!((memory.used(), memory.is_pressed(0)), (0, false));
    });
}

/// A writer that is closed lets everybody through who waits, without room.
#[test]
fn who_waits_for_room_in_a_closed_writer_is_woken() {
    explore(|| {
        let memory = memory(1);
        take(&memory, of(0, 10));
        let waits: Vec<_> = (0..2)
            .map(|_| {
                let memory = memory.clone();
                let ticket = memory.enqueue(of(0, 5));
                thread::spawn(move || {
                    block_on(poll_fn(|cx| memory.poll_granted(ticket, cx)));
                    assert_eq!(memory.taken(ticket), 0, "it gets no room");
                })
            })
            .collect();
        memory.close();
        memory.wake();
        waits.into_iter().for_each(|wait| wait.join().unwrap());
        assert_eq!(memory.used(), 10);
    });
}

// ---- tickets ----

fn acked(base_offset: i64) -> Outcome {
    Outcome::Acked { base_offset, log_append_time: None }
}

fn failed() -> Outcome {
    Outcome::Failed(SendError { fate: Fate::PossiblyWritten, error: Error::new(ErrorKind::Closed) })
}

fn offset(delivery: Delivery) -> i64 {
    block_on(delivery).map_or(-1, |delivered| delivered.offset.unwrap_or(-1))
}

/// The outcome is set once, and whoever waits for it hears of it; one that is dropped meanwhile takes nobody along.
#[test]
fn who_waits_for_a_delivery_is_woken() {
    explore(|| {
        let tickets = Arc::new(Tickets::new(0));
        tickets.set_count(3);
        let waits: Vec<_> = (0..2)
            .map(|index| {
                let delivery = Delivery::new(tickets.clone(), index);
                thread::spawn(move || offset(delivery))
            })
            .collect();
        let mut dropped = Box::pin(Delivery::new(tickets.clone(), 2));
        let dropped = thread::spawn(move || {
            let _ = poll_once(|cx| dropped.as_mut().poll(cx));
        });
        let rival = {
            let tickets = tickets.clone();
            thread::spawn(move || {
                let first = tickets.resolve(acked(20));
                tickets.wake();
                first
            })
        };
        let is_first = tickets.resolve(acked(10));
        tickets.wake();
        assert_ne!(rival.join().unwrap(), is_first, "exactly one was the first");
        dropped.join().unwrap();
        let base = if is_first { 10 } else { 20 };
        let offsets: Vec<_> = waits.into_iter().map(|wait| wait.join().unwrap()).collect();
        assert_eq!(offsets, [base, base + 1]);
    });
}

/// The batch goes on in two while its deliveries are waited for.
#[test]
fn who_waits_for_a_batch_that_is_split_is_woken() {
    explore(|| {
        let [whole, first, second] = [(); 3].map(|()| Arc::new(Tickets::new(0)));
        let waits: Vec<_> = (0..3)
            .map(|index| {
                let delivery = Delivery::new(whole.clone(), index);
                thread::spawn(move || offset(delivery))
            })
            .collect();
        let parts = [first.clone(), second.clone()];
        let split = thread::spawn(move || {
            let [first, second] = parts;
            whole.resolve(Outcome::Split { at: 2, first, second });
            whole.wake();
        });
        first.resolve(acked(10));
        first.wake();
        second.resolve(failed());
        second.wake();
        split.join().unwrap();
        let offsets: Vec<_> = waits.into_iter().map(|wait| wait.join().unwrap()).collect();
        assert_eq!(offsets, [10, 11, -1]);
    });
}

// ---- accumulator ----

fn accumulator() -> (Arc<Accumulator>, Arc<super::TopicSlots>, Arc<Slot>) {
    let config = WriterConfig { batch_messages: 2, ..WriterConfig::default() };
    let accumulator = Arc::new(Accumulator::new(config));
    let partition = Partition {
        leader: Some(1),
        leader_epoch: Some(0),
        replicas: vec![1],
        isr: vec![1],
        offline: vec![],
    };
    let topic = Topic {
        name: "t".into(),
        id: kafka_proto::Uuid::ZERO,
        is_internal: false,
        partitions: vec![partition],
    };
    let slots = accumulator.update_topic(&topic, true, 1, |partition| partition as usize);
    let slot = slots.slot(0).unwrap();
    (accumulator, slots, slot)
}

fn now() -> Now {
    Now { time: Time::START, wall_ms: 0 }
}

/// Two threads append and a third takes what it is told of: each record is in one batch, in the order of its thread, and no batch
/// is left behind untold.
#[test]
fn every_record_is_taken_once_and_in_order() {
    explore(|| {
        let (accumulator, slots, slot) = accumulator();
        let (tell, told) = channel();
        let appenders: Vec<_> = (0..2)
            .map(|_| {
                let (accumulator, slots, slot, tell) =
                    (accumulator.clone(), slots.clone(), slot.clone(), tell.clone());
                thread::spawn(move || {
                    let mut deliveries = Vec::new();
                    for _ in 0..3 {
                        let message = Message::new("v");
                        let (appended, taken) = accumulator.append(now(), &slots, &slot, &message, 0);
                        deliveries.push(taken.unwrap());
                        if appended.opened || appended.filled {
                            tell.send(()).unwrap();
                        }
                    }
                    deliveries
                })
            })
            .collect();
        drop(tell);
        let mut batches = Vec::new();
        while told.recv().is_ok() {
            while let Some(batch) = slot.take(true) {
                batches.push(batch);
            }
        }
        assert!(slot.oldest().is_none(), "a batch that nobody was told of");
        assert_eq!(batches.iter().map(|batch| batch.count()).sum::<u32>(), 6);
        assert!(batches.windows(2).all(|pair| pair[0].number < pair[1].number));
        assert!(batches.iter().all(|batch| batch.count() <= 2 && batch.count() == batch.tickets.count()));
        let charged: usize = batches.iter().map(|batch| batch.charged.bytes).sum();
        assert_eq!(charged, accumulator.memory.used());
        check_order(&batches, appenders.into_iter().map(|a| a.join().unwrap()).collect());
    });
}

/// Acknowledges the batches in their order: each delivery gets an offset of its own, and those of a thread ascend.
fn check_order(batches: &[Arc<super::Batch>], deliveries: Vec<Vec<Delivery>>) {
    let mut next = 0;
    for batch in batches {
        batch.tickets.resolve(acked(next));
        next += i64::from(batch.count());
    }
    let mut owners = BTreeMap::new();
    for (thread, deliveries) in deliveries.into_iter().enumerate() {
        let offsets: Vec<i64> = deliveries.into_iter().map(offset).collect();
        assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "{offsets:?}");
        offsets.into_iter().for_each(|offset| assert_eq!(owners.insert(offset, thread), None));
    }
    assert_eq!(owners.into_keys().collect::<Vec<_>>(), (0..next).collect::<Vec<_>>());
}

/// The writer is closed while a thread appends: what was taken is there to be given up, what was not was refused.
#[test]
fn a_record_is_taken_or_refused_when_the_writer_is_closed() {
    explore(|| {
        let (accumulator, slots, slot) = accumulator();
        let appender = {
            let (accumulator, slots, slot) = (accumulator.clone(), slots.clone(), slot.clone());
            thread::spawn(move || {
                let (mut taken, mut refused) = (0, 0);
                for _ in 0..3 {
                    let message = Message::new("v");
                    match accumulator.append(now(), &slots, &slot, &message, 0).1 {
                        Ok(_) => taken += 1,
                        Err(Refused::Error(error)) => {
                            assert_eq!(
                                (error.fate, error.error.kind()),
                                (Fate::NotWritten, &ErrorKind::Closed)
                            );
                            refused += 1;
                        }
                        Err(Refused::NoRoom(need)) => panic!("{need} bytes are missing"),
                    }
                }
                assert_eq!(taken + refused, 3);
                taken
            })
        };
        accumulator.close();
        let mut there = 0;
        let mut sweep = || {
            while let Some(batch) = slot.take(true) {
                there += batch.count();
            }
        };
        sweep();
        let taken = appender.join().unwrap();
        sweep();
        assert_eq!(there, taken);
    });
}
