//! Compaction: of every key only the latest record stays. Offsets stay as they are, batches get holes.

use std::collections::{BTreeMap, BTreeSet};

use kafka_proto::Bytes;
use kafka_proto::records::{BatchBuilder, BatchHeader, Header, ProducerStamp, RecordsError};

use super::batch::Entry;
use super::topics::Partition;

impl Partition {
    /// Compacts everything below the high watermark at once. Tombstones stay.
    pub(crate) fn compact(&mut self) {
        let bound = self.high_watermark();
        let latest = self.latest_by_key(bound);
        let needed: BTreeSet<i64> = self.producers.last_batches().collect();
        let compacted = self.log.entries().filter_map(|entry| {
            if entry.last_offset >= bound || entry.header.is_control {
                return Some(entry.clone());
            }
            let is_latest =
                |offset: i64, key: Option<&[u8]>| key.is_some_and(|key| latest.get(key) == Some(&offset));
            compact_entry(entry, needed.contains(&entry.base_offset), is_latest)
        });
        let compacted = compacted.collect();
        self.log.replace_entries(compacted);
    }

    fn latest_by_key(&self, bound: i64) -> BTreeMap<Bytes, i64> {
        let mut latest = BTreeMap::new();
        for entry in self.log.entries().filter(|entry| entry.last_offset < bound) {
            entry.for_each_record(|offset, _, key| {
                if let Some(key) = key {
                    latest.insert(Bytes::copy_from_slice(key), offset);
                }
            });
        }
        latest
    }
}

/// What stays of a batch: all of it, some records, its header alone (a producer's last batch), or nothing.
fn compact_entry(entry: &Entry, needed: bool, stays: impl Fn(i64, Option<&[u8]>) -> bool) -> Option<Entry> {
    let (mut kept, mut all) = (0, 0);
    entry.for_each_record(|offset, _, key| {
        all += 1;
        kept += i32::from(stays(offset, key));
    });
    if kept == 0 && !needed {
        return None;
    }
    if kept == all || entry.magic < 2 {
        return Some(entry.clone());
    }
    Some(rewrite(entry, stays).unwrap_or_else(|_| entry.clone()))
}

fn rewrite(entry: &Entry, stays: impl Fn(i64, Option<&[u8]>) -> bool) -> Result<Entry, RecordsError> {
    let mut builder = BatchBuilder::with_base_timestamp(entry.header.base_timestamp);
    if let Some(mut records) = entry.record_set() {
        while let Some(record) = records.next_record() {
            let record = record?;
            if stays(record.offset, record.key) {
                let delta = (record.offset - entry.base_offset) as i32;
                let mut headers = record.headers();
                let owned: Vec<Header> =
                    std::iter::from_fn(|| headers.next_owned()).collect::<Result<_, _>>()?;
                builder.append_at(delta, record.timestamp, record.key, record.value, &owned)?;
            }
        }
    }
    let max_timestamp = builder.max_timestamp().unwrap_or(entry.header.max_timestamp);
    let body = builder.finish().compress(entry.compression(), None)?;
    let record_count = i32::try_from(body.count()).unwrap_or(i32::MAX);
    let header = BatchHeader { record_count, max_timestamp, ..entry.header.clone() };
    // Only the records behind the header of a sealed batch are wanted; an empty batch has none, compressed or not.
    let sealed = body.seal(ProducerStamp::NONE);
    let plain = if record_count == 0 { Bytes::new() } else { sealed.into_bytes().split_off(61) };
    let records = header.seal(&plain.into())?;
    Ok(Entry { size: records.len(), records, header, ..entry.clone() })
}
