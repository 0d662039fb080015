//! The contract between a client and its machines: writers, readers, and whatever else speaks to the cluster on its own.
//!
//! A machine lives under the client's lock and does no I/O. The client hands it what happened (`MachineInput`), then takes
//! from it all that it wants (`Out`) and the time at which it wants to be called. A request whose content is not settled
//! before a connection has room for it is pulled (`Out::Pull`) and built (`Machine::build`) then; any other is an [`Ask`].
//! What an application does to a machine is a `Command`.
//!
//! Invariants
//! * A machine depends on its inputs, commands and the time alone: the same ones give the same outs.
//! * It knows the client by `Cx` only, and the client knows it by `Machine` only.
//! * Nothing of others runs or is dropped in it: wakers, jobs and garbage leave as outs.

mod ask;
mod ids;
mod shares;
mod time;
mod timers;

pub(crate) use ask::{Answer, Ask, Hint, response};
pub use ask::{CoordinatorKind, Target};
pub(crate) use ids::{Lane, LaneKey};
pub use ids::{MachineId, OpId, Peer};
pub(crate) use shares::{SHARED_SINCE, Shares, TOPIC_IDS_SINCE};
pub use time::{Now, Time};
pub(crate) use timers::Timers;

use crate::error::Error;
use crate::link::{Answered, BrokerVersions, Payload, RequestId};
use crate::snapshot::{Cluster, TopicState};
use crate::trace::Trace;
use kafka_proto::{ApiKey, Str};
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// What of the client's settings its machines go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// From handing a request out to its response.
    pub(crate) request_timeout: Duration,
    /// The first wait before something is tried again.
    pub(crate) retry_backoff: Duration,
    /// The longest one.
    pub(crate) retry_backoff_max: Duration,
    /// After which what is known of the cluster is asked for again.
    pub(crate) metadata_max_age: Duration,
}

/// What a machine may know of the world beside what it is told.
pub(crate) struct Cx<'a> {
    pub(crate) now: Now,
    pub(crate) cluster: &'a Cluster,
    pub(crate) world: &'a dyn World,
    pub(crate) promises: &'a mut dyn Promise,
}

/// What the client knows and a machine may ask for.
pub(crate) trait World {
    /// What is known of a topic.
    fn topic(&self, name: &str) -> TopicState;

    /// Why nothing is known of a topic, where that should pass by itself and has lasted.
    fn lasting_trouble(&self, name: &str) -> Option<Error>;

    /// The oldest of the versions in which connected brokers speak an API.
    fn oldest(&self, api: ApiKey) -> Option<i16>;
}

/// Operations whose end somebody waits for.
pub(crate) trait Promise {
    /// A new one; [`Out::Done`] keeps it.
    fn promise(&mut self) -> OpId;
}

/// A machine, as the client knows it.
pub(crate) trait Machine: Any + Debug + Send {
    /// Takes what happened.
    fn handle(&mut self, cx: &mut Cx<'_>, input: MachineInput);

    /// The next thing that it wants; asked until there is none after anything that may have changed it.
    fn poll(&mut self, cx: &mut Cx<'_>) -> Option<Out>;

    /// When it wants a [`MachineInput::Timeout`].
    fn poll_timeout(&self) -> Option<Time>;

    /// Whether [`build`](Self::build) may give a request for the lane.
    fn wants(&self, key: LaneKey) -> bool;

    /// The next request for a lane that has room.
    fn build(&mut self, cx: &mut Cx<'_>, id: RequestId, key: LaneKey, to: &BrokerVersions) -> Option<Built>;

    /// Adds what it has for a lane to a request that another machine has built for it, as far as both can be in one.
    fn join(
        &mut self,
        _cx: &mut Cx<'_>,
        _id: RequestId,
        _key: LaneKey,
        _built: &mut Built,
        _shares: &mut Shares,
    ) {
    }

    /// Whether a client that nobody holds any more has to wait for it.
    fn is_leaving(&self) -> bool {
        false
    }

    /// The coordinator that it needs, if any.
    fn coordinator(&self) -> Option<(CoordinatorKind, &Str)> {
        None
    }

    /// Whether nothing is owed to anyone: what a test asserts at the end, so that a leak shows.
    fn is_quiescent(&self) -> bool;

    /// What of its own invariants of progress does not hold, in words, and the lanes that something waits for.
    fn stuck(&self, now: Time) -> Stuck;
}

/// What would stay as it is until something unrelated happens.
#[derive(Debug, Default)]
pub(crate) struct Stuck {
    pub(crate) found: Vec<String>,
    pub(crate) lanes: Vec<LaneKey>,
    /// It waits for metadata to change.
    pub(crate) needs_metadata: bool,
}

/// What happened to a machine.
#[derive(Debug)]
pub(crate) enum MachineInput {
    /// What became of an [`Ask`].
    Answer(Box<Answer>),
    /// What became of a request that was [built](Machine::build), or of its part in one that it [joined](Machine::join).
    Exchanged { id: RequestId, key: LaneKey, result: Result<Answered, Failure> },
    /// The socket took a request that is not answered.
    Sent(RequestId),
    /// The time has come.
    Timeout,
    /// A topic that it wants has another snapshot, or another state, than before.
    TopicChanged(Str),
    /// A lane that it may depend on is down.
    LaneDown(LaneKey, Error),
    /// The coordinator that it needs cannot be found for the moment.
    NoCoordinator(Error),
    /// No broker has told of any topic since then.
    NoMetadata { since: Time, error: Error },
    /// A [`Work`] was done.
    WorkDone(Box<dyn Done>),
    /// Its buffer has room again.
    RoomAgain,
    /// The client was closed: nothing more is sent.
    ClientClosed,
}

/// A request that was built and not answered.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The socket took all of it, so the broker may have executed it.
    pub(crate) is_taken: bool,
}

/// A request that was built for a lane.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) version: i16,
    pub(crate) payload: Payload,
    /// From now to its answer.
    pub(crate) timeout: Duration,
    /// Whether another machine may [join](Machine::join).
    pub(crate) has_room: bool,
}

/// What a machine wants.
#[derive(Debug)]
pub(crate) enum Out {
    /// To be answered by [`MachineInput::Answer`].
    Ask(Ask),
    /// A broker that is connected shall hear of it; nobody waits for its answer.
    Tell(Ask),
    /// There is something to [build](Machine::build) for a lane.
    Pull(LaneKey),
    Hint(Hint),
    /// The metadata of a topic, until [`Unwant`](Self::Unwant).
    Want(Str),
    Unwant(Str),
    /// To be done outside the lock.
    Work(Box<dyn Work>),
    /// Whoever waits for the machine shall look again.
    Wake,
    /// To be told outside the lock.
    Alert(Arc<dyn Alert>),
    /// A promise is kept.
    Done(OpId, Result<(), Error>),
    Trace(Trace),
    /// Something the cluster cannot do and the machine does without.
    Degraded(Error),
    /// To be dropped outside the lock.
    Garbage(Box<dyn Any + Send>),
    /// The machine has ended, and is dropped.
    End,
}

/// Something heavy, or of the application, that is run outside the lock.
pub(crate) trait Work: Debug + Send {
    fn run(self: Box<Self>) -> Box<dyn Done>;

