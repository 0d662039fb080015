//! The range of each setting, and durations that no clock and no wire can hold.

use super::*;
use crate::declare::checks;

/// Gives `value` to each duration of a part; the settings that take it.
fn that_take<C: Fields>(valid: &C, value: Duration) -> Vec<&'static str> {
    let takes = |setting: &Setting| {
        let mut config = valid.clone();
        let field = config.field(setting.name);
        match field.downcast_mut::<Duration>() {
            Some(field) => *field = value,
            None => *field.downcast_mut::<Option<Duration>>().unwrap() = Some(value),
        }
        match config.check() {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(refused::<()>(Err(error), "not"), setting.name);
                false
            }
        }
    };
    C::list().into_iter().filter(|s| s.unit == "time" && takes(s)).map(|s| s.name).collect()
}

fn all_that_take(value: Duration) -> [Vec<&'static str>; 4] {
    let client = ClientConfig { bootstrap: vec![address()], ..ClientConfig::default() };
    [
        that_take(&client, value),
        that_take(&WriterConfig::default(), value),
        that_take(&ReaderConfig::default(), value),
        that_take(&GroupConfig::new("g"), value),
    ]
}

#[test]
fn case_w3_no_setting_takes_a_duration_that_the_wire_cannot_hold() {
    for extreme in [Duration::MAX, checks::LONGEST + Duration::from_nanos(1)] {
        assert_eq!(all_that_take(extreme).concat(), [""; 0]);
    }
    let durations = all().iter().filter(|s| s.unit == "time").count();
    assert_eq!(all_that_take(checks::LONGEST).concat().len(), durations);
}

#[test]
fn case_w3_what_would_be_zero_on_the_wire_is_taken_only_where_zero_has_a_meaning() {
    let zero: [&[&str]; 4] =
        [&["unknown_topic_grace"], &["linger"], &["unknown_topic_grace", "auto_commit_interval"], &[]];
    assert_eq!(all_that_take(Duration::ZERO), zero);
    assert_eq!(all_that_take(Duration::from_nanos(1)), zero);
}

#[test]
fn case_w3_milliseconds_are_never_negative() {
    assert_eq!(checks::millis(Duration::MAX), i32::MAX);
    assert_eq!(checks::millis(checks::LONGEST), i32::MAX);
    assert_eq!(checks::millis(Duration::from_nanos(1)), 0);
    assert_eq!(checks::capped(Duration::MAX), checks::LONGEST);
}

#[test]
fn case_w3_longest_durations_of_all_settings_together_are_no_trouble() {
    let day = checks::LONGEST;
    let client = builder()
        .request_timeout(day)
        .connect_timeout(day)
        .call_timeout(day)
        .retry_backoff(day, day)
        .reconnect_backoff(day, day)
        .metadata_max_age(day)
        .connections_max_idle(day)
        .unknown_topic_grace(day)
        .build()
        .unwrap();
    client.writer("t").delivery_timeout(day).build().unwrap();
    let reader = client.reader("t").group("g").max_wait(day).auto_commit_interval(day).commit_timeout(day);
    reader.session_timeout(day).rebalance_timeout(day).build().unwrap();
}

#[test]
fn case_w3_retention_is_never_negative_on_the_wire() {
    let mut config = GroupConfig::new("g");
    config.retention = Some(Duration::MAX);
    assert_eq!(refused(config.validate(), "24 days"), "retention");
    config.retention = Some(checks::LONGEST);
    config.validate().unwrap();
}

#[test]
fn the_setting_at_fault_is_named_with_its_range() {
    let client = builder().build().unwrap();
    assert_eq!(refused(client.writer("t").batch_bytes(0).build(), "1 KiB to 1 GiB"), "batch_bytes");
    assert_eq!(refused(client.writer("t").batch_messages(0).build(), "at least 1"), "batch_messages");
    assert_eq!(refused(client.writer("").build(), "empty"), "topic");
    assert_eq!(refused(client.reader("t").reset(Reset::Time(-1)).build(), "negative"), "reset");
    assert_eq!(refused(client.reader("t").buffer_bytes(1).build(), "at least 1 KiB"), "buffer");
    assert_eq!(refused(client.reader("t").group("").build(), "empty"), "group_id");
    assert_eq!(refused(client.reader("t").group("g").instance_id("a b").build(), "letters"), "instance_id");
    assert_eq!(refused(client.reader("t").group("g").assignors(Vec::new()).build(), "empty"), "assignors");
    assert_eq!(refused(builder().client_id("x".repeat(1 << 15)).build(), "32,767"), "client_id");
    assert_eq!(refused(ClientConfig::default().validate(), "address"), "bootstrap");
}
