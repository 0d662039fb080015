//! The byte budget.

use super::*;
use kafka_proto::messages::fetch::PartitionData;

const KIB: usize = 1024;

/// What a connection does: charges the frame, and hands out slices of it.
fn charged(reservation: Reservation, partitions: &[(i32, i64)], size: usize) -> Vec<PartitionData> {
    let batches: Vec<_> = partitions
        .iter()
        .map(|(_, offset)| Batch { value: size, ..Batch::plain(*offset, offset + 1) }.bytes())
        .collect();
    let frame = reservation.charge(Bytes::from(batches.concat()));
    let mut at = 0;
    let part = |((partition, _), batch): (&(i32, i64), &Bytes)| {
        let records = frame.slice(at..at + batch.len());
        at += batch.len();
        PartitionData { records: Some(records.into()), ..data(*partition, &[]) }
    };
    partitions.iter().zip(&batches).map(part).collect()
}

fn small(config: &mut ReaderConfig) {
    (config.buffer, config.partition_max_bytes) = (64 * KIB, 8 * KIB);
}

#[test]
fn promise_13_what_is_held_never_exceeds_the_budget() {
    let mut rig = Rig::with(small);
    rig.topic(&[(1, 5), (1, 5), (2, 5), (2, 5), (3, 5), (3, 5)]);
    rig.assign([at(0); 6]);
    let mut under_way = Vec::new();
    let mut next = [0; 6];
    let (mut most, mut read) = (0, 0);
    for step in 0..3000 {
        // The application is slow: it reads at every fifth step.
        if step % 5 == 0 && rig.machine.is_readable() {
            read += rig.read().len();
        }
        for (broker, lane) in rig.lanes() {
            if let Some(plan) = rig.machine.poll_fetch(rig.now, &rig.cluster, broker, lane, 4) {
                assert!(plan.request.max_bytes as usize <= plan.reservation.bytes());
                under_way.push((broker, lane, plan));
            }
        }
        if step % 2 == 0 && !under_way.is_empty() {
            let (broker, lane, plan) = under_way.remove(0);
            // As much as the broker may send.
            let fit = (plan.request.max_bytes as usize / (8 * KIB)).max(1);
            let parts: Vec<_> = listed(&plan).into_iter().take(fit).collect();
            parts.iter().for_each(|(p, offset)| next[*p as usize] = offset + 1);
            let parts = charged(plan.reservation, &parts, 8 * KIB - 200);
            rig.respond(broker, lane, response(0, parts));
        }
        most = most.max(rig.budget.used());
        assert!(rig.budget.used() <= rig.budget.limit(), "{:?}", rig.budget);
        rig.machine.budget_freed(rig.now);
        rig.check();
    }
    assert!(most > 40 * KIB, "it was of use: {most}");
    assert!(read > 500, "{read}");
    assert!(next.iter().all(|offset| *offset > 50), "nobody starves: {next:?}");
}

#[test]
fn without_room_nothing_is_asked_until_some_is_given_back() {
    let mut rig = Rig::reading(1, small);
    let other = rig.budget.reserve(60 * KIB).unwrap();
    assert!(rig.machine.poll_fetch(rig.now, &rig.cluster, 1, MAIN, 12).is_none());
    assert_eq!(rig.lanes(), []);
    rig.check();
    rig.machine.budget_freed(rig.now);
    assert!(rig.machine.poll_fetch(rig.now, &rig.cluster, 1, MAIN, 12).is_none());
    drop(other);
    rig.machine.budget_freed(rig.now);
    assert_eq!(rig.fetch(1).reservation.bytes(), 8 * KIB);
}

#[test]
fn the_budget_is_shared_by_the_leaders() {
    let mut rig = Rig::with(|config| (config.buffer, config.partition_max_bytes) = (600 * KIB, 100 * KIB));
    rig.topic(&[(1, 5), (1, 5), (1, 5), (2, 5), (3, 5)]);
    rig.assign([at(0); 5]);
    let plans = [rig.fetch(1), rig.fetch(2), rig.fetch(3)];
    let bytes = plans.each_ref().map(|plan| plan.reservation.bytes());
    assert_eq!(bytes, [100 * KIB; 3]);
    drop(plans);
    assert_eq!(rig.budget.used(), 0, "a fetch that is not sent gives back");
}

