//! Records that are lent, not copied.

use crate::error::Result;
use crate::reader::{RecordView, Walk};
use kafka_proto::Str;

/// Records of one partition that were fetched together, see [`Reader::next_batch`](crate::Reader::next_batch).
#[derive(Debug)]
pub struct Batch<'a> {
    walk: &'a mut Option<Walk>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(walk: &'a mut Option<Walk>) -> Self {
        Self { walk }
    }

    /// The topic.
    pub fn topic(&self) -> Option<&Str> {
        self.walk.as_ref().map(Walk::topic)
    }

    /// The partition.
    pub fn partition(&self) -> Option<i32> {
        self.walk.as_ref().map(Walk::partition)
    }

    /// The offset after the last record that was given out.
    pub fn position(&self) -> Option<i64> {
        self.walk.as_ref().map(Walk::position)
    }

    /// The next record, borrowed; `None` at the end, and when the partition was taken away, paused or sought meanwhile.
    ///
    /// # Errors
    /// A batch is damaged.
    #[expect(clippy::should_implement_trait, reason = "it lends what it gives")]
    pub fn next(&mut self) -> Option<Result<RecordView<'_>>> {
        self.walk.as_mut()?.next()
    }
}
