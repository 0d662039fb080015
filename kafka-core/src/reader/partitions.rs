//! The partitions that are assigned, and their topics.
//!
//! Invariants
//! * A cursor's number is never used again, so that an answer meant for an earlier assignment finds nothing.
//! * Each partition stands once, under its topic.
//! * A topic id leads to the topic's name for as long as it is the topic's id. `without_id` counts the topics that have none.
//! * A partition stands in `leaderless` if it is to be read, does not wait to be tried again, and has no known leader.

use super::cursor::{Cursor, CursorId, set};
use super::machine::Item;
use crate::snapshot::{Cluster, Topic, TopicPartition};
use kafka_proto::{Str, Uuid};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Partitions {
    /// In the order of their numbers.
    cursors: Vec<(CursorId, Cursor)>,
    /// The number of the next one.
    next: CursorId,
    topics: BTreeMap<Str, TopicEntry>,
    names: FxHashMap<Uuid, Str>,
    /// How many of the topics have no id, as far as is known.
    without_id: usize,
    leaderless: BTreeSet<CursorId>,
    /// How often a partition was looked at.
    visits: u64,
}

#[derive(Debug, Default)]
struct TopicEntry {
    id: Uuid,
    /// The snapshot that was looked at last.
    seen: Option<Arc<Topic>>,
    partitions: BTreeMap<i32, CursorId>,
}

/// A topic was deleted and created again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recreated {
    /// The id that it had.
    pub(super) old: Uuid,
    /// Its partitions.
    pub(super) ids: Vec<CursorId>,
}

impl Partitions {
    /// Adds a partition, unless it is there, and returns its number.
    pub(super) fn add(&mut self, tp: TopicPartition, limit: usize) -> Option<CursorId> {
        let id = self.next;
        let entry = self.topics.entry(tp.topic.clone()).or_insert_with(|| {
            self.without_id += 1;
            TopicEntry::default()
        });
        if entry.partitions.contains_key(&tp.partition) {
            return None; // the first one counts
        }
        entry.partitions.insert(tp.partition, id);
        self.cursors.push((id, Cursor::new(tp, limit)));
        self.next += 1;
        Some(id)
    }

    /// Removes partitions of which no other part has noted anything any more.
    pub(super) fn remove(&mut self, ids: &BTreeSet<CursorId>) {
        for (id, cursor) in self.cursors.extract_if(.., |(id, _)| ids.contains(id)) {
            self.leaderless.remove(&id);
            let Some(entry) = self.topics.get_mut(cursor.topic()) else { continue };
            entry.partitions.remove(&cursor.partition());
            if entry.partitions.is_empty() {
                self.names.remove(&entry.id);
                self.without_id -= usize::from(entry.id.is_zero());
                self.topics.remove(cursor.topic());
            }
        }
    }

    /// Removes all partitions, and returns what was queued of them.
    #[must_use = "chunks are not dropped under the lock"]
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Item> {
        self.topics.clear();
        self.names.clear();
        self.without_id = 0;
        self.leaderless.clear();
        self.cursors.drain(..).flat_map(|(_, cursor)| cursor.into_items())
    }

    pub(super) fn get(&self, id: CursorId) -> Option<&Cursor> {
        self.cursors.get(self.index(id)?).map(|(_, cursor)| cursor)
    }

    pub(super) fn get_mut(&mut self, id: CursorId) -> Option<&mut Cursor> {
        let index = self.index(id)?;
        self.cursors.get_mut(index).map(|(_, cursor)| cursor)
    }

    /// Returns where the cursor of this number is: as far from the first one as its number, less those removed in between.
    fn index(&self, id: CursorId) -> Option<usize> {
        let (first, _) = self.cursors.first()?;
        let most = usize::try_from(id.checked_sub(*first)?).ok()?;
        if self.cursors.get(most).is_some_and(|(at, _)| *at == id) {
            return Some(most);
        }
        let before = &self.cursors[..most.min(self.cursors.len())];
        before.binary_search_by_key(&id, |(at, _)| *at).ok()
    }

