//! What a reader of 10,000 partitions costs: calls look at what they are about, not at all partitions.

use super::*;
use std::collections::BTreeMap;

const PARTITIONS: usize = 10_000;

fn visits(rig: &mut Rig, what: impl FnOnce(&mut Rig)) -> u64 {
    let before = rig.machine.visits();
    what(rig);
    rig.machine.visits() - before
}

fn plan(rig: &mut Rig, broker: i32) -> FetchPlan {
    rig.machine.poll_fetch(rig.now, broker, MAIN, 12).expect("a fetch")
}

fn brought(rig: &mut Rig, broker: i32, parts: Vec<PartitionData>) {
    let fetched = digest(response(77, parts));
    rig.machine.handle_fetched(rig.now, &rig.cluster, broker, MAIN, Ok(fetched));
}

#[test]
fn nothing_on_the_hot_path_visits_all_partitions() {
    let mut rig = Rig::new();
    let leaders: Vec<_> = (0..PARTITIONS).map(|p| (1 + (p % 3) as i32, 5)).collect();
    rig.topic(&leaders);
    rig.machine.assign(1, (0..PARTITIONS as i32).map(|p| (tp(p), at(0))).collect());
    assert!(rig.machine.poll_ask(rig.now, &rig.cluster).is_none());
    for broker in 1..=3 {
        plan(&mut rig, broker);
        let mine = (0..PARTITIONS as i32).filter(|p| 1 + p % 3 == broker);
        brought(&mut rig, broker, mine.map(|p| caught_up(p, 0)).collect());
    }

    rig.machine.metadata_changed(rig.now, &rig.cluster);
    // From now on one partition has records.
    let mut next = BTreeMap::from([(0, 0)]);
    for round in 0..20 {
        let cost = visits(&mut rig, |rig| {
            let offset = next[&0];
            let plan = plan(rig, 1);
            assert!(listed(&plan).len() <= 1, "{round}");
            brought(rig, 1, vec![data(0, &[Batch::plain(offset, offset + 1)])]);
            next.insert(0, offset + 1);
            let Some(Item::Chunk(chunk)) = rig.machine.take() else { panic!() };
            assert_eq!(offsets(&mut Walk::new(chunk, &rig.config)), [offset]);
            assert!(rig.machine.take().is_none());
        });
        assert!(cost <= 10, "{cost}");
    }
    for what in [
        |rig: &mut Rig| rig.machine.seek(&tp(5), at(9)).unwrap(),
        |rig: &mut Rig| rig.machine.pause(&tp(5)).unwrap(),
        |rig: &mut Rig| rig.machine.resume(&tp(5)).unwrap(),
        |rig: &mut Rig| rig.machine.handle_timeout(rig.now),
        |rig: &mut Rig| rig.machine.budget_freed(),
        |rig: &mut Rig| rig.machine.metadata_changed(rig.now, &rig.cluster),
        |rig: &mut Rig| assert!(rig.machine.poll_ask(rig.now, &rig.cluster).is_none()),
    ] {
        let cost = visits(&mut rig, what);
        assert!(cost <= 5, "{cost}");
    }
    rig.check();
}
