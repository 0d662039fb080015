//! Requests and responses of every API: the first byte says which, the second the version.

use super::survival::survives;
use kafka_proto::wire::{DecodeError, Decoder, EncodeError, Encoder};
use kafka_proto::{ApiKey, Bytes, RequestKind, ResponseKind};

/// API and version of an input, and what is left of it.
pub(super) fn select(data: &[u8]) -> Option<(ApiKey, i16, &[u8])> {
    let [api, version, rest @ ..] = data else { return None };
    let key = ApiKey::ALL[usize::from(*api) % ApiKey::ALL.len()];
    let versions = key.versions();
    let span = versions.max - versions.min + 1;
    Some((key, versions.min + i16::from(*version) % span, rest))
}

/// An input for [`request`] or [`response`] that selects this API and version.
pub fn message_seed(key: ApiKey, version: i16, body: &[u8]) -> Vec<u8> {
    let api = ApiKey::ALL.iter().position(|k| *k == key).unwrap_or_default();
    [&[api as u8, (version - key.versions().min) as u8][..], body].concat()
}

/// A request body.
pub fn request(data: &[u8]) {
    let Some((key, version, body)) = select(data) else { return };
    let decode = |bytes: &Bytes| RequestKind::decode(key, &mut Decoder::new(bytes), version);
    message(body, decode, |m, out| m.encode(out, version), |m| m.encoded_len(version));
}

/// A response body.
pub fn response(data: &[u8]) {
    let Some((key, version, body)) = select(data) else { return };
    let decode = |bytes: &Bytes| ResponseKind::decode(key, &mut Decoder::new(bytes), version);
    message(body, decode, |m, out| m.encode(out, version), |m| m.encoded_len(version));
}

fn message<T: PartialEq + std::fmt::Debug>(
    body: &[u8],
    decode: impl Fn(&Bytes) -> Result<T, DecodeError>,
    encode: impl Fn(&T, &mut Encoder) -> Result<(), EncodeError>,
    encoded_len: impl Fn(&T) -> Result<usize, EncodeError>,
) {
    let Ok(value) = decode(&Bytes::copy_from_slice(body)) else { return };
    let encode = |value: &T| {
        let mut out = Encoder::new();
        encode(value, &mut out)?;
        let bytes = out.into_bytes();
        assert_eq!(encoded_len(value)?, bytes.len(), "{value:?}");
        Ok(bytes)
    };
    survives(&value, body.len(), encode, decode);
}
