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

#[cfg(test)]
mod tests {
    use super::*;

    fn one(_: &u8) -> Result<Bytes, EncodeError> {
        Ok(Bytes::from_static(&[1]))
    }

    #[test]
    fn equal() {
        survives(&1, 1, one, |bytes| Ok::<_, ()>(bytes[0]));
    }

    #[test]
    #[should_panic = "1 became 2"]
    fn read_as_another() {
        survives(&1, 1, one, |_| Ok::<_, ()>(2));
    }

    #[test]
    #[should_panic = "()"]
    fn not_read() {
        survives(&1, 1, one, |_| Err(()));
    }

    #[test]
    #[should_panic = "0 bytes became 1"]
    fn grown() {
        survives(&1, 0, one, |_| Ok::<_, ()>(1));
    }
}
