//! Batches as brokers keep them: with offsets, holes, markers and producers.

use kafka_proto::Bytes;
use kafka_proto::records::{BatchBuilder, Compression, Header, ProducerStamp};

#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) base: i64,
    /// Offsets that are left, counted from the base.
    pub(super) deltas: Vec<i32>,
    /// The last offset the batch had, counted from the base.
    pub(super) last: i32,
    pub(super) epoch: i32,
    pub(super) producer: i64,
    pub(super) transactional: bool,
    /// 0 abort, 1 commit.
    pub(super) marker: Option<i16>,
    pub(super) compression: Compression,
    pub(super) value: usize,
}

impl Batch {
    /// A batch of the offsets from `base` up to before `end`.
    pub(super) fn plain(base: i64, end: i64) -> Self {
        let count = (end - base) as i32;
        Self {
            base,
            deltas: (0..count).collect(),
            last: count - 1,
            epoch: 5,
            producer: -1,
            transactional: false,
            marker: None,
            compression: Compression::None,
            value: 8,
        }
    }

    pub(super) fn transactional(base: i64, end: i64, producer: i64) -> Self {
        Self { producer, transactional: true, ..Self::plain(base, end) }
    }

    /// The end of a transaction: 0 abort, 1 commit.
    pub(super) fn marker(base: i64, producer: i64, marker: i16) -> Self {
        Self { marker: Some(marker), ..Self::transactional(base, base + 1, producer) }
    }

    pub(super) fn bytes(&self) -> Bytes {
        let mut builder = BatchBuilder::new();
        for delta in &self.deltas {
            let key = match self.marker {
                Some(marker) => [0i16.to_be_bytes(), marker.to_be_bytes()].concat(),
                None => format!("k{}", self.base + i64::from(*delta)).into_bytes(),
            };
            let headers = [Header::new("h", "1")];
            let headers = if self.marker.is_some() { &[] } else { &headers[..] };
            let value = vec![b'v'; self.value];
            builder.append_at(*delta, 1000 + i64::from(*delta), Some(&key), Some(&value), headers).unwrap();
        }
        let body = builder.finish().compress(self.compression, None).unwrap();
        let mut header = body.header(ProducerStamp::NONE);
        header.base_offset = self.base;
        header.last_offset_delta = self.last;
        header.partition_leader_epoch = self.epoch;
        header.producer_id = self.producer;
        header.is_transactional = self.transactional;
        header.is_control = self.marker.is_some();
        header.seal(body.as_records()).unwrap().into_bytes()
    }
}
