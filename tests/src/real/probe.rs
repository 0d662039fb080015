//! Asking a broker which brokers it knows, and ZooKeeper whose session lives: just enough protocol by hand that the
//! launcher does not depend on the code it is there to test.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);
const LARGEST: usize = 1 << 20;

/// Metadata (3) v1, which every release speaks: header with correlation id 1 and no client id, then no topics.
const METADATA_V1: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0];

/// The brokers that the broker at `address` lists.
pub(super) fn brokers(address: SocketAddr) -> io::Result<Vec<i32>> {
    let mut stream = connect(address)?;
    stream.write_all(&METADATA_V1)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > LARGEST {
        return Err(malformed());
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    listed(&answer).ok_or_else(malformed)
}

/// Whether ZooKeeper still holds the registration of a broker, from its `dump` of sessions.
pub(super) fn registered(zookeeper: SocketAddr, broker: u16) -> io::Result<bool> {
    let mut stream = connect(zookeeper)?;
    stream.write_all(b"dump")?;
    let mut dump = String::new();
    stream.take(LARGEST as u64).read_to_string(&mut dump)?;
    Ok(dump.lines().any(|line| line.trim() == format!("/brokers/ids/{broker}")))
}

/// Whether something accepts connections there.
pub(super) fn listens(address: SocketAddr) -> bool {
    connect(address).is_ok()
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The broker ids in a Metadata v1 response: correlation id, then id, host, port and rack of each.
pub(super) fn listed(answer: &[u8]) -> Option<Vec<i32>> {
    let mut rest = Input(answer);
    (rest.int32()? == 1).then_some(())?;
    let count = rest.int32()?;
    (0..count.max(0))
        .map(|_| {
            let id = rest.int32()?;
            rest.string()?;
            rest.int32()?;
            rest.string()?;
            Some(id)
        })
        .collect()
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn int32(&mut self) -> Option<i32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*bytes))
    }

    /// Skips a string, which may be null (length -1).
    fn string(&mut self) -> Option<()> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        let length = i16::from_be_bytes(*bytes).max(0);
        self.0 = rest.get(usize::from(length.unsigned_abs())..)?;
        Some(())
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not an answer to a Metadata request")
}