    /// The same, counted.
    pub(super) fn visit(&mut self, id: CursorId) -> Option<&mut Cursor> {
        self.visits += 1;
        self.get_mut(id)
    }

    /// Notes, after a change of a partition, whether it waits for a leader. Others note the rest.
    pub(super) fn update(&mut self, id: CursorId) -> Option<&mut Cursor> {
        let is_leaderless = self.visit(id)?.is_leaderless();
        set(&mut self.leaderless, id, is_leaderless);
        self.get_mut(id)
    }

    /// Takes out what waits for a leader. What still does afterwards is noted by its [update](Self::update).
    pub(super) fn take_leaderless(&mut self) -> BTreeSet<CursorId> {
        std::mem::take(&mut self.leaderless)
    }

    pub(super) fn is_leaderless(&self, id: CursorId) -> bool {
        self.leaderless.contains(&id)
    }

    pub(super) fn has_leaderless(&self) -> bool {
        !self.leaderless.is_empty()
    }

    pub(super) fn lookup(&self, topic: &str, partition: i32) -> Option<CursorId> {
        self.topics.get(topic)?.partitions.get(&partition).copied()
    }

    /// Returns the partitions of a topic.
    pub(super) fn of_topic(&self, topic: &str) -> impl Iterator<Item = CursorId> {
        self.topics.get(topic).into_iter().flat_map(|entry| entry.partitions.values().copied())
    }

    pub(super) fn id_of(&self, tp: &TopicPartition) -> Option<CursorId> {
        self.lookup(&tp.topic, tp.partition)
    }

    pub(super) fn find(&self, tp: &TopicPartition) -> Option<&Cursor> {
        self.get(self.id_of(tp)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (CursorId, &Cursor)> {
        self.cursors.iter().map(|(id, cursor)| (*id, cursor))
    }

    #[cfg(test)]
    pub(super) fn topics(&self) -> impl Iterator<Item = &Str> {
        self.topics.keys()
    }

    /// Returns whether each topic has an id.
    pub(super) fn have_ids(&self) -> bool {
        self.without_id == 0
    }

    /// Returns the topic's id, which is zero while it is not known.
    pub(super) fn topic_id(&self, topic: &str) -> Option<Uuid> {
        self.topics.get(topic).map(|entry| entry.id)
    }

    pub(super) fn topic_with_id(&self, id: Uuid) -> Option<&Str> {
        self.names.get(&id)
    }

    /// Returns the topics of which there is a snapshot that was not looked at, and their partitions.
    pub(super) fn changed_topics(&mut self, cluster: &Cluster) -> Vec<(Arc<Topic>, Vec<CursorId>)> {
        let mut changed = Vec::new();
        for (name, entry) in &mut self.topics {
            let Some(topic) = cluster.topic(name) else { continue };
            if entry.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, topic)) {
                continue;
            }
            entry.seen = Some(Arc::clone(topic));
            changed.push((Arc::clone(topic), entry.partitions.values().copied().collect()));
        }
        changed
    }

    /// Notes a topic's id. Another one than before means that the topic was deleted and created again.
    pub(super) fn note_topic_id(&mut self, topic: &Topic) -> Option<Recreated> {
        let entry = self.topics.get_mut(&topic.name)?;
        if topic.id.is_zero() || topic.id == entry.id {
            return None;
        }
        let old = std::mem::replace(&mut entry.id, topic.id);
        self.names.insert(topic.id, topic.name.clone());
        if old.is_zero() {
            self.without_id -= 1;
            return None;
        }
        self.names.remove(&old);
        Some(Recreated { old, ids: entry.partitions.values().copied().collect() })
    }

    /// Counts looks at partitions that were made elsewhere.
    pub(super) fn count_visits(&mut self, visits: usize) {
        self.visits += visits as u64;
    }

