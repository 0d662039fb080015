//! One connection: a frame in, an answer out, in turn.

use std::io::{self, BufRead, BufReader, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::Receiver;

use kafka_proto::Bytes;

use super::Shared;
use super::idle::Idle;
use crate::broker::{ConnKey, NodeId, Outcome, prepare};

/// Frames may not be larger, as Kafka's `socket.request.max.bytes` says by default.
const MAX_FRAME: usize = 100 << 20;
/// What is allocated on a frame's word alone.
const MAX_TRUSTED: usize = 16 << 20;
/// Segments a write; more than the system takes at once gain nothing.
const MAX_SLICES: usize = 512;

/// Serves a connection until either side closes it.
pub(super) fn serve(
    shared: &Shared,
    node: NodeId,
    conn: ConnKey,
    mut stream: &TcpStream,
    answers: &Receiver<Outcome>,
) -> io::Result<()> {
    let dialect = shared.with(|cluster, _| cluster.dialect_of(node));
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    let mut idle = Idle::new(dialect.oddities.idle_cut());
    while !reader.buffer().is_empty() || idle.wait(stream)? {
        let Some(frame) = read_frame(&mut reader)? else { return Ok(()) };
        let prepared = prepare(&frame, dialect);
        drop(frame);
        let mut outcome = shared.with(|cluster, now| cluster.handle_prepared(now, node, conn, prepared));
        if outcome == Outcome::Later {
            // Without a sender the connection has been cut.
            outcome = answers.recv().unwrap_or(Outcome::Close);
        }
        match outcome {
            _ if !idle.pass() => return Ok(()),
            Outcome::Answer(segments) => write_all(&mut stream, &segments)?,
            Outcome::NoAnswer => {}
            Outcome::Close | Outcome::Later => return Ok(()),
        }
    }
    Ok(())
}

/// The next frame without its length; `None` if the client has closed the connection.
fn read_frame(reader: &mut impl BufRead) -> io::Result<Option<Bytes>> {
    if reader.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = Vec::with_capacity(length.min(MAX_TRUSTED));
    reader.take(length as u64).read_to_end(&mut frame)?;
    if frame.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(frame.into()))
}

fn write_all(stream: &mut impl Write, segments: &[Bytes]) -> io::Result<()> {
    for segments in segments.chunks(MAX_SLICES) {
        let mut slices: Vec<IoSlice<'_>> = segments.iter().map(|segment| IoSlice::new(segment)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            match stream.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
