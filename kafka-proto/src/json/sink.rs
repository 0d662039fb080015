//! Builds a JSON value from a message's named fields.

use super::camel;
use crate::Str;
use crate::wire::{EncodeError, Field, Fixed, Int, Ints, JsonScalar, Records, Sink, UnknownTags};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

type Result<T = ()> = core::result::Result<T, EncodeError>;

/// Objects and arrays that have been begun. The first is the message.
pub(super) struct JsonSink {
    message: Map<String, Value>,
    inner: Vec<Open>,
}

enum Open {
    Object(Map<String, Value>),
    Array(Vec<Value>),
}

impl Default for JsonSink {
    fn default() -> Self {
        Self { message: Map::new(), inner: Vec::new() }
    }
}

impl JsonSink {
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.message)
    }

    fn add(&mut self, name: &str, value: Value) {
        match self.inner.last_mut() {
            None => drop(self.message.insert(camel(name), value)),
            Some(Open::Object(object)) => drop(object.insert(camel(name), value)),
            Some(Open::Array(array)) => array.push(value),
        }
    }

    fn close(&mut self, name: &str) {
        match self.inner.pop() {
            Some(Open::Object(object)) => self.add(name, Value::Object(object)),
            Some(Open::Array(array)) => self.add(name, Value::Array(array)),
            None => {}
        }
    }

    fn text(&mut self, name: &str, value: Option<&Str>) -> Result {
        self.add(name, value.map_or(Value::Null, |text| Value::from(&**text)));
        Ok(())
    }
}

fn scalar<T: Fixed>(value: T) -> Value {
    match value.to_json() {
        JsonScalar::Bool(b) => b.into(),
        JsonScalar::Int(n) => n.into(),
        JsonScalar::Float(x) => x.into(),
        JsonScalar::Uuid(uuid) => uuid.to_string().into(),
    }
}

impl Sink for JsonSink {
    fn fixed<T: Fixed>(&mut self, name: &'static str, value: T) {
        self.add(name, scalar(value));
    }

    fn string(&mut self, name: &'static str, value: Option<&Str>) -> Result {
        self.text(name, value)
    }

    fn classic(&mut self, name: &'static str, value: Option<&Str>) -> Result {
        self.text(name, value)
    }

    fn bytes(&mut self, name: &'static str, value: Option<&Bytes>) -> Result {
        self.add(name, value.map_or(Value::Null, |bytes| STANDARD.encode(bytes).into()));
        Ok(())
    }

    fn records(&mut self, name: &'static str, value: Option<&Records>) -> Result {
        self.bytes(name, value.map(|records| records.clone().into_bytes()).as_ref())
    }

    fn ints<T: Int>(&mut self, name: &'static str, value: Option<&Ints<T>>) -> Result {
        self.add(name, value.map_or(Value::Null, |ints| ints.iter().map(scalar).collect()));
        Ok(())
    }

    fn array<T: Field>(&mut self, name: &'static str, value: Option<&[T]>, v: i16) -> Result {
        let Some(items) = value else {
            self.add(name, Value::Null);
            return Ok(());
        };
        self.inner.push(Open::Array(Vec::with_capacity(items.len())));
        items.iter().try_for_each(|item| item.put(self, "", v)).map_err(|e| e.within(name))?;
        self.close(name);
        Ok(())
    }

    fn structure(&mut self, name: &'static str, write: impl FnOnce(&mut Self) -> Result) -> Result {
        self.inner.push(Open::Object(Map::new()));
        write(self).map_err(|e| e.within(name))?;
        self.close(name);
        Ok(())
    }

    fn option<T: Field>(&mut self, name: &'static str, value: Option<&T>, _: bool, v: i16) -> Result {
        match value {
            Some(value) => value.put(self, name, v),
            None => {
                self.add(name, Value::Null);
                Ok(())
            }
        }
    }

    fn begin_tags(&mut self, _: &[bool], _: &UnknownTags) -> Result {
        Ok(())
    }

    fn tag<T: Field>(
        &mut self,
        set: bool,
        _: u32,
        name: &'static str,
        value: &T,
        _: &UnknownTags,
        v: i16,
    ) -> Result {
        if set { value.put(self, name, v) } else { Ok(()) }
    }

    fn end_tags(&mut self, _: u32, _: &UnknownTags) {}
}
