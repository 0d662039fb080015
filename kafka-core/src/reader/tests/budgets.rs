//! The byte budget.

use super::*;
use kafka_proto::messages::fetch::PartitionData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

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
            if let Some(plan) = rig.machine.poll_fetch(rig.now, broker, lane, 4) {
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
        rig.machine.budget_freed();
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
    assert!(rig.machine.poll_fetch(rig.now, 1, MAIN, 12).is_none());
    assert_eq!(rig.lanes(), []);
    rig.check();
    rig.machine.budget_freed();
    assert!(rig.machine.poll_fetch(rig.now, 1, MAIN, 12).is_none());
    drop(other);
    rig.machine.budget_freed();
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
    rig.machine.pause(&tp(1)).unwrap();
    rig.machine.resume(&tp(1)).unwrap();
    let plan = rig.fetch(1);
    let parts = charged(plan.reservation, &[(1, 0)], 60 * KIB);
    rig.brought(1, parts);
    rig.machine.pause(&tp(1)).unwrap();
    assert!(rig.budget.used() > 60 * KIB);
    assert!(rig.machine.poll_fetch(rig.now, 1, MAIN, 12).is_none(), "only when that is dropped");
    drop(rig.machine.take_dropped());
    assert_eq!(rig.machine.poll_timeout(), Some(rig.now.time));
    rig.machine.handle_timeout(rig.now);
    assert_eq!(rig.fetch(1).reservation.bytes(), 8 * KIB);
    assert!(rig.budget.used() < 20 * KIB);
    rig.machine.resume(&tp(1)).unwrap();
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
    rig.machine.pause(&tp(1)).unwrap();
    assert!(rig.take().is_none(), "the application waits");
    assert!(rig.machine.poll_fetch(rig.now, 1, MAIN, 12).is_none());
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
        let mut plan = rig.machine.poll_fetch(rig.now, 1, MAIN, 12);
        if plan.is_none() {
            assert!(rig.take().is_none());
            plan = rig.machine.poll_fetch(rig.now, 1, MAIN, 12);
        }
        let parts = charged(plan.expect("a small fetch").reservation, &[(0, offset)], 7 * KIB);
        rig.brought(1, parts);
        let mut walk = rig.take_walk();
        kept.push(walk.next_record().unwrap().unwrap());
        assert!(walk.next_record().is_none());
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

/// Brokers that answer at once where they have something and park a fetch where they have not, and an application that
/// always waits for more and keeps what it got.
struct Keeper {
    rig: Rig,
    /// How many records each partition has.
    ends: Vec<i64>,
    size: usize,
    flights: Vec<(crate::machine::Time, i32, Lane, FetchPlan)>,
    kept: Vec<crate::message::Record>,
    notices: Vec<Error>,
    freed: Arc<Freed>,
}

#[derive(Default)]
struct Freed(AtomicBool);

impl Wake for Freed {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Keeper {
    /// One partition on each of these leaders, with so many records of so many bytes.
    fn new(leaders: &[i32], ends: &[i64], size: usize) -> Self {
        let mut rig = Rig::with(small);
        rig.topic(&leaders.iter().map(|leader| (*leader, 5)).collect::<Vec<_>>());
        rig.assign(vec![at(0); leaders.len()]);
        let freed = Arc::new(Freed::default());
        rig.budget.register(Waker::from(Arc::clone(&freed)));
        let (flights, kept, notices) = (Vec::new(), Vec::new(), Vec::new());
        Self { rig, ends: ends.to_vec(), size, flights, kept, notices, freed }
    }

    /// Goes on for so long.
    fn run(&mut self, time: Duration) {
        let end = self.rig.now.time + time;
        loop {
            while self.take() | self.send() | self.answer() {}
            let at =
                self.flights.iter().map(|(until, ..)| *until).chain(self.rig.machine.poll_timeout()).min();
            let at = at.expect("nothing would ever happen again");
            if at > end {
                return self.rig.later(end - self.rig.now.time);
            }
            let wait = at.duration_since(self.rig.now.time);
            self.rig.later(wait);
            self.end_waits();
        }
    }

    fn take(&mut self) -> bool {
        let before = self.kept.len();
        while let Some(item) = self.rig.take() {
            match item {
                Item::Chunk(chunk) => {
                    let mut walk = Walk::new(chunk, &self.rig.config);
                    self.kept.extend(std::iter::from_fn(|| walk.next_record()).map(Result::unwrap));
                }
                Item::Notice(error) => self.notices.push(error),
                Item::Error(error) => panic!("{error:?}"),
            }
        }
        self.kept.len() > before
    }

    fn send(&mut self) -> bool {
        if self.freed.0.swap(false, Ordering::SeqCst) {
            self.rig.machine.budget_freed();
        }
        let mut is_any = false;
        for (broker, lane) in self.rig.lanes() {
            let version = self.rig.version;
            let plan = self.rig.machine.poll_fetch(self.rig.now, broker, lane, version);
            if let Some(plan) = plan {
                let wait = Duration::from_millis(plan.request.max_wait_ms as u64);
                self.flights.push((self.rig.now.time + wait, broker, lane, plan));
                is_any = true;
            }
        }
        self.rig.check();
        is_any
    }

    /// A broker that has something answers, with one record.
    fn answer(&mut self) -> bool {
        let has = |(_, _, _, plan): &(_, _, _, FetchPlan)| {
            listed(plan).into_iter().find(|(p, offset)| *offset < self.ends[*p as usize])
        };
        let found = self.flights.iter().enumerate().find_map(|(at, flight)| Some((at, has(flight)?)));
        let Some((at, part)) = found else { return false };
        let (_, broker, lane, plan) = self.flights.remove(at);
        let parts = charged(plan.reservation, &[part], self.size);
        self.rig.respond(broker, lane, response(0, parts));
        true
    }

    fn end_waits(&mut self) {
        let now = self.rig.now.time;
        while let Some(at) = self.flights.iter().position(|(until, ..)| *until <= now) {
            let (_, broker, lane, plan) = self.flights.remove(at);
            let empty: Vec<_> = listed(&plan).iter().map(|(p, offset)| caught_up(*p, *offset)).collect();
            drop(plan);
            self.rig.respond(broker, lane, response(0, empty));
        }
    }

    /// How many messages of each partition the application has.
    fn kept_of(&self) -> Vec<i64> {
        let of = |partition| self.kept.iter().filter(|m| m.partition == partition).count() as i64;
        (0..self.ends.len() as i32).map(of).collect()
    }
}

#[test]
fn case_u1_kept_messages_never_stop_the_reader() {
    for leaders in [&[1, 2][..], &[2, 1], &[1, 2, 3], &[3, 1, 2], &[1, 1], &[2, 1, 1], &[1, 1, 1]] {
        for version in [12, 4, 2] {
            // One has little and the others much, whichever it is.
            for little in 0..leaders.len() {
                let ends: Vec<_> = (0..leaders.len()).map(|p| if p == little { 3 } else { 40 }).collect();
                let mut keeper = Keeper::new(leaders, &ends, 7 * KIB);
                keeper.rig.version = version;
                keeper.run(Duration::from_secs(2));
                assert_eq!(keeper.kept_of(), ends, "{leaders:?}, Fetch {version}");
                assert!(keeper.rig.budget.used() > 2 * keeper.rig.budget.limit());
            }
        }
    }
}

#[test]
fn case_u1_what_comes_while_all_is_kept_comes_at_once() {
    for leaders in [[1, 2], [2, 1], [1, 1]] {
        let mut keeper = Keeper::new(&leaders, &[20, 20], 7 * KIB);
        for step in 0..20 {
            keeper.run(Duration::from_millis(if step % 7 == 6 { 60_000 } else { 700 }));
            assert_eq!(keeper.kept_of(), keeper.ends, "step {step}, {leaders:?}");
            keeper.ends[step % 2] += 1;
        }
    }
}

#[test]
fn case_u1_a_lost_connection_takes_nobodys_place() {
    let mut keeper = Keeper::new(&[1, 2, 3], &[5, 5, 5], 7 * KIB);
    for step in 0..30 {
        keeper.run(Duration::from_secs(3));
        assert_eq!(keeper.kept_of(), keeper.ends, "step {step}");
        let (_, broker, lane, plan) = keeper.flights.remove(step % 3);
        drop(plan);
        keeper.rig.lost(broker, lane);
        keeper.ends[step % 2] += 3;
    }
}

#[test]
fn case_u1_a_pause_of_what_was_ready_frees_its_room() {
    let mut rig = Rig::with(small);
    rig.topic(&[(1, 5), (2, 5)]);
    rig.assign([at(0); 2]);
    assert!(rig.take().is_none());
    let plan = rig.fetch(1);
    rig.brought(1, charged(plan.reservation, &[(0, 0)], 60 * KIB));
    assert!(rig.machine.poll_fetch(rig.now, 2, MAIN, 12).is_none(), "something is to be taken");
    rig.machine.pause(&tp(0)).unwrap();
    rig.check();
    assert!(rig.machine.poll_fetch(rig.now, 2, MAIN, 12).is_none(), "it is to be dropped first");
    drop(rig.machine.take_dropped());
    rig.machine.handle_timeout(rig.now);
    rig.fetch(2);
}

#[test]
fn case_u1_what_is_kept_is_reported_once() {
    let mut keeper = Keeper::new(&[1, 2], &[40, 3], 7 * KIB);
    keeper.run(Duration::from_secs(4));
    assert_eq!(keeper.notices, [], "not before the grace");
    for _ in 0..30 {
        keeper.run(Duration::from_secs(2));
        keeper.ends[0] += 1;
    }
    let [error] = &keeper.notices[..] else { panic!("{:?}", keeper.notices) };
    let ErrorKind::BufferKept { kept, limit, lasted } = *error.kind() else { panic!("{error:?}") };
    assert!((43 * 7 * KIB..80 * 7 * KIB).contains(&kept), "{kept}");
    assert_eq!(limit, 64 * KIB);
    assert!((5..15).contains(&lasted.as_secs()), "{lasted:?}");

    // Once there was room again it is another time.
    keeper.kept.clear();
    keeper.ends[0] += 5;
    keeper.run(Duration::from_secs(20));
    assert_eq!(keeper.notices.len(), 1);
    keeper.ends[1] += 30;
    keeper.run(Duration::from_secs(20));
    keeper.ends[1] += 1;
    keeper.run(Duration::from_secs(20));
    assert_eq!(keeper.notices.len(), 2);
}

#[test]
fn case_u1_a_detached_message_holds_nothing_of_the_budget() {
    let mut keeper = Keeper::new(&[1, 2, 1], &[5, 0, 4], 7 * KIB);
    keeper.run(Duration::from_secs(1));
    let kept = std::mem::take(&mut keeper.kept);
    let copies: Vec<_> = kept.iter().cloned().map(crate::Record::detach).collect();
    assert_eq!(copies, kept);
    drop(kept);
    keeper.flights.clear();
    assert_eq!(keeper.rig.budget.used(), 0);
    assert_eq!(copies[3].headers[0].value.as_deref(), Some(&b"1"[..]));
}
