//! Times by what they are for. Each timer is set at most once; setting it again moves it.

use super::Time;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::hash::Hash;

#[derive(Debug)]
pub(crate) struct Timers<K> {
    by_time: BTreeSet<(Time, K)>,
    by_key: FxHashMap<K, Time>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: FxHashMap::default() }
    }
}

impl<K: Ord + Hash + Clone> Timers<K> {
    pub(crate) fn set(&mut self, key: K, at: Time) {
        if let Some(old) = self.by_key.insert(key.clone(), at) {
            if old == at {
                return;
            }
            self.by_time.remove(&(old, key.clone()));
        }
        self.by_time.insert((at, key));
    }

    /// Sets a timer, unless it is to ring before.
    pub(crate) fn set_earlier(&mut self, key: K, at: Time) {
        if self.by_key.get(&key).is_none_or(|set| at < *set) {
            self.set(key, at);
        }
    }

    pub(crate) fn set_option(&mut self, key: K, at: Option<Time>) {
        match at {
            Some(at) => self.set(key, at),
            None => _ = self.stop(&key),
        }
    }

    /// Returns whether it was set.
    pub(crate) fn stop(&mut self, key: &K) -> bool {
        self.by_key.remove(key).is_some_and(|at| self.by_time.remove(&(at, key.clone())))
    }

    pub(crate) fn is_set(&self, key: &K) -> bool {
        self.by_key.contains_key(key)
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// How many are due.
    pub(crate) fn due(&self, now: Time) -> usize {
        self.by_time.iter().take_while(|(at, _)| *at <= now).count()
    }

    /// Takes out the earliest that is due.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    pub(crate) fn into_keys(self) -> impl Iterator<Item = K> {
        self.by_time.into_iter().map(|(_, key)| key)
    }
}
