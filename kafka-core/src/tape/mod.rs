//! The side doors of the client state machine: what it reads that other threads change while it is not locked, such as a partition's
//! open batch, free memory, or how far a walk has come.
//!
//! Inputs, commands, time and what was seen here are all that a run depends on. A [`Tape`] is asked for each such value: while a
//! recording is made it keeps the value, and in a replay it returns what was kept. Without the feature `record` it is nothing.
//!
//! Invariants
//! * Only code that runs under the client's lock looks through a tape.
//! * What is seen while no entry is open does not count: it changes nothing of the machine.

#[cfg(feature = "record")]
mod note;
#[cfg(feature = "record")]
mod payload;
#[cfg(feature = "record")]
pub(crate) mod with;

#[cfg(feature = "record")]
pub(crate) use note::{Late, Note, read, visible, write};
#[cfg(feature = "record")]
pub(crate) use payload::{Hidden, Privacy, stand_in};

#[cfg(feature = "record")]
use crate::sync::Mutex;
#[cfg(feature = "record")]
use kafka_proto::Bytes;
#[cfg(feature = "record")]
use std::collections::VecDeque;
#[cfg(feature = "record")]
use std::sync::{Arc, PoisonError};

/// What a machine sees through its side doors. Clones share what is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape {
    #[cfg(feature = "record")]
    state: Option<Arc<Mutex<State>>>,
}

/// A value that can be seen through a side door.
#[cfg(not(feature = "record"))]
pub(crate) trait Visible {}

#[cfg(not(feature = "record"))]
impl<T> Visible for T {}

/// A value that can be seen through a side door, and be written to a recording.
#[cfg(feature = "record")]
pub(crate) trait Visible: Sized {
    /// Returns what a recording keeps of it.
    fn note(&self) -> Note;

    /// Returns the value that was kept; `None` where the bytes are none.
    fn shown(bytes: &[u8]) -> Option<Self>;
}

impl Tape {
    /// Returns what `look` sees; in a replay what was seen when the recording was made.
    #[inline]
    pub(crate) fn see<T: Visible>(&self, look: impl FnOnce() -> T) -> T {
        #[cfg(feature = "record")]
        if let Some(state) = &self.state {
            return State::see(state, look);
        }
        look()
    }
}

#[cfg(feature = "record")]
#[derive(Debug)]
enum State {
    Recording {
        is_open: bool,
        seen: Vec<Note>,
    },
    Playing {
        is_open: bool,
        kept: VecDeque<Bytes>,
        /// The machine looked where it had not, or at something else.
        has_strayed: bool,
    },
}

#[cfg(feature = "record")]
impl State {
    fn see<T: Visible>(state: &Mutex<Self>, look: impl FnOnce() -> T) -> T {
        // The lock is free again: it is taken once more below.
        let shown = lock(state).show();
        if let Some(shown) = shown {
            return shown.unwrap_or_else(|| {
                lock(state).stray();
                look()
            });
        }
        // Not under the tape's lock: it takes others.
        let value = look();
        if let Self::Recording { is_open: true, seen } = &mut *lock(state) {
            seen.push(value.note());
        }
        value
    }

    /// What was kept of the next value, in a replay; `Some(None)` where that is none of this type.
    fn show<T: Visible>(&mut self) -> Option<Option<T>> {
        match self {
            Self::Playing { is_open: true, kept, .. } => {
                Some(kept.pop_front().and_then(|bytes| T::shown(&bytes)))
            }
            _ => None,
        }
    }

    fn stray(&mut self) {
        if let Self::Playing { has_strayed, .. } = self {
            *has_strayed = true;
        }
    }
}

#[cfg(feature = "record")]
fn lock(state: &Mutex<State>) -> crate::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(feature = "record")]
impl Tape {
    /// A tape that keeps what is seen.
    pub(crate) fn recording() -> Self {
        Self::of(State::Recording { is_open: false, seen: Vec::new() })
    }

    /// A tape that returns what was kept.
    pub(crate) fn playing() -> Self {
        Self::of(State::Playing { is_open: false, kept: VecDeque::new(), has_strayed: false })
    }

    fn of(state: State) -> Self {
        Self { state: Some(Arc::new(Mutex::new(state))) }
    }

    /// Begins an entry of a recording.
    pub(crate) fn begin(&self) {
        if let Some(state) = &self.state
            && let State::Recording { is_open, seen } = &mut *lock(state)
        {
            *is_open = true;
            seen.clear();
        }
    }

    /// Ends an entry of a recording. Returns what was seen since its beginning.
    pub(crate) fn end(&self) -> Vec<Note> {
        let Some(state) = &self.state else { return Vec::new() };
        match &mut *lock(state) {
            State::Recording { is_open, seen } => {
                *is_open = false;
                std::mem::take(seen)
            }
            State::Playing { .. } => Vec::new(),
        }
    }

    /// Begins an entry of a replay: these values will be seen.
    pub(crate) fn play(&self, values: Vec<Bytes>) {
        if let Some(state) = &self.state
            && let State::Playing { is_open, kept, has_strayed } = &mut *lock(state)
        {
            (*is_open, *kept, *has_strayed) = (true, values.into(), false);
        }
    }

    /// Ends an entry of a replay. Returns how many values were not looked at; `None` where others were looked at.
    pub(crate) fn played(&self) -> Option<usize> {
        let state = self.state.as_ref()?;
        match &mut *lock(state) {
            State::Playing { is_open, kept, has_strayed } => {
                *is_open = false;
                (!*has_strayed).then_some(std::mem::take(kept).len())
            }
            State::Recording { .. } => None,
        }
    }
}

#[cfg(all(test, feature = "record", not(shuttle)))]
mod tests;
