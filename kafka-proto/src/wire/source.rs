//! Where a message is read from: bytes, JSON, in tests a generator of values.

use super::{DecodeError, Field, Fixed, Int, Ints, Records, UnknownTags};
use crate::Str;
use alloc::vec::Vec;
use bytes::Bytes;

type Result<T> = core::result::Result<T, DecodeError>;

/// A giver of named values. Where `nullable` is false, `None` never comes.
pub(crate) trait Source: Sized {
    fn fixed<T: Fixed>(&mut self, name: &'static str) -> Result<T>;
    fn string(&mut self, name: &'static str, nullable: bool) -> Result<Option<Str>>;
    /// A string that keeps its int16 length in flexible versions.
    fn classic(&mut self, name: &'static str, nullable: bool) -> Result<Option<Str>>;
    fn bytes(&mut self, name: &'static str, nullable: bool) -> Result<Option<Bytes>>;
    fn records(&mut self, name: &'static str, nullable: bool) -> Result<Option<Records>>;
    fn ints<T: Int>(&mut self, name: &'static str, nullable: bool) -> Result<Option<Ints<T>>>;
    fn array<T: Field>(&mut self, name: &'static str, nullable: bool, v: i16) -> Result<Option<Vec<T>>>;
    fn structure<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T>;
    /// A structure that may be null. Its marker is another one inside a tagged field.
    fn option<T: Field>(&mut self, name: &'static str, tagged: bool, v: i16) -> Result<Option<T>>;
    /// The tagged fields of a structure. `read` takes the number of one and says whether it is known in this version;
    /// the others are returned. `names` has those that the schema knows, by number.
    fn tags(
        &mut self,
        names: &[&'static str],
        read: impl FnMut(&mut Self, u32) -> Result<bool>,
    ) -> Result<UnknownTags>;

    /// The end of a structure whose schema has no tagged fields.
    fn no_tags(&mut self) -> Result<UnknownTags> {
        self.tags(&[], |_, _| Ok(false))
    }
}
