//! Properties by Java's names.

use super::*;
use crate::declare::checks;
use crate::reader::Start;
use crate::settings::properties::{Outcome, Unused, UnusedProperty, read};

/// Every name that a producer, consumer or admin client of Java's has had, from 0.10.2 to 4.4.
const JAVA: &str = include_str!("../java_names.txt");

fn take(properties: &[(&str, &str)]) -> Outcome {
    read(properties.iter().copied()).unwrap()
}

fn bad(name: &str, value: &str) -> String {
    let error = read([(name, value)]).unwrap_err();
    assert_eq!(refused::<()>(Err(error.clone()), name), name);
    format!("{error} {error:?}")
}

/// A value that is nobody's default.
fn sample(name: &str) -> &'static str {
    match name {
        "bootstrap.servers" => "a:1,b:2",
        "acks" => "1",
        "enable.idempotence" | "check.crcs" => "false",
        "allow.auto.create.topics" => "true",
        "compression.type" => "zstd",
        "compression.gzip.level" | "compression.zstd.level" => "3",
        "partitioner.class" => "org.apache.kafka.clients.producer.RoundRobinPartitioner",
        "partition.assignment.strategy" => "org.apache.kafka.clients.consumer.RangeAssignor",
        "isolation.level" => "read_committed",
        "auto.offset.reset" => "latest",
        _ => "4242",
    }
}

#[test]
fn each_setting_is_taken_by_each_of_javas_names() {
    let (client, writer) = (ClientConfig::default(), WriterConfig::default());
    let (reader, group) = (ReaderConfig::default(), GroupConfig::default());
    for setting in all() {
        for java in setting.java {
            let codec = java.strip_prefix("compression.").and_then(|rest| rest.strip_suffix(".level"));
            let mut properties = vec![(*java, sample(java))];
            properties.extend(codec.map(|codec| ("compression.type", codec)));
            let taken = take(&properties);
            assert_eq!(taken.unused, [], "{setting}");
            let (name, defaults) = (setting.name, taken.defaults);
            let (before, after) = match setting.part {
                Part::Client => (client.show(name), taken.client.config.show(name)),
                Part::Writer => (writer.show(name), defaults.writer.config.show(name)),
                Part::Reader => (reader.show(name), defaults.reader.config.show(name)),
                Part::Group => (group.show(name), defaults.group.config.show(name)),
            };
            assert_ne!(before, after, "{java} changes nothing: {setting}");
        }
    }
}

#[test]
fn none_of_javas_names_is_unknown() {
    for name in JAVA.lines() {
        match read([(name, sample(name))]) {
            Ok(taken) => {
                let unknown = |unused: &UnusedProperty| matches!(unused.reason, Unused::Unknown { .. });
                assert!(!taken.unused.iter().any(unknown), "{name}");
            }
            Err(error) => assert!(error.to_string().contains(name), "{error}"),
        }
    }
}

#[test]
fn values_are_as_java_writes_them() {
    let taken = take(&[
        ("bootstrap.servers", "a:1, b:2"),
        ("acks", "all"),
        ("linger.ms", " 20 "),
        ("retries", "2"),
        ("compression.type", "gzip"),
        ("compression.gzip.level", "-1"),
        ("enable.idempotence", "TRUE"),
        ("isolation.level", "read_committed"),
        ("partition.assignment.strategy", "roundrobin, org.apache.kafka.clients.consumer.RangeAssignor"),
        ("connections.max.idle.ms", "-1"),
        ("client.id", ""),
    ]);
    assert_eq!(taken.unused, []);
    let writer = &taken.defaults.writer.config;
    assert_eq!((writer.acks, writer.linger), (Acks::All, Duration::from_millis(20)));
    assert_eq!((writer.max_attempts, writer.compression_level), (Some(3), None));
    assert_eq!(writer.idempotence, Idempotence::Required);
    let names: Vec<_> = taken.defaults.group.config.assignors.iter().map(|a| a.name().to_owned()).collect();
    assert_eq!(names, ["roundrobin", "range"]);
    assert_eq!(taken.client.config.connections_max_idle, checks::LONGEST);
    assert!(!taken.client.said.has("client_id"));
    assert_eq!(take(&[("retries", "2147483647")]).defaults.writer.config.max_attempts, None);
}

