//! Cuts a connection that nothing has passed over for too long, as brokers and what stands before them do.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::broker::IdleCut;

/// When something last passed over a connection, and what becomes of it after a while.
#[derive(Debug)]
pub(super) struct Idle {
    cut: Option<IdleCut>,
    last: Instant,
}

impl Idle {
    pub(super) fn new(cut: Option<IdleCut>) -> Self {
        Self { cut, last: Instant::now() }
    }

    /// Waits until there is something to read, or the client is gone. Returns `false` if the connection is to be closed
    /// instead; closed with bytes that were not read it is reset.
    pub(super) fn wait(&mut self, stream: &TcpStream) -> io::Result<bool> {
        let Some(cut) = self.cut else { return Ok(true) };
        if let IdleCut::Close(after) = cut {
            stream.set_read_timeout(Some(after.max(Duration::from_millis(1))))?;
        }
        let waited = stream.peek(&mut [0]);
        stream.set_read_timeout(None)?;
        match waited {
            Err(error) if is_timeout(&error) => Ok(false),
            Err(error) => Err(error),
            Ok(_) => Ok(self.pass()),
        }
    }

    /// Something is about to pass over the connection. Returns `false` if it has been forgotten meanwhile.
    pub(super) fn pass(&mut self) -> bool {
        let idle = self.last.elapsed();
        self.last = Instant::now();
        !matches!(self.cut, Some(IdleCut::Forget(after)) if idle >= after)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