    #[cfg(test)]
    pub(super) fn visits(&self) -> u64 {
        self.visits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tp(topic: &'static str, partition: i32) -> TopicPartition {
        TopicPartition::new(Str::from_static(topic), partition)
    }

    fn topic(name: &'static str, id: u8) -> Topic {
        let id = Uuid([id; 16]);
        Topic { name: Str::from_static(name), id, is_internal: false, partitions: vec![] }
    }

    #[test]
    fn numbers_are_not_used_again() {
        let mut partitions = Partitions::default();
        assert_eq!([0, 1, 0].map(|p| partitions.add(tp("t", p), 1)), [Some(0), Some(1), None]);
        assert_eq!(partitions.clear().count(), 0);
        assert_eq!((partitions.get(0).is_some(), partitions.lookup("t", 0)), (false, None));
        assert_eq!(partitions.add(tp("t", 1), 1), Some(2));
        assert_eq!(partitions.find(&tp("t", 1)).map(Cursor::partition), Some(1));
    }

    #[test]
    fn some_are_removed_and_the_others_are_found() {
        let mut partitions = Partitions::default();
        let ids =
            [("a", 0), ("b", 0), ("b", 1), ("c", 0), ("c", 1)].map(|(t, p)| partitions.add(tp(t, p), 1));
        let ids = ids.map(Option::unwrap);
        [topic("a", 1), topic("b", 2)].iter().for_each(|topic| _ = partitions.note_topic_id(topic));
        partitions.remove(&BTreeSet::from([ids[0], ids[2], ids[3]]));
        let left = |partitions: &Partitions| ids.map(|id| partitions.get(id).map(|c| c.tp().clone()));
        assert_eq!(left(&partitions), [None, Some(tp("b", 0)), None, None, Some(tp("c", 1))]);
        assert_eq!((partitions.topic_id("a"), partitions.topic_with_id(topic("a", 1).id)), (None, None));
        assert!(!partitions.have_ids(), "c has none");
        partitions.remove(&BTreeSet::from([ids[4]]));
        assert!(partitions.have_ids());
        assert_eq!(partitions.add(tp("c", 1), 1), Some(5), "numbers are not used again");
        assert_eq!(partitions.iter().map(|(id, _)| id).collect::<Vec<_>>(), [1, 5]);
        partitions.remove(&BTreeSet::from([ids[1], 5]));
        assert_eq!(left(&partitions), [const { None }; 5]);
    }

    #[test]
    fn an_id_leads_to_its_topic_until_that_has_another() {
        let mut partitions = Partitions::default();
        let ids = [("a", 0), ("b", 0), ("b", 1)].map(|(t, p)| partitions.add(tp(t, p), 1).unwrap());
        assert!(!partitions.have_ids());
        assert_eq!([topic("a", 1), topic("b", 2)].map(|t| partitions.note_topic_id(&t)), [None, None]);
        assert!(partitions.have_ids());
        assert_eq!(partitions.note_topic_id(&topic("b", 0)), None, "a zero id says nothing");
        assert_eq!(partitions.note_topic_id(&topic("c", 9)), None, "nothing of it is assigned");

        let (old, new) = (topic("b", 2).id, topic("b", 3).id);
        let recreated = Recreated { old, ids: ids[1..].to_vec() };
        assert_eq!(partitions.note_topic_id(&topic("b", 3)), Some(recreated));
        assert_eq!(partitions.topic_id("b"), Some(new));
        assert_eq!([old, new].map(|id| partitions.topic_with_id(id).is_some()), [false, true]);
    }

    #[test]
    fn a_partition_that_is_to_be_read_waits_for_a_leader() {
        let mut partitions = Partitions::default();
        let id = partitions.add(tp("t", 0), 1).unwrap();
        partitions.update(id);
        assert!(!partitions.has_leaderless());
        partitions.get_mut(id).unwrap().begin_at(0, -1);
        partitions.update(id);
        assert!(partitions.is_leaderless(id));
        assert_eq!(partitions.take_leaderless().into_iter().collect::<Vec<_>>(), [id]);
        partitions.get_mut(id).unwrap().set_leader(Some(1), 0);
        partitions.update(id);
        assert!(!partitions.has_leaderless());
    }
}
