//! The builder of readers.

use crate::error::{Error, Result};
use crate::group::{Assignor, GroupConfig};
use crate::reader::{Isolation, ReaderConfig, Reset, Start};
use crate::reading::{ReaderSpec, Subscription};
use crate::rt::reader::Reader;
use crate::rt::shared::{DriverWaker, Handle};
use crate::settings::draft::{Defaults, Draft};
use crate::settings::pairs;
use crate::snapshot::TopicPartition;
use kafka_proto::Str;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// Makes a [`Reader`], or what an adapter makes of one.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct ReaderBuilder<R = Reader> {
    handle: Handle,
    budget: DriverWaker,
    topics: Vec<Str>,
    partitions: Vec<i32>,
    start: Option<Start>,
    /// Where it begins if nothing is said: without a group, and in one.
    starts: (Start, Start),
    pub(crate) reader: Draft<ReaderConfig>,
    pub(crate) group: Draft<GroupConfig>,
    in_group: bool,
    made: PhantomData<fn() -> R>,
}

impl<R: From<Reader>> ReaderBuilder<R> {
    pub(in crate::rt) fn new(handle: Handle, budget: DriverWaker, defaults: &Defaults, topic: Str) -> Self {
        Self {
            handle,
            budget,
            topics: vec![topic],
            partitions: Vec::new(),
            start: None,
            starts: defaults.start.unwrap_or((Start::First, Start::First)),
            reader: defaults.reader.clone(),
            group: defaults.group.clone(),
            in_group: false,
            made: PhantomData,
        }
    }

    /// The same settings for another form of the handle.
    pub fn making<S: From<Reader>>(self) -> ReaderBuilder<S> {
        ReaderBuilder {
            handle: self.handle,
            budget: self.budget,
            topics: self.topics,
            partitions: self.partitions,
            start: self.start,
            starts: self.starts,
            reader: self.reader,
            group: self.group,
            in_group: self.in_group,
            made: PhantomData,
        }
    }

    /// Reads this partition only; may be called several times. Default all. Not with a group.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partitions.push(partition);
        self
    }

    /// Reads another topic as well. Only with a group.
    pub fn topic(mut self, topic: impl Into<Str>) -> Self {
        self.topics.push(topic.into());
        self
    }

    /// Where to begin; in a group only with what it has committed nothing of. Default the first offset. Offsets and times cannot be
    /// negative. kafka-go: `StartOffset`. Java: `auto.offset.reset`, which is [`reset`](Self::reset) as well.
    pub fn start(mut self, start: Start) -> Self {
        self.start = Some(start);
        self
    }

    /// Reads as a member of this group.
    pub fn group(mut self, id: impl Into<Str>) -> Self {
        self.group.config.group_id = id.into();
        self.in_group = true;
        self
    }

    /// All settings of the group at once, in place of those made before.
    pub fn group_config(mut self, config: GroupConfig) -> Self {
        self.group = Draft::whole(config);
        self.in_group = true;
        self
    }

    crate::reader_settings!(crate::declare::methods);
    crate::group_settings!(crate::declare::methods);

    /// Makes the reader, which begins to read, or to join its group, at once.
    ///
    /// # Errors
    /// A setting out of its range, or two that contradict each other, by name.
    pub fn build(self) -> Result<R> {
        let subscription = self.subscription()?;
        let max_response = self.handle.with(|state| state.core.config().max_response_bytes);
        let config = self.reader.finish(|draft| pairs::reader(draft, max_response))?;
        let spec = ReaderSpec { config: Arc::new(config), subscription };
        Ok(Reader::new(self.handle, &self.budget, spec).into())
    }

    fn subscription(&self) -> Result<Subscription> {
        if self.topics.iter().any(|t| t.is_empty()) {
            return Err(Error::config("topic", "must not be empty"));
        }
        // A group that is only the client's default gives way to partitions that are named.
        let joins = self.in_group || (self.partitions.is_empty() && self.group.said.has("group_id"));
        let start = self.start.unwrap_or(if joins { self.starts.1 } else { self.starts.0 });
        start.validate().map_err(|error| Error::config("start", error.kind().to_string()))?;
        match joins {
            true => self.members(start),
            false => self.alone(start),
        }
    }

    fn members(&self, start: Start) -> Result<Subscription> {
        if !self.partitions.is_empty() {
            return Err(Error::config("partition", "is the group's to choose, as `group_id` is given"));
        }
        let group = self.group.clone().finish(pairs::group)?;
        Ok(Subscription::Group(Arc::new(group), self.topics.clone(), start))
    }

    fn alone(&self, start: Start) -> Result<Subscription> {
        if let Some(setting) = self.group.said.first_by_method() {
            return Err(Error::config(setting, "means nothing without a group, as `group_id` is not given"));
        }
        let [topic] = &self.topics[..] else {
            return Err(Error::config("topic", "several topics need a group"));
        };
        if start == Start::Committed {
            return Err(Error::config("start", "at what was committed means nothing without a group"));
        }
        if self.partitions.iter().any(|p| *p < 0) {
            return Err(Error::config("partition", "must not be negative"));
        }
        if self.partitions.is_empty() {
            return Ok(Subscription::Topic(topic.clone(), start));
        }
        let one = |p: &i32| (TopicPartition::new(topic.clone(), *p), start);
        Ok(Subscription::Partitions(self.partitions.iter().map(one).collect()))
    }
}
