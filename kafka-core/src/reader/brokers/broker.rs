//! What a reader has to do with one broker: the partitions it fetches there, the session, and the fetches under way.
//!
//! There is at most one fetch under way on each of two connections. The main one is a session, and the broker parks it while none of
//! its partitions has records. A partition that becomes wanted meanwhile would wait with it, so it goes into a *secondary* fetch, by
//! the other connection.
//!
//! What changes the lanes that a broker wants can be called by [`Brokers`](super::Brokers) only, which keeps them.

use super::FetchKind;
use super::long_poll::LongPoll;
use super::session::{Asked, Heading, Member, Session, Verdict, last_fetch};
use crate::machine::Time;
use crate::reader::config::ReaderConfig;
use crate::reader::cursor::{Cursor, CursorId, set};
use crate::reader::timers::Retry;
use crate::trouble::{Gravity, Trouble};
use kafka_proto::Str;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::fetch::FetchRequest;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// So many answers in a row may bring nothing before their time.
const IMMEDIATE_ANSWERS: u32 = 4;

#[derive(Debug, Default)]
pub(in crate::reader) struct Broker {
    session: Session,
    /// The partitions to fetch, by turn: what was fetched last is last.
    wanted: BTreeMap<u64, CursorId>,
    /// Those of them that are known to have records waiting, so that the broker will not park the fetch.
    behind: BTreeSet<CursorId>,
    /// Those that are not wanted now and soon will be: what they had is still to be read, or they are tried again.
    due: BTreeSet<CursorId>,
    /// Those whose position is to be checked, if the broker does not do so by itself.
    unvalidated: BTreeSet<CursorId>,
    /// Those for which it is the preferred replica that their leader named (KIP-392).
    on_preferred_replica: BTreeSet<CursorId>,
    /// How many partitions are served here, wanted or not.
    placed: usize,
    main: Option<MainFetch>,
    secondary: Option<SecondaryFetch>,
    /// Until then the main fetch should be back, and with it all are together again: no secondary fetch leaves.
    gathers_until: Option<Time>,
    retry: Retry,
    /// Answers in a row that brought nothing although there was time to wait.
    immediate_answers: u32,
    long_poll: LongPoll,
    /// The trouble it is in since its last answer.
    trouble: Trouble,
}

/// A fetch under way on the main connection.
#[derive(Debug)]
pub(in crate::reader) struct MainFetch {
    pub(in crate::reader) heading: Heading,
    pub(in crate::reader) sent_at: Time,
    /// How long the broker may wait.
    pub(in crate::reader) wait: Duration,
    /// No partition in it was known to have records, so it may be parked.
    pub(in crate::reader) may_park: bool,
    /// The bytes its answer may bring.
    pub(in crate::reader) reserved: usize,
}

/// A fetch under way beside it.
#[derive(Debug)]
pub(in crate::reader) struct SecondaryFetch {
    pub(in crate::reader) sent_at: Time,
    /// How long the broker may wait.
    pub(in crate::reader) wait: Duration,
    pub(in crate::reader) asked: BTreeMap<CursorId, Asked>,
    /// The bytes its answer may bring.
    pub(in crate::reader) reserved: usize,
}

/// By which fetch a wanted partition is asked for next.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::reader) enum NextFetch {
    By(FetchKind),
    /// By the main one, which is waited for until then.
    Gathered(Time),
    /// By one that leaves when that which is under way is back.
    Following,
}

impl Broker {
    // ---- partitions ----

    /// Returns whether it serves no partitions.
    pub(super) fn is_unused(&self) -> bool {
        self.placed == 0
    }

    /// A partition is served here from now on.
    pub(super) fn join(&mut self) {
        self.placed += 1;
        self.long_poll.joined();
    }

