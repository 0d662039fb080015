//! Incremental fetch sessions (KIP-227): what a consumer asked for before and need not say again.
//!
//! Invariant: the order of a session's partitions is the order they are served in; one that gave records goes
//! to the end, so that no partition starves under the response's size limit.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_proto::{Str, Uuid};

use crate::broker::dice::Dice;

/// A partition as a fetch request names it: by name up to version 12, by id from 13 on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FetchKey {
    pub(crate) name: Str,
    pub(crate) id: Uuid,
    pub(crate) partition: i32,
}

/// What a request asks of a partition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) key: FetchKey,
    pub(crate) current_leader_epoch: i32,
    pub(crate) fetch_offset: i64,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) max_bytes: i32,
}

#[derive(Debug, Clone)]
pub(crate) struct Cached {
    pub(crate) wanted: Wanted,
    /// What was last answered; `None` before the first answer, which tells of the partition in any case.
    pub(crate) told: Option<Told>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) high_watermark: i64,
    pub(crate) log_start_offset: i64,
}

#[derive(Debug)]
pub(crate) struct Session {
    /// The epoch the next request must have.
    pub(crate) epoch: i32,
    pub(crate) uses_topic_ids: bool,
    created: Duration,
    last_used: Duration,
    /// By the number of its turn.
    turns: BTreeMap<u64, Cached>,
    turn_of: BTreeMap<FetchKey, u64>,
    next_turn: u64,
}

/// The sessions of one node.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    slots: usize,
    min_idle: Duration,
    sessions: BTreeMap<i32, Session>,
}

impl FetchSessions {
    pub(crate) fn new(slots: usize, min_idle: Duration) -> FetchSessions {
        FetchSessions { slots, min_idle, sessions: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn clear(&mut self) {
        self.sessions.clear();
    }

    pub(crate) fn get_mut(&mut self, id: i32) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    /// All sessions are one epoch further than who uses them knows.
    pub(crate) fn skip_epochs(&mut self, now: Duration) {
        self.sessions.values_mut().for_each(|session| session.use_next_epoch(now));
    }

    pub(crate) fn remove(&mut self, id: i32) {
        self.sessions.remove(&id);
    }

    /// A new session for these partitions; `None` if there is no slot that may be taken.
    pub(crate) fn create(
        &mut self,
        now: Duration,
        dice: &mut Dice,
        ids: bool,
        partitions: Vec<Cached>,
    ) -> Option<i32> {
        if self.sessions.len() >= self.slots {
            let victim = self.victim(now, partitions.len())?;
            self.sessions.remove(&victim);
        }
        let id = loop {
            let id = dice.session_id();
            if !self.sessions.contains_key(&id) {
                break id;
            }
        };
        let mut session = Session {
            epoch: 1,
            uses_topic_ids: ids,
            created: now,
            last_used: now,
            turns: BTreeMap::new(),
            turn_of: BTreeMap::new(),
            next_turn: 0,
        };
        partitions.into_iter().for_each(|cached| session.append(cached));
        self.sessions.insert(id, session);
        Some(id)
    }

    /// One that was not used for long, or a smaller one that had its time.
    fn victim(&self, now: Duration, size: usize) -> Option<i32> {
        let (id, oldest) = self.sessions.iter().min_by_key(|(_, session)| session.last_used)?;
        if now.saturating_sub(oldest.last_used) > self.min_idle {
            return Some(*id);
        }
        let (id, smallest) = self.sessions.iter().min_by_key(|(id, session)| (session.len(), **id))?;
        let had_its_time = now.saturating_sub(smallest.created) > self.min_idle;
        (had_its_time && smallest.len() < size).then_some(*id)
    }
}

impl Session {
    pub(crate) fn use_next_epoch(&mut self, now: Duration) {
        self.last_used = now;
        self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
    }

    pub(crate) fn len(&self) -> usize {
        self.turns.len()
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = &Cached> {
        self.turns.values()
    }

    /// Adds partitions or changes what is asked of them.
    pub(crate) fn update(&mut self, wanted: impl IntoIterator<Item = Wanted>) {
        for wanted in wanted {
            match self.turn_of.get(&wanted.key).and_then(|turn| self.turns.get_mut(turn)) {
                Some(cached) => cached.wanted = wanted,
                None => self.append(Cached { wanted, told: None }),
            }
        }
    }

    pub(crate) fn forget(&mut self, key: &FetchKey) {
        if let Some(turn) = self.turn_of.remove(key) {
            self.turns.remove(&turn);
        }
    }

    /// Notes what is answered; true if the answer has to name the partition. `told` is `None` for an error,
    /// after which the partition is named until it is well again.
    pub(crate) fn tell(&mut self, key: &FetchKey, told: Option<Told>, has_news: bool) -> bool {
        let Some(turn) = self.turn_of.get(key).copied() else { return true };
        let Some(cached) = self.turns.get_mut(&turn) else { return true };
        let changed = cached.told.is_none() || cached.told != told;
        cached.told = told;
        if has_news && let Some(cached) = self.turns.remove(&turn) {
            self.append(cached);
        }
        changed || has_news
    }

    fn append(&mut self, cached: Cached) {
        self.turn_of.insert(cached.wanted.key.clone(), self.next_turn);
        self.turns.insert(self.next_turn, cached);
        self.next_turn += 1;
    }
}