    /// Returns what came of it in a run that was recorded, out of its [note](Done::note); `None` where that is none.
    #[cfg(feature = "record")]
    fn redo(self: Box<Self>, note: &[u8]) -> Option<Box<dyn Done>>;
}

/// What came of a [`Work`].
pub(crate) trait Done: Any + Debug + Send {
    /// What a recording keeps of it. It holds no records.
    #[cfg(feature = "record")]
    fn note(&self) -> Vec<u8>;
}

/// Somebody who is told outside the lock that something he waits for has happened.
pub(crate) trait Alert: Debug + Send + Sync {
    fn alert(&self);
}

/// What an application does to a machine.
pub(crate) trait Command {
    type Machine: Machine;
    type Reply: Debug;

    /// Its name in a recording.
    #[cfg(feature = "record")]
    const NAME: &'static str;

    fn run(self, machine: &mut Self::Machine, cx: &mut Cx<'_>) -> Self::Reply;

    /// What a recording keeps of it beside its name.
    #[cfg(feature = "record")]
    fn args(&self) -> Vec<u8>;
}

/// Runs a command that was kept by its arguments, and returns the reply; `None` where they are none of it, and `Some(None)` where the
/// machine is another one.
#[cfg(feature = "record")]
pub(crate) type Replayed = fn(&mut dyn Machine, &mut Cx<'_>, &[u8]) -> Option<Option<Box<dyn Debug>>>;

#[cfg(feature = "record")]
pub(crate) fn replayed<C>(
    machine: &mut dyn Machine,
    cx: &mut Cx<'_>,
    args: &[u8],
) -> Option<Option<Box<dyn Debug>>>
where
    C: Command<Reply: 'static> + serde::de::DeserializeOwned,
{
    let command: C = crate::tape::read(args)?;
    let machine = (machine as &mut dyn Any).downcast_mut::<C::Machine>();
    Some(machine.map(|machine| Box::new(command.run(machine, cx)) as Box<dyn Debug>))
}

/// Implements [`Command`] for the commands of a machine, which looks at its `has_news` before it says that it wants nothing; with
/// `all as`, lists them for a replay.
macro_rules! commands {
    ($of:ty, all as $all:ident; $($command:ident -> $reply:ty: |$self:ident, $machine:ident, $cx:ident| $run:expr;)*) => {
        /// All commands, by name.
        #[cfg(feature = "record")]
        pub(crate) const $all: &[(&str, $crate::machine::Replayed)] =
            &[$((concat!(stringify!($of), "::", stringify!($command)), $crate::machine::replayed::<$command>)),*];

        $crate::machine::commands! { $of; $($command -> $reply: |$self, $machine, $cx| $run;)* }
    };
    ($of:ty; $($command:ident -> $reply:ty: |$self:ident, $machine:ident, $cx:ident| $run:expr;)*) => {$(
        impl $crate::machine::Command for $command {
            type Machine = $of;
            type Reply = $reply;

            #[cfg(feature = "record")]
            const NAME: &'static str = concat!(stringify!($of), "::", stringify!($command));

            fn run(self, $machine: &mut $of, $cx: &mut $crate::machine::Cx<'_>) -> $reply {
                let $self = self;
                $machine.has_news = true;
                $run
            }

            #[cfg(feature = "record")]
            fn args(&self) -> Vec<u8> {
                $crate::tape::write(self)
            }
        }
    )*};
}
pub(crate) use commands;