    /// Notes what is wanted of a partition that is served here.
    pub(super) fn update(&mut self, id: CursorId, cursor: &Cursor, config: &ReaderConfig) {
        let asked = cursor.wants_records(config.partition_max_bytes).then(|| Asked::of(cursor));
        let is_wanted = asked.is_some();
        self.want(id, cursor.placement.turn, asked);
        set(&mut self.behind, id, is_wanted && cursor.is_behind(config.isolation));
        set(&mut self.due, id, !is_wanted && cursor.will_want_records());
        set(&mut self.unvalidated, id, is_wanted && cursor.is_unvalidated());
        set(&mut self.on_preferred_replica, id, cursor.source().is_replica());
    }

    fn want(&mut self, id: CursorId, turn: u64, asked: Option<Asked>) {
        match asked {
            Some(_) => self.wanted.insert(turn, id),
            None => self.wanted.remove(&turn),
        };
        self.session.want(id, asked);
    }

    /// A partition is no longer served here.
    pub(super) fn leave(&mut self, id: CursorId, turn: u64) {
        self.want(id, turn, None);
        self.behind.remove(&id);
        self.due.remove(&id);
        self.unvalidated.remove(&id);
        self.on_preferred_replica.remove(&id);
        self.placed -= 1;
    }

    /// All partitions are taken away. What is under way goes on, and its answers find nothing.
    pub(super) fn clear(&mut self) {
        self.wanted.clear();
        self.behind.clear();
        self.due.clear();
        self.unvalidated.clear();
        self.on_preferred_replica.clear();
        self.placed = 0;
        self.gathers_until = None;
        self.session.clear();
    }

    /// The partition has another turn.
    pub(super) fn rotate(&mut self, id: CursorId, old: u64, new: u64) {
        if self.wanted.remove(&old).is_some() {
            self.wanted.insert(new, id);
        }
    }

    pub(super) fn topic_recreated(&mut self, topic: &Str, ids: &[CursorId]) {
        if self.session.has_topic(topic) {
            self.session.restart();
        }
        if let Some(secondary) = &mut self.secondary {
            secondary.asked.retain(|id, _| !ids.contains(id));
        }
    }

    /// Returns the partitions to fetch, in their turn.
    pub(in crate::reader) fn wanted(&self) -> impl Iterator<Item = CursorId> {
        self.wanted.values().copied()
    }

    /// Returns those of them that it does not have as they are.
    pub(in crate::reader) fn changed(&self) -> impl Iterator<Item = CursorId> {
        self.session.changed().iter().copied()
    }

    /// Returns how many partitions the next main or secondary fetch has, and the first one.
    pub(in crate::reader) fn next_fetch(&self, kind: FetchKind) -> (usize, Option<CursorId>) {
        let changed = self.session.changed();
        match kind {
            FetchKind::Main => (self.wanted.len(), self.wanted().next()),
            FetchKind::Secondary => (changed.len(), changed.first().copied()),
        }
    }

    /// Takes the partitions whose position is to be checked.
    pub(in crate::reader) fn take_unvalidated(&mut self) -> BTreeSet<CursorId> {
        std::mem::take(&mut self.unvalidated)
    }

    /// Returns the partitions for which it is the preferred replica.
    pub(in crate::reader) fn on_preferred_replica(&self) -> BTreeSet<CursorId> {
        self.on_preferred_replica.clone()
    }

    // ---- fetches that leave ----

    pub(super) fn wants_main(&self) -> bool {
        self.main.is_none() && !self.wanted.is_empty() && !self.retry.is_waiting()
    }

    pub(super) fn wants_secondary(&self) -> bool {
        self.main.as_ref().is_some_and(|main| main.may_park)
            && self.secondary.is_none()
            && self.gathers_until.is_none()
            && !self.session.changed().is_empty()
            && !self.retry.is_waiting()
    }

