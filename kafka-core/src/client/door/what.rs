//! What can enter a client.

use crate::client::{Input, JobDone};
use crate::error::{ConnectionError, Error};
use crate::link::{Answered, BrokerVersions, ConnId, Digested, RequestId, Unanswered};
use crate::machine::{MachineId, OpId, Target, Time};
use crate::reader::Fetched;
use crate::snapshot::TopicPartition;
use kafka_proto::{Bytes, RequestKind, ResponseKind, Str, Uuid};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::time::Duration;

/// What entered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum What {
    // Inputs.
    Accepted(ConnId),
    Connected {
        conn: ConnId,
        versions: BrokerVersions,
    },
    Response {
        conn: ConnId,
        id: RequestId,
        response: Response,
        throttle: Duration,
    },
    Sent {
        conn: ConnId,
        id: RequestId,
    },
    Refused {
        conn: ConnId,
        id: RequestId,
        error: Error,
    },
    Closed {
        conn: ConnId,
        error: ConnectionError,
        unanswered: Vec<Unanswered>,
    },
    JobDone {
        number: u64,
        done: Bytes,
    },
    Timeout,
    RoomAgain(MachineId),
    // The application.
    /// A machine of this kind, such as `writer`, with its settings.
    Add {
        kind: Cow<'static, str>,
        spec: Bytes,
    },
    Command {
        machine: MachineId,
        name: Cow<'static, str>,
        args: Bytes,
    },
    Call {
        target: Target,
        #[serde(with = "boxed::request")]
        request: Box<RequestKind>,
        timeout: Option<Duration>,
    },
    CancelCall(OpId),
    Alarm(Time),
    Forget(OpId),
    Take(OpId),
    Backoff(u32),
    RefreshMetadata,
    TopicMade {
        name: Str,
        id: Option<[u8; 16]>,
    },
    TopicDeleted {
        name: Str,
        id: [u8; 16],
    },
    WantTopic(Str),
    UnwantTopic(Str),
    WantPartition(TopicPartition),
    UnwantPartition(TopicPartition),
    Retire,
    Close,
    // What asks for something to leave.
    Transmit(ConnId),
    Action,
    Event,
}

/// A response, lifted to the newest form.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    Plain(#[serde(with = "boxed::response")] Box<ResponseKind>),
    Fetched(Box<Fetched>),
}

/// Messages in boxes.
mod boxed {
    macro_rules! boxed {
        ($name:ident, $kind:ident) => {
            pub(in super::super) mod $name {
                use crate::tape::with::$name;
                use kafka_proto::$kind;
                use serde::{Deserializer, Serializer};

                pub(crate) fn serialize<S: Serializer>(of: &Box<$kind>, to: S) -> Result<S::Ok, S::Error> {
                    $name::serialize(of, to)
                }

                pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
                    from: D,
                ) -> Result<Box<$kind>, D::Error> {
                    $name::deserialize(from).map(Box::new)
                }
            }
        };
    }

    boxed!(request, RequestKind);
    boxed!(response, ResponseKind);
}

impl Response {
    fn of(answered: &Answered) -> Self {
        match answered {
            Answered::Plain(response) => Self::Plain(response.clone()),
            Answered::Digested(digested) => Self::Fetched(Box::new(fetched(digested.as_ref()))),
        }
    }

    /// Returns the answer that it was.
    pub(crate) fn into_answered(self) -> Answered {
        match self {
            Self::Plain(response) => Answered::Plain(response),
            Self::Fetched(fetched) => Answered::Digested(fetched),
        }
    }
}

/// A fetch response without its frame: nothing else is digested.
fn fetched(digested: &dyn Digested) -> Fetched {
    let mut fetched = (digested as &dyn Any).downcast_ref::<Fetched>().cloned().unwrap_or_default();
    drop(fetched.take_frame());
    fetched
}

impl What {
    pub(crate) fn input(input: &Input) -> Self {
        match input {
            Input::Accepted(conn) => Self::Accepted(*conn),
            Input::Connected { conn, versions } => {
                Self::Connected { conn: *conn, versions: BrokerVersions::clone(versions) }
            }
            Input::Response { conn, id, response, throttle } => {
                Self::Response { conn: *conn, id: *id, response: Response::of(response), throttle: *throttle }
            }
            Input::Sent { conn, id } => Self::Sent { conn: *conn, id: *id },
            Input::Refused { conn, id, error } => {
                Self::Refused { conn: *conn, id: *id, error: error.clone() }
            }
            Input::Closed { conn, error, unanswered } => {
                Self::Closed { conn: *conn, error: error.clone(), unanswered: unanswered.clone() }
            }
            Input::JobDone(JobDone { number, done, .. }) => {
                Self::JobDone { number: *number, done: done.note().into() }
            }
            Input::Timeout => Self::Timeout,
            Input::RoomAgain(machine) => Self::RoomAgain(*machine),
        }
    }

    pub(crate) fn topic_made(name: &Str, id: Option<Uuid>) -> Self {
        Self::TopicMade { name: name.clone(), id: id.map(|id| id.0) }
    }
}
