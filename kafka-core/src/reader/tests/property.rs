//! Whatever is left of batches, the position is after the last one, and what is to be returned is returned once.

use super::*;
use kafka_proto::messages::fetch::AbortedTransaction;
use kafka_proto::records::Compression;
use proptest::prelude::*;

/// A batch to be: how many offsets, which of them are left, gap before, kind (0 plain, 1-2 producer's transaction, 3 empty), compressed.
type Shape = (u8, u16, u8, u8, bool);

/// A log, who aborted what, and what a read-committed reader has to see.
#[derive(Debug)]
struct Log {
    batches: Vec<Batch>,
    aborted: Vec<(i64, i64)>,
    committed: Vec<i64>,
    all: Vec<i64>,
    end: i64,
}

/// Transactions of two producers; each ends by a marker, at the latest at the end of the log.
fn log(shapes: &[Shape], outcomes: &[bool]) -> Log {
    let mut log = Log { batches: vec![], aborted: vec![], committed: vec![], all: vec![], end: 0 };
    let mut open: [Option<(i64, bool)>; 2] = [None, None];
    let mut outcomes = outcomes.iter().copied().cycle();
    let finish = |log: &mut Log, open: &mut Option<(i64, bool)>, producer: i64| {
        if let Some((_, is_aborted)) = open.take() {
            log.batches.push(Batch::marker(log.end, producer, i16::from(!is_aborted)));
            log.end += 1;
        }
    };
    for (count, left, gap, kind, compressed) in shapes {
        log.end += i64::from(gap % 3);
        let end = log.end + i64::from(count % 12) + 1;
        let mut batch = Batch::plain(log.end, end);
        batch.deltas.retain(|delta| left >> delta & 1 == 1);
        batch.compression = if *compressed { Compression::Lz4 } else { Compression::None };
        let mut is_aborted = false;
        match kind % 5 {
            1 | 2 => {
                let producer = usize::from(kind % 5 - 1);
                let first = (log.end, outcomes.next().unwrap_or(false));
                let (_, aborted) = *open[producer].get_or_insert(first);
                if aborted && open[producer] == Some(first) {
                    log.aborted.push((producer as i64, log.end));
                }
                is_aborted = aborted;
                (batch.transactional, batch.producer) = (true, producer as i64);
            }
            3 => batch.deltas.clear(),
            _ => {}
        }
        let offsets = batch.deltas.iter().map(|delta| batch.base + i64::from(*delta));
        log.all.extend(offsets.clone());
        if !is_aborted {
            log.committed.extend(offsets);
        }
        log.end = end;
        log.batches.push(batch);
        if kind % 7 == 6 {
            finish(&mut log, &mut open[0], 0);
        } else if kind % 11 == 10 {
            finish(&mut log, &mut open[1], 1);
        }
    }
    for (producer, open) in (0..).zip(&mut open) {
        finish(&mut log, open, producer);
    }
    log
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    proptest::collection::vec((any::<u8>(), any::<u16>(), any::<u8>(), any::<u8>(), any::<bool>()), 1..20)
}