    /// Returns by which fetch a wanted partition is asked for next.
    pub(in crate::reader) fn next_fetch_of(&self, id: CursorId) -> Option<NextFetch> {
        let is_wanted = self.wanted().any(|wanted| wanted == id);
        is_wanted.then(|| match &self.main {
            None => NextFetch::By(FetchKind::Main),
            Some(main)
                if main.may_park && self.session.changed().contains(&id) && self.secondary.is_none() =>
            {
                self.gathers_until.map_or(NextFetch::By(FetchKind::Secondary), NextFetch::Gathered)
            }
            Some(_) => NextFetch::Following,
        })
    }

    /// Begins the next request of the session. If that is full, it is to name [all](Self::wanted) that is wanted, else what has
    /// [changed](Self::changed).
    pub(in crate::reader) fn begin_main(&mut self, version: i16, by_id: bool) -> Heading {
        let heading = self.session.heading(version, by_id);
        if heading.is_full {
            self.session.change_all(self.wanted.values().copied().collect());
        }
        heading
    }

    /// The next request of the session names these. Returns the partitions that it has and that are not wanted any more, to be taken
    /// back.
    #[must_use = "the broker goes on with them"]
    pub(in crate::reader) fn name(&mut self, named: Vec<(CursorId, Member)>) -> Vec<Member> {
        self.session.name(named)
    }

    /// Returns how many partitions the session has.
    pub(in crate::reader) fn session_len(&self) -> usize {
        self.session.len()
    }

    /// Returns whether it may park the main fetch: no partition of the session is known to have records. An old broker is asked for
    /// no more than fits, so those that have some are perhaps not among them.
    pub(in crate::reader) fn may_park(&self) -> bool {
        !self.behind.iter().any(|id| self.session.has(*id))
    }

    /// Returns how long it may wait with the main fetch.
    pub(in crate::reader) fn main_wait(&self, config: &ReaderConfig, may_park: bool) -> Duration {
        match self.has_others() || !self.session.changed().is_empty() {
            true => self.long_poll.short_wait(config),
            false => self.long_poll.long_wait(config, may_park, self.may_be_trusted()),
        }
    }

    pub(super) fn send_main(&mut self, fetch: MainFetch) {
        self.main = Some(fetch);
    }

    pub(super) fn send_secondary(&mut self, fetch: SecondaryFetch) {
        self.secondary = Some(fetch);
    }

    /// Returns how long it may wait with a secondary fetch: a little less than the main one has left, so that all are soon together
    /// again.
    pub(in crate::reader) fn secondary_wait(&self, now: Time, config: &ReaderConfig) -> Duration {
        let (most, left) = match &self.main {
            Some(main) => (main.wait, (main.sent_at + main.wait).duration_since(now)),
            None => (Duration::MAX, Duration::ZERO),
        };
        // A main fetch that is overdue must not make this one a spin, nor one that waits long make others wait behind it.
        let most = most.min(config.max_wait);
        let wait = if left < most / 8 { config.max_wait } else { (left - most / 32).min(most) };
        match self.has_others() {
            true => wait.min(self.long_poll.short_secondary_wait(config)),
            false => wait,
        }
    }

    /// Returns whether it serves partitions of which nothing is wanted now, and soon will be.
    fn has_others(&self) -> bool {
        !self.due.is_empty()
    }

    /// Returns whether it may wait longer than `max_wait` while nothing comes: it answers as soon as there is anything. Replicas are
    /// not known to: before Kafka 3.4 they do not (KAFKA-14334).
    fn may_be_trusted(&self) -> bool {
        self.on_preferred_replica.is_empty()
    }

    // ---- answers ----

    pub(super) fn end_main(&mut self) -> Option<MainFetch> {
        self.main.take()
    }

    pub(super) fn end_secondary(&mut self) -> Option<SecondaryFetch> {
        self.secondary.take()
    }

    pub(super) fn gather(&mut self, now: Time, max_wait: Duration) -> Option<Time> {
        let main = self.main.as_ref()?;
        let wait = main.wait.min(max_wait);
        let waited = now.duration_since(main.sent_at);
        let until = (wait - wait / 16..wait * 2).contains(&waited).then(|| now + wait / 16)?;
        self.gathers_until = Some(until);
        Some(until)
    }

