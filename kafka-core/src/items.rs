//! What brokers may make of the items of an answer, for the tests of one rule: a bad item costs itself only.
//!
//! The tests stand in `items.rs` beside those of each area. `PROPTEST_CASES` says how many cases each of them tries.

use crate::link::fit::lifted;
use kafka_proto::messages::list_offsets::ListOffsetsPartitionResponse;
use kafka_proto::{ApiKey, Bytes, ErrorCode, ResponseKind, frame};
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;

/// The bounds of the first wait before something is tried again, and the longest of all, with the default settings.
pub(crate) const SHORTEST: Duration = Duration::from_millis(80);
pub(crate) const LONGEST: Duration = Duration::from_millis(1200);

/// What is wrong with an item, and in how many of the answers that it is asked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    /// `None`: the answers do not name it.
    pub(crate) code: Option<ErrorCode>,
    pub(crate) answers: u32,
}

impl Bad {
    const FOREVER: u32 = u32::MAX;

    pub(crate) fn is_lasting(&self) -> bool {
        self.answers == Self::FOREVER
    }
}

/// How an item fares: answer by answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    pub(crate) bad: Option<Bad>,
    answered: u32,
}

/// What an answer says of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Good,
    Error(ErrorCode),
    Nothing,
}

impl Course {
    pub(crate) fn new(bad: Option<Bad>) -> Self {
        Self { bad, answered: 0 }
    }

    /// What the next answer says.
    pub(crate) fn next(&mut self) -> Said {
        let said = self.peek();
        self.answered += 1;
        said
    }

    pub(crate) fn peek(&self) -> Said {
        match self.bad.filter(|bad| self.answered < bad.answers) {
            None => Said::Good,
            Some(bad) => bad.code.map_or(Said::Nothing, Said::Error),
        }
    }
}

/// Any code but none: retriable ones, fatal ones, and such as this client does not know.
pub(crate) fn code() -> impl Strategy<Value = ErrorCode> {
    let known = |is: fn(&ErrorCode) -> bool| {
        let codes: Vec<ErrorCode> = ErrorCode::ALL.iter().copied().filter(is).collect();
        proptest::sample::select(codes)
    };
    prop_oneof![
        4 => known(|code| code.is_retriable()),
        4 => known(|code| !code.is_retriable() && !code.is_none()),
        1 => proptest::sample::select(vec![999, i16::MAX, i16::MIN, -2]).prop_map(ErrorCode::from),
    ]
}

fn bad() -> impl Strategy<Value = Bad> {
    let code = prop_oneof![7 => code().prop_map(Some), 1 => Just(None)];
    let answers = prop_oneof![3 => 1u32..4, 1 => Just(Bad::FOREVER)];
    (code, answers).prop_map(|(code, answers)| Bad { code, answers })
}

/// So many items, of which about half are bad.
pub(crate) fn items(most: usize) -> impl Strategy<Value = Vec<Option<Bad>>> {
    vec(prop_oneof![Just(None), bad().prop_map(Some)], 1..=most)
}

/// What else is odd about answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noise {
    pub(crate) is_reversed: bool,
    /// Which item is there twice.
    pub(crate) doubled: Option<usize>,
    /// What is said of items that nobody asked for: a topic, a partition, one without a name.
    pub(crate) foreign: Option<i16>,
}

impl Noise {
    /// Brings the items of an answer into their order, and doubles one.
    pub(crate) fn stir<T: Clone>(&self, items: &mut Vec<T>) {
        if let Some(at) = self.doubled.filter(|_| !items.is_empty()) {
            let at = at % items.len();
            items.insert(at, items[at].clone());
        }
        if self.is_reversed {
            items.reverse();
        }
    }
}

pub(crate) fn noise() -> impl Strategy<Value = Noise> {
    let foreign = prop_oneof![Just(0i16), code().prop_map(ErrorCode::code)];
    let parts = (any::<bool>(), proptest::option::of(0usize..8), proptest::option::of(foreign));
    parts.prop_map(|(is_reversed, doubled, foreign)| Noise { is_reversed, doubled, foreign })
}

/// Any version of an API that this client speaks.
pub(crate) fn version(api: ApiKey) -> impl Strategy<Value = i16> {
    let versions = api.versions();
    versions.min..=versions.max
}

/// What ListOffsets says of a partition; version 0 does so in a list.
pub(crate) fn listed_offset(
    version: i16,
    partition_index: i32,
    error_code: i16,
    offset: i64,
) -> ListOffsetsPartitionResponse {
    let (offset, old_style_offsets) = if version == 0 { (-1, vec![offset]) } else { (offset, vec![]) };
    ListOffsetsPartitionResponse {
        partition_index,
        error_code,
        offset,
        old_style_offsets: old_style_offsets.into(),
        ..Default::default()
    }
}

/// A response as a connection of that version brings it.
pub(crate) fn carried(response: impl Into<ResponseKind>, version: i16) -> ResponseKind {
    let response = response.into();
    let frame = frame::encode_response(1, version, &response).expect("the version carries it").concat();
    let frame = Bytes::from(frame).slice(4..);
    let (_, response) = frame::decode_response(response.api_key(), version, &frame).expect("it is whole");
    lifted(response, version)
}
