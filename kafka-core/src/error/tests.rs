use super::*;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io;

#[test]
fn a_place_is_said_once() {
    let topic = Str::from_static("t");
    let last = Error::from(ConnectionError::Refused).with_broker("b:9092").with_api(ApiKey::Produce);
    let after = Duration::from_secs(2);
    let late = |last| Error::new(ErrorKind::TimedOut { after, last }).with_api(ApiKey::Produce);
    let told = late(Some(last)).with_partition(&topic, 3).to_string();
    let expected = "timed out after 2s; last error: connection: refused: nobody listens there \
                    (broker b:9092, api Produce) (topic t, partition 3)";
    assert_eq!(told, expected);
    assert_eq!(late(None).with_topic(&topic).to_string(), "timed out after 2s (topic t, api Produce)");
    let texts =
        [Duration::from_nanos(4_999_968_624), Duration::from_micros(12), Duration::ZERO, Duration::MAX]
            .map(|after| Error::new(ErrorKind::TimedOut { after, last: None }).to_string());
    assert_eq!(texts[..3], ["timed out after 5s", "timed out after 12µs", "timed out after 0ns"]);
    assert_eq!(Error::new(ErrorKind::NoOffset).to_string(), "no committed offset");
}

#[test]
fn an_error_leads_to_what_the_system_reported() {
    let reset = io::Error::new(io::ErrorKind::ConnectionReset, "by peer");
    let error = Error::from(ConnectionError::Lost(reset.into())).with_broker("b:9092");
    let late = Error::new(ErrorKind::TimedOut { after: Duration::from_secs(2), last: Some(error.clone()) });
    let last = late.source().expect("the last error").downcast_ref::<Error>();
    assert_eq!(last, Some(&error));
    let connection = error.source().and_then(|source| source.downcast_ref::<ConnectionError>());
    let io = connection.expect("of the connection").source().and_then(|e| e.downcast_ref::<io::Error>());
    assert_eq!(io.expect("of the system").kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(error.to_string(), "connection: lost (by peer) (broker b:9092)");
    assert!(Error::new(ErrorKind::Closed).source().is_none());
    assert_eq!(
        ConnectionError::Lost("by peer".into()),
        *connection.expect("the same text is the same cause")
    );
}

/// An example of each kind, in the order of the enum.
fn kinds() -> Vec<ErrorKind> {
    let text = || "problem".to_owned();
    let code = ErrorCode::NotLeaderOrFollower;
    let (after, last) =
        (Duration::from_secs(5), Some(Error::from(ConnectionError::Refused).with_broker("1 at b:9092")));
    let kinds = vec![
        ErrorKind::Config { setting: "linger", problem: text() },
        ErrorKind::Address { address: "b:x".to_owned(), problem: "the port is no number" },
        ErrorKind::Connection(ConnectionError::Refused),
        ErrorKind::Broker(code),
        ErrorKind::TimedOut { after, last: None },
        ErrorKind::TimedOut { after, last },
        ErrorKind::Unsupported { feature: "record headers", needs: "Kafka 0.11" },
        ErrorKind::MessageTooLarge { size: 2_000_000, limit: 1_000_000, setting: "batch_bytes" },
        ErrorKind::InvalidMessage("both the writer and the message name a topic"),
        ErrorKind::Balancer("panicked".to_owned()),
        ErrorKind::Pattern {
            pattern: "orders-(".to_owned(),
            problem: "found open group without closing ')'".to_owned(),
        },
        ErrorKind::Assignor("`range` panicked".to_owned()),
        ErrorKind::Corrupt { offset: 7, next: Some(9), problem: text() },
        ErrorKind::OffsetOutOfRange { offset: 7 },
        ErrorKind::NoOffset,
        ErrorKind::Truncated { to: 5 },
        ErrorKind::TopicRecreated { old: Uuid([1; 16]), new: Uuid([2; 16]) },
        ErrorKind::BufferKept { kept: 900, limit: 1000, lasted: after },
        ErrorKind::StaleCommit,
        ErrorKind::Closed,
        ErrorKind::Misuse("a reader without a group has nowhere to commit to"),
        ErrorKind::Decode(text()),
        ErrorKind::Encode(text()),
    ];
    // A kind that is new goes into the list above.
    kinds.iter().for_each(|kind| match kind {
        ErrorKind::Config { .. } | ErrorKind::Address { .. } | ErrorKind::Connection(_) => {}
        ErrorKind::Broker(_) | ErrorKind::TimedOut { .. } | ErrorKind::Unsupported { .. } => {}
        ErrorKind::MessageTooLarge { .. } | ErrorKind::InvalidMessage(_) | ErrorKind::Balancer(_) => {}
        ErrorKind::Assignor(_) | ErrorKind::Corrupt { .. } | ErrorKind::OffsetOutOfRange { .. } => {}
        ErrorKind::NoOffset | ErrorKind::Truncated { .. } | ErrorKind::TopicRecreated { .. } => {}
        ErrorKind::BufferKept { .. } | ErrorKind::StaleCommit | ErrorKind::Closed => {}
        ErrorKind::Misuse(_) | ErrorKind::Decode(_) | ErrorKind::Encode(_) | ErrorKind::Pattern { .. } => {}
    });
    kinds
}

/// One of each, in the order of the enum.
fn connections() -> Vec<ConnectionError> {
    use ConnectionError::*;
    let all = vec![
        Resolve("no such host".into()),
        Refused,
        Unreachable("no route".into()),
        ConnectTimeout,
        ClosedDuringSetup,
        SetupTimeout,
        ClosedAfterSetup,
        ClosedUnanswered,
        TlsListener,
        HttpServer,
        NotKafka("an SSH server".into()),
        Correlation { expected: 3, got: 9 },
        Undecodable("too short".into()),
        FrameLength(-5),
        ResponseTimeout,
        Lost("reset".into()),
        OtherCluster { expected: "a".into(), got: "b".into() },
        TooManyOpenFiles,
        ClosedByClient,
    ];
    all.iter().for_each(|error| match error {
        Resolve(_) | Refused | Unreachable(_) | ConnectTimeout | ClosedDuringSetup | SetupTimeout => {}
        ClosedAfterSetup | ClosedUnanswered | TlsListener | HttpServer | NotKafka(_) => {}
        Correlation { .. } | Undecodable(_) | FrameLength(_) | ResponseTimeout | Lost(_) => {}
        OtherCluster { .. } | TooManyOpenFiles | ClosedByClient => {}
    });
    all
}

/// All texts stand in one file, to be read as prose: `UPDATE_TEXTS=1 cargo test -p kafka-core --lib texts` writes it anew.
#[test]
fn case_u7_texts_and_advice_are_those_that_were_read() {
    let mut page =
        "# Errors: texts and advice\n\n| text | who has to act | again? | advice |\n|---|---|---|---|\n"
            .to_owned();
    let kinds = kinds().into_iter().map(Error::new);
    let connections = connections().into_iter().map(Error::from);
    let codes = ErrorCode::ALL.iter().copied().chain([ErrorCode::Unknown(999)]);
    for error in kinds.chain(connections).chain(codes.map(Error::of_code)) {
        let again = if error.is_retriable() { "yes" } else { "no" };
        let (fault, advice) = (error.fault(), error.advice());
        assert!(!advice.is_empty() && !advice.ends_with('.') && !error.to_string().ends_with('.'), "{error}");
        writeln!(page, "| {error} | {fault:?} | {again} | {advice} |").expect("a text");
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/error/texts.md");
    if std::env::var_os("UPDATE_TEXTS").is_some() {
        std::fs::write(file, &page).expect("written");
    }
    let read = include_str!("texts.md");
    let differing = page.lines().zip(read.lines()).find(|(now, then)| now != then);
    assert!(page == read, "the first that differs: {differing:?}");
}
