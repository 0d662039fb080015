//! Addresses that are malformed, dead, or of something else.

use crate::fake::{Reply, Server, answering, broker, broker_on, default_answer, encode, free_address};
use crate::support::{cause, client, connection, explains, goes_on, pause, refused, soon};
use crate::wrapped::Wrapped;
use kafka_core::runtime::Runtime;
use kafka_core::{ConnectionError, Error, ErrorKind, Event, Fate, Fault, Message, Start};
use kafka_proto::RequestKind;
use kafka_testkit::Cluster;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

pub(crate) async fn malformed<R: Runtime>() {
    for (addresses, problem) in [
        ("kafka://broker:9092", "scheme"),
        ("", "no address"),
        (" , ,", "no address"),
        ("broker:0", "port 0"),
        ("broker:99999", "no number"),
        (":9092", "no host"),
        ("1:2:3", "more than one colon"),
        ("[::1:9092", "closing bracket"),
    ] {
        let error = refused::<R>(addresses).await;
        assert!(matches!(error.kind(), ErrorKind::Address { .. }), "{error:?}");
        explains(&error, Fault::Caller, &[problem]);
    }
}

pub(crate) async fn ipv6_literal<R: Runtime>() {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        println!("skipped: this machine has no IPv6 loopback");
        return;
    };
    let broker = broker_on(listener, None, |_, _| Reply::Default);
    assert!(broker.address().starts_with("[::1]:"));
    let client = client::<R>(&broker.address()).connect().await.unwrap();
    // By the bootstrap address, then by the one that the broker told.
    assert_eq!(&*client.describe_cluster().await.unwrap().brokers[0].host, "::1");
    assert_eq!(client.list_offset("t", 0, Start::First).await.unwrap(), Some(0));
}

pub(crate) async fn no_such_host<R: Runtime>() {
    let error = refused::<R>("no-such-host.invalid:9092").await;
    assert!(matches!(connection(&error), ConnectionError::Resolve(_)), "{error:?}");
    explains(&error, Fault::Environment, &["no-such-host.invalid:9092"]);
}

pub(crate) async fn nobody_listens<R: Runtime>() {
    let address = free_address();
    let error = refused::<R>(&address).await;
    assert_eq!(*connection(&error), ConnectionError::Refused);
    explains(&error, Fault::Environment, &[&address]);
}

pub(crate) async fn dead_ipv6_beside_live_ipv4<R: Runtime>() {
    let cluster = Cluster::builder().topic("t", 1).start().unwrap();
    let runtime = Wrapped::<R> { resolve: Some(dead_and_live), ..Wrapped::new() };
    let client = client::<Wrapped<R>>(&cluster.bootstrap()).runtime(runtime).connect().await.unwrap();
    let writer = client.writer("t").build().unwrap();
    soon::<R, _>(writer.write_all([Message::new("x")])).await.unwrap();
}

/// Each name has a dead IPv6 address before its IPv4 one, as `localhost` has on many machines.
fn dead_and_live(port: u16) -> Vec<SocketAddr> {
    let dead = free_address().parse::<SocketAddr>().unwrap().port();
    vec![(Ipv6Addr::LOCALHOST, dead).into(), (Ipv4Addr::LOCALHOST, port).into()]
}

const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
/// A TLS record: a fatal alert, unexpected message.
const TLS_ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 10];

pub(crate) async fn http_server<R: Runtime>() {
    let server = answering(HTTP);
    let error = refused::<R>(&server.address()).await;
    // At once: no deadline passed.
    assert_eq!(*error.kind(), ErrorKind::Connection(ConnectionError::HttpServer));
    explains(&error, Fault::Caller, &[&server.address(), "HTTP"]);
}

pub(crate) async fn tls_listener_that_alerts<R: Runtime>() {
    let server = answering(TLS_ALERT);
    let error = refused::<R>(&server.address()).await;
    assert_eq!(*error.kind(), ErrorKind::Connection(ConnectionError::TlsListener));
    explains(&error, Fault::Caller, &[&server.address(), "TLS"]);
}

pub(crate) async fn tls_listener_that_closes<R: Runtime>() {
    let server = answering(b"");
    let error = refused::<R>(&server.address()).await;
    assert_eq!(*connection(&error), ConnectionError::ClosedDuringSetup);
    explains(&error, Fault::Caller, &[&server.address(), "TLS"]);
}

pub(crate) async fn sasl_listener<R: Runtime>() {
    let server = broker(|_, request| match request {
        RequestKind::ApiVersions(_) => Reply::Default,
        _ => Reply::Last(Vec::new()),
    });
    let error = refused::<R>(&server.address()).await;
    assert_eq!(*connection(&error), ConnectionError::ClosedAfterSetup);
    explains(&error, Fault::Caller, &[&server.address(), "SASL"]);
    assert!(cause(&error).advice().contains("SASL"));
}