/// What a broker answers: batches from the one that holds the offset on, and the aborted transactions that concern them.
fn answer(log: &Log, offset: i64, count: usize) -> PartitionData {
    let ahead = log.batches.iter().filter(|b| b.base + i64::from(b.last) >= offset);
    let batches: Vec<_> = ahead.take(count).cloned().collect();
    let last = batches.last().map_or(0, |b| b.base + i64::from(b.last));
    let marker_of = |producer: i64, first: i64| {
        let of = |b: &&Batch| b.marker.is_some() && b.producer == producer && b.base > first;
        log.batches.iter().find(of).map_or(i64::MAX, |b| b.base)
    };
    let concerns = |(producer, first): &&(i64, i64)| *first <= last && marker_of(*producer, *first) >= offset;
    let transaction = |(producer_id, first_offset): &(i64, i64)| AbortedTransaction {
        producer_id: *producer_id,
        first_offset: *first_offset,
        ..Default::default()
    };
    let aborted = log.aborted.iter().rev().filter(concerns).map(transaction).collect();
    let (high_watermark, last_stable_offset) = (log.end, log.end);
    PartitionData {
        aborted_transactions: Some(aborted),
        high_watermark,
        last_stable_offset,
        ..data(0, &batches)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn promise_17_position_and_delivery(
        shapes in shapes(),
        outcomes in proptest::collection::vec(any::<bool>(), 8),
        start in 0i64..40,
        counts in proptest::collection::vec(1usize..6, 1..8),
        cut in proptest::collection::vec(0usize..12, 1..8),
        committed in any::<bool>(),
    ) {
        let log = log(&shapes, &outcomes);
        let isolation = if committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
        let mut rig = Rig::with(|config| config.isolation = isolation);
        rig.topic(&[(1, 5)]);
        let start = start.min(log.end);
        rig.assign([at(start)]);
        let (mut counts, mut cut) = (counts.iter().cycle(), cut.iter().cycle());
        let mut read = Vec::new();
        let mut expected_position = start;
        for step in 0.. {
            prop_assert!(step < 10_000, "no progress");
            let position = rig.machine.position(&tp(0)).unwrap();
            if position >= log.end && !rig.machine.is_readable() {
                break;
            }
            let can_fetch = rig.lanes() == [(1, MAIN)] && position < log.end;
            if can_fetch && (step % 3 != 0 || !rig.machine.is_readable()) {
                let plan = rig.fetch(1);
                let answer = answer(&log, position, *counts.next().unwrap());
                let last = rig_end(&answer);
                rig.brought(1, vec![answer]);
                drop(plan);
                prop_assert_eq!(rig.machine.position(&tp(0)), Some(last));
            } else if rig.machine.is_readable() {
                // Some walks are given up half way, some are paused.
                let stop_after = *cut.next().unwrap();
                // What is left of a walk that was given up comes first, and must be fetched again.
                let Some(Item::Chunk(chunk)) = rig.take() else { continue };
                let mut walk = Walk::new(chunk, &rig.config);
                prop_assert_eq!(walk.position(), expected_position);
                let mut count = 0;
                while let Some(record) = if count == stop_after && count > 0 { None } else { walk.next() } {
                    let offset = record.unwrap().offset();
                    prop_assert_eq!(walk.position(), offset + 1);
                    read.push(offset);
                    count += 1;
                }
                expected_position = walk.position();
                prop_assert_eq!(rig.machine.consumed(&tp(0)), Some(expected_position));
                if stop_after % 2 == 1 {
                    rig.machine.pause(&tp(0)).unwrap();
                    prop_assert!(walk.next().is_none());
                    rig.machine.resume(&tp(0)).unwrap();
                }
                drop(walk);
                // Taking tells the machine that the walk is over.
                if !rig.machine.is_readable() {
                    prop_assert!(rig.take().is_none());
                }
            }
        }
        let expected = if committed { &log.committed } else { &log.all };
        let expected: Vec<_> = expected.iter().copied().filter(|offset| *offset >= start).collect();
        prop_assert_eq!(read, expected);
        prop_assert_eq!(rig.machine.consumed(&tp(0)), Some(log.end.max(start)));
        prop_assert_eq!(rig.machine.lag(&tp(0)).unwrap_or(0), 0);
    }

    /// Whatever bytes come as records: no panic, no loop, and the position never goes back.
    #[test]
    fn hostile_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6)) {
        let mut valid: Vec<u8> = [Batch::plain(0, 5), Batch { compression: Compression::Gzip, ..Batch::plain(5, 9) }]
            .iter()
            .flat_map(|batch| batch.bytes().to_vec())
            .collect();
        for (at, value) in flips {
            let at = at % valid.len();
            valid[at] = value;
        }
        for bytes in [bytes, valid] {
            let mut rig = Rig::reading(1, |config| config.check_crcs = false);
            rig.fetch(1);
            rig.brought(1, vec![PartitionData { records: Some(Bytes::from(bytes).into()), ..data(0, &[]) }]);
            prop_assert!(rig.machine.position(&tp(0)).unwrap() >= 0);
            let mut steps = 0;
            while let Some(item) = rig.take() {
                if let Item::Chunk(chunk) = item {
                    let mut walk = Walk::new(chunk, &rig.config);
                    let mut last = 0;
                    while let Some(record) = walk.next_record() {
                        prop_assert!(walk.position() >= last);
                        last = walk.position();
                        steps += 1;
                        prop_assert!(record.is_err() || steps < 1000);
                    }
                }
                steps += 1;
                prop_assert!(steps < 1000);
            }
        }
    }
}

fn rig_end(answer: &PartitionData) -> i64 {
    let bytes = answer.records.clone().unwrap().into_bytes();
    kafka_proto::records::batches(bytes).last().unwrap().unwrap().next_offset()
}
