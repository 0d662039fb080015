//! Deadlines, at most one for each name; the earliest is what the front has to wake up for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Set, moved and cancelled by name; ties fire in the order of the names, so that runs repeat.
#[derive(Debug, Clone)]
pub(crate) struct Timers<T> {
    by_name: BTreeMap<T, Duration>,
    by_time: BTreeSet<(Duration, T)>,
}

impl<T: Ord + Clone> Timers<T> {
    pub(crate) fn new() -> Timers<T> {
        Timers { by_name: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    /// Sets or moves the deadline of `name`.
    pub(crate) fn set(&mut self, name: T, at: Duration) {
        self.cancel(&name);
        self.by_name.insert(name.clone(), at);
        self.by_time.insert((at, name));
    }

    pub(crate) fn cancel(&mut self, name: &T) {
        if let Some((name, at)) = self.by_name.remove_entry(name) {
            self.by_time.remove(&(at, name));
        }
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the earliest one that is due.
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        let (_, name) = self.by_time.pop_first()?;
        self.by_name.remove(&name);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_a_moved_one_only_once() {
        let ms = Duration::from_millis;
        let mut timers = Timers::new();
        timers.set("b", ms(5));
        timers.set("a", ms(5));
        timers.set("c", ms(1));
        timers.set("c", ms(9));
        timers.set("d", ms(2));
        timers.cancel(&"d");
        assert_eq!(timers.next(), Some(ms(5)));
        assert_eq!(timers.pop_due(ms(4)), None);
        let due: Vec<_> = std::iter::from_fn(|| timers.pop_due(ms(9))).collect();
        assert_eq!(due, ["a", "b", "c"]);
        assert_eq!(timers.next(), None);
    }
}
