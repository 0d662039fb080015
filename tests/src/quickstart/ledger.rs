//! What was acknowledged and what was read, message by message.
//!
//! A group delivers at least once: a message that is read again at the same place counts as redelivered. One that is at
//! two places was written twice.

use super::Failure;
use super::messages::{KEYS, Messages, checksum};
use kafka_core::{Message, Record};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) messages: Messages,
    /// Where each message is, as far as known.
    places: Vec<AtomicU64>,
    partitions: Vec<Mutex<Partition>>,
    pub(crate) made: AtomicU64,
    pub(crate) acked: AtomicU64,
    pub(crate) read: AtomicU64,
    pub(crate) redelivered: AtomicU64,
    pub(crate) foreign: AtomicU64,
    pub(crate) written_sum: AtomicU64,
    pub(crate) read_sum: AtomicU64,
    read_all: AtomicBool,
}

#[derive(Debug, Default)]
struct Partition {
    seen: Bits,
    /// The last message of each key, and one more.
    last: Vec<u64>,
    position: i64,
    end: i64,
}

impl Ledger {
    pub(crate) fn new(messages: Messages, partitions: usize) -> Self {
        Self {
            messages,
            places: (0..messages.count).map(|_| AtomicU64::new(0)).collect(),
            partitions: (0..partitions).map(|_| Mutex::default()).collect(),
            made: AtomicU64::new(0),
            acked: AtomicU64::new(0),
            read: AtomicU64::new(0),
            redelivered: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            written_sum: AtomicU64::new(0),
            read_sum: AtomicU64::new(0),
            read_all: AtomicBool::new(false),
        }
    }

    pub(crate) fn message(&self, id: u64) -> Message {
        let message = self.messages.message(id);
        self.made.fetch_add(1, Relaxed);
        self.written_sum.fetch_add(checksum(message.key.as_ref(), message.value.as_ref()), Relaxed);
        message
    }

    /// The offset is negative where the broker did not tell it.
    pub(crate) fn acked(&self, id: u64, partition: i32, offset: i64) {
        if offset >= 0 {
            self.places[id as usize].store(place(partition, offset), Relaxed);
        }
        self.acked.fetch_add(1, Relaxed);
    }

    /// The offsets up to which the partitions have to be read; whether that is already so.
    pub(crate) fn set_ends(&self, ends: &[i64]) -> bool {
        for (index, end) in ends.iter().enumerate() {
            self.partition(index).end = *end;
        }
        self.look_whether_all_is_read()
    }

    /// Takes a message that was read; whether it was the last one.
    pub(crate) fn read(&self, record: &Record) -> Result<bool, Failure> {
        let Record { partition, offset, .. } = *record;
        let Some(index) = usize::try_from(partition).ok().filter(|index| *index < self.partitions.len())
        else {
            return Err(Failure::Damaged { partition, offset });
        };
        let mut state = self.partition(index);
        match self.messages.id_of(record.value.as_ref()) {
            None => drop(self.foreign.fetch_add(1, Relaxed)),
            Some(id) => self.take(&mut state, id, record)?,
        }
        let before = state.position;
        state.position = before.max(offset + 1);
        let reached = before < state.end && state.position >= state.end;
        drop(state);
        Ok(reached && self.look_whether_all_is_read())
    }

    fn take(&self, state: &mut Partition, id: u64, record: &Record) -> Result<(), Failure> {
        let Record { partition, offset, .. } = *record;
        if !self.messages.is_sound(id, record) {
            return Err(Failure::Damaged { partition, offset });
        }
        let here = place(partition, offset);
        let known = self.places[id as usize].swap(here, Relaxed);
        if known != 0 && known != here {
            return Err(Failure::Doubled { id, first: shown(known), second: shown(here) });
        }
        if state.seen.set(id) {
            self.redelivered.fetch_add(1, Relaxed);
            return Ok(());
        }
        state.last.resize(KEYS as usize, 0);
        let last = &mut state.last[(id % KEYS) as usize];
        if id < *last {
            return Err(Failure::Order { earlier: id, later: *last - 1 });
        }
        *last = id + 1;
        self.read_sum.fetch_add(checksum(record.key.as_ref(), record.value.as_ref()), Relaxed);
        self.read.fetch_add(1, Relaxed);
        Ok(())
    }

