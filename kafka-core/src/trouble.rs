//! A trouble that comes again and again, and what the application was told of it.
//!
//! Invariant: what should pass by itself is told once it has lasted for its grace, and once until it is over.

use std::time::{Duration, Instant};

/// Something that fails again and again for reasons that should pass by themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    since: Option<Instant>,
    told: bool,
}

impl Trouble {
    /// It failed; `since` is when the attempt began. Whether that is to be told.
    pub(crate) fn lasts(&mut self, now: Instant, since: Instant, grace: Duration) -> bool {
        let since = *self.since.get_or_insert(since);
        now >= since + grace && !std::mem::replace(&mut self.told, true)
    }

    pub(crate) fn is_over(&mut self) {
        *self = Self::default();
    }
}
