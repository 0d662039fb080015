//! Builds a JSON value from a message's named fields.

use super::camel;
use crate::Str;
use crate::wire::{
    EncodeError, EncodeErrorKind, Field, Fixed, Int, Ints, JsonScalar, Records, Run, Sink, Struct,
    UnknownTags,
};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

/// Objects and arrays that have been begun. The first is the message.
#[derive(Default)]
pub(super) struct JsonSink {
    message: Map<String, Value>,
    inner: Vec<Open>,
    /// The first one.
    error: Option<EncodeError>,
}

enum Open {
    Object(Map<String, Value>),
    Array(Vec<Value>),
}

impl JsonSink {
    pub(super) fn into_value(self) -> Result<Value, EncodeError> {
        self.error.map_or(Ok(Value::Object(self.message)), Err)
    }

    fn add(&mut self, name: &str, value: Value) {
        match self.inner.last_mut() {
            None => drop(self.message.insert(camel(name), value)),
            Some(Open::Object(object)) => drop(object.insert(camel(name), value)),
            Some(Open::Array(array)) => array.push(value),
        }
    }

    /// Adds what `write` writes between the beginning and the end of an object or array.
    fn nest(&mut self, name: &'static str, open: Open, write: impl FnOnce(&mut Self)) {
        if self.error.is_some() {
            return;
        }
        self.inner.push(open);
        write(self);
        self.error = self.error.take().map(|error| error.within(name));
        match self.inner.pop() {
            Some(Open::Object(object)) => self.add(name, Value::Object(object)),
            Some(Open::Array(array)) => self.add(name, Value::Array(array)),
            None => {}
        }
    }

    fn text(&mut self, name: &str, value: Option<&Str>) {
        self.add(name, value.map_or(Value::Null, |text| Value::from(&**text)));
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
    fn fail(&mut self, name: &'static str, kind: EncodeErrorKind) {
        if self.error.is_none() {
            self.error = Some(EncodeError::new(name, kind));
        }
    }

    fn fixed<T: Fixed>(&mut self, name: &'static str, value: T) {
        self.add(name, scalar(value));
    }

    fn run<T: Run>(&mut self, names: &'static [&'static str], values: T) {
        values.put_each(self, names);
    }

    fn string(&mut self, name: &'static str, value: Option<&Str>) {
        self.text(name, value);
    }

    fn classic(&mut self, name: &'static str, value: Option<&Str>) {
        self.text(name, value);
    }

    fn bytes(&mut self, name: &'static str, value: Option<&Bytes>) {
        self.add(name, value.map_or(Value::Null, |bytes| STANDARD.encode(bytes).into()));
    }

    fn records(&mut self, name: &'static str, value: Option<&Records>) {
        self.bytes(name, value.map(|records| records.clone().into_bytes()).as_ref());
    }

    fn ints<T: Int>(&mut self, name: &'static str, value: Option<&Ints<T>>) {
        self.add(name, value.map_or(Value::Null, |ints| ints.iter().map(scalar).collect()));
    }

    fn array<T: Field>(&mut self, name: &'static str, items: &[T], v: i16) {
        self.nest(name, Open::Array(Vec::with_capacity(items.len())), |s| {
            items.iter().for_each(|item| item.put(s, "", v));
        });
    }

    fn null_array(&mut self, name: &'static str) {
        self.add(name, Value::Null);
    }

    fn structure<T: Struct>(&mut self, name: &'static str, value: &T, v: i16) {
        self.nest(name, Open::Object(Map::new()), |s| value.write(s, v));
    }

    fn option<T: Struct>(&mut self, name: &'static str, value: Option<&T>, _: bool, v: i16) {
        match value {
            Some(value) => self.structure(name, value, v),
            None => self.add(name, Value::Null),
        }
    }

    fn begin_tags(&mut self, _: &[bool], _: &UnknownTags) {}

    fn tag(&mut self, set: bool, _: u32, _: &UnknownTags, write: impl FnOnce(&mut Self)) {
        if set {
            write(self);
        }
    }

    fn end_tags(&mut self, _: u32, _: &UnknownTags) {}
}
