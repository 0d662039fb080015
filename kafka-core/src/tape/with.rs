//! How types that serde does not know are written to a recording.

use kafka_proto::wire::{Decoder, Encoder};
use kafka_proto::{ApiKey, Bytes, ErrorCode, RequestKind, ResponseKind, Uuid};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Implements a module for `#[serde(with)]` by two functions.
macro_rules! with {
    ($(#[$doc:meta])* $name:ident: $of:ty as $written:ty, $write:expr, $read:expr) => {
        $(#[$doc])*
        pub(crate) mod $name {
            use super::*;

            pub(crate) fn serialize<S: Serializer>(value: &$of, to: S) -> Result<S::Ok, S::Error> {
                let write: fn(&$of) -> $written = $write;
                write(value).serialize(to)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$of, D::Error> {
                let read: fn($written) -> Option<$of> = $read;
                let written = <$written>::deserialize(from)?;
                read(written).ok_or_else(|| D::Error::custom(concat!("no ", stringify!($name))))
            }
        }
    };
}

with!(code: ErrorCode as i16, |code| i16::from(*code), |code| Some(ErrorCode::from(code)));
with!(uuid: Uuid as [u8; 16], |id| id.0, |bytes| Some(Uuid(bytes)));
with!(api: Option<ApiKey> as Option<i16>, |api| api.map(|api| api.code()), |code| match code {
    Some(code) => ApiKey::from_code(code).map(Some),
    None => Some(None),
});

/// Texts of the program.
pub(crate) mod text {
    use super::*;
    use crate::sync::Mutex;
    use std::collections::BTreeSet;
    use std::sync::PoisonError;

    /// More than the program has, so that a recording that is no recording takes no memory for ever.
    const MOST: usize = 1000;
    const LONGEST: usize = 400;

    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

    pub(crate) fn serialize<S: Serializer>(text: &'static str, to: S) -> Result<S::Ok, S::Error> {
        text.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<&'static str, D::Error> {
        let text = String::deserialize(from)?;
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(text.as_str()) {
            Some(text) => Ok(text),
            None if known.len() < MOST && text.len() <= LONGEST => {
                let text: &'static str = Box::leak(text.into_boxed_str());
                known.insert(text);
                Ok(text)
            }
            None => Err(D::Error::custom("too many texts")),
        }
    }
}

/// A message of any API: its code, the version that it is written in, and its bytes.
#[derive(Serialize, Deserialize)]
struct Message(i16, i16, Bytes);

/// Implements a module for messages, which are written in the newest version that carries all that is in them: an answer is not in
/// the newest form in every respect. Of those that hold credentials or
/// records nothing but the API is written: they are read as one whose fields are all at their defaults.
macro_rules! message {
    ($name:ident, $kind:ident, $is_secret:ident) => {
        pub(crate) mod $name {
            use super::*;

            pub(crate) fn serialize<S: Serializer>(kind: &$kind, to: S) -> Result<S::Ok, S::Error> {
                let api = kind.api_key();
                if $is_secret(api) {
                    return Message(api.code(), SECRET, Bytes::new()).serialize(to);
                }
                let written = api.versions().iter().rev().filter_map(|version| {
                    let mut out = Encoder::new();
                    kind.encode(&mut out, version).ok()?;
                    Some(Message(api.code(), version, out.into_bytes()))
                });
                let mut closest = None;
                for message in written {
                    let Message(_, version, bytes) = &message;
                    let again = $kind::decode(api, &mut Decoder::new(bytes), *version);
                    if again.is_ok_and(|again| again == *kind) {
                        return message.serialize(to);
                    }
                    closest.get_or_insert(message);
                }
                // One that no version can carry is never sent either.
                closest.unwrap_or(Message(api.code(), SECRET, Bytes::new())).serialize(to)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$kind, D::Error> {
                let Message(code, version, bytes) = Message::deserialize(from)?;
                let api = ApiKey::from_code(code).ok_or_else(|| D::Error::custom("no API"))?;
                if version == SECRET {
                    return Ok($kind::default_of(api));
                }
                $kind::decode(api, &mut Decoder::new(&bytes), version).map_err(D::Error::custom)
            }
        }
    };
}

/// In the place of a version.
const SECRET: i16 = -1;

message!(request, RequestKind, hides_request);
message!(response, ResponseKind, hides_response);

/// Returns whether requests of an API hold credentials, settings that may be some, or records.
pub(crate) fn hides_request(api: ApiKey) -> bool {
    use ApiKey::*;
    let credentials = [
        SaslAuthenticate,
        AlterUserScramCredentials,
        RenewDelegationToken,
        ExpireDelegationToken,
        AlterConfigs,
        IncrementalAlterConfigs,
        Envelope,
    ];
    let records = [Produce, PushTelemetry];
    credentials.contains(&api) || records.contains(&api)
}

/// The same of responses.
pub(crate) fn hides_response(api: ApiKey) -> bool {
    use ApiKey::*;
    let credentials = [SaslAuthenticate, CreateDelegationToken, DescribeDelegationToken, Envelope];
    let records = [Fetch, ShareFetch, FetchSnapshot];
    credentials.contains(&api) || records.contains(&api)
}
