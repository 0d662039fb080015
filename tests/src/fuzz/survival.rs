//! decode → encode → decode.

use kafka_proto::Bytes;
use kafka_proto::wire::{EncodeError, EncodeErrorKind};
use std::fmt::Debug;

/// A value that was read from `input_len` bytes can be written, and is then read as the same.
///
/// The bytes may differ from the input: a varint may have been longer than need be, a text not UTF-8 or a tag twice.
pub(super) fn survives<T: PartialEq + Debug, E: Debug>(
    value: &T,
    input_len: usize,
    encode: impl Fn(&T) -> Result<Bytes, EncodeError>,
    decode: impl Fn(&Bytes) -> Result<T, E>,
) {
    let bytes = match encode(value) {
        Ok(bytes) => bytes,
        // A text that is not UTF-8 grows when it is replaced.
        Err(error) => {
            assert!(matches!(error.kind(), EncodeErrorKind::TooLong { .. }), "{error}: {value:?}");
            return;
        }
    };
    // A bad byte becomes three; fields that are not in the input (tagged ones) take no bytes.
    assert!(bytes.len() <= 3 * input_len, "{input_len} bytes became {}: {value:?}", bytes.len());
    let again = decode(&bytes).unwrap_or_else(|error| panic!("{error:?}: {value:?}"));
    let equal = |a: &T, b: &T| a == b;
    // A NaN does not equal itself.
    assert!(equal(&again, value) || !equal(value, value), "{value:?} became {again:?}");
    assert_eq!(encode(&again).ok(), Some(bytes), "{value:?}");
}
