//! Brokers that answer nonsense, that refuse, or that are too old.

use crate::fake::{self, Reply, batch, broker, default_answer, encode};
use crate::support::{cause, client, connection, explains, goes_on, pause, refused, soon, within};
use crate::wrapped::Wrapped;
use kafka_core::runtime::Runtime;
use kafka_core::{
    Bytes, Compression, ConnectionError, Error, ErrorCode, ErrorKind, Fate, Fault, Header, Idempotence,
    Manual, Message, SendError,
};
use kafka_proto::messages::headers::RequestHeader;
use kafka_proto::records::crc32c;
use kafka_proto::{ApiKey, RequestKind};
use kafka_testkit::Cluster;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The error of connecting to a broker that answers Metadata with what `spoil` makes of the right bytes.
async fn spoiled<R: Runtime>(
    spoil: impl Fn(&RequestHeader, Vec<u8>) -> Reply + Send + Sync + 'static,
) -> Error {
    let server = broker(move |header, request| match request {
        RequestKind::Metadata(_) => {
            let answer = default_answer(request, &("127.0.0.1".to_owned(), 1)).unwrap();
            spoil(header, encode(header, &answer))
        }
        _ => Reply::Default,
    });
    let error = refused::<R>(&server.address()).await;
    explains(&error, cause(&error).fault(), &[&server.address()]);
    error
}

pub(crate) async fn wrong_correlation_id<R: Runtime>() {
    let error = spoiled::<R>(|header, mut bytes| {
        bytes[4..8].copy_from_slice(&(header.correlation_id + 7).to_be_bytes());
        Reply::Raw(bytes)
    })
    .await;
    let ConnectionError::Correlation { expected, got } = connection(&error) else { panic!("{error:?}") };
    assert_eq!(*got, expected + 7);
    assert_eq!(error.fault(), Fault::Broker);
}

pub(crate) async fn negative_frame_length<R: Runtime>() {
    let error = spoiled::<R>(|_, mut bytes| {
        bytes[..4].copy_from_slice(&(-5i32).to_be_bytes());
        Reply::Raw(bytes)
    })
    .await;
    assert_eq!(*connection(&error), ConnectionError::FrameLength(-5));
    assert_eq!(error.fault(), Fault::Broker);
}

pub(crate) async fn huge_frame_length<R: Runtime>() {
    let error = spoiled::<R>(|_, mut bytes| {
        bytes[..4].copy_from_slice(&i32::MAX.to_be_bytes());
        Reply::Raw(bytes)
    })
    .await;
    assert_eq!(*connection(&error), ConnectionError::FrameLength(i64::from(i32::MAX)));
    assert_eq!(error.fault(), Fault::Broker);
}

pub(crate) async fn truncated_response<R: Runtime>() {
    let error = spoiled::<R>(|_, mut bytes| {
        bytes.truncate(bytes.len() / 2);
        Reply::Last(bytes)
    })
    .await;
    let ConnectionError::Lost(how) = connection(&error) else { panic!("{error:?}") };
    assert!(how.contains("in the middle of a response"), "{error:?}");
}

pub(crate) async fn undecodable_response<R: Runtime>() {
    let error = spoiled::<R>(|_, mut bytes| {
        bytes[8..].fill(0xff);
        Reply::Raw(bytes)
    })
    .await;
    assert!(matches!(connection(&error), ConnectionError::Undecodable(what) if what.contains("Metadata")));
    assert_eq!(error.fault(), Fault::Broker);
}

