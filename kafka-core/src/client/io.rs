//! What goes into the client state machine, and what comes out of it.

use crate::error::{ConnectionError, Error};
use crate::link::{Answered, BrokerVersions, ConnId, LinkConfig, RequestId, Unanswered};
use crate::machine::{Alert, Done, MachineId, OpId, Time, Work};
use crate::trace::Trace;
use kafka_proto::Str;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// What the outside world tells the client. Time comes beside it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// The other side has taken the connection; whether it is a broker is not known yet.
    Accepted(ConnId),
    /// A connection is set up, with the versions its broker told.
    Connected {
        /// The connection.
        conn: ConnId,
        /// What the broker speaks.
        versions: Arc<BrokerVersions>,
    },
    /// A request was answered.
    Response {
        /// The connection.
        conn: ConnId,
        /// The request.
        id: RequestId,
        /// The answer.
        response: Answered,
        /// How long the broker asks for silence.
        throttle: Duration,
    },
    /// A request that is not answered was taken by the socket.
    Sent {
        /// The connection.
        conn: ConnId,
        /// The request.
        id: RequestId,
    },
    /// A request could not be encoded; nothing of it was sent.
    Refused {
        /// The connection.
        conn: ConnId,
        /// The request.
        id: RequestId,
        /// Why.
        error: Error,
    },
    /// A connection has ended, or could not be made.
    Closed {
        /// The connection.
        conn: ConnId,
        /// Why.
        error: ConnectionError,
        /// What was handed out to it and not answered.
        unanswered: Vec<Unanswered>,
    },
    /// A [`Job`] was run.
    JobDone(JobDone),
    /// A deadline may have passed.
    Timeout,
    /// The buffer of a machine has room again.
    RoomAgain(MachineId),
}

/// Low-rate orders to the driver.
///
/// It is exhaustive: a loop that passes over one of them does not work.
#[derive(Debug)]
pub enum Action {
    /// Look up the name, connect, and run the link; report [`Input::Connected`] or [`Input::Closed`].
    Connect {
        /// The new connection.
        conn: ConnId,
        /// Name or address.
        host: Str,
        /// Port.
        port: u16,
        /// When the attempt is over; the addresses of a name share the time until then.
        deadline: Time,
        /// For its link.
        link: LinkConfig,
    },
    /// End the connection; report [`Input::Closed`].
    Close(ConnId),
    /// Heavy and pure: run it anywhere outside the lock, then report [`Input::JobDone`].
    Run(Job),
}

/// Something that a machine wants to be done outside the lock.
#[derive(Debug)]
pub struct Job {
    pub(crate) machine: MachineId,
    /// In the order of being ordered.
    pub(crate) number: u64,
    pub(crate) work: Box<dyn Work>,
}

/// A job that was run.
#[derive(Debug)]
pub struct JobDone {
    pub(crate) machine: MachineId,
    #[cfg_attr(not(feature = "record"), expect(dead_code, reason = "only a recording needs it"))]
    pub(crate) number: u64,
    pub(crate) done: Box<dyn Done>,
}

impl Job {
    /// Runs the job.
    pub fn run(self) -> JobDone {
        let Self { machine, number, work } = self;
        JobDone { machine, number, done: work.run() }
    }
}

/// What can be waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Key {
    /// [`Client::poll_transmit`](crate::sans_io::Client::poll_transmit) may have something for this connection.
    Conn(ConnId),
    /// The outcome of an operation can be taken, such as that of a [call](crate::sans_io::Call::take).
    Op(OpId),
    /// A machine may have something to take, or has ended.
    Machine(MachineId),
    /// One of the machines has ended.
    AnyMachine,
    /// [`Client::topic`](crate::sans_io::Client::topic) may answer otherwise than before.
    Topic(Str),
}

/// A hint that something is to be had.
///
/// It is exhaustive: a loop that passes over one of them does not work.
#[derive(Debug)]
pub enum Event {
    /// Whoever waits for this shall look again.
    Wake(Key),
    /// Somebody is to be told outside the lock that what he waits for has happened.
    Notify(Notify),
    /// Something the cluster cannot do and the client does without; told once.
    Degraded(Error),
    /// The client that nobody held any more has ended.
    Ended,
    /// Something that must be dropped outside the lock.
    Garbage(Garbage),
    /// An event for `tracing`, to be emitted outside the lock.
    Trace(Trace),
}

/// What the client has no more use for. Dropping it can call wakers, run code of the application (assignors, balancers) or
/// free much memory, so it must not happen under a lock.
#[derive(Debug)]
pub struct Garbage(#[expect(dead_code, reason = "it is only dropped")] pub(super) Box<dyn Any + Send>);

/// Whoever waits for something that has happened. It is to be told outside the lock.
#[derive(Debug)]
pub struct Notify(pub(super) Arc<dyn Alert>);

impl Notify {
    /// Tells it.
    pub fn notify(self) {
        self.0.alert();
    }
}
