//! What is read, and changes of it.

use super::Reader;
use crate::error::Result;
use crate::reader::Start;
use crate::reading::{self, ReadFrom, Subscription};
use crate::sans_io::access::{Access, command};
use crate::sans_io::closed;
use crate::snapshot::TopicPartition;
use kafka_proto::Str;

impl Reader {
    /// Reads these topics from now on, in the place of those before. Where there is no group, partitions that stay keep their position,
    /// their pause and what was fetched of them, and of the others nothing is delivered any more; new topics begin where the reader was
    /// told to begin. In a group the member gives up its partitions ([`Revoking`](super::ReaderEvent::Revoking)) and joins anew.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`](crate::ErrorKind::Misuse) for a reader of chosen partitions, [`ErrorKind::Config`](crate::ErrorKind::Config)
    /// where no topic is named, or one without a name. Nothing changes then.
    pub fn subscribe(&mut self, mut client: impl Access, topics: impl Into<Subscription>) -> Result<()> {
        let subscription = topics.into();
        subscription.validate()?;
        let kept = self.matching(&mut client, &subscription);
        let subscribe = reading::Subscribe { subscription, kept };
        let gone = command(&mut client, self.id, subscribe).ok_or_else(closed)??;
        self.drop_walk_of(&gone);
        Ok(())
    }

    /// Returns those of the topics at present that a pattern matches; not while the client is held, as they can be many.
    fn matching(&self, client: &mut impl Access, subscription: &Subscription) -> Vec<Str> {
        let Subscription::Pattern(pattern) = subscription else { return Vec::new() };
        let mut topics = command(client, self.id, reading::GetTopics).unwrap_or_default();
        topics.retain(|topic| pattern.matches(topic));
        topics
    }

    /// Reads these partitions from now on, in the place of those before. Those that stay keep their position, whatever is said here, their
    /// pause and what was fetched of them. Without any, nothing is read until others are assigned.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`](crate::ErrorKind::Misuse) for a reader of topics, and for a place that is none;
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a partition that cannot be. Nothing changes then.
    pub fn assign(
        &mut self,
        mut client: impl Access,
        partitions: impl IntoIterator<Item = (TopicPartition, Start)>,
    ) -> Result<()> {
        let partitions: Vec<(TopicPartition, Start)> = partitions.into_iter().collect();
        ReadFrom::Partitions(partitions.clone()).validate()?;
        let gone = command(&mut client, self.id, reading::Assign(partitions)).ok_or_else(closed)??;
        self.drop_walk_of(&gone);
        Ok(())
    }

    /// Returns the topics or the pattern that the reader was told, by [`subscribe`](Self::subscribe) last; `None` for a reader of chosen
    /// partitions, and once it has ended.
    pub fn subscription(&self, mut client: impl Access) -> Option<Subscription> {
        command(&mut client, self.id, reading::GetSubscription).flatten()
    }

    /// Returns the partitions that are read: all of the topics, those chosen, or those that the group assigned.
    pub fn assignment(&self, mut client: impl Access) -> Vec<TopicPartition> {
        command(&mut client, self.id, reading::GetAssignment).unwrap_or_default()
    }
}
