//! Every setting of clients, writers, readers and groups, with its default, range and Java's name.
//!
#![doc = include_str!("settings.md")]
//!
//! # Properties of Java's clients
//!
//! [`ClientBuilder::from_properties`](crate::ClientBuilder::from_properties) takes settings by Java's names, as a map or from a
//! file by [`parse_properties`].

// A setting is declared once, in the `config.rs` of its part; `declare.rs` says how, and everything else is derived from it.
// `settings.md` is written by `cargo xtask settings`, which also checks that it is fresh.

pub(crate) mod draft;
mod java;
pub(crate) mod pairs;
pub(crate) mod properties;
#[cfg(feature = "record")]
pub(crate) mod recorded;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod values;

pub use properties::{Unused, UnusedProperty, parse_properties};
pub use table::table;

use crate::config::ClientConfig;
use crate::group::GroupConfig;
use crate::reader::ReaderConfig;
use crate::writer::WriterConfig;
use draft::Declared;

/// What a setting belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// [`ClientConfig`], made by [`ClientBuilder`](crate::ClientBuilder).
    Client,
    /// [`WriterConfig`], made by [`WriterBuilder`](crate::WriterBuilder).
    Writer,
    /// [`ReaderConfig`], made by [`ReaderBuilder`](crate::ReaderBuilder).
    Reader,
    /// [`GroupConfig`], made by [`ReaderBuilder`](crate::ReaderBuilder) as well, or given to it.
    Group,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// What it belongs to.
    pub part: Part,
    /// The name of the field, by which errors name it.
    pub name: &'static str,
    /// The builder's method; `None` where only the configuration structure has it.
    pub builder: Option<&'static str>,
    /// What its value counts; empty where it counts nothing.
    pub unit: &'static str,
    /// The default, for people.
    pub default: &'static str,
    /// What it may be, for people; empty where anything is allowed, or more than a range is checked.
    pub range: &'static str,
    /// What Java's client calls it; empty where it has no such setting.
    pub java: &'static [&'static str],
    /// What it does.
    pub meaning: &'static str,
}

/// All settings: of the client, of writers, of readers, of groups.
pub fn all() -> Vec<Setting> {
    [ClientConfig::list(), WriterConfig::list(), ReaderConfig::list(), GroupConfig::list()].concat()
}
