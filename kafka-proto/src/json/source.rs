//! Reads a message's named fields from a JSON value.

use super::camel;
use crate::Str;
use crate::wire::{
    DecodeError, DecodeErrorKind, Field, Fixed, Int, Ints, JsonScalar, Records, Source, UnknownTags,
};
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

type Result<T> = core::result::Result<T, DecodeError>;

/// The object whose fields are being read, or the element of an array.
pub(super) struct JsonSource<'a> {
    object: &'a Value,
    /// What a field without a name is.
    element: &'a Value,
}

impl<'a> JsonSource<'a> {
    pub(super) fn new(message: &'a Value) -> Self {
        Self { object: message, element: message }
    }

    fn find(&self, name: &'static str) -> Option<&'a Value> {
        if name.is_empty() { Some(self.element) } else { self.object.get(camel(name)) }
    }

    fn value(&self, name: &'static str) -> Result<&'a Value> {
        self.find(name).ok_or_else(|| expected(name, "this field"))
    }

    /// `None` where the field is null and may be.
    fn nullable(&self, name: &'static str, nullable: bool) -> Result<Option<&'a Value>> {
        match self.value(name)? {
            Value::Null if nullable => Ok(None),
            Value::Null => Err(DecodeError::new(name, DecodeErrorKind::Null)),
            value => Ok(Some(value)),
        }
    }

    fn text(&self, name: &'static str, nullable: bool) -> Result<Option<&'a str>> {
        let Some(value) = self.nullable(name, nullable)? else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| expected(name, "a string"))
    }
}

fn expected(name: &'static str, what: &'static str) -> DecodeError {
    DecodeError::new(name, DecodeErrorKind::Json(what))
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
    fn fixed<T: Fixed>(&mut self, name: &'static str) -> Result<T> {
        scalar(self.value(name)?)
            .ok_or_else(|| expected(name, "a number, truth value or identifier in range"))
    }

    fn string(&mut self, name: &'static str, nullable: bool) -> Result<Option<Str>> {
        Ok(self.text(name, nullable)?.map(Str::from))
    }

    fn classic(&mut self, name: &'static str, nullable: bool) -> Result<Option<Str>> {
        self.string(name, nullable)
    }

    fn bytes(&mut self, name: &'static str, nullable: bool) -> Result<Option<Bytes>> {
        let Some(text) = self.text(name, nullable)? else { return Ok(None) };
        let bytes = STANDARD.decode(text).map_err(|_| expected(name, "base64"))?;
        Ok(Some(bytes.into()))
    }

    fn records(&mut self, name: &'static str, nullable: bool) -> Result<Option<Records>> {
        Ok(self.bytes(name, nullable)?.map(Records::from))
    }

    fn ints<T: Int>(&mut self, name: &'static str, nullable: bool) -> Result<Option<Ints<T>>> {
        let Some(value) = self.nullable(name, nullable)? else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| expected(name, "an array"))?;
        let ints: Option<Ints<T>> = items.iter().map(scalar).collect();
        ints.map(Some).ok_or_else(|| expected(name, "an array of integers in range"))
    }

    fn array<T: Field>(&mut self, name: &'static str, nullable: bool, v: i16) -> Result<Option<Vec<T>>> {
        let Some(value) = self.nullable(name, nullable)? else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| expected(name, "an array"))?;
        let read = |item| T::get(&mut JsonSource { object: &Value::Null, element: item }, "", v);
        items.iter().map(read).collect::<Result<_>>().map(Some).map_err(|e| e.within(name))
    }

    fn structure<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let value = self.value(name)?;
        if !value.is_object() {
            return Err(expected(name, "an object"));
        }
        read(&mut JsonSource::new(value)).map_err(|e| e.within(name))
    }

    fn option<T: Field>(&mut self, name: &'static str, _: bool, v: i16) -> Result<Option<T>> {
        if self.value(name)?.is_null() { Ok(None) } else { T::get(self, name, v).map(Some) }
    }

    fn tags(
        &mut self,
        names: &[&'static str],
        mut read: impl FnMut(&mut Self, u32) -> Result<bool>,
    ) -> Result<UnknownTags> {
        for (tag, name) in (0..).zip(names) {
            if self.find(name).is_some() && !read(self, tag)? {
                return Err(expected(name, "nothing in this version"));
            }
        }
        Ok(UnknownTags::new())
    }
}
