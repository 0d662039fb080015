//! Settings that depend on each other, of all parts.
//!
//! * Where one of two that contradict each other is a default, it gives way to the one that was said.
//! * Where both were said, or the default cannot give way, the error names both.
//!
//! No contradictions are:
//! * `request_timeout` and `call_timeout`: a call ends at the earlier of them, while writers and readers only have the first;
//! * `max_wait` and `request_timeout`: a fetch may take both, one after the other;
//! * `delivery_timeout` and `request_timeout`: a delivery ends in time whatever its request does;
//! * `max_in_flight` and `idempotence`: a writer has no more than five requests under way per partition by itself;
//! * `session_timeout` and `rebalance_timeout`: either may be longer.

use super::draft::Draft;
use crate::config::ClientConfig;
use crate::error::{Error, Result};
use crate::group::GroupConfig;
use crate::reader::ReaderConfig;
use crate::writer::{Acks, Idempotence, WriterConfig};
use kafka_proto::records::Compression;
use std::fmt::Debug;

/// One of two settings that depend on each other.
struct Side<'a, T> {
    name: &'static str,
    is_said: bool,
    value: &'a mut T,
}

macro_rules! side {
    ($draft:ident.$field:ident) => {
        Side {
            name: stringify!($field),
            is_said: $draft.said.has(stringify!($field)),
            value: &mut $draft.config.$field,
        }
    };
}

/// Sees to it that `small` is not larger than `large`.
fn not_above<T: Copy + PartialOrd + Debug>(small: Side<'_, T>, large: Side<'_, T>) -> Result<()> {
    fit(small, large, "must not be larger than", |small, large| small <= large, |large| large, |small| small)
}

/// Sees to it that two values fit each other; `cut` makes the smaller one of the larger, `raise` the other way round.
fn fit<T: Copy + Debug>(
    small: Side<'_, T>,
    large: Side<'_, T>,
    rule: &str,
    fits: fn(T, T) -> bool,
    cut: fn(T) -> T,
    raise: fn(T) -> T,
) -> Result<()> {
    if fits(*small.value, *large.value) {
        return Ok(());
    }
    match (small.is_said, large.is_said) {
        (false, _) => *small.value = cut(*large.value),
        (true, false) => *large.value = raise(*small.value),
        (true, true) => {
            let (a, b, name) = (*small.value, *large.value, large.name);
            return Err(Error::config(small.name, format!("is {a:?}, but {rule} `{name}`, which is {b:?}")));
        }
    }
    Ok(())
}

pub(crate) fn client(draft: &mut Draft<ClientConfig>) -> Result<()> {
    not_above(side!(draft.retry_backoff), side!(draft.retry_backoff_max))?;
    not_above(side!(draft.reconnect_backoff), side!(draft.reconnect_backoff_max))
}

pub(crate) fn writer(draft: &mut Draft<WriterConfig>) -> Result<()> {
    not_above(side!(draft.batch_bytes), side!(draft.request_bytes))?;
    not_above(side!(draft.batch_bytes), side!(draft.buffer_bytes))?;
    let (linger, delivery) = (side!(draft.linger), side!(draft.delivery_timeout));
    fit(linger, delivery, "must be shorter than", |l, d| l < d, |d| d / 2, |l| 2 * l)?;
    idempotence(&draft.config)?;
    compression_level(&draft.config)?;
    compression(&draft.config)
}

fn idempotence(config: &WriterConfig) -> Result<()> {
    match (config.idempotence, config.acks) {
        (Idempotence::Required, acks @ (Acks::One | Acks::None)) => {
            let acks = acks.code();
            let problem = format!("is required, but `acks` is {acks}: it needs those of all replicas");
            Err(Error::config("idempotence", problem))
        }
        _ => Ok(()),
    }
}

fn compression(config: &WriterConfig) -> Result<()> {
    if config.compression.is_enabled() {
        return Ok(());
    }
    let name = config.compression.name();
    Err(Error::config("compression", format!("is {name}, which needs the feature `{name}`")))
}

fn compression_level(config: &WriterConfig) -> Result<()> {
    let Some(level) = config.compression_level else { return Ok(()) };
    let range = match config.compression {
        Compression::Gzip => 1..=9,
        Compression::Zstd => -131_072..=22,
        other => {
            let problem =
                format!("has no meaning, as `compression` is {}, which has no levels", other.name());
            return Err(Error::config("compression_level", problem));
        }
    };
    if range.contains(&level) {
        return Ok(());
    }
    let (codec, least, most) = (config.compression.name(), range.start(), range.end());
    let problem = format!("must be {least} to {most}, as `compression` is {codec}, not {level}");
    Err(Error::config("compression_level", problem))
}

/// `max_response` is the client's `max_response_bytes`.
pub(crate) fn reader(draft: &mut Draft<ReaderConfig>, max_response: usize) -> Result<()> {
    // An eighth is left for what stands around the records.
    let room = max_response - max_response / 8;
    if !draft.said.has("max_bytes") {
        draft.config.max_bytes = draft.config.max_bytes.min(room);
    }
    not_above(side!(draft.partition_max_bytes), side!(draft.max_bytes))?;
    not_above(side!(draft.min_bytes), side!(draft.max_bytes))?;
    not_above(side!(draft.partition_max_bytes), side!(draft.buffer))?;
    not_above(side!(draft.backoff_min), side!(draft.backoff_max))?;
    answer_fits(draft, room, max_response)
}

/// No more is asked for than fits into the buffer, so `max_bytes` may be larger than that.
fn answer_fits(draft: &Draft<ReaderConfig>, room: usize, max_response: usize) -> Result<()> {
    let answer = draft.config.max_bytes.min(draft.config.buffer);
    if answer <= room {
        return Ok(());
    }
    let names = ["max_bytes", "partition_max_bytes", "min_bytes"];
    let name = names.into_iter().find(|name| draft.said.has(name)).unwrap_or("max_bytes");
    let problem = format!(
        "allows answers of {answer} bytes, but must not be larger than {room}, as the client's `max_response_bytes` is {max_response}"
    );
    Err(Error::config(name, problem))
}

pub(crate) fn group(draft: &mut Draft<GroupConfig>) -> Result<()> {
    let (beat, session) = (side!(draft.heartbeat_interval), side!(draft.session_timeout));
    fit(beat, session, "must be shorter than", |beat, session| beat < session, |s| s / 3, |beat| 3 * beat)?;
    not_above(side!(draft.backoff_min), side!(draft.backoff_max))
}
