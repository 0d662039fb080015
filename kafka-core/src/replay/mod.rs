//! Replays: a recording is fed to a bare client, and all that leaves the client is compared with what left it then.
//!
//! Invariants
//! * The first difference ends a replay: what follows from it says nothing.
//! * Nothing runs but the client: no handle, no link, and no job.

mod act;
mod story;

pub use crate::record::format::Unreadable;

use crate::client::Client;
use crate::client::door::{Outcome, What};
use crate::config::ClientConfig;
use crate::machine::{Now, Time};
use crate::record::START;
use crate::record::format::{Head, Kept, Reading};
use crate::settings::draft::Declared;
use crate::tape::Tape;
use act::Stage;
use std::fmt;
use std::io::Read;
use std::time::Duration;
use story::Story;

/// A recording that is replayed.
#[derive(Debug)]
pub struct Replay<R> {
    reading: Reading<R>,
    head: Head,
    settings: ClientConfig,
    stage: Stage,
    story: Story,
    now: Now,
    deadline: Option<Time>,
    entries: u64,
}

/// One entry that was replayed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// Which one, counted from 1.
    pub number: u64,
    /// When, since the client's start.
    pub time: Duration,
    /// What there is to tell of it.
    pub line: Option<String>,
}

/// Why a replay ended before the recording did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Stop {
    /// The client does otherwise than it did.
    #[error(transparent)]
    Difference(Box<Difference>),
    /// The recording goes no further.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// The first thing in which a client differs from the one that was recorded.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub struct Difference {
    /// Which entry, counted from 1.
    pub number: u64,
    /// When, since the client's start.
    pub time: Duration,
    /// What had entered.
    pub what: String,
    /// What came of it when it was recorded.
    pub recorded: String,
    /// What came of it now.
    pub now: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, time, what, recorded, now } = self;
        let seconds = time.as_secs_f64();
        write!(
            f,
            "entry {number} at {seconds:.6} s differs: {what}\n  recorded: {recorded}\n  now:      {now}"
        )
    }
}

impl<R: Read> Replay<R> {
    /// Begins to replay a recording.
    ///
    /// # Errors
    /// It is none, or its beginning is damaged.
    pub fn new(input: R) -> Result<Self, Unreadable> {
        let (reading, head) = Reading::begin(input)?;
        let settings = ClientConfig::kept(&head.settings).ok_or(Unreadable::Damaged { at: 0 })?;
        settings.validate().map_err(|_| Unreadable::Damaged { at: 0 })?;
        let mut client = Client::new(settings.clone());
        let tape = Tape::playing();
        client.play(tape.clone());
        let stage = Stage::new(client, tape, head.is_whole);
        let (story, now) = (Story::default(), START);
        Ok(Self { reading, head, settings, stage, story, now, deadline: None, entries: 0 })
    }

    /// Returns the version of the library that was recorded.
    pub fn library(&self) -> &str {
        &self.head.library
    }

    /// Returns whether keys, values and headers are in the recording as they were.
    pub fn has_payloads(&self) -> bool {
        self.head.is_whole
    }

    /// Returns the settings of the client.
    pub fn settings(&self) -> &ClientConfig {
        &self.settings
    }

    /// Returns how many bytes of the recording were read.
    pub fn bytes_read(&self) -> u64 {
        self.reading.at()
    }

    /// Returns how many entries were replayed.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Returns what has been told so far, in numbers.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        std::iter::once(("entries", self.entries)).chain(self.story.counts())
    }

    /// Replays the next entry; `None` at the end of the recording.
    ///
    /// # Errors
    /// The client differs, or the recording cannot be read further: after neither is there anything more to replay.
    pub fn step(&mut self) -> Result<Option<Step>, Stop> {
        let Some(kept) = self.reading.next()? else { return Ok(None) };
        self.entries += 1;
        let Kept { now, what, seen, outcome, deadline } = kept;
        self.now = now.map_or(self.now, |since| since.after(self.now));
        let time = self.now.time.since_start();
        let line = self.story.tell(self.now.time, &what, &outcome);
        let (short, looks) = (story::short(&what), seen.len());
        let difference = |recorded: String, now: String| {
            let (number, what) = (self.entries, short.clone());
            Stop::Difference(Box::new(Difference { number, time, what, recorded, now }))
        };
        if let Some(deadline) = deadline {
            self.deadline = deadline;
        }
        let came = self
            .stage
            .act(self.now, what, seen)
            .map_err(|problem| difference(outcome.to_string(), problem))?;
        if outcome == Outcome::Unfinished {
            return Ok(Some(Step { number: self.entries, time, line }));
        }
        if came.outcome != outcome {
            return Err(difference(outcome.to_string(), came.outcome.to_string()));
        }
        if came.unseen != Some(0) {
            let now = match came.unseen {
                Some(unseen) => format!("{} of them", looks.saturating_sub(unseen)),
                None => "more, or others".to_owned(),
            };
            return Err(difference(format!("{looks} looks through side doors"), now));
        }
        if came.deadline != self.deadline {
            return Err(difference(deadline_text(self.deadline), deadline_text(came.deadline)));
        }
        Ok(Some(Step { number: self.entries, time, line }))
    }
}

/// Reads a recording to its end, without replaying it. Returns how many entries there are.
///
/// # Errors
/// It is none, or cannot be read to its end.
pub fn read_all(input: impl Read) -> Result<u64, Unreadable> {
    let (mut reading, _) = Reading::begin(input)?;
    let mut entries = 0;
    while reading.next()?.is_some() {
        entries += 1;
    }
    Ok(entries)
}

fn deadline_text(deadline: Option<Time>) -> String {
    match deadline {
        Some(at) => format!("the next deadline at {:.6} s", at.since_start().as_secs_f64()),
        None => "no deadline".to_owned(),
    }
}

/// What came of an entry.
struct Came {
    outcome: Outcome,
    /// How many values of side doors were not looked at; `None` where others were.
    unseen: Option<usize>,
    deadline: Option<Time>,
}

#[cfg(test)]
mod tests;
