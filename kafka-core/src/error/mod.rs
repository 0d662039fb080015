//! The one error of the client: what went wrong, whose fault it is, where, and what to do about it.
//!
//! An [`Error`] is cheap to clone, since one broken connection fails many waiters at once.

mod advice;
mod cause;
mod connection;
mod io;
#[cfg(feature = "record")]
mod recorded;

pub use cause::Cause;
pub use connection::ConnectionError;
pub(crate) use io::lost;

use kafka_proto::error_code::ErrorCode;
use kafka_proto::{ApiKey, ResponseKind, Str, Uuid};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// `str` by a name that serde's macros take for no text of the bytes that are read.
type Text = str;

/// A result of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong ([`Error::kind`]) and where (API, broker, topic, partition, group).
#[derive(Clone, PartialEq)]
pub struct Error(Arc<Inner>);

#[derive(Clone, PartialEq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
struct Inner {
    kind: ErrorKind,
    context: Context,
}

/// Where an error happened; every part is there only where it applies.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Context {
    /// The API of the request.
    #[cfg_attr(feature = "record", serde(with = "crate::tape::with::api"))]
    pub api: Option<ApiKey>,
    /// The broker: its id where known, and `host:port`.
    pub broker: Option<Str>,
    /// The topic.
    pub topic: Option<Str>,
    /// The partition.
    pub partition: Option<i32>,
    /// The consumer group.
    pub group: Option<Str>,
    /// What else the broker or the system said.
    pub detail: Option<Str>,
}

