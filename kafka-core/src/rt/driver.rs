//! One task a client: carries out the core's orders and owns its only timer.

use super::conn::{Inbound, Outbound};
use super::runtime::Runtime;
use super::shared::{DriverWaker, Shared, State};
use crate::client::{Action, Input, Key};
use crate::error::{ConnectionError, lost};
use crate::link::{ConnId, LinkConfig, Unanswered, link};
use crate::machine::{MachineId, Time};
use kafka_proto::Str;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// Why the driver woke up.
enum Woken {
    Called,
    RoomAgain(Vec<MachineId>),
    Timer,
}

pub(crate) fn run<R: Runtime>(
    runtime: R,
    shared: Arc<Shared>,
    budget: DriverWaker,
) -> impl Future<Output = ()> + Send {
    // A runtime that is shut down drops this task, perhaps before its first poll: nobody shall wait for ever then.
    let end = EndOfDriver(shared);
    async move { carry_out_all(&runtime, &end.0, &budget).await }
}

async fn carry_out_all<R: Runtime>(runtime: &R, shared: &Arc<Shared>, budget: &DriverWaker) {
    loop {
        while let Some(action) = shared.with(|state| state.core.poll_action()) {
            carry_out(runtime, shared, action);
        }
        let armed = shared.with(|state| (!state.is_shut_down()).then(|| state.arm()));
        let Some(armed) = armed else { return };
        match sleep(runtime, shared, budget, armed).await {
            Woken::Called => {}
            Woken::RoomAgain(machines) => {
                machines.into_iter().for_each(|machine| shared.input(Input::RoomAgain(machine)));
            }
            Woken::Timer => shared.input(Input::Timeout),
        }
    }
}

struct EndOfDriver(Arc<Shared>);

impl Drop for EndOfDriver {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

async fn sleep<R: Runtime>(runtime: &R, shared: &Shared, budget: &DriverWaker, armed: Option<Time>) -> Woken {
    let timer = async {
        match armed {
            Some(at) => runtime.sleep_until(shared.instant(at)).await,
            None => std::future::pending().await,
        }
    };
    let mut timer = pin!(timer);
    poll_fn(|cx| {
        if shared.poll(cx, State::driver_called) {
            return Poll::Ready(Woken::Called);
        }
        let machines = budget.poll(cx);
        if !machines.is_empty() {
            return Poll::Ready(Woken::RoomAgain(machines));
        }
        timer.as_mut().poll(cx).map(|()| Woken::Timer)
    })
    .await
}

fn carry_out<R: Runtime>(runtime: &R, shared: &Arc<Shared>, action: Action) {
    match action {
        Action::Connect { conn, host, port, deadline, link } => {
            let deadline = shared.instant(deadline);
            let attempt = Attempt { conn, host, port, deadline, link };
            runtime.spawn(connection(runtime.clone(), shared.clone(), attempt));
        }
        Action::Close(conn) => shared.with(|state| state.end_conn(conn)),
        Action::Run(job) => {
            let shared = shared.clone();
            runtime.offload(move || shared.input(Input::JobDone(job.run())));
        }
    }
}

struct Attempt {
    conn: ConnId,
    host: Str,
    port: u16,
    deadline: Instant,
    link: LinkConfig,
}

/// A connection's task. One that is dropped, since it got no thread or its runtime ended, counts as a lost connection.
fn connection<R: Runtime>(
    runtime: R,
    shared: Arc<Shared>,
    attempt: Attempt,
) -> impl Future<Output = ()> + Send {
    let mut end = EndOfConnection::new(shared, attempt.conn);
    async move {
        let how = connect_and_drive(&runtime, &end.shared, attempt).await;
        end.how = Some(how);
        drop(end);
    }
}

struct EndOfConnection {
    shared: Arc<Shared>,
    conn: ConnId,
    how: Option<(ConnectionError, Vec<Unanswered>)>,
}

impl EndOfConnection {
    fn new(shared: Arc<Shared>, conn: ConnId) -> Self {
        shared.with(|state| state.conn_begun(conn));
        let dropped = (ConnectionError::Lost("its task was not run to the end".into()), Vec::new());
        Self { shared, conn, how: Some(dropped) }
    }
}

impl Drop for EndOfConnection {
    fn drop(&mut self) {
        self.shared.with(|state| state.conn_gone(self.conn));
        if let Some((error, unanswered)) = self.how.take() {
            self.shared.input(Input::Closed { conn: self.conn, error, unanswered });
        }
    }
}

async fn connect_and_drive<R: Runtime>(
    runtime: &R,
    shared: &Arc<Shared>,
    attempt: Attempt,
) -> (ConnectionError, Vec<Unanswered>) {
    let conn = attempt.conn;
    match unless_ended(shared, conn, connect(runtime, &attempt)).await {
        Err(error) => (error, Vec::new()),
        Ok(stream) => {
            shared.input(Input::Accepted(conn));
            let (inbound, outbound) = link(attempt.link);
            let inbound = Inbound::new(shared.clone(), conn, inbound);
            let outbound = Outbound::new(shared.clone(), conn, outbound);
            let (error, mut inbound) = runtime.drive(stream, inbound, outbound).await;
            (error, inbound.finish())
        }
    }
}

/// Tries the addresses of a name one after the other; each gets an equal part of the time that is left.
async fn connect<R: Runtime>(runtime: &R, attempt: &Attempt) -> Result<R::Stream, ConnectionError> {
    let resolved = runtime.resolve(attempt.host.clone(), attempt.port).await;
    let addresses = resolved.map_err(|e| ConnectionError::Resolve(e.into()))?;
    let mut failed = ConnectionError::Resolve("none".into());
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for (tried, address) in (0..).zip(interleave(addresses)) {
        let now = runtime.now();
        let part = attempt.deadline.saturating_duration_since(now) / (count - tried).max(1);
        match runtime.connect(address, now + part).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = lost(error),
        }
    }
    Err(failed)
}

/// IPv6 and IPv4 in turn (RFC 8305), so that a dead family costs one attempt.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = (six.next(), four.next());
        mixed.extend(pair.0);
        mixed.extend(pair.1);
        if pair == (None, None) {
            return mixed;
        }
    }
}

/// Runs the future unless the connection is told to end first.
async fn unless_ended<T>(
    shared: &Shared,
    conn: ConnId,
    future: impl Future<Output = Result<T, ConnectionError>>,
) -> Result<T, ConnectionError> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let ended = shared.poll(cx, |state, wait| {
            if !state.is_ending(conn) {
                state.wait(Key::Conn(conn), wait);
                return false;
            }
            true
        });
        if ended {
            return Poll::Ready(Err(ConnectionError::ClosedByClient));
        }
        future.as_mut().poll(cx)
    })
    .await
}
