//! What came of an entry, as a recording keeps it and a replay compares it.

use crate::client::{Action, Event};
use crate::link::{Payload, Transmit};
use crate::tape::with::hides_request;
use kafka_proto::ApiKey;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug, Write};

/// What came of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Nothing to tell.
    Nothing,
    /// The program ended before it was known.
    Unfinished,
    /// This.
    Told(Told),
    /// A request was handed out.
    Transmit { id: u64, api: i16, version: i16, told: Told },
}

/// A value that left the client: the beginning of its text, and a hash of all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) text: String,
    hash: u64,
}

/// So much of a text is kept for people.
const KEPT: usize = 160;

impl Told {
    pub(crate) fn of(value: &impl Debug) -> Self {
        let mut told = Telling { text: String::new(), hash: FNV_OFFSET };
        // It takes whatever comes.
        let _ = write!(told, "{value:?}");
        Self { text: told.text, hash: told.hash }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (hash {:016x})", self.text, self.hash)
    }
}

/// The hash stays the same in all builds, as recordings outlive them (FNV-1a).
struct Telling {
    text: String,
    hash: u64,
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

impl Write for Telling {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for byte in part.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        let left = KEPT.saturating_sub(self.text.len());
        let end = (0..=left.min(part.len())).rev().find(|at| part.is_char_boundary(*at)).unwrap_or(0);
        self.text.push_str(&part[..end]);
        Ok(())
    }
}

impl Outcome {
    pub(crate) fn of(value: &(impl Debug + ?Sized)) -> Self {
        let told = Told::of(&value);
        if told.text == "()" { Self::Nothing } else { Self::Told(told) }
    }

    pub(crate) fn of_transmit(transmit: Option<&Transmit>) -> Self {
        let Some(Transmit { id, version, payload }) = transmit else { return Self::Nothing };
        let api = payload.api();
        let told = match payload {
            Payload::Plain(_) if hides_request(api) => Told::of(&""),
            Payload::Plain(request) => Told::of(request),
            Payload::Built(exchange) => Told::of(exchange),
        };
        Self::Transmit { id: id.0, api: api.code(), version: *version, told }
    }

    pub(crate) fn of_action(action: &Action) -> Self {
        Self::Told(match action {
            Action::Connect { conn, host, port, deadline, .. } => {
                let deadline = deadline.since_start().as_secs_f64();
                Told::of(&format_args!("connect {} to {host}:{port} by {deadline:.6} s", conn.0))
            }
            Action::Close(conn) => Told::of(&format_args!("close {}", conn.0)),
            Action::Run(job) => Told::of(&format_args!("run job {} of {:?}", job.number, job.machine)),
        })
    }

    /// `None` for what depends on how the program was built.
    pub(crate) fn of_event(event: &Event) -> Option<Self> {
        Some(Self::Told(match event {
            Event::Trace(_) => return None,
            Event::Notify(_) => Told::of(&format_args!("notify")),
            Event::Garbage(_) => Told::of(&format_args!("garbage")),
            other => Told::of(other),
        }))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Unfinished => f.write_str("the end of the program"),
            Self::Told(told) => write!(f, "{told}"),
            Self::Transmit { id, api, version, told } => {
                let name = ApiKey::from_code(*api).map_or("?", ApiKey::name);
                write!(f, "request {id}, {name} version {version}: {told}")
            }
        }
    }
}
