//! What all cases share: a watchdog, a client with short deadlines, and what every error must have.

use kafka_core::runtime::Runtime;
use kafka_core::{Client, ClientBuilder, ConnectionError, Error, ErrorKind, Fault, Message};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// No case waits for so long; one that does hangs.
const HANGS: Duration = Duration::from_secs(90);
/// The deadline of connecting and of calls.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);

/// Runs a case in a thread named after the test; one that hangs fails.
pub(crate) fn watched(name: &str, case: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        case();
        let _ = done.send(());
    });
    let thread = thread.unwrap();
    if let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(HANGS) {
        panic!("{name} hangs");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a case on a tokio runtime of its own.
pub(crate) fn block_on_tokio(case: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(case);
}

/// Runs a case in this thread, as kafka-blocking does its own calls. Its timers are known to nobody but its own parker,
/// so that this one looks now and then.
pub(crate) fn block_on_threads(case: impl Future<Output = ()>) {
    let mut case = pin!(case);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    while case.as_mut().poll(&mut cx).is_pending() {
        thread::park_timeout(Duration::from_millis(10));
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A client whose connecting and calls end soon.
pub(crate) fn client<R: Runtime>(addresses: &str) -> ClientBuilder<R> {
    ClientBuilder::new(addresses)
        .connect_timeout(DEADLINE)
        .call_timeout(DEADLINE)
        .request_timeout(DEADLINE)
        .reconnect_backoff(Duration::from_millis(10), Duration::from_millis(100))
        .retry_backoff(Duration::from_millis(10), Duration::from_millis(100))
        .unknown_topic_grace(Duration::from_millis(200))
}

/// The error of connecting to addresses that are no good.
pub(crate) async fn refused<R: Runtime>(addresses: &str) -> Error {
    let soon = client::<R>(addresses).connect_timeout(Duration::from_secs(1));
    soon.connect().await.expect_err("connected to what is no broker")
}

/// The cause behind a deadline that passed, if it is one.
pub(crate) fn cause(error: &Error) -> &Error {
    match error.kind() {
        ErrorKind::TimedOut { last: Some(last), .. } => cause(last),
        _ => error,
    }
}

/// The connection's error behind an error, which must be one.
pub(crate) fn connection(error: &Error) -> &ConnectionError {
    match cause(error).kind() {
        ErrorKind::Connection(error) => error,
        _ => panic!("no connection error: {error:?}"),
    }
}

/// What every error has: whose fault it is, what to do, and where it was.
pub(crate) fn explains(error: &Error, fault: Fault, named: &[&str]) {
    println!("{} -> {error} | {:?} | {}", case(), error.fault(), error.advice());
    assert_eq!(error.fault(), fault, "{error:?}");
    assert!(error.advice().len() > 10, "{error:?}");
    let twice = error.to_string().matches("api ").count() > 1;
    assert!(!twice, "the place is said twice: {error:?}");
    for part in named {
        assert!(error.to_string().contains(part), "{part} is not named: {error:?}");
    }
}

/// The name of the test of this thread.
pub(crate) fn case() -> String {
    let name = thread::current().name().unwrap_or_default().to_owned();
    name.split_once("::").map_or(name.clone(), |(_, test)| test.to_owned())
}

/// Lets so much time pass.
pub(crate) async fn pause<R: Runtime>(time: Duration) {
    R::current().unwrap().sleep_until(Instant::now() + time).await;
}

/// The future's output, unless it needs longer than that.
pub(crate) async fn within<R: Runtime, T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut timer = pin!(pause::<R>(time));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// The future's output; it must not take longer than any deadline.
pub(crate) async fn soon<R: Runtime, T>(future: impl Future<Output = T>) -> T {
    within::<R, T>(Duration::from_secs(30), future).await.expect("it takes longer than its deadline")
}

/// Writes a message and reads one back: the rest goes on.
pub(crate) async fn goes_on<R: Runtime>(client: &Client, topic: &str) {
    let writer = client.writer(topic.to_owned()).build().unwrap();
    soon::<R, _>(writer.write_all([Message::new("goes on")])).await.unwrap();
    let mut reader = client.reader(topic.to_owned()).build().unwrap();
    loop {
        let message = soon::<R, _>(reader.fetch()).await.unwrap().unwrap();
        if message.value.as_deref() == Some(b"goes on") {
            return;
        }
    }
}
