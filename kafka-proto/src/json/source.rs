//! Reads a message's named fields from a JSON value.

use super::camel;
use crate::Str;
use crate::wire::{
    DecodeError, DecodeErrorKind, Field, Fixed, Int, Ints, JsonScalar, Records, Run, Source, Struct,
    UnknownTags,
};
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

/// The object whose fields are being read, or the element of an array.
pub(super) struct JsonSource<'a> {
    object: &'a Value,
    /// What a field without a name is.
    element: &'a Value,
    /// The first one.
    error: Option<DecodeError>,
}

impl<'a> JsonSource<'a> {
    pub(super) fn new(message: &'a Value) -> Self {
        Self { object: message, element: message, error: None }
    }

    fn element(element: &'a Value) -> Self {
        Self { object: &Value::Null, element, error: None }
    }

    pub(super) fn finish(self) -> Result<(), DecodeError> {
        self.error.map_or(Ok(()), Err)
    }

    pub(super) fn fail(&mut self, error: DecodeError) {
        self.error.get_or_insert(error);
    }

    fn expected(&mut self, name: &'static str, what: &'static str) {
        self.fail(DecodeError::new(name, DecodeErrorKind::Json(what)));
    }

    fn find(&self, name: &'static str) -> Option<&'a Value> {
        if name.is_empty() { Some(self.element) } else { self.object.get(camel(name)) }
    }

    /// `None` where the field is missing, which is an error.
    fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        let value = self.find(name);
        if value.is_none() {
            self.expected(name, "this field");
        }
        value
    }

    /// `None` where the field is null, or in error.
    fn nullable(&mut self, name: &'static str, nullable: bool) -> Option<&'a Value> {
        match self.value(name)? {
            Value::Null if nullable => None,
            Value::Null => {
                self.fail(DecodeError::new(name, DecodeErrorKind::Null));
                None
            }
            value => Some(value),
        }
    }

    /// What `form` makes of a value, which is an error where that is nothing.
    fn formed<T>(
        &mut self,
        name: &'static str,
        nullable: bool,
        what: &'static str,
        form: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let formed = form(self.nullable(name, nullable)?);
        if formed.is_none() {
            self.expected(name, what);
        }
        formed
    }
}

fn scalar<T: Fixed>(value: &Value) -> Option<T> {
    let scalar = match value {
        Value::Bool(b) => JsonScalar::Bool(*b),
        Value::String(text) => JsonScalar::Uuid(text.parse().ok()?),
        Value::Number(n) => n.as_i64().map(JsonScalar::Int).or_else(|| n.as_f64().map(JsonScalar::Float))?,
        _ => return None,
    };
    T::from_json(scalar)
}

impl Source for JsonSource<'_> {
    fn fixed<T: Fixed>(&mut self, name: &'static str) -> T {
        let Some(value) = self.value(name) else { return T::default() };
        scalar(value).unwrap_or_else(|| {
            self.expected(name, "a number, truth value or identifier in range");
            T::default()
        })
    }

    fn run<T: Run>(&mut self, names: &'static [&'static str]) -> T {
        T::get_each(self, names)
    }

    fn string(&mut self, name: &'static str, nullable: bool) -> Option<Str> {
        self.formed(name, nullable, "a string", |value| value.as_str().map(Str::from))
    }

    fn classic(&mut self, name: &'static str, nullable: bool) -> Option<Str> {
        self.string(name, nullable)
    }

    fn bytes(&mut self, name: &'static str, nullable: bool) -> Option<Bytes> {
        let text = self.formed(name, nullable, "a string", Value::as_str)?;
        let bytes = STANDARD.decode(text);
        if bytes.is_err() {
            self.expected(name, "base64");
        }
        bytes.ok().map(Bytes::from)
    }

    fn records(&mut self, name: &'static str, nullable: bool) -> Option<Records> {
        self.bytes(name, nullable).map(Records::from)
    }

    fn ints<T: Int>(&mut self, value: &mut Ints<T>, name: &'static str, nullable: bool) -> bool {
        let ints = self.formed(name, nullable, "an array of integers in range", |value| {
            value.as_array()?.iter().map(scalar).collect()
        });
        ints.map(|ints| *value = ints).is_some()
    }

    fn array<T: Field>(&mut self, items: &mut Vec<T>, name: &'static str, nullable: bool, v: i16) -> bool {
        let Some(values) = self.formed(name, nullable, "an array", Value::as_array) else { return false };
        let read = |value| {
            let (mut source, mut item) = (JsonSource::element(value), T::EMPTY);
            item.fill(&mut source, "", v);
            source.finish().map(|()| item)
        };
        match values.iter().map(read).collect() {
            Ok(read) => *items = read,
            Err(error) => self.fail(DecodeError::within(error, name)),
        }
        true
    }

    fn structure<T: Struct>(&mut self, name: &'static str, value: &mut T, v: i16) {
        let Some(object) = self.value(name) else { return };
        if !object.is_object() {
            return self.expected(name, "an object");
        }
        let mut source = JsonSource::new(object);
        value.read(&mut source, v);
        if let Err(error) = source.finish() {
            self.fail(error.within(name));
        }
    }

    fn option<T: Struct>(&mut self, name: &'static str, _: bool, v: i16) -> Option<T> {
        if self.value(name)?.is_null() {
            return None;
        }
        let mut value = T::DEFAULT;
        self.structure(name, &mut value, v);
        Some(value)
    }

    fn tags(
        &mut self,
        names: &'static [&'static str],
        read: &mut dyn FnMut(&mut Self, u32) -> bool,
    ) -> UnknownTags {
        for (tag, name) in (0..).zip(names) {
            if self.find(name).is_some() && !read(self, tag) {
                self.expected(name, "nothing in this version");
            }
        }
        UnknownTags::new()
    }
}
