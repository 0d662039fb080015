//! How writers and readers get into their client: by their handles, and in a replay.

use crate::client::Client;
#[cfg(feature = "record")]
use crate::client::door::What;
use crate::machine::{MachineId, Now};
use crate::reading::{ReaderShared, ReaderSpec, Reading};
use crate::writer::{Accumulator, WriterConfig, Writing};
use std::sync::Arc;

/// Machines by their kinds, as a recording names them.
#[cfg(feature = "record")]
pub(crate) const WRITER: &str = "writer";
#[cfg(feature = "record")]
pub(crate) const READER: &str = "reader";

/// Adds a writer. Returns its number and what it shares with its handle.
pub(crate) fn add_writer(
    client: &mut Client,
    now: Now,
    config: WriterConfig,
) -> (MachineId, Arc<Accumulator>) {
    #[cfg(feature = "record")]
    client.enter(now, || What::Add { kind: WRITER.into(), spec: config.note().into() });
    let accumulator = Arc::new(Accumulator::taped(config, client.tape().clone()));
    let of_machine = accumulator.clone();
    let id = client.add(now, |_, _, pace, seed| Writing::new(of_machine, pace, seed));
    #[cfg(feature = "record")]
    client.leave(&id);
    (id, accumulator)
}

/// Adds a reader. Returns its number and what it shares with its handle.
pub(crate) fn add_reader(client: &mut Client, now: Now, spec: ReaderSpec) -> (MachineId, ReaderShared) {
    #[cfg(feature = "record")]
    client.enter(now, || What::Add { kind: READER.into(), spec: spec.note().into() });
    let shared = ReaderShared::new(spec.config(), client.tape().clone());
    let of_machine = shared.clone();
    let id = client.add(now, |now, id, pace, seed| Reading::new(now, id, spec, of_machine, pace, seed));
    #[cfg(feature = "record")]
    client.leave(&id);
    (id, shared)
}