/// Who has to act so that the error goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The program that uses this library: a setting, an argument, an order of calls.
    Caller,
    /// The broker or its configuration, or the rights of the user on it.
    Broker,
    /// The network, name service or machine.
    Environment,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum ErrorKind {
    /// A setting is out of its range or contradicts another.
    #[error("setting `{setting}`: {problem}")]
    Config {
        /// The name of the setting.
        #[cfg_attr(feature = "record", serde(with = "crate::tape::with::text"))]
        setting: &'static Text,
        /// What is wrong with it, and what is allowed.
        problem: String,
    },
    /// An address of a broker could not be understood.
    #[error("address `{address}`: {problem}")]
    Address {
        /// The address as given.
        address: String,
        /// What is wrong with it.
        #[cfg_attr(feature = "record", serde(with = "crate::tape::with::text"))]
        problem: &'static Text,
    },
    /// A connection could not be made or broke.
    #[error("connection: {0}")]
    Connection(#[from] ConnectionError),
    /// The broker answered with an error code.
    #[error("broker answered {0}")]
    Broker(#[cfg_attr(feature = "record", serde(with = "crate::tape::with::code"))] ErrorCode),
    /// The deadline of a call passed; `last` says what stood in its way.
    #[error("timed out after {:?}{}", to_ms(*.after), last_error(.last))]
    TimedOut {
        /// How long was waited.
        after: Duration,
        /// The last error met on the way, if any.
        last: Option<Error>,
    },
    /// The broker is too old, or configured so, for a feature.
    #[error("the broker does not support {feature}, which needs {needs}")]
    Unsupported {
        /// The feature, such as "record headers".
        #[cfg_attr(feature = "record", serde(with = "crate::tape::with::text"))]
        feature: &'static Text,
        /// What it needs, such as "Kafka 0.11".
        #[cfg_attr(feature = "record", serde(with = "crate::tape::with::text"))]
        needs: &'static Text,
    },
    /// A record is larger than a setting or the broker allows.
    #[error("message of {size} bytes is too large: `{setting}` is {limit}")]
    MessageTooLarge {
        /// The size of the message on the wire, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
        /// The setting of the writer or the reader that limits it.
        #[cfg_attr(feature = "record", serde(with = "crate::tape::with::text"))]
        setting: &'static Text,
    },
    /// Neither or both of writer and message name a topic, or the message names a partition that the topic lacks.
    #[error("{0}")]
    InvalidMessage(#[cfg_attr(feature = "record", serde(with = "crate::tape::with::text"))] &'static Text),
    /// The balancer panicked or answered with a partition that does not exist.
    #[error("the balancer {0}")]
    Balancer(String),
    /// A [`Pattern`](crate::Pattern) cannot be parsed, or would become too large.
    #[error("pattern `{pattern}`: {problem}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The assignor of a group panicked or made an assignment that cannot be.
    #[error("the assignor {0}")]
    Assignor(String),
    /// A batch that was read is damaged or cannot be decompressed.
    #[error("records at offset {offset} cannot be read{}: {problem}", behind(.next))]
    Corrupt {
        /// The offset at which reading stopped.
        offset: i64,
        /// The first offset behind the damaged batch: a seek to it passes all of the damage. `None` where it is not known.
        next: Option<i64>,
        /// What is wrong.
        problem: String,
    },
    /// The partition's log no longer has, or never had, the position that was to be read.
    #[error("offset {offset} is out of range")]
    OffsetOutOfRange {
        /// The position.
        offset: i64,
    },
    /// The group has committed no offset of the partition, and the reader was told to start at
    /// [`Start::Committed`](crate::Start::Committed) only. The reset policy does not apply here.
    #[error("no committed offset")]
    NoOffset,
    /// The log was truncated below the position (unclean leader election).
    #[error("the log was truncated to offset {to}")]
    Truncated {
        /// The first offset that differs.
        to: i64,
    },
    /// The topic was deleted and created again: the position means nothing in the one that is there now.
    #[error("{}", made_again(*.old, *.new))]
    TopicRecreated {
        /// The id of the topic that was read.
        #[cfg_attr(feature = "record", serde(with = "crate::tape::with::uuid"))]
        old: Uuid,
        /// The id of the topic that has its name now.
        #[cfg_attr(feature = "record", serde(with = "crate::tape::with::uuid"))]
        new: Uuid,
    },
    /// What the application keeps of a reader's messages takes up the buffer, so that the reader fetches little at a time. A
    /// message shares the memory of everything that was fetched with it until [`Record::detach`](crate::Record::detach).
    #[error("kept messages hold {kept} bytes, for {lasted:?} now; the reader's buffer is {limit} bytes")]
    BufferKept {
        /// How many bytes of fetched answers are kept.
        kept: usize,
        /// The size of the buffer in bytes.
        limit: usize,
        /// For how long at least half of the buffer has been kept and fetches found no room.
        lasted: Duration,
    },
    /// A commit of a generation that has ended, or of another reader's message.
    #[error("the commit is of an assignment that has ended, or of another reader's message")]
    StaleCommit,
    /// The client, writer or reader was closed.
    #[error("the client, or this part of it, is closed")]
    Closed,
    /// The call makes no sense here.
    #[error("misuse: {0}")]
    Misuse(#[cfg_attr(feature = "record", serde(with = "crate::tape::with::text"))] &'static Text),
    /// The bytes of a response could not be understood.
    #[error("the response could not be decoded: {0}")]
    Decode(String),
    /// A request could not be encoded.
    #[error("the request cannot be encoded: {0}")]
    Encode(String),
}

/// What is known of a record that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Fate {
    /// It is not in the log and never will be.
    NotWritten,
    /// It may be in the log: a request with it was sent, and not answered.
    PossiblyWritten,
}

impl Error {
    /// An error without a place yet.
    pub fn new(kind: impl Into<ErrorKind>) -> Self {
        Self(Arc::new(Inner { kind: kind.into(), context: Context::default() }))
    }

    /// A setting that cannot be.
    pub fn config(setting: &'static str, problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config { setting, problem: problem.into() })
    }

    /// What a broker answered.
    pub fn of_code(code: ErrorCode) -> Self {
        Self::new(ErrorKind::Broker(code))
    }

    /// An answer of another API than was asked: cannot be, since the link decodes by the request.
    pub(crate) fn unexpected(response: &ResponseKind) -> Self {
        Self::new(ErrorKind::Decode(format!("unexpected {} response", response.api_key().name())))
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Returns where it went wrong. The type is `kafka_core::Context`; adapters do not re-export it. The getters of this type, such as
    /// [`topic`](Self::topic), return its fields.
    pub fn context(&self) -> &Context {
        &self.0.context
    }

    /// The broker's error code, where a broker answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self.kind() {
            ErrorKind::Broker(code) => Some(*code),
            ErrorKind::TimedOut { last: Some(last), .. } => last.code(),
            _ => None,
        }
    }

    /// The API of the request, where one was made.
    ///
    /// Of a call that timed out, this and the other parts of the place are those of the last error where the call itself has none.
    pub fn api(&self) -> Option<ApiKey> {
        self.place(|context| context.api)
    }

    /// The broker, as `id at host:port`, or `host:port` where no broker has told its id.
    pub fn broker(&self) -> Option<&Str> {
        self.place(|context| context.broker.as_ref())
    }

    /// The topic.
    pub fn topic(&self) -> Option<&Str> {
        self.place(|context| context.topic.as_ref())
    }

    /// The partition of the topic.
    pub fn partition(&self) -> Option<i32> {
        self.place(|context| context.partition)
    }

    /// The group.
    pub fn group(&self) -> Option<&Str> {
        self.place(|context| context.group.as_ref())
    }

    /// What the broker, or the system, said of it beyond its code.
    pub fn detail(&self) -> Option<&Str> {
        self.place(|context| context.detail.as_ref())
    }

    /// The part of the place of this error, or else of the last one before the time was over.
    fn place<'a, T>(&'a self, part: impl Fn(&'a Context) -> Option<T>) -> Option<T> {
        let mut error = self;
        loop {
            match (part(error.context()), error.kind()) {
                (None, ErrorKind::TimedOut { last: Some(last), .. }) => error = last,
                (part, _) => return part,
            }
        }
    }

    /// Who has to act.
    pub fn fault(&self) -> Fault {
        use ErrorKind::*;
        match self.kind() {
            Config { .. } | Address { .. } | MessageTooLarge { .. } | InvalidMessage(_) => Fault::Caller,
            Balancer(_) | Assignor(_) | StaleCommit | Closed | Misuse(_) | Encode(_) | NoOffset => {
                Fault::Caller
            }
            BufferKept { .. } | Pattern { .. } => Fault::Caller,
            Connection(error) => error.fault(),
            Broker(code) => code_fault(*code),
            TimedOut { last, .. } => last.as_ref().map_or(Fault::Environment, Error::fault),
            Unsupported { .. } | Corrupt { .. } | OffsetOutOfRange { .. } | Truncated { .. } | Decode(_) => {
                Fault::Broker
            }
            TopicRecreated { .. } => Fault::Broker,
        }
    }

    /// Whether the same call may succeed later without any change.
    pub fn is_retriable(&self) -> bool {
        match self.kind() {
            ErrorKind::Broker(code) => code.is_retriable(),
            ErrorKind::Connection(error) => error.is_retriable(),
            ErrorKind::TimedOut { .. } => true,
            _ => false,
        }
    }

    /// A connection's failure that may have any cause.
    pub(crate) fn is_symptom(&self) -> bool {
        match self.kind() {
            ErrorKind::Connection(error) => error.telling() < 2,
            ErrorKind::TimedOut { last, .. } => last.as_ref().is_none_or(Self::is_symptom),
            _ => false,
        }
    }

    /// What to do about it, in a sentence.
    pub fn advice(&self) -> &'static str {
        advice::advice(self)
    }

    /// The same error with its place filled in.
    #[must_use]
    pub(crate) fn with_context(mut self, fill: impl FnOnce(&mut Context)) -> Self {
        fill(&mut Arc::make_mut(&mut self.0).context);
        self
    }

    /// The same error, naming the API.
    #[must_use]
    pub(crate) fn with_api(self, api: ApiKey) -> Self {
        self.with_context(|c| c.api = Some(api))
    }

    /// The same error, naming the topic.
    #[must_use]
    pub(crate) fn with_topic(self, topic: &Str) -> Self {
        self.with_context(|c| c.topic = Some(topic.clone()))
    }

    /// The same error, naming topic and partition.
    #[must_use]
    pub(crate) fn with_partition(self, topic: &Str, partition: i32) -> Self {
        self.with_context(|c| (c.topic, c.partition) = (Some(topic.clone()), Some(partition)))
    }

    /// The same error, naming the group.
    #[must_use]
    pub(crate) fn with_group(self, group: &Str) -> Self {
        self.with_context(|c| c.group = Some(group.clone()))
    }

    /// The same error, naming the broker.
    #[must_use]
    pub(crate) fn with_broker(self, broker: impl Into<Str>) -> Self {
        self.with_known_broker(Some(broker.into()))
    }

    /// The same error with the broker it is of, where that is known.
    #[must_use]
    pub(crate) fn with_known_broker(self, broker: Option<Str>) -> Self {
        match broker {
            Some(broker) => self.with_context(|c| c.broker = Some(broker)),
            None => self,
        }
    }

    /// The same error with what the broker or the system said of it.
    #[must_use]
    pub(crate) fn with_detail(self, detail: impl Into<Str>) -> Self {
        self.with_context(|c| c.detail = Some(detail.into()))
    }
}

impl Context {
    /// What can be said of the place, from the topic to the API.
    fn parts(&self) -> [(&'static str, Option<String>); 5] {
        [
            ("topic", self.topic.as_ref().map(Str::to_string)),
            ("partition", self.partition.map(|p| p.to_string())),
            ("group", self.group.as_ref().map(Str::to_string)),
            ("broker", self.broker.as_ref().map(Str::to_string)),
            ("api", self.api.map(|api| api.name().to_owned())),
        ]
    }
}

fn code_fault(code: ErrorCode) -> Fault {
    use ErrorCode::*;
    match code {
        InvalidTopicException
        | TopicAlreadyExists
        | InvalidRequest
        | InvalidPartitions
        | InvalidReplicationFactor
        | InvalidReplicaAssignment
        | InvalidConfig
        | PolicyViolation
        | MessageTooLarge
        | RecordListTooLarge
        | InvalidRequiredAcks
        | InvalidTimestamp
        | InvalidFetchSize
        | InvalidSessionTimeout
        | InconsistentGroupProtocol
        | InvalidGroupId
        | GroupIdNotFound
        | NonEmptyGroup
        | GroupSubscribedToTopic
        | IllegalGeneration
        | UnknownMemberId
        | FencedInstanceId
        | UnreleasedInstanceId
        | InvalidRegularExpression
        | OffsetMetadataTooLarge
        | InvalidCommitOffsetSize
        | InvalidProducerEpoch
        | ProducerFenced
        | InvalidTxnState
        | InvalidTransactionTimeout
        | InvalidRecordState
        | UnsupportedSaslMechanism
        | SaslAuthenticationFailed
        | UnacceptableCredential
        | InvalidPrincipalType
        | DelegationTokenNotFound
        | DelegationTokenExpired
        | DelegationTokenOwnerMismatch
        | DelegationTokenRequestNotAllowed
        | LogDirNotFound
        | DuplicateResource
        | ResourceNotFound
        | InvalidUpdateVersion
        | MismatchedEndpointType
        | UnsupportedEndpointType
        | InconsistentClusterId
        | InvalidRecord => Fault::Caller,
        _ => Fault::Broker,
    }
}

/// Why what is known of a topic by one id means nothing under another.
pub(crate) fn made_again(old: Uuid, new: Uuid) -> String {
    format!("the topic was deleted and made again: its id was {old} and is {new}")
}

/// How far damage reaches, for its text.
fn behind(next: &Option<i64>) -> String {
    next.map_or(String::new(), |next| format!(", the next batch begins at {next}"))
}

/// Rounds a time for its text, to milliseconds from one of them on.
fn to_ms(time: Duration) -> Duration {
    let ms = time.saturating_add(Duration::from_micros(500)).as_millis();
    match u64::try_from(ms) {
        Ok(ms @ 1..) => Duration::from_millis(ms),
        _ => time,
    }
}

fn last_error(last: &Option<Error>) -> String {
    last.as_ref().map(|e| format!("; last error: {e}")).unwrap_or_default()
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<ConnectionError> for Error {
    fn from(error: ConnectionError) -> Self {
        Self::new(ErrorKind::Connection(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, context } = &*self.0;
        write!(f, "{kind}")?;
        if let Some(detail) = &context.detail {
            write!(f, ": {detail}")?;
        }
        // What the last error of a call that timed out says of its place need not be said twice.
        let said = match kind {
            ErrorKind::TimedOut { last: Some(last), .. } => last.context().parts(),
            _ => Default::default(),
        };
        let parts = context.parts().into_iter().zip(said).filter(|(part, said)| part != said);
        let mut open = " (";
        for ((name, value), _) in parts {
            if let Some(value) = value {
                write!(f, "{open}{name} {value}")?;
                open = ", ";
            }
        }
        if open == ", " { write!(f, ")") } else { Ok(()) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{:?}; {}]", self.fault(), self.advice())
    }
}

impl std::error::Error for Error {
    /// Returns the last error that a call met before it timed out, or the [`ConnectionError`], whose source is the system's
    /// [`io::Error`](std::io::Error). The text of an error holds that of its source already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.kind() {
            ErrorKind::TimedOut { last: Some(last), .. } => Some(last),
            ErrorKind::Connection(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
