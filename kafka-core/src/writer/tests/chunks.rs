//! The memory that batches are built in.

use super::*;

/// Fills a batch of partition 0 with so many bytes and lets it be acknowledged.
fn write(harness: &mut Harness, bytes: usize) {
    let delivery = harness.send(0, &"x".repeat(bytes));
    harness.now.time += WriterConfig::default().linger;
    let request = harness.poll().unwrap();
    harness.answer(&request, &[(ErrorCode::None, 0)]);
    assert!(delivery.try_get().is_some());
}

#[test]
fn a_batch_begins_with_room_for_as_much_as_the_one_before() {
    let mut harness = Harness::new(1, WriterConfig::default());
    let mut first_chunk = |bytes| {
        write(&mut harness, bytes);
        assert_eq!(harness.accumulator.memory.used(), 0);
        let _delivery = harness.send(0, "x");
        let charged = harness.accumulator.memory.used();
        harness.now.time += WriterConfig::default().linger;
        let request = harness.poll().unwrap();
        harness.answer(&request, &[(ErrorCode::None, 0)]);
        charged
    };
    assert_eq!([100, 10_000, 200_000].map(&mut first_chunk), [512, 16 << 10, 64 << 10]);
    // The batch of one small record was the one before.
    assert_eq!(first_chunk(1), 512);
}

#[test]
fn a_batch_begins_small_where_memory_is_short() {
    let config = WriterConfig { buffer_bytes: 64 << 10, batch_bytes: 40_000, ..WriterConfig::default() };
    let mut harness = Harness::new(2, config);
    write(&mut harness, 30_000);
    let _large = harness.send(1, &"x".repeat(39_000));
    let used = harness.accumulator.memory.used();
    assert!(used > 32 << 10);
    let _small = harness.send(0, "x");
    assert_eq!(harness.accumulator.memory.used(), used + 512);
}