#[test]
fn a_malformed_value_names_its_property_and_what_is_expected() {
    assert!(bad("linger.ms", "soon").contains("milliseconds, 0 or more, not `soon`"));
    assert!(bad("retries", "-1").contains("0 to 4294967295, not `-1`"));
    assert!(bad("linger.ms", "-1").contains("milliseconds"));
    assert!(bad("acks", "2").contains("all, -1, 0 or 1"));
    assert!(bad("auto.offset.reset", "by_duration:PT1H").contains("earliest"));
    assert!(bad("partitioner.class", "com.example.Mine").contains("balancer"));
    assert!(bad("partition.assignment.strategy", "sticky").contains("range"));
    assert!(bad("batch.size", "0").contains("1 KiB to 1 GiB"));
    assert!(bad("request.timeout.ms", "99999999999").contains("24 days"));
    assert!(bad("bootstrap.servers", "http://a").contains("host:port"));
}

#[test]
fn a_contradiction_is_found_at_once_and_named_in_javas_words() {
    let contradicts = |properties: &[(&str, &str)]| read(properties.iter().copied()).unwrap_err().to_string();
    let error = contradicts(&[("enable.idempotence", "true"), ("acks", "0")]);
    assert_eq!(
        error,
        "setting `enable.idempotence`: is required, but `acks` is 0: it needs those of all replicas"
    );
    let error = contradicts(&[("batch.size", "20000"), ("max.request.size", "10000")]);
    assert!(error.contains("`batch.size`") && error.contains("`max.request.size`"), "{error}");
    let error = contradicts(&[("heartbeat.interval.ms", "5000"), ("session.timeout.ms", "4000")]);
    assert!(error.contains("`heartbeat.interval.ms`") && error.contains("`session.timeout.ms`"), "{error}");
}

/// Files are shared by programs that differ in nothing but `security.protocol`.
#[test]
fn settings_of_security_are_ignored_where_the_protocol_is_said_to_be_plaintext() {
    let taken = take(&[("security.protocol", "PLAINTEXT"), ("sasl.mechanism", "PLAIN"), ("ssl.new", "x")]);
    let ignored =
        |unused: &UnusedProperty| unused.reason == Unused::Ignored("`security.protocol` is PLAINTEXT");
    assert_eq!(taken.unused.iter().filter(|unused| ignored(unused)).count(), 2);
    let misspelt = read([("sasl.jaas.confg", "x")]).unwrap_err().to_string();
    assert!(misspelt.contains("`sasl.jaas.confg`"), "{misspelt}");
}

#[test]
fn security_is_refused_and_secrets_are_never_shown() {
    const SECRET: &str = "hunter2";
    for name in [
        "security.protocol",
        "sasl.jaas.config",
        "sasl.mechanism",
        "ssl.keystore.password",
        "security.providers",
    ] {
        assert!(!bad(name, SECRET).contains(SECRET), "{name}");
    }
    for name in ["ssl.some.new.thing", "sasl.some.new.thing"] {
        assert!(!read([(name, SECRET)]).unwrap_err().to_string().contains(SECRET));
    }
    read([("security.protocol", "PLAINTEXT")]).unwrap();

    let names = ["db.password", "my.secret", "api.token", "jaas", "key.serializer", "unheard.of"];
    let builder = ClientBuilder::<Still>::from_properties(names.map(|name| (name, SECRET))).unwrap();
    let shown = format!(
        "{builder:?} {}",
        builder.unused_properties().iter().map(ToString::to_string).collect::<String>()
    );
    assert!(!shown.contains(SECRET), "{shown}");
    assert_eq!(builder.unused_properties().len(), names.len());
}

#[test]
fn each_unused_property_has_a_reason() {
    let taken = take(&[
        ("request.timeout", "1"),
        ("lingerms", "1"),
        ("com.example.mine", "1"),
        ("key.serializer", "x"),
        ("compression.zstd.level", "3"),
    ]);
    let told: Vec<String> = taken.unused.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "`com.example.mine` is unknown",
            "`compression.zstd.level` is ignored: `compression.type` is another codec",
            "`key.serializer` is ignored: keys and values are bytes here",
            "`lingerms` is unknown, perhaps `linger.ms` is meant",
            "`request.timeout` is unknown, perhaps `request.timeout.ms` is meant",
        ]
    );
}