pub(crate) async fn foreign_protocol<R: Runtime>() {
    for greeting in
        [&b"220 mail.example.org ESMTP\r\n"[..], b"SSH-2.0-OpenSSH_9.6\r\n", b"-ERR unknown command\r\n"]
    {
        let server = answering(greeting);
        let error = refused::<R>(&server.address()).await;
        let kind = error.kind();
        assert!(matches!(kind, ErrorKind::Connection(ConnectionError::NotKafka(_))), "{error:?}");
        explains(&error, Fault::Caller, &[&server.address(), std::str::from_utf8(&greeting[..4]).unwrap()]);
    }
}

pub(crate) async fn accepts_and_never_answers<R: Runtime>() {
    let server = Server::start(|mut stream| {
        let mut ignored = [0; 1024];
        while stream.read(&mut ignored).is_ok_and(|len| len > 0) {}
    });
    let error = refused::<R>(&server.address()).await;
    assert_eq!(*connection(&error), ConnectionError::SetupTimeout);
    explains(&error, Fault::Environment, &[&server.address()]);
}

pub(crate) async fn trickles<R: Runtime>() {
    let server = Server::start(|mut stream| {
        // A frame of 1,000 bytes that comes in little pieces.
        for byte in [0, 0, 3, 232].into_iter().chain(std::iter::repeat_n(0, 1000)) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    let error = refused::<R>(&server.address()).await;
    assert_eq!(*connection(&error), ConnectionError::SetupTimeout);
    explains(&error, Fault::Environment, &[&server.address()]);
}

pub(crate) async fn advertised_address_unreachable<R: Runtime>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let broker = broker_on(listener, Some(("127.0.0.1", 1)), |_, _| Reply::Default);
    let client = client::<R>(&broker.address()).connect().await.unwrap();
    let explains_it = |error: &Error| {
        assert_eq!(*connection(error), ConnectionError::Refused, "{error:?}");
        assert!(error.advice().contains("advertised.listeners"), "{error:?}");
        explains(error, Fault::Environment, &["1 at 127.0.0.1:1"]);
    };

    explains_it(&client.list_offset("t", 0, Start::First).await.unwrap_err());

    let writer = client.writer("t").delivery_timeout(Duration::from_secs(1)).build().unwrap();
    let delivery = soon::<R, _>(writer.send(Message::new("x"))).await.unwrap();
    let failed = soon::<R, _>(delivery).await.unwrap_err();
    assert_eq!(failed.fate, Fate::NotWritten);
    explains_it(&failed.error);

    let mut reader = client.reader("t").build().unwrap();
    match soon::<R, _>(reader.next_event()).await {
        Ok(Some(Event::Notice(error))) | Err(error) => explains_it(&error),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn two_clusters<R: Runtime>() {
    let clusters = [1, 2]
        .map(|seed| Cluster::builder().configure(|config| config.seed = seed).topic("t", 1).start().unwrap());
    let addresses = clusters.each_ref().map(Cluster::bootstrap);
    let client = client::<R>(&addresses.join(",")).connect().await.unwrap();
    let first = client.describe_cluster().await.unwrap();
    let address = format!("{}:{}", first.brokers[0].host, first.brokers[0].port);
    let own = addresses.iter().position(|a| *a == address).unwrap();
    goes_on::<R>(&client, "t").await;

    // The other one is met when the first is down.
    clusters[own].kill(0).unwrap();
    let error = loop {
        match soon::<R, _>(client.describe_cluster()).await {
            Ok(_) => pause::<R>(Duration::from_millis(20)).await,
            Err(error) => break error,
        }
    };
    let ConnectionError::OtherCluster { expected, .. } = connection(&error) else { panic!("{error:?}") };
    assert_eq!(Some(&**expected), first.id.as_deref());
    explains(&error, Fault::Caller, &[&addresses[1 - own]]);
    let written = clusters[1 - own].log("t", 0);
    assert!(written.is_empty(), "the other cluster got messages");
}

pub(crate) async fn bad_addresses_beside_a_good_one<R: Runtime>() {
    let cluster = Cluster::builder().topic("t", 1).start().unwrap();
    let http = answering(HTTP);
    let silent =
        Server::start(|mut stream| drop(stream.read(&mut [0; 1024]).and_then(|_| stream.read(&mut [0]))));
    let mute = broker(|header, request| match request {
        RequestKind::ApiVersions(_) => {
            let answer = default_answer(request, &(String::new(), 1)).unwrap();
            Reply::Last(encode(header, &answer))
        }
        _ => Reply::Last(Vec::new()),
    });
    let (dead, good) = (free_address(), cluster.bootstrap());
    let bad = [http.address(), silent.address(), mute.address(), dead];
    // Where a client begins depends on its seed.
    for seed in 0..6 {
        let addresses = format!("{},{good}", bad.join(","));
        let client = client::<R>(&addresses).seed(seed).connect().await.unwrap();
        goes_on::<R>(&client, "t").await;
    }
}
