//! What a writer of 10,000 partitions costs: calls look at what they are about, not at all partitions.

use super::*;

const PARTITIONS: usize = 10_000;

fn visits(harness: &mut Harness, what: impl FnOnce(&mut Harness)) -> u64 {
    let before = harness.producer.partitions.visits();
    what(harness);
    harness.producer.partitions.visits() - before
}

fn written(harness: &mut Harness, partition: usize) {
    let delivery = harness.send(partition, "x");
    let request = harness.poll().expect("a request");
    harness.answer(&request, &[(ErrorCode::None, 7)]);
    assert_eq!(acked(&delivery), 7);
}

#[test]
fn nothing_on_the_hot_path_visits_all_partitions() {
    let mut harness = Harness::new(PARTITIONS as i32, WriterConfig::default());
    // Each has been written to once.
    for partition in 0..PARTITIONS {
        written(&mut harness, partition);
    }
    for partition in [0, 17, PARTITIONS - 1] {
        let cost = visits(&mut harness, |harness| written(harness, partition));
        assert!((1..=20).contains(&cost), "a record written: {cost}");

        // One in flight, so that the next gathers until its linger is over, or is sent when the other is answered.
        let first = harness.send(partition, "a");
        let request = harness.poll().expect("a request");
        let cost = visits(&mut harness, |harness| {
            let _gathers = harness.send((partition + 1) % PARTITIONS, "b");
            harness.wait(Duration::from_millis(5));
        });
        assert!((1..=20).contains(&cost), "a linger: {cost}");
        let cost = visits(&mut harness, |harness| harness.lose(&request, true));
        assert!((1..=20).contains(&cost), "a request lost: {cost}");
        let cost = visits(&mut harness, |harness| {
            while let Some(request) = harness.poll() {
                let codes: Vec<_> = request.batches.iter().map(|_| (ErrorCode::None, 8)).collect();
                harness.answer(&request, &codes);
            }
            harness.next_deadline();
            while let Some(request) = harness.poll() {
                let codes: Vec<_> = request.batches.iter().map(|_| (ErrorCode::None, 8)).collect();
                harness.answer(&request, &codes);
            }
        });
        assert!((1..=60).contains(&cost), "a retry: {cost}");
        assert_eq!(acked(&first), 8);
    }
    // Each partition's oldest batch was to be looked at once; there is none any more.
    let cost = visits(&mut harness, |harness| harness.wait(Duration::from_secs(200)));
    assert!(cost <= 10 * PARTITIONS as u64, "{cost}");
    assert_eq!(visits(&mut harness, |harness| harness.wait(Duration::from_secs(200))), 0);
}
