//! Who picks the partition of a message that names none.
//!
//! Balancers are asked outside all locks. One that panics, or answers out of range, fails its message and nothing else.

use crate::message::Message;
use kafka_proto::Str;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a balancer may choose from.
#[derive(Clone, Copy, Debug)]
pub struct Partitions<'a> {
    /// The topic.
    pub topic: &'a Str,
    /// How many partitions the topic has; they are numbered from 0.
    pub count: i32,
    /// Those that have a leader now, in order; never empty (all, where none has a leader).
    pub available: &'a [i32],
    pub(crate) sticky: i32,
}

impl Partitions<'_> {
    /// The partition that messages without a key stick to at the moment (KIP-794): it changes whenever about a batch
    /// was written to it.
    pub fn sticky(&self) -> i32 {
        self.sticky
    }
}

/// Picks the partition of each message that does not [name](Message::partition) its own.
pub trait Balancer: Send + Sync + fmt::Debug {
    /// Picks the partition of `message`: one of `0..partitions.count`, or `None` where it can choose none, which fails the
    /// message.
    fn balance(&self, message: &Message, partitions: &Partitions<'_>) -> Option<i32>;
}

/// Java's default: murmur2 of the key where there is one, else the sticky partition (KIP-794).
#[derive(Clone, Copy, Debug, Default)]
pub struct JavaDefault;

impl Balancer for JavaDefault {
    fn balance(&self, message: &Message, partitions: &Partitions<'_>) -> Option<i32> {
        Some(match &message.key {
            Some(key) => murmur2_partition(key, partitions.count),
            None => partitions.sticky(),
        })
    }
}

/// One available partition after the other.
#[derive(Debug, Default)]
pub struct RoundRobin(AtomicU32);

impl Balancer for RoundRobin {
    fn balance(&self, _: &Message, partitions: &Partitions<'_>) -> Option<i32> {
        let turn = self.0.fetch_add(1, Ordering::Relaxed) as usize;
        partitions.available.get(turn % partitions.available.len().max(1)).copied()
    }
}

/// Picks none, so that a message that does not name its partition fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manual;

impl Balancer for Manual {
    fn balance(&self, _: &Message, _: &Partitions<'_>) -> Option<i32> {
        None
    }
}

/// The partition of a key as Java places it: `(murmur2 & 0x7fffffff) % count`.
pub fn murmur2_partition(key: &[u8], count: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff) % count.max(1)
}

/// The hash of Java's default partitioner (Austin Appleby's MurmurHash2 with Kafka's seed).
pub fn murmur2(data: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut h = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        h ^= tail.iter().rev().fold(0, |k, b| (k << 8) | u32::from(*b));
        h = h.wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    (h ^ (h >> 15)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_javas() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn round_robin_takes_turns_among_the_available() {
        let topic = Str::from("t");
        let partitions = Partitions { topic: &topic, count: 5, available: &[0, 2, 4], sticky: 0 };
        let balancer = RoundRobin::default();
        let picked: Vec<_> =
            (0..6).filter_map(|_| balancer.balance(&Message::new("x"), &partitions)).collect();
        assert_eq!(picked, [0, 2, 4, 0, 2, 4]);
    }
}