    pub(super) fn end_gathering(&mut self) -> Option<Time> {
        self.gathers_until.take()
    }

    /// An answer came to the request of this heading.
    pub(in crate::reader) fn session_answered(
        &mut self,
        heading: Heading,
        error: ErrorCode,
        session_id: i32,
    ) -> Verdict {
        self.session.answered(heading, error, session_id)
    }

    /// No answer came: what the broker knows of the session is not known.
    pub(in crate::reader) fn restart_session(&mut self) {
        self.session.restart();
    }

    /// Returns what was asked of a partition by the main fetch.
    pub(in crate::reader) fn asked(&self, id: CursorId) -> Option<Asked> {
        self.session.asked(id)
    }

    /// Notes whether and when the main fetch brought something.
    pub(in crate::reader) fn main_brought(&mut self, brought: bool) {
        self.long_poll.main_answered(brought);
    }

    /// The same of the secondary one.
    pub(in crate::reader) fn secondary_brought(&mut self, brought: bool) {
        self.long_poll.secondary_answered(brought);
    }

    /// The main fetch brought records: notes whether that was at the end of its wait.
    pub(in crate::reader) fn note_promptness(&mut self, now: Time, fetch: &MainFetch, config: &ReaderConfig) {
        if fetch.may_park && config.min_bytes <= 1 {
            self.long_poll.note_promptness(now.duration_since(fetch.sent_at), fetch.wait, config.max_wait);
        }
    }

    /// A fetch succeeded. Returns whether the next one may follow at once: a broker that does not wait although there is nothing must
    /// not be asked again and again.
    pub(in crate::reader) fn succeeded(&mut self, waited: Duration, wait: Duration, brought: bool) -> bool {
        self.trouble.is_over();
        let is_immediate = !brought && waited < wait / 2;
        self.immediate_answers = if is_immediate { self.immediate_answers.saturating_add(1) } else { 0 };
        let may_follow = self.immediate_answers < IMMEDIATE_ANSWERS;
        if may_follow {
            self.retry.recover();
        }
        may_follow
    }

    /// A fetch failed. Returns whether that is to be reported: at once, or, where it should pass, once it has lasted.
    pub(in crate::reader) fn failed(&mut self, now: Time, grace: Duration, passes: bool) -> bool {
        let grace = if passes { grace } else { Duration::ZERO };
        self.trouble.lasts(now, now, grace, Gravity::of(passes))
    }

    pub(super) fn retry(&mut self) -> &mut Retry {
        &mut self.retry
    }

    // ---- what is known ----

    /// Returns whether it is not asked for a while.
    pub(in crate::reader) fn is_waiting(&self) -> bool {
        self.retry.is_waiting()
    }

    pub(in crate::reader) fn is_fetching_main(&self) -> bool {
        self.main.is_some()
    }

    #[cfg(test)]
    pub(super) fn is_fetching(&self) -> bool {
        self.main.is_some() || self.secondary.is_some()
    }

    /// Returns the bytes that the answers under way may bring.
    pub(super) fn reserved(&self) -> usize {
        let main = self.main.as_ref().map_or(0, |main| main.reserved);
        main + self.secondary.as_ref().map_or(0, |secondary| secondary.reserved)
    }

    /// Returns whether nothing is served here, or it has answered without records so often that it waits for long.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_unused() || self.long_poll.is_quiet(self.may_be_trusted())
    }

    // ---- the end of the session ----

    pub(super) fn end_unused_session(&mut self) -> Option<FetchRequest> {
        if self.is_unused() && self.main.is_none() { self.end_session() } else { None }
    }

    /// Gives the session up for good. Returns the request that ends it at the broker, if it has one.
    pub(super) fn end_session(&mut self) -> Option<FetchRequest> {
        self.session.end().map(last_fetch)
    }
}
