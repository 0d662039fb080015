//! What an application does to its reader.

use super::{ReaderItem, Reading, Subscription};
use crate::error::Error;
use crate::group::CommitOffset;
use crate::machine::{Cx, OpId, Time, commands};
use crate::reader::{Item, ReaderMachine, Start};
use crate::snapshot::TopicPartition;
use kafka_proto::Str;
use std::sync::atomic::Ordering;

/// Takes the next item.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct TakeItem;

/// Answers a `Revoking`. What was handled is committed first.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Revoked {
    pub(crate) assignment: u32,
}

/// Moves the position of partitions, all or none.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Seek {
    pub(crate) partitions: Vec<TopicPartition>,
    pub(crate) start: Start,
}

/// Delivers nothing of partitions until they are resumed, all or none.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Pause(pub(crate) Vec<TopicPartition>);

/// Ends pauses, all or none.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Resume(pub(crate) Vec<TopicPartition>);

/// What is assigned.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct GetAssignment;

/// Reads other topics; of a pattern at first those that it has and that are `kept`. Returns the partitions that went at once.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Subscribe {
    pub(crate) subscription: Subscription,
    pub(crate) kept: Vec<Str>,
}

/// Reads other partitions; those that stay go on where they are. Returns those that went.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Assign(pub(crate) Vec<(TopicPartition, Start)>);

/// What is subscribed to; `None` where partitions were chosen.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct GetSubscription;

/// The topics that the subscription means at present.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct GetTopics;

/// What is known of the offsets of a partition.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct GetOffsets(pub(crate) TopicPartition);

/// Offsets of one partition, each as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KnownOffsets {
    pub(crate) position: Option<i64>,
    pub(crate) lag: Option<i64>,
    pub(crate) high_watermark: Option<i64>,
    pub(crate) log_start: Option<i64>,
}

/// Commits offsets.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Commit {
    pub(crate) assignment: u32,
    pub(crate) offsets: Vec<CommitOffset>,
    pub(crate) deadline: Time,
}

/// There is a first mark since the last commit.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Marked;

/// Stops reading; in a group, commits what was handled and leaves it.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Close;

/// The same, of which the application wants to know how it ends.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Leave;

/// Ends at once, whatever is under way.
#[cfg(test)]
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Remove;

/// A reader on its way out of its group.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) group: Str,
    /// Of what was handled and not committed yet.
    pub(crate) commits: Vec<OpId>,
}

commands! {
    Reading, all as COMMANDS;
    TakeItem -> Option<ReaderItem>: |_command, reading, _cx| reading.take_item();
    Revoked -> (): |command, reading, cx| reading.revoked(cx, command.assignment);
    Seek -> Result<Vec<TopicPartition>, Error>: |command, reading, _cx| {
        let Seek { partitions, start } = command;
        reading.each(partitions, |fetcher, partition| fetcher.seek(partition, start))
    };
    Pause -> Result<Vec<TopicPartition>, Error>: |command, reading, _cx| {
        reading.each(command.0, |fetcher, partition| fetcher.pause(partition))
    };
    Resume -> Result<(), Error>: |command, reading, _cx| {
        reading.each(command.0, |fetcher, partition| fetcher.resume(partition)).map(drop)
    };
    Subscribe -> Result<Vec<TopicPartition>, Error>: |command, reading, cx| {
        reading.subscribe(cx, command.subscription, command.kept)
    };
    Assign -> Result<Vec<TopicPartition>, Error>: |command, reading, _cx| reading.assign(command.0);
    GetSubscription -> Option<Subscription>: |_command, reading, _cx| reading.from.subscription().cloned();
    GetTopics -> Vec<Str>: |_command, reading, _cx| reading.topics.subscribed().cloned().collect();
    GetAssignment -> Vec<TopicPartition>: |_command, reading, _cx| reading.fetcher.assignment().cloned().collect();
    GetOffsets -> KnownOffsets: |command, reading, _cx| reading.offsets(&command.0);
    Commit -> Result<OpId, Error>: |command, reading, cx| {
        reading.commit(cx, command.assignment, command.offsets, command.deadline)
    };
    Marked -> (): |_command, reading, cx| reading.marked(cx);
    Close -> (): |_command, reading, cx| reading.close(cx);
    Leave -> Option<Leaving>: |_command, reading, cx| reading.leave(cx);
}

/// How many partitions are assigned.
#[cfg(test)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct CountAssigned;

#[cfg(test)]
commands! {
    Reading;
    CountAssigned -> usize: |_command, reading, _cx| reading.fetcher.assignment().count();
    Remove -> (): |_command, reading, _cx| reading.end();
}

impl Reading {
    fn take_item(&mut self) -> Option<ReaderItem> {
        if let Some(item) = self.items.pop_front() {
            self.urgent.store(!self.items.is_empty(), Ordering::Release);
            return Some(item);
        }
        // Taking nothing changes things too: it ends the walk before, whose partition may then be fetched again.
        self.fetcher.take().map(|item| match item {
            Item::Chunk(chunk) => ReaderItem::Chunk(chunk),
            Item::Error(error) => ReaderItem::Error(error),
            Item::Notice(error) => ReaderItem::Notice(error),
        })
    }

    /// Does something to partitions, if all of them are this reader's.
    fn each(
        &mut self,
        partitions: Vec<TopicPartition>,
        mut act: impl FnMut(&mut ReaderMachine, &TopicPartition) -> Result<(), Error>,
    ) -> Result<Vec<TopicPartition>, Error> {
        partitions.iter().try_for_each(|partition| self.fetcher.check_assigned(partition))?;
        partitions.iter().try_for_each(|partition| act(&mut self.fetcher, partition))?;
        Ok(partitions)
    }

    fn offsets(&self, partition: &TopicPartition) -> KnownOffsets {
        KnownOffsets {
            position: self.fetcher.consumed(partition),
            lag: self.fetcher.lag(partition),
            high_watermark: self.fetcher.high_watermark(partition),
            log_start: self.fetcher.log_start(partition),
        }
    }

    fn revoked(&mut self, cx: &Cx<'_>, assignment: u32) {
        self.commit_marks(cx);
        self.fetcher.unassign_all();
        if let Some(member) = &mut self.member {
            member.revoked(cx.now, assignment);
        }
    }

    fn leave(&mut self, cx: &mut Cx<'_>) -> Option<Leaving> {
        let group = self.from.group().map(|group| group.group_id.clone());
        self.commit_marks(cx);
        let commits = self.promise_marks(cx);
        self.close(cx);
        Some(Leaving { group: group?, commits })
    }
}
