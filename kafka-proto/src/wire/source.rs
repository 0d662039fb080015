//! Where a message is read from: bytes, JSON, in tests a generator of values.
//!
//! A source that has failed keeps the first error and gives defaults from then on, so that what reads a structure is
//! straight-line code. Whoever began to read asks for the error at the end.

use super::{Field, Fixed, Int, Ints, Records, Run, Struct, UnknownTags};
use crate::Str;
use alloc::vec::Vec;
use bytes::Bytes;

/// A giver of named values. Where `nullable` is false, `None` comes after a failure only.
pub(crate) trait Source: Sized {
    fn fixed<T: Fixed>(&mut self, name: &'static str) -> T;
    /// Values of fixed length that follow each other.
    fn run<T: Run>(&mut self, names: &'static [&'static str]) -> T;
    fn string(&mut self, name: &'static str, nullable: bool) -> Option<Str>;
    /// A string that keeps its int16 length in flexible versions.
    fn classic(&mut self, name: &'static str, nullable: bool) -> Option<Str>;
    fn bytes(&mut self, name: &'static str, nullable: bool) -> Option<Bytes>;
    fn records(&mut self, name: &'static str, nullable: bool) -> Option<Records>;
    /// False where there is null.
    fn ints<T: Int>(&mut self, value: &mut Ints<T>, name: &'static str, nullable: bool) -> bool;
    /// Reads elements in place of those that are there. False where there is null instead.
    fn array<T: Field>(&mut self, items: &mut Vec<T>, name: &'static str, nullable: bool, v: i16) -> bool;
    fn structure<T: Struct>(&mut self, name: &'static str, value: &mut T, v: i16);
    /// A structure that may be null. Its marker is another one inside a tagged field.
    fn option<T: Struct>(&mut self, name: &'static str, tagged: bool, v: i16) -> Option<T>;
    /// The tagged fields of a structure. `read` takes the number of one and says whether it is known in this version;
    /// the others are returned. `names` has those that the schema knows, by number.
    fn tags(
        &mut self,
        names: &'static [&'static str],
        read: &mut dyn FnMut(&mut Self, u32) -> bool,
    ) -> UnknownTags;

    /// The end of a structure whose schema has no tagged fields.
    #[inline]
    fn no_tags(&mut self) -> UnknownTags {
        self.tags(&[], &mut |_, _| false)
    }
}