/// The socket takes no more bytes: deadlines hold all the same, and connections are given up.
pub(crate) async fn stops_reading<R: Runtime>() {
    let ended = Arc::new(AtomicBool::new(false));
    let end = ended.clone();
    let server = broker(move |_, request| {
        while matches!(request, RequestKind::Produce(_)) && !end.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(10));
        }
        Reply::Default
    });
    let runtime = Wrapped::<R>::new();
    let client = client::<Wrapped<R>>(&server.address()).runtime(runtime.clone());
    let client = client.request_timeout(Duration::from_millis(500)).connect().await.unwrap();
    let writer = client.writer("t").delivery_timeout(Duration::from_secs(2)).buffer_bytes(256 << 20);
    let writer = writer.batch_bytes(64 << 20).request_bytes(64 << 20).balancer(Manual).build().unwrap();
    let mut sent = Vec::new();
    // The first is read whole, the second is more than sockets keep for the other side.
    for (partition, size) in [(0, 1), (1, 40_000_000)] {
        let message = Message::new(vec![7; size]).partition(partition);
        sent.push(soon::<R, _>(writer.send(message)).await.unwrap());
        pause::<R>(Duration::from_millis(50)).await;
    }
    for delivery in sent {
        let failed = soon::<R, _>(delivery).await.unwrap_err();
        assert!(matches!(failed.error.kind(), ErrorKind::TimedOut { .. }), "{failed:?}");
        explains(&failed.error, Fault::Environment, &["topic t", "partition", "no response in time"]);
    }
    soon::<R, _>(client.close(Duration::ZERO)).await;
    let all_end = async {
        while runtime.live.load(Ordering::SeqCst) > 0 {
            pause::<R>(Duration::from_millis(20)).await;
        }
    };
    within::<R, _>(Duration::from_secs(5), all_end).await.expect("a connection was never given up");
    ended.store(true, Ordering::SeqCst);
}

/// Reads a topic with bad records in partition 0 and a good one in partition 1: the error of the one, after the message of
/// the other has come too.
async fn unreadable<R: Runtime>(bad: Bytes) -> Error {
    let good = batch(b"goes on", Compression::None);
    let server = broker(move |_, request| match request {
        RequestKind::Fetch(request) => {
            let records = |p: i32| {
                let asked = request.topics.iter().flat_map(|t| &t.partitions);
                let wanted = asked.clone().any(|a| a.partition == p && a.fetch_offset == 0);
                if wanted { [bad.clone(), good.clone()][p as usize].clone() } else { Bytes::new() }
            };
            let records = [records(0), records(1)];
            if records.iter().all(Bytes::is_empty) {
                thread::sleep(Duration::from_millis(50));
            }
            Reply::Answer(Box::new(fake::fetched(records)))
        }
        _ => Reply::Default,
    });
    let client = client::<R>(&server.address()).connect().await.unwrap();
    let mut reader = client.reader("t").build().unwrap();
    let (mut error, mut came) = (None, false);
    while error.is_none() || !came {
        match soon::<R, _>(reader.fetch()).await {
            Ok(Some(message)) => {
                assert_eq!((message.partition, message.value.as_deref()), (1, Some(&b"goes on"[..])));
                came = true;
            }
            Ok(None) => panic!("the reader ended"),
            Err(told) => assert!(error.replace(told).is_none(), "told twice: {error:?}"),
        }
    }
    error.unwrap()
}

pub(crate) async fn bad_crc<R: Runtime>() {
    let mut bytes = batch(b"damaged", Compression::None).to_vec();
    *bytes.last_mut().unwrap() ^= 0x55;
    let error = unreadable::<R>(bytes.into()).await;
    assert!(matches!(error.kind(), ErrorKind::Corrupt { offset: 0, .. }), "{error:?}");
    explains(&error, Fault::Broker, &["topic t", "partition 0"]);
}

pub(crate) async fn unknown_codec<R: Runtime>() {
    let mut bytes = batch(b"in a codec of the future", Compression::None).to_vec();
    // The low three bits of the attributes; everything from there on is checksummed.
    bytes[22] |= 7;
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    let error = unreadable::<R>(bytes.into()).await;
    assert!(matches!(error.kind(), ErrorKind::Corrupt { offset: 0, .. }), "{error:?}");
    explains(&error, Fault::Broker, &["topic t", "partition 0", "7"]);
}

