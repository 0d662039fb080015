//! A configuration in the making: its values, and which of them somebody chose.
//!
//! Only what was said twice in contradiction is an error ([`pairs`](super::pairs)): a default gives way to what was said.

use super::Setting;
use crate::config::ClientConfig;
use crate::error::Result;
use crate::group::GroupConfig;
use crate::reader::{ReaderConfig, Start};
use crate::writer::WriterConfig;

/// What the [`declare!`](super::declare) macro derives for each part.
pub(crate) trait Declared: Clone + Default {
    /// All its settings.
    fn list() -> Vec<Setting>;
    /// Checks the range of each value.
    fn check(&self) -> Result<()>;
    /// Takes over what the client has and nobody said here.
    fn inherit(&mut self, client: &ClientConfig, said: &Said);
    /// What a recording keeps of the settings.
    #[cfg(feature = "record")]
    fn keep(&self) -> super::recorded::Settings;
    /// The settings that were kept; what was not is at its default. `None` where a value is none.
    #[cfg(feature = "record")]
    fn kept(settings: &super::recorded::Settings) -> Option<Self>;
    /// Takes the value of a property of Java's clients; returns whether the part has such a setting.
    fn read(draft: &mut Draft<Self>, property: &str, text: &str) -> Result<bool>;
}

/// Which settings somebody chose, by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    names: Vec<&'static str>,
    by_method: Option<&'static str>,
    all: bool,
}

impl Said {
    /// A method of the part's own chose it.
    pub(crate) fn add(&mut self, name: &'static str) {
        self.names.push(name);
        self.by_method.get_or_insert(name);
    }

    /// A property or another part's method chose it.
    pub(crate) fn add_indirectly(&mut self, name: &'static str) {
        self.names.push(name);
    }

    /// Returns whether it was chosen in any way.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all || self.names.contains(&name)
    }

    /// Returns the first that a method of the part's own chose.
    pub(crate) fn first_by_method(&self) -> Option<&'static str> {
        self.by_method
    }
}

/// A configuration, and what of it was said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft<C> {
    pub(crate) config: C,
    pub(crate) said: Said,
}

impl<C: Declared> Draft<C> {
    /// A configuration that somebody made as a whole.
    pub(crate) fn whole(config: C) -> Self {
        Self { config, said: Said { all: true, ..Said::default() } }
    }

    /// Returns the configuration once every value is in its range and `fit` found no contradiction.
    pub(crate) fn finish(mut self, fit: impl FnOnce(&mut Self) -> Result<()>) -> Result<C> {
        self.config.check()?;
        fit(&mut self)?;
        // What gave way must not have left its range.
        self.config.check()?;
        Ok(self.config)
    }

    /// The same, with the client's values where nothing was said.
    pub(crate) fn inheriting(mut self, client: &ClientConfig) -> Self {
        self.config.inherit(client, &self.said);
        self
    }
}

/// What all writers and readers of a client begin with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) writer: Draft<WriterConfig>,
    pub(crate) reader: Draft<ReaderConfig>,
    pub(crate) group: Draft<GroupConfig>,
    /// Where readers begin: without a group, and in one.
    pub(crate) start: Option<(Start, Start)>,
}

impl Defaults {
    /// The same, with the client's values where nothing was said.
    pub(crate) fn inheriting(self, client: &ClientConfig) -> Self {
        let (reader, group) = (self.reader.inheriting(client), self.group.inheriting(client));
        Self { writer: self.writer.inheriting(client), reader, group, start: self.start }
    }
}
