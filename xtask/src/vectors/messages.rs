//! Requests, responses and what is stored: bytes and JSON of one value.

use kafka_proto::Bytes;
use kafka_proto::any::{AnyMessage, MessageType};
use kafka_proto::wire::{Decoder, Encoder};
use serde_json::Value;

use super::{hex_member, member};

type Result<T = ()> = std::result::Result<T, String>;

/// A message of the vector, in its type and version.
struct Case<'a> {
    kind: &'static MessageType,
    version: i16,
    bytes: Bytes,
    json: &'a Value,
    /// Its JSON does not show everything.
    unknown_tags: bool,
}

pub(super) fn check(vector: &Value) -> Result {
    let name = member(vector, "name", Value::as_str)?;
    let version = member(vector, "version", |v| v.as_i64().and_then(|n| i16::try_from(n).ok()))?;
    let case = member(vector, "case", Value::as_str)?;
    let place = format!("{name} v{version} {case}");
    let case = Case {
        kind: MessageType::by_name(name).ok_or_else(|| format!("{place}: no such message"))?,
        version,
        bytes: hex_member(vector, "hex")?.into(),
        json: member(vector, "json", Some)?,
        unknown_tags: case == "unknown_tags",
    };
    case.check(vector).map_err(|e| format!("{place}: {e}"))
}

impl Case<'_> {
    fn check(&self, vector: &Value) -> Result {
        let flexible = self.kind.flexible_since.is_some_and(|since| self.version >= since);
        same("flexible", flexible, vector.get("flexible").and_then(Value::as_bool).unwrap_or(flexible))?;
        let message = self.decode()?;
        let json = message.to_json(self.version).map_err(|e| e.to_string())?;
        if json != *self.json {
            return Err(format!("read as {json}, {} is right", self.json));
        }
        self.check_written("what was read", &*message)?;
        self.check_json(&*message)?;
        self.check_prefixes(&*message)?;
        if vector.get("framedHex").is_some() { self.check_frame(vector) } else { Ok(()) }
    }

    fn decode(&self) -> Result<Box<dyn AnyMessage>> {
        let mut input = Decoder::new(&self.bytes);
        let message = self.kind.decode(&mut input, self.version).map_err(|e| e.to_string())?;
        same("bytes left over", input.remaining(), 0)?;
        Ok(message)
    }

    fn encode(&self, message: &dyn AnyMessage) -> Result<Bytes> {
        let mut out = Encoder::new();
        message.encode(&mut out, self.version).map_err(|e| e.to_string())?;
        let bytes = out.into_bytes();
        same("length", message.encoded_len(self.version).map_err(|e| e.to_string())?, bytes.len())?;
        Ok(bytes)
    }

    fn check_written(&self, what: &str, message: &dyn AnyMessage) -> Result {
        let bytes = self.encode(message)?;
        if bytes != self.bytes {
            return Err(format!("{what} is written as {bytes:02x}"));
        }
        Ok(())
    }

    /// The value made anew from JSON.
    fn check_json(&self, message: &dyn AnyMessage) -> Result {
        let made = self.kind.from_json(self.json, self.version).map_err(|e| e.to_string())?;
        if self.unknown_tags {
            let json = made.to_json(self.version).map_err(|e| e.to_string())?;
            return same("JSON made anew", &json, self.json);
        }
        if !made.equals(message) {
            return Err(format!("made from JSON: {made:?}, read: {message:?}"));
        }
        self.check_written("what JSON made", &*made)
    }

    fn check_prefixes(&self, whole: &dyn AnyMessage) -> Result {
        for len in 0..self.bytes.len() {
            let prefix = self.bytes.slice(..len);
            match self.kind.decode(&mut Decoder::new(&prefix), self.version) {
                Ok(message) if message.equals(whole) => {
                    return Err(format!("the first {len} bytes are read as the whole"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What stands before the body where it is stored.
    fn check_frame(&self, vector: &Value) -> Result {
        let framed = hex_member(vector, "framedHex")?;
        let number = |name| member(vector, name, |v| v.as_u64().and_then(|n| u8::try_from(n).ok()));
        let prefix = match member(vector, "kind", Value::as_str)? {
            "metadata" => vec![1, number("type")?, number("version")?],
            "coordinator-key" => vec![0, number("type")?],
            _ => vec![0, number("version")?],
        };
        same("frame", framed, [&prefix, &self.bytes[..]].concat())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, right: T) -> Result {
    if is == right { Ok(()) } else { Err(format!("{what}: {is:?}, {right:?} is right")) }
}
