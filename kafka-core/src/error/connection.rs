//! Why connections could not be made, or ended.

use super::{Cause, Fault};
use std::error::Error;
use std::fmt;

/// Why a connection could not be made, or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum ConnectionError {
    /// The name has no address.
    Resolve(Cause),
    /// Nobody listens there.
    Refused,
    /// The other side cannot be reached.
    Unreachable(Cause),
    /// No connection within the time allowed.
    ConnectTimeout,
    /// The other side accepted and closed before it answered: often a TLS or SASL listener, or an old broker.
    ClosedDuringSetup,
    /// The other side accepted and answered nothing that is whole until the connection had to be set up.
    SetupTimeout,
    /// The broker told its versions and closed at the very first request: often a SASL listener.
    ClosedAfterSetup,
    /// The broker closed a connection that had served before, with a request unanswered: it went down, or takes only smaller
    /// requests, or a proxy before it does.
    ClosedUnanswered,
    /// What answers there speaks TLS.
    TlsListener,
    /// What answers there speaks HTTP.
    HttpServer,
    /// What answers there does not speak Kafka's protocol.
    NotKafka(String),
    /// The answer to another request came.
    Correlation {
        /// What was due.
        expected: i32,
        /// What came.
        got: i32,
    },
    /// A response that cannot be decoded: truncated or damaged.
    Undecodable(String),
    /// A frame with a length that makes no sense.
    FrameLength(i64),
    /// A request was not answered in time, so the connection was given up.
    ResponseTimeout,
    /// The connection broke.
    Lost(Cause),
    /// The broker is of another cluster than the one this client began with.
    OtherCluster {
        /// The id of the cluster known so far.
        expected: String,
        /// The id that this broker told.
        got: String,
    },
    /// The machine has no room for another socket.
    TooManyOpenFiles,
    /// The client closed it: idle, no longer needed, or shutting down.
    ClosedByClient,
}

impl ConnectionError {
    /// Whether a broker may end a connection like this on a version of ApiVersions that it does not know.
    pub(crate) fn may_be_of_version(&self) -> bool {
        use ConnectionError::*;
        matches!(
            self,
            ClosedDuringSetup | NotKafka(_) | Lost(_) | Undecodable(_) | FrameLength(_) | Correlation { .. }
        )
    }

    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::TlsListener | Self::HttpServer | Self::NotKafka(_) => Fault::Caller,
            Self::ClosedDuringSetup | Self::ClosedAfterSetup | Self::OtherCluster { .. } => Fault::Caller,
            Self::Correlation { .. } | Self::FrameLength(_) | Self::Undecodable(_) => Fault::Broker,
            _ => Fault::Environment,
        }
    }

    /// How much it tells of what is to be corrected; a symptom of anything tells little.
    pub(crate) fn telling(&self) -> u8 {
        match self {
            _ if !self.is_retriable() => 5,
            Self::TooManyOpenFiles => 4,
            Self::ClosedDuringSetup | Self::ClosedAfterSetup => 3,
            Self::SetupTimeout | Self::ResponseTimeout => 2,
            Self::Lost(_) | Self::ClosedUnanswered | Self::ClosedByClient => 0,
            _ => 1,
        }
    }

    /// Whether another attempt may succeed by itself.
    pub fn is_retriable(&self) -> bool {
        !matches!(self, Self::TlsListener | Self::HttpServer | Self::NotKafka(_) | Self::OtherCluster { .. })
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(it) => write!(f, "no address for this host name ({it})"),
            Self::Refused => f.write_str("refused: nobody listens there"),
            Self::Unreachable(it) => write!(f, "unreachable ({it})"),
            Self::ConnectTimeout => f.write_str("no connection in time"),
            Self::ClosedDuringSetup => {
                f.write_str("closed by the other side before it answered; is this a TLS or SASL listener?")
            }
            Self::SetupTimeout => f.write_str("accepted, but the first request was not answered in time"),
            Self::ClosedAfterSetup => {
                f.write_str("closed by the broker at the first request; is this a SASL listener?")
            }
            Self::ClosedUnanswered => f.write_str("closed by the broker in place of an answer"),
            Self::TlsListener => f.write_str("the other side speaks TLS, the client plaintext"),
            Self::HttpServer => f.write_str("the other side is an HTTP server"),
            Self::NotKafka(it) => write!(f, "the other side does not speak Kafka's protocol ({it})"),
            Self::Correlation { got, expected } => {
                write!(f, "response out of order: correlation id {got} in place of {expected}")
            }
            Self::Undecodable(it) => write!(f, "a response cannot be decoded: {it}"),
            Self::FrameLength(it) => {
                write!(f, "a response of {it} bytes, which cannot be or is more than max_response_bytes")
            }
            Self::ResponseTimeout => f.write_str("no response in time"),
            Self::Lost(it) => write!(f, "lost ({it})"),
            Self::OtherCluster { got, expected } => {
                write!(f, "the broker belongs to cluster {got}, the client to {expected}")
            }
            Self::TooManyOpenFiles => f.write_str("out of file descriptors"),
            Self::ClosedByClient => f.write_str("closed by the client"),
        }
    }
}

impl Error for ConnectionError {
    /// Returns the system's [`io::Error`](std::io::Error), where it reported one.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Resolve(cause) | Self::Unreachable(cause) | Self::Lost(cause) => {
                cause.io_error().map(|error| error as _)
            }
            _ => None,
        }
    }
}