pub(crate) async fn decompression_bomb<R: Runtime>() {
    // One more byte than is taken by default.
    let bytes = batch(&vec![0; 128 << 20], Compression::Zstd);
    assert!(bytes.len() < 100_000);
    let error = unreadable::<R>(bytes).await;
    assert!(matches!(error.kind(), ErrorKind::Corrupt { offset: 0, .. }), "{error:?}");
    explains(&error, Fault::Broker, &["topic t", "partition 0"]);
}

pub(crate) async fn not_enough_replicas<R: Runtime>() {
    let cluster = Cluster::builder().topic("t", 1).start().unwrap();
    let client = client::<R>(&cluster.bootstrap()).connect().await.unwrap();
    cluster.fail_times(ApiKey::Produce, ErrorCode::NotEnoughReplicas, u32::MAX);
    // A deadline may pass while a request is on its way, whose end is not known then; an attempt ends with its answer.
    let writer = client.writer("t").max_attempts(3).build().unwrap();
    let failed = write::<R>(&writer, Message::new("x")).await;
    assert_eq!(failed.fate, Fate::NotWritten);
    assert_eq!(failed.error.code(), Some(ErrorCode::NotEnoughReplicas));
    explains(&failed.error, Fault::Broker, &["topic t", "partition 0"]);
    assert!(failed.error.advice().contains("min.insync.replicas"));
    assert_eq!(cluster.requests(ApiKey::Produce), 3, "it was not tried again");
    cluster.with(|cluster, _| cluster.clear_faults());
    goes_on::<R>(&client, "t").await;
    assert_eq!(cluster.log("t", 0).len(), 1, "what was not written is in the log");
}

/// What becomes of a message that cannot be written.
async fn write<R: Runtime>(writer: &kafka_core::Writer, message: Message) -> SendError {
    match soon::<R, _>(writer.send(message)).await {
        Ok(delivery) => soon::<R, _>(delivery).await.unwrap_err(),
        Err(error) => error,
    }
}

fn old_cluster(release: &str) -> Cluster {
    Cluster::builder().kafka_version(release).topic("t", 1).start().unwrap()
}

pub(crate) async fn headers_on_an_old_broker<R: Runtime>() {
    let cluster = old_cluster("0.10.2");
    let client = client::<R>(&cluster.bootstrap()).connect().await.unwrap();
    let mut message = Message::new("x");
    message.headers.push(Header::new("name", "value"));
    let failed = write::<R>(&client.writer("t").build().unwrap(), message).await;
    assert_eq!(failed.fate, Fate::NotWritten);
    unsupported(&failed.error, "record headers", "Kafka 0.11");
    goes_on::<R>(&client, "t").await;
}

pub(crate) async fn zstd_on_an_old_broker<R: Runtime>() {
    let cluster = old_cluster("2.0");
    let client = client::<R>(&cluster.bootstrap()).connect().await.unwrap();
    let writer = client.writer("t").compression(Compression::Zstd).build().unwrap();
    let failed = write::<R>(&writer, Message::new("x")).await;
    assert_eq!(failed.fate, Fate::NotWritten);
    unsupported(&failed.error, "zstd compression", "Kafka 2.1");
    goes_on::<R>(&client, "t").await;
}

pub(crate) async fn idempotence_on_an_old_broker<R: Runtime>() {
    let cluster = old_cluster("0.10.2");
    let client = client::<R>(&cluster.bootstrap()).connect().await.unwrap();
    let writer = client.writer("t").idempotence(Idempotence::Required).build().unwrap();
    let failed = write::<R>(&writer, Message::new("x")).await;
    assert_eq!(failed.fate, Fate::NotWritten);
    unsupported(&failed.error, "idempotent writing", "Kafka 0.11");
    // Where it is not required it is done without, and told.
    goes_on::<R>(&client, "t").await;
    let [told] = &client.degraded()[..] else { panic!("{:?}", client.degraded()) };
    unsupported(told, "idempotent writing", "Kafka 0.11");
}

fn unsupported(error: &Error, named: &str, needed: &str) {
    let ErrorKind::Unsupported { feature, needs } = error.kind() else { panic!("{error:?}") };
    assert_eq!((*feature, *needs), (named, needed));
    explains(error, Fault::Broker, &[]);
}
