//! Where a message is written to: an encoder of bytes, or JSON.
//!
//! Each structure has one generic `write` that names its fields; what becomes of them is the sink's affair. A sink that
//! has failed keeps the first error; what is written to it from then on has no meaning.

use super::{EncodeErrorKind, Field, Fixed, Int, Ints, Records, Run, Struct, UnknownTags};
use crate::Str;
use bytes::Bytes;

/// A receiver of named values. `None` is null.
pub(crate) trait Sink: Sized {
    /// Keeps an error, unless there is one already.
    fn fail(&mut self, name: &'static str, kind: EncodeErrorKind);

    fn fixed<T: Fixed>(&mut self, name: &'static str, value: T);
    /// Values of fixed length that follow each other.
    fn run<T: Run>(&mut self, names: &'static [&'static str], values: T);
    fn string(&mut self, name: &'static str, value: Option<&Str>);
    /// A string that keeps its int16 length in flexible versions.
    fn classic(&mut self, name: &'static str, value: Option<&Str>);
    fn bytes(&mut self, name: &'static str, value: Option<&Bytes>);
    fn records(&mut self, name: &'static str, value: Option<&Records>);
    fn ints<T: Int>(&mut self, name: &'static str, value: Option<&Ints<T>>);
    fn array<T: Field>(&mut self, name: &'static str, items: &[T], v: i16);
    fn null_array(&mut self, name: &'static str);
    fn structure<T: Struct>(&mut self, name: &'static str, value: &T, v: i16);
    /// A structure that may be null. Its marker is another one inside a tagged field.
    fn option<T: Struct>(&mut self, name: &'static str, value: Option<&T>, tagged: bool, v: i16);

    /// Begins the tagged fields of a structure: `set` says which of the known ones, by number, follow.
    fn begin_tags(&mut self, set: &[bool], unknown: &UnknownTags);
    /// One of the known tagged fields, in ascending order, set or not.
    fn tag(&mut self, set: bool, tag: u32, unknown: &UnknownTags, write: impl FnOnce(&mut Self));
    /// Ends the tagged fields, of which `known` numbers have been told.
    fn end_tags(&mut self, known: u32, unknown: &UnknownTags);

    /// The end of a structure whose schema has no tagged fields.
    fn no_tags(&mut self, unknown: &UnknownTags) {
        self.begin_tags(&[], unknown);
        self.end_tags(0, unknown);
    }

    /// A field that the version does not have and that must not get lost: it has to be at its default.
    #[inline]
    fn absent(&mut self, name: &'static str, default: bool) {
        if !default {
            self.fail(name, EncodeErrorKind::UnsupportedField);
        }
    }

    /// Whether to write a tagged field: where it is not at its default. That is an error in versions that lack it.
    #[inline]
    fn sets(&mut self, version: bool, name: &'static str, default: bool) -> bool {
        self.absent(name, version || default);
        !default
    }
}
