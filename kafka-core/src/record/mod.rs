//! Recordings: what enters a client and what leaves it, written to a file while a program runs.
//!
//! Invariants
//! * Under the client's lock an entry is only put into a queue. It is encoded and written by whoever has released the lock.
//! * Entries stand in the file in the order in which they entered.
//! * A file that cannot be written ends the recording and nothing else. That is told once, and what is missing at the end is noticed
//!   by who reads it.

pub(crate) mod format;

use crate::client::door::{Entry, Observer, Response, What};
use crate::config::ClientConfig;
use crate::error::Error;
use crate::machine::{Now, Time};
use crate::settings::draft::Declared;
use crate::sync::{Mutex, MutexGuard};
use crate::tape::{Privacy, write};
use crate::trace::Trace;
use format::{Blocks, Head, Kept, Since};
use kafka_proto::Bytes;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

/// An entry that comes so long after the last block was written, as the client's clock counts, is written at once. So a program that
/// is killed loses what happened within this time of it, and under load there are few blocks.
const FRESH: Duration = Duration::from_millis(5);

/// Writes what a client tells.
#[derive(Debug)]
pub(crate) struct Recorder {
    path: PathBuf,
    queue: Mutex<Vec<Entry>>,
    sink: Mutex<Sink<File>>,
}

/// Where entries are written to.
#[derive(Debug)]
pub(crate) struct Sink<W> {
    privacy: Privacy,
    blocks: Blocks<W>,
    last: Now,
    written: Time,
}

impl Recorder {
    /// Begins a recording of a client that is to have these settings.
    ///
    /// # Errors
    /// There is such a file, or it cannot be made.
    pub(crate) fn create(path: &Path, is_whole: bool, config: &ClientConfig) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).open(path)?;
        let sink = Sink::begin(file, is_whole, config)?;
        Ok(Self { path: path.to_owned(), queue: Mutex::default(), sink: Mutex::new(sink) })
    }

    /// Writes what was told so far. To be called without the client's lock.
    pub(crate) fn write_out(&self) {
        if self.queue().is_empty() {
            return;
        }
        // The end of what is returned gives memory back, which calls wakers.
        let _done: Vec<What> = self.write(|sink| {
            let entries = std::mem::take(&mut *self.queue());
            entries.into_iter().map(|entry| sink.write(entry)).collect()
        });
    }

    /// Writes something, and tells once, without the lock, if nothing can be written any more.
    fn write<T>(&self, write: impl FnOnce(&mut Sink<File>) -> T) -> T {
        let mut sink = self.sink();
        let written = write(&mut sink);
        let failure = sink.blocks.take_failure();
        drop(sink);
        failure.into_iter().for_each(|error| self.tell(error));
        written
    }

    fn tell(&self, error: io::Error) {
        let reason = format!("`{}` cannot be written any more: {error}", self.path.display());
        Trace::degraded(Error::config("record", reason)).emit();
    }

    fn queue(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sink(&self) -> MutexGuard<'_, Sink<File>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From when times are counted.
pub(crate) const START: Now = Now { time: Time::START, wall_ms: 0 };

/// A number that nobody can guess. It is no choice of the client's, and written nowhere.
#[expect(clippy::disallowed_types, reason = "the client does not depend on it")]
fn secret() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

impl Observer for Recorder {
    fn observe(&self, entry: Entry) {
        self.queue().push(entry);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.write_out();
        self.write(Sink::end);
    }
}

impl<W: Write> Sink<W> {
    pub(crate) fn begin(out: W, is_whole: bool, config: &ClientConfig) -> io::Result<Self> {
        let head = Head::new(is_whole, config.keep());
        let privacy = Privacy::new(is_whole, [secret(), secret()]);
        Ok(Self { privacy, blocks: Blocks::begin(out, &head)?, last: START, written: Time::START })
    }

    pub(crate) fn end(&mut self) {
        self.blocks.end();
    }

    /// Returns what is not needed any more.
    pub(crate) fn write(&mut self, entry: Entry) -> What {
        let Entry { now, mut what, seen, outcome, deadline } = entry;
        let left = self.hide(&mut what);
        let seen = seen.into_iter().map(|note| note.into_bytes(&self.privacy).into()).collect();
        let is_last = matches!(what, What::Close);
        let kept = Kept { now: self.since_last(now), what, seen, outcome, deadline };
        self.blocks.add(&kept);
        if is_last || self.last.time.duration_since(self.written) >= FRESH {
            self.written = self.last.time;
            self.blocks.flush();
        }
        left.unwrap_or(kept.what)
    }

    /// How long after the entry before it is.
    fn since_last(&mut self, now: Option<Now>) -> Option<Since> {
        let now = now?;
        Some(Since::between(std::mem::replace(&mut self.last, now), now))
    }

    /// Replaces records that were read by their lengths and hashes.
    fn hide(&self, what: &mut What) -> Option<What> {
        let What::Response { conn, id, response: Response::Fetched(fetched), throttle } = what else {
            return None;
        };
        if self.privacy.is_whole() {
            return None;
        }
        let response = Response::Fetched(fetched.clone());
        let left = What::Response { conn: *conn, id: *id, response, throttle: *throttle };
        let _ = fetched.change_records(|records| Some(Bytes::from(write(&self.privacy.hide(records)))));
        Some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::door::Outcome;
    use crate::link::ConnId;
    use crate::record::format::Reading;
    use std::sync::Arc;

    /// A file that is looked at while it is written.
    #[derive(Clone, Default)]
    struct Watched(Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Watched {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Watched {
        fn entries(&self) -> usize {
            let bytes = self.0.lock().unwrap().clone();
            let (mut reading, _) = Reading::begin(&bytes[..]).unwrap();
            std::iter::from_fn(|| reading.next().ok().flatten()).count()
        }
    }

    fn entry(at: Duration) -> Entry {
        let now = Some(Now { time: Time::after_start(at), wall_ms: 0 });
        let what = What::Accepted(ConnId(1));
        Entry { now, what, seen: Vec::new(), outcome: Outcome::Nothing, deadline: None }
    }

    #[test]
    fn an_entry_after_a_pause_is_written_at_once_and_those_in_quick_succession_together() {
        let file = Watched::default();
        let mut sink = Sink::begin(file.clone(), false, &ClientConfig::default()).unwrap();
        let pause = FRESH;
        let mut write = |at| {
            sink.write(entry(at));
            file.entries()
        };
        assert_eq!(write(pause), 1);
        assert_eq!([write(pause + pause / 4), write(pause + pause / 2)], [1, 1]);
        assert_eq!(write(2 * pause), 4);
        assert_eq!(write(100 * pause), 5);
    }
}