#[test]
fn what_paused_partitions_hold_gives_way() {
    let mut rig = Rig::reading(2, small);
    rig.machine.pause(rig.now, &tp(1)).unwrap();
    rig.machine.resume(rig.now, &tp(1)).unwrap();
    let plan = rig.fetch(1);
    let parts = charged(plan.reservation, &[(1, 0)], 60 * KIB);
    rig.brought(1, parts);
    rig.machine.pause(rig.now, &tp(1)).unwrap();
    assert!(rig.budget.used() > 60 * KIB);
    assert!(
        rig.machine.poll_fetch(rig.now, &rig.cluster, 1, MAIN, 12).is_none(),
        "only when that is dropped"
    );
    drop(rig.machine.take_dropped());
    assert_eq!(rig.machine.poll_timeout(), Some(rig.now.instant));
    rig.machine.handle_timeout(rig.now);
    assert_eq!(rig.fetch(1).reservation.bytes(), 8 * KIB);
    assert!(rig.budget.used() < 20 * KIB);
    rig.machine.resume(rig.now, &tp(1)).unwrap();
    assert!(rig.take().is_none());
    assert_eq!(rig.machine.position(&tp(1)), Some(0), "and is fetched again");
}

/// The application has slices of the frame that the paused chunk is of: nothing comes back, and no waker is called.
#[test]
fn what_gives_way_without_giving_anything_back_stops_nothing() {
    let mut rig = Rig::reading(2, small);
    let plan = rig.fetch(1);
    let parts = charged(plan.reservation, &[(1, 0)], 60 * KIB);
    let kept = parts.clone();
    rig.brought(1, parts);
    rig.machine.pause(rig.now, &tp(1)).unwrap();
    assert!(rig.take().is_none(), "the application waits");
    assert!(rig.machine.poll_fetch(rig.now, &rig.cluster, 1, MAIN, 12).is_none());
    drop(rig.machine.take_dropped());
    rig.machine.handle_timeout(rig.now);
    rig.fetch(1);
    drop(kept);
}

#[test]
fn an_application_that_keeps_all_messages_does_not_stand_still() {
    let mut rig = Rig::reading(1, small);
    let mut kept = Vec::new();
    for offset in 0..30 {
        if rig.lanes().is_empty() {
            // The waker will never be called: all is held by the application.
            assert!(rig.take().is_none());
        }
        let mut plan = rig.machine.poll_fetch(rig.now, &rig.cluster, 1, MAIN, 12);
        if plan.is_none() {
            assert!(rig.take().is_none());
            plan = rig.machine.poll_fetch(rig.now, &rig.cluster, 1, MAIN, 12);
        }
        let parts = charged(plan.expect("a small fetch").reservation, &[(0, offset)], 7 * KIB);
        rig.brought(1, parts);
        let mut walk = rig.take_walk();
        kept.push(walk.next_message().unwrap().unwrap());
        assert!(walk.next_message().is_none());
    }
    assert!(rig.budget.used() > rig.budget.limit());
    kept.clear();
    assert!(rig.take().is_none());
    assert_eq!(rig.budget.used(), 0);
}

#[test]
fn a_partition_with_a_full_buffer_is_not_fetched() {
    let mut rig = Rig::reading(2, small);
    let plan = rig.fetch(1);
    rig.brought(1, charged(plan.reservation, &[(0, 0), (1, 0)], 9 * KIB));
    assert_eq!(rig.lanes(), []);
    let partition = rig.take_walk().partition();
    assert_eq!(listed(&rig.fetch(1)), [(partition, 1)], "it is worked on, so the next is fetched");
}

#[test]
fn old_brokers_are_asked_for_no_more_partitions_than_fit() {
    let mut rig = Rig::reading(10, small);
    rig.version = 2;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let plan = rig.fetch(1);
        let limits =
            plan.request.topics.iter().flat_map(|t| &t.partitions).map(|p| p.partition_max_bytes as usize);
        assert!(limits.sum::<usize>() <= plan.reservation.bytes());
        seen.extend(listed(&plan).iter().map(|(partition, _)| *partition));
        rig.later(Duration::from_millis(500));
        rig.respond(1, MAIN, response(0, listed(&plan).iter().map(|(p, _)| caught_up(*p, 0)).collect()));
    }
    assert_eq!(seen.len(), 10, "all have their turn");
}
