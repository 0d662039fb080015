//! Values of any message and version: a source that makes up what it is asked for.
//!
//! Fields come from the same `read` that bytes and JSON come through, so that every field of a version gets a value.

use crate::api_key::{ApiKey, for_each_api};
use crate::message::{Known, Message};
use crate::wire::{Decoder, Encoder, Field, Fixed, Int, Ints, Records, Run, Source, Struct, UnknownTags};
use crate::{Str, messages};
use alloc::{format, string::String, vec, vec::Vec};
use bytes::Bytes;
use proptest::prelude::*;

/// Draws numbers from a seed.
struct Arbitrary {
    state: u64,
    flexible: bool,
}

impl Arbitrary {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, n: u64) -> usize {
        (self.next() % n) as usize
    }

    fn null(&mut self, nullable: bool) -> bool {
        nullable && self.below(3) == 0
    }

    /// Mostly short; around the lengths where the compact form takes another byte; seldom one that is shared.
    fn len(&mut self) -> usize {
        match self.below(60) {
            0 => 126 + self.below(4),
            1 => 4095 + self.below(3),
            n => n % 9,
        }
    }

    fn one<T: Field>(&mut self, v: i16) -> T {
        let mut value = T::EMPTY;
        value.fill(self, "", v);
        value
    }
}

impl Source for Arbitrary {
    fn fixed<T: Fixed>(&mut self, _: &'static str) -> T {
        // Zeros are defaults, and small numbers more likely to mean something.
        let bytes = match self.below(4) {
            0 => vec![0; 16],
            1 => [vec![0; T::SIZE - 1], vec![self.next() as u8]].concat(),
            _ => (0..16).map(|_| self.next() as u8).collect(),
        };
        // A float that is not a number would not equal itself.
        let value = T::from_be(&bytes).filter(|x| !format!("{:?}", x.to_json()).contains("NaN"));
        value.unwrap_or_default()
    }

    fn run<T: Run>(&mut self, names: &'static [&'static str]) -> T {
        T::get_each(self, names)
    }

    fn string(&mut self, _: &'static str, nullable: bool) -> Option<Str> {
        if self.null(nullable) {
            return None;
        }
        let text: String = (0..self.len()).map(|_| ['a', 'ß', '語', '𝄞', '\0'][self.below(5)]).collect();
        Some(text.into())
    }

    fn classic(&mut self, name: &'static str, nullable: bool) -> Option<Str> {
        self.string(name, nullable)
    }

    fn bytes(&mut self, _: &'static str, nullable: bool) -> Option<Bytes> {
        if self.null(nullable) {
            return None;
        }
        Some((0..self.len()).map(|_| self.next() as u8).collect())
    }

    fn records(&mut self, name: &'static str, nullable: bool) -> Option<Records> {
        let bytes = self.bytes(name, nullable)?;
        let cut = self.below(bytes.len() as u64 + 1);
        Some(vec![bytes.slice(..cut), bytes.slice(cut..)].into())
    }

    fn ints<T: Int>(&mut self, value: &mut Ints<T>, name: &'static str, nullable: bool) -> bool {
        if self.null(nullable) {
            return false;
        }
        *value = (0..self.len() % 200).map(|_| self.fixed::<T>(name)).collect();
        true
    }

    fn array<T: Field>(&mut self, items: &mut Vec<T>, _: &'static str, nullable: bool, v: i16) -> bool {
        if self.null(nullable) {
            return false;
        }
        *items = (0..self.below(3)).map(|_| self.one(v)).collect();
        true
    }

    fn structure<T: Struct>(&mut self, _: &'static str, value: &mut T, v: i16) {
        value.read(self, v);
    }

    fn option<T: Struct>(&mut self, _: &'static str, _: bool, v: i16) -> Option<T> {
        if self.null(true) { None } else { Some(self.one(v)) }
    }

    fn tags(
        &mut self,
        names: &'static [&'static str],
        read: &mut dyn FnMut(&mut Self, u32) -> bool,
    ) -> UnknownTags {
        let mut unknown = UnknownTags::new();
        if !self.flexible {
            return unknown;
        }
        for tag in 0..names.len() as u32 {
            if self.below(2) == 0 && !read(self, tag) {
                unknown.insert(tag, Bytes::from_static(b"of a later version"));
            }
        }
        if self.below(4) == 0 {
            let tag = 100 + self.next() as u32 / 2;
            unknown.insert(tag, self.bytes("", false).unwrap_or_default());
        }
        unknown
    }
}

fn check<T: Message + Struct + PartialEq + core::fmt::Debug>(seed: u64) {
    for v in T::VERSIONS.iter() {
        let mut source = Arbitrary { state: seed ^ v as u64, flexible: T::FACTS.flexible(v) };
        let mut value = T::default();
        value.read(&mut source, v);
        let mut out = Encoder::new();
        value.encode(&mut out, v).unwrap();
        let bytes = out.into_bytes();
        assert_eq!(value.encoded_len(v).unwrap(), bytes.len(), "{} v{v}", T::NAME);
        let mut input = Decoder::new(&bytes);
        assert_eq!(T::decode(&mut input, v).unwrap(), value, "{} v{v}", T::NAME);
        assert_eq!(input.remaining(), 0, "{} v{v}", T::NAME);
        if seed.is_multiple_of(16) {
            check_prefixes(&value, &bytes, v);
        }
    }
}

fn check_prefixes<T: Message + PartialEq>(value: &T, bytes: &Bytes, v: i16) {
    for len in (0..bytes.len()).step_by(bytes.len() / 100 + 1) {
        if let Ok(read) = T::decode(&mut Decoder::new(&bytes.slice(..len)), v) {
            assert!(read != *value, "{} v{v}: {len} bytes of {}", T::NAME, bytes.len());
        }
    }
}

macro_rules! check_all {
    ($($module:ident $key:ident $request:ident $response:ident;)*) => {
        fn check_api(key: ApiKey, seed: u64) {
            match key {
                $(ApiKey::$key => {
                    check::<messages::$module::$request>(seed);
                    check::<messages::$module::$response>(seed);
                })*
            }
        }
    };
}

for_each_api!(check_all);

fn check_stored(seed: u64) {
    check::<messages::consumer_protocol::ConsumerProtocolSubscription>(seed);
    check::<messages::consumer_offsets::ConsumerGroupMemberMetadataValue>(seed);
    check::<messages::transaction_state::TransactionLogValue>(seed);
    check::<messages::cluster_metadata::PartitionChangeRecord>(seed);
    check::<messages::headers::RequestHeader>(seed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_value_of_any_version_survives(seed: u64) {
        ApiKey::ALL.into_iter().for_each(|key| check_api(key, seed));
        check_stored(seed);
    }
}
