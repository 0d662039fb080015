//! The builder of readers.

use crate::error::{Error, Result};
use crate::group::{Assignor, GroupConfig};
use crate::reader::{Isolation, ReaderConfig, Reset, Start};
use crate::reading::{ReadFrom, ReaderSpec, Subscription};
use crate::rt::reader::Reader;
use crate::rt::shared::{DriverWaker, Handle};
use crate::settings::draft::{Defaults, Draft};
use crate::settings::pairs;
use crate::snapshot::TopicPartition;
use kafka_proto::Str;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// Builds a [`Reader`].
///
/// `R` is the handle that [`build`](Self::build) returns. It differs where an adapter has handles of its own, as kafka-blocking does.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct ReaderBuilder<R = Reader> {
    handle: Handle,
    budget: DriverWaker,
    subscription: Subscription,
    /// Topics that were added.
    more: Vec<Str>,
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
    pub(in crate::rt) fn new(
        handle: Handle,
        budget: DriverWaker,
        defaults: &Defaults,
        subscription: Subscription,
    ) -> Self {
        Self {
            handle,
            budget,
            subscription,
            more: Vec::new(),
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
            subscription: self.subscription,
            more: self.more,
            partitions: self.partitions,
            start: self.start,
            starts: self.starts,
            reader: self.reader,
            group: self.group,
            in_group: self.in_group,
            made: PhantomData,
        }
    }

    /// Reads this partition only; may be called several times. Default all. It needs exactly one topic and no group.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partitions.push(partition);
        self
    }

    /// Reads another topic as well. Not with a pattern.
    pub fn topic(mut self, topic: impl Into<Str>) -> Self {
        self.more.push(topic.into());
        self
    }

    /// Sets where partitions begin. In a group, this applies only to partitions of which the group has committed nothing. Default: the
    /// first offset. Offsets and times cannot be negative. kafka-go: `StartOffset`. Java: `auto.offset.reset`, which also sets
    /// [`reset`](Self::reset), the policy for positions that the log does not have.
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
    /// A setting out of its range, or two that contradict each other, by name; or that the client is closed.
    pub fn build(self) -> Result<R> {
        let from = self.from()?;
        let max_response = self.handle.with(|state| state.core.config().max_response_bytes);
        let config = self.reader.finish(|draft| pairs::reader(draft, max_response))?;
        Reader::new(self.handle, &self.budget, ReaderSpec::new(config, from)).map(R::from)
    }

    fn from(&self) -> Result<ReadFrom> {
        let subscription = self.subscription()?;
        // A group that is only the client's default gives way to partitions that are named.
        let joins = self.in_group || (self.partitions.is_empty() && self.group.said.has("group_id"));
        let start = self.start.unwrap_or(if joins { self.starts.1 } else { self.starts.0 });
        start.validate().map_err(|error| Error::config("start", error.kind().to_string()))?;
        match joins {
            true => self.member(subscription, start),
            false => self.alone(subscription, start),
        }
    }

    fn subscription(&self) -> Result<Subscription> {
        let mut subscription = self.subscription.clone();
        match &mut subscription {
            Subscription::Topics(topics) => topics.extend(self.more.iter().cloned()),
            Subscription::Pattern(_) if self.more.is_empty() => {}
            Subscription::Pattern(_) => {
                return Err(Error::config("topic", "cannot be added to a pattern, which has to match it"));
            }
        }
        subscription.validate().map(|()| subscription)
    }

    fn member(&self, subscription: Subscription, start: Start) -> Result<ReadFrom> {
        if !self.partitions.is_empty() {
            return Err(Error::config("partition", "is the group's to choose, as `group_id` is given"));
        }
        let group = self.group.clone().finish(pairs::group)?;
        Ok(ReadFrom::Group(Arc::new(group), subscription, start))
    }

    fn alone(&self, subscription: Subscription, start: Start) -> Result<ReadFrom> {
        if let Some(setting) = self.group.said.first_by_method() {
            return Err(Error::config(setting, "means nothing without a group, as `group_id` is not given"));
        }
        let from = match &subscription {
            _ if self.partitions.is_empty() => ReadFrom::Topics(subscription, start),
            Subscription::Topics(topics) if topics.len() == 1 => {
                let of = |topic: &Str, p| (TopicPartition::new(topic.clone(), p), start);
                let each = topics.iter().flat_map(|topic| self.partitions.iter().map(move |p| of(topic, *p)));
                ReadFrom::Partitions(each.collect())
            }
            _ => return Err(Error::config("partition", "needs exactly one topic")),
        };
        from.validate().map(|()| from)
    }
}
