//! No tokio runtime, or none any more.

use crate::support::{block_on_tokio, client, explains, soon};
use kafka_core::{ErrorKind, Fate, Fault, Message};
use kafka_testkit::Cluster;
use kafka_tokio::Tokio;
use std::time::Duration;
use tokio::runtime::Runtime;

pub(crate) fn outside_a_runtime() {
    let error = client::<Tokio>("127.0.0.1:1").build().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Misuse(_)), "{error:?}");
    explains(&error, Fault::Caller, &["no tokio runtime"]);
    // One by name serves as well as the one around the call.
    let runtime = Runtime::new().unwrap();
    client::<Tokio>("127.0.0.1:1").runtime(Tokio::new(runtime.handle().clone())).build().unwrap();
}

pub(crate) fn runtime_dropped() {
    let cluster = Cluster::builder().topic("t", 1).start().unwrap();
    cluster.mute(0).unwrap();
    let runtime = Runtime::new().unwrap();
    let builder = client::<Tokio>(&cluster.bootstrap()).call_timeout(Duration::from_secs(3600));
    let client = builder.runtime(Tokio::new(runtime.handle().clone())).build().unwrap();
    let writer = client.writer("t").build().unwrap();
    let mut reader = client.reader("t").build().unwrap();
    block_on_tokio(async move {
        let asked = client.clone();
        let call = tokio::spawn(async move { asked.describe_cluster().await });
        let sent = tokio::spawn(async move { writer.send(Message::new("x")).await });
        let read = tokio::spawn(async move { reader.next_event().await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        runtime.shutdown_background();

        let error = soon::<Tokio, _>(call).await.unwrap().unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Closed);
        explains(&error, Fault::Caller, &[]);
        let failed = soon::<Tokio, _>(sent).await.unwrap().unwrap_err();
        assert_eq!((failed.error.kind(), failed.fate), (&ErrorKind::Closed, Fate::NotWritten));
        assert!(soon::<Tokio, _>(read).await.unwrap().unwrap().is_none());
        // What is begun afterwards ends as well.
        let error = soon::<Tokio, _>(client.topic("t")).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Closed);
    });
}
