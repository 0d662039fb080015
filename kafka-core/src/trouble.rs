//! A trouble that comes again and again, and what the application was told of it.
//!
//! Invariants
//! * What should pass by itself is told once it has lasted for its grace, and once until it is over.
//! * It is told again where it became worse: what was told would have passed by itself, and what is in the way now does not.

use crate::machine::Time;
use std::time::Duration;

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gravity {
    /// It should pass by itself: a notice.
    Passes,
    /// Somebody has to do something: an error.
    Stays,
}

impl Gravity {
    pub(crate) fn of(passes: bool) -> Self {
        if passes { Self::Passes } else { Self::Stays }
    }
}

/// Something that fails again and again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    since: Option<Time>,
    /// Since when it is one that stays.
    grave_since: Option<Time>,
    told: Option<Gravity>,
}

impl Trouble {
    /// It failed; `since` is when the attempt began. Whether that is to be told.
    pub(crate) fn lasts(&mut self, now: Time, since: Time, grace: Duration, gravity: Gravity) -> bool {
        let mut begun = *self.since.get_or_insert(since);
        if gravity == Gravity::Stays {
            begun = *self.grave_since.get_or_insert(since);
        }
        now >= begun + grace && self.tell(gravity)
    }

    /// Whether it is to be told now, however long it has lasted.
    pub(crate) fn tell(&mut self, gravity: Gravity) -> bool {
        let is_news = self.told < Some(gravity);
        self.told = self.told.max(Some(gravity));
        is_news
    }

    /// Returns whether it was told as one that stays.
    pub(crate) fn is_told_to_stay(&self) -> bool {
        self.told == Some(Gravity::Stays)
    }

    pub(crate) fn is_over(&mut self) {
        *self = Self::default();
    }
}