#[test]
fn writers_and_readers_begin_with_the_properties_of_their_client() {
    let properties = [
        ("bootstrap.servers", "b"),
        ("acks", "1"),
        ("linger.ms", "7"),
        ("max.partition.fetch.bytes", "4242"),
    ];
    let client = ClientBuilder::<Still>::from_properties(properties).unwrap().build().unwrap();
    let writer = client.clone().writer("t").linger(Duration::from_millis(8)).build().unwrap();
    assert_eq!((writer.config().acks, writer.config().linger), (Acks::One, Duration::from_millis(8)));
    assert_eq!(client.writer_to_any().build().unwrap().config().linger, Duration::from_millis(7));
    assert_eq!(client.reader("t").reader.config.partition_max_bytes, 4242);
    // What a property says is said: it contradicts what a method says.
    let result = client.reader("t").max_bytes(4000).build();
    assert_eq!(refused(result, "max_bytes"), "partition_max_bytes");
    let result = client.writer("t").idempotence(Idempotence::Required).build();
    assert_eq!(refused(result, "acks"), "idempotence");
}

#[test]
fn a_client_of_properties_has_the_addresses_among_them() {
    let none = [("acks", "all")];
    let result = ClientBuilder::<Still>::from_properties(none).unwrap().build();
    assert_eq!(refused(result, "address"), "bootstrap");
}

#[test]
fn the_group_of_properties_gives_way_to_partitions() {
    let properties = [("bootstrap.servers", "b"), ("group.id", "g"), ("session.timeout.ms", "9000")];
    let client = ClientBuilder::<Still>::from_properties(properties).unwrap().build().unwrap();
    client.reader("t").topic("u").build().unwrap(); // only a group reads two
    client.reader("t").partition(0).build().unwrap();
    let both = client.reader("t").group("other").partition(0);
    assert_eq!(refused(both.build(), "group_id"), "partition");
    client.reader("t").session_timeout(Duration::from_secs(8)).build().unwrap();
}

#[test]
fn auto_offset_reset_says_where_to_begin_as_well() {
    let starts = |value| {
        let taken = take(&[("auto.offset.reset", value)]);
        (taken.defaults.start, taken.defaults.reader.config.reset)
    };
    assert_eq!(starts("earliest"), (Some((Start::First, Start::First)), Reset::First));
    assert_eq!(starts("latest"), (Some((Start::Last, Start::Last)), Reset::Last));
    assert_eq!(starts("none"), (Some((Start::First, Start::Committed)), Reset::Error));
    assert_eq!(take(&[]).defaults.start, None);
}

#[test]
fn text_is_read_as_java_does() {
    let text = "# comment\n ! another\n\nacks=all\nlinger.ms : 5\nclient.id my name \n\
        long = a,\\\n   b,\\\n\tc\nkey\\ with\\:odd\\=name=\\u00e9\\t\\\\\\q\nempty\nemoji=\\ud83d\\ude00\nhalf=\\ud83d!\r\nlast=x\\";
    let expected = [
        ("acks", "all"),
        ("linger.ms", "5"),
        ("client.id", "my name "),
        ("long", "a,b,c"),
        ("key with:odd=name", "é\t\\q"),
        ("empty", ""),
        ("emoji", "😀"),
        ("half", "\u{fffd}!"),
        ("last", "x"),
    ];
    let read = parse_properties(text).unwrap();
    let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(read, expected);
    for malformed in ["\n\na=\\u12", "\n\na=\\uzzzz", "\n\na=\\u+123"] {
        assert_eq!(refused(parse_properties(malformed), "line 3"), "properties");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "([a-z\\\\u0-9=: #!\n\r\t]|.){0,60}") {
        let _ = parse_properties(&text);
    }

    #[test]
    fn any_name_and_value_are_taken_or_refused(name in "[a-z.]{0,30}", value in ".{0,20}") {
        let _ = read([(name, value)]);
    }

    #[test]
    fn a_value_of_any_property_is_read_or_refused(at in 0..JAVA.lines().count(), value in "-?[0-9]{0,25}|.{0,9}") {
        let _ = read([(JAVA.lines().nth(at).unwrap(), value)]);
    }
}
