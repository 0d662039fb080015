//! The messages of a run: each follows from its number, so that what is read can be checked byte by byte.
//!
//! A value begins with the number of the run and that of the message; the rest is letters, which codecs can halve.

use kafka_core::{Bytes, Message, Record};

/// The most keys; messages take them in turn.
pub(crate) const KEYS: u64 = 10_000;
const HEAD: usize = 16;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages {
    pub(crate) run: u64,
    pub(crate) count: u64,
    pub(crate) size: usize,
}

impl Messages {
    pub(crate) fn message(&self, id: u64) -> Message {
        let mut value = Vec::with_capacity(self.size.next_multiple_of(8));
        value.extend_from_slice(&self.run.to_be_bytes());
        value.extend_from_slice(&id.to_be_bytes());
        let mut letters = Letters(self.run ^ id);
        while value.len() < self.size {
            value.extend_from_slice(&letters.next());
        }
        value.truncate(self.size);
        Message::new(value).key(key(id))
    }

    /// The number of a message that was read; `None` if another run wrote it.
    pub(crate) fn id_of(&self, value: Option<&Bytes>) -> Option<u64> {
        let (run, rest) = value?.split_first_chunk::<8>()?;
        let id = u64::from_be_bytes(*rest.first_chunk::<8>()?);
        (u64::from_be_bytes(*run) == self.run && id < self.count).then_some(id)
    }

    /// Whether this is what message `id` was written with.
    pub(crate) fn is_sound(&self, id: u64, record: &Record) -> bool {
        let Some(value) = record.value.as_ref().filter(|v| v.len() == self.size) else { return false };
        let mut letters = Letters(self.run ^ id);
        let same = value[HEAD..].chunks(8).all(|part| letters.next().starts_with(part));
        same && record.key.as_deref() == Some(key(id).as_bytes())
    }
}

fn key(id: u64) -> String {
    format!("key-{:06}", id % KEYS)
}

struct Letters(u64);

impl Letters {
    fn next(&mut self) -> [u8; 8] {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let bits = mix(self.0);
        ((bits & 0x0F0F_0F0F_0F0F_0F0F) + 0x6161_6161_6161_6161).to_be_bytes()
    }
}

/// A checksum of a key and a value; those of all messages are summed up, which needs no order.
pub(crate) fn checksum(key: Option<&Bytes>, value: Option<&Bytes>) -> u64 {
    [key, value].into_iter().fold(0, |sum, part| hash(sum, part.map(|part| &**part).unwrap_or_default()))
}

fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_be_bytes(*word));
    words.fold(seed ^ bytes.len() as u64, |sum, word| {
        (sum ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    })
}

/// The finalizer of splitmix64.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_found() {
        let messages = Messages { run: 7, count: 100, size: 29 };
        let written = messages.message(42);
        let mut good = Record::new("t", 0, 0);
        (good.key, good.value) = (written.key, written.value);
        let sum = |record: &Record| checksum(record.key.as_ref(), record.value.as_ref());
        assert_eq!(good.value.as_ref().map(Bytes::len), Some(29));
        assert_eq!(messages.id_of(good.value.as_ref()), Some(42));
        assert!(messages.is_sound(42, &good));
        assert!(!messages.is_sound(43, &good));
        for at in 16..29 {
            let mut value = good.value.clone().unwrap().to_vec();
            value[at] ^= 1;
            let mut bad = good.clone();
            bad.value = Some(value.into());
            assert!(!messages.is_sound(42, &bad), "byte {at}");
            assert_ne!(sum(&bad), sum(&good), "byte {at}");
        }
        let mut other_key = good.clone();
        other_key.key = Some("key-000043".into());
        assert!(!messages.is_sound(42, &other_key));
        assert_eq!(Messages { run: 8, ..messages }.id_of(good.value.as_ref()), None);
    }
}