    fn look_whether_all_is_read(&self) -> bool {
        let done = |index| {
            let partition = self.partition(index);
            partition.position >= partition.end
        };
        let all = (0..self.partitions.len()).all(done);
        if all {
            self.read_all.store(true, Relaxed);
        }
        all
    }

    pub(crate) fn is_read(&self) -> bool {
        self.read_all.load(Relaxed)
    }

    /// Whether everything that was written was read.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let missing = |id: &u64| !(0..self.partitions.len()).any(|index| self.partition(index).seen.has(*id));
        let count = self.messages.count - self.read.load(Relaxed);
        if count > 0 {
            let first = (0..self.messages.count).find(missing).unwrap_or(0);
            return Err(Failure::Lost { count, first });
        }
        let (written, read) = (self.written_sum.load(Relaxed), self.read_sum.load(Relaxed));
        if written != read {
            return Err(Failure::Checksum { written, read });
        }
        Ok(())
    }

    fn partition(&self, index: usize) -> MutexGuard<'_, Partition> {
        self.partitions[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Never 0, which stands for not known.
fn place(partition: i32, offset: i64) -> u64 {
    (((partition as u64) + 1) << 48) | (offset as u64 & ((1 << 48) - 1))
}

fn shown(place: u64) -> String {
    format!("{}/{}", (place >> 48) - 1, place & ((1 << 48) - 1))
}

#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Sets a bit; whether it was set.
    fn set(&mut self, bit: u64) -> bool {
        let (word, mask) = ((bit / 64) as usize, 1 << (bit % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let before = self.0[word] & mask != 0;
        self.0[word] |= mask;
        before
    }

    fn has(&self, bit: u64) -> bool {
        self.0.get((bit / 64) as usize).is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let ledger = Ledger::new(Messages { run: 1, count: 20_002, size: 32 }, 2);
        ledger.set_ends(&[4, 0]);
        ledger
    }

    fn at(ledger: &Ledger, id: u64, partition: i32, offset: i64) -> Record {
        let written = ledger.message(id);
        let mut record = Record::new("t", partition, offset);
        (record.key, record.value) = (written.key, written.value);
        record
    }

    #[test]
    fn what_is_read_again_is_no_error_and_what_is_there_twice_is() {
        let ledger = ledger();
        ledger.acked(0, 0, 0);
        let first = at(&ledger, 0, 0, 0);
        assert!(!ledger.read(&first).unwrap());
        assert!(!ledger.read(&first).unwrap());
        assert_eq!((ledger.read.load(Relaxed), ledger.redelivered.load(Relaxed)), (1, 1));
        let again = at(&ledger, 0, 0, 1);
        assert!(matches!(ledger.read(&again), Err(Failure::Doubled { id: 0, .. })));
    }

    #[test]
    fn messages_of_a_key_are_in_order() {
        let ledger = ledger();
        ledger.read(&at(&ledger, 10_001, 0, 0)).unwrap();
        ledger.read(&at(&ledger, 0, 0, 1)).unwrap();
        ledger.read(&at(&ledger, 20_001, 0, 2)).unwrap();
        let early = at(&ledger, 1, 0, 3);
        assert!(matches!(ledger.read(&early), Err(Failure::Order { earlier: 1, later: 20_001 })));
    }

    #[test]
    fn what_is_lost_is_named() {
        let ledger = ledger();
        for (offset, id) in [(0, 0), (1, 1), (2, 3)] {
            assert!(!ledger.read(&at(&ledger, id, 0, offset)).unwrap());
        }
        let mut other_run = Record::new("t", 0, 3);
        other_run.value = Some("other".into());
        assert!(ledger.read(&other_run).unwrap() && ledger.is_read());
        assert!(matches!(ledger.check(), Err(Failure::Lost { first: 2, count: 19_999 })));
    }
}
