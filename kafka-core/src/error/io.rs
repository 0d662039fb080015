//! What errors of sockets mean.

use super::ConnectionError;
use std::io;

impl From<io::Error> for ConnectionError {
    fn from(error: io::Error) -> Self {
        lost(error)
    }
}

/// What a socket's error means.
pub(crate) fn lost(error: io::Error) -> ConnectionError {
    use io::ErrorKind::{
        AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut,
    };
    match error.kind() {
        ConnectionRefused => ConnectionError::Refused,
        HostUnreachable | NetworkUnreachable | AddrNotAvailable | NetworkDown => {
            ConnectionError::Unreachable(error.into())
        }
        TimedOut => ConnectionError::ConnectTimeout,
        _ if is_out_of_files(&error) => ConnectionError::TooManyOpenFiles,
        _ => ConnectionError::Lost(error.into()),
    }
}

fn is_out_of_files(error: &io::Error) -> bool {
    // EMFILE and ENFILE have the same numbers on all Unix systems; 10024 is WSAEMFILE.
    matches!(error.raw_os_error(), Some(23 | 24) if cfg!(unix))
        || (cfg!(windows) && error.raw_os_error() == Some(10_024))
}
