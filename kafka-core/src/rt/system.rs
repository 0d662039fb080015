//! What the machine tells: its clocks, chance, and the program's name. Nothing else in the core asks for any of it.

use crate::link::SOFTWARE;
use kafka_proto::Str;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the core looks at a clock, for runtimes that do not"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// In ms since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the core looks at a clock, for runtimes that do not"
)]
pub(super) fn wall_ms() -> i64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)
}

/// A number that differs from call to call.
#[expect(clippy::disallowed_types, reason = "what all other randomness comes from")]
pub(super) fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

pub(super) fn program() -> Str {
    let path = std::env::args_os().next().map(PathBuf::from);
    let name = path.as_deref().and_then(Path::file_stem).map(|name| name.to_string_lossy());
    name.filter(|name| !name.is_empty()).map_or(Str::from_static(SOFTWARE), |name| Str::from(&*name))
}
