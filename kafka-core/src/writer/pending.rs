//! A batch that left its slot, until it is resolved.
//!
//! Invariants
//! * A batch that may be written stays so, whatever is answered to it later and whatever it is sent under.
//! * Once it was refused for its size it is split before it is sent again.

use super::batch::Batch;
use super::sequences::Stamp;
use crate::error::{Error, Fate};
use kafka_proto::error_code::ErrorCode;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Pending {
    batch: Arc<Batch>,
    /// What it was sent under.
    stamp: Option<Stamp>,
    attempts: u32,
    /// A socket took a request with it whose end is not known, or the broker says that it was appended.
    maybe_written: bool,
    /// The broker's refusal of its size.
    too_large: Option<Error>,
}

impl Pending {
    pub(super) fn new(batch: Arc<Batch>) -> Self {
        Self { batch, stamp: None, attempts: 0, maybe_written: false, too_large: None }
    }

    /// Returns a part of it, which may be written where the whole may be.
    pub(super) fn part(&self, batch: Arc<Batch>) -> Self {
        Self { maybe_written: self.maybe_written, ..Self::new(batch) }
    }

    pub(super) fn batch(&self) -> &Arc<Batch> {
        &self.batch
    }

    pub(super) fn number(&self) -> u64 {
        self.batch.number
    }

    // ---- its sequence ----

    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    pub(super) fn set_stamp(&mut self, stamp: Option<Stamp>) {
        self.stamp = stamp;
    }

    pub(super) fn is_stamped(&self) -> bool {
        self.stamp.is_some()
    }

    /// Returns whether it may be in the log under its stamp, or come to be: under another one it would be there twice.
    pub(super) fn keeps_its_stamp(&self) -> bool {
        self.stamp.is_some() && self.maybe_written
    }

    // ---- what was answered ----

    /// It failed, and is perhaps sent again. Returns how often it was sent.
    pub(super) fn count_attempt(&mut self) -> u32 {
        self.attempts += 1;
        self.attempts
    }

    pub(super) fn is_retry(&self) -> bool {
        self.attempts > 0
    }

    pub(super) fn may_be_written(&self) -> bool {
        self.maybe_written
    }

    /// Once it may be written it stays so.
    pub(super) fn add_doubt(&mut self, maybe_written: bool) {
        self.maybe_written |= maybe_written;
    }

    pub(super) fn fate(&self) -> Fate {
        if self.maybe_written { Fate::PossiblyWritten } else { Fate::NotWritten }
    }

    /// The broker refused its size; its parts get sequences of their own.
    pub(super) fn refuse_size(&mut self, error: Error) {
        (self.stamp, self.too_large) = (None, Some(error));
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.too_large.is_some()
    }

    /// Returns the broker's refusal of its size.
    pub(super) fn take_refusal(&mut self) -> Error {
        self.too_large.take().unwrap_or_else(|| Error::of_code(ErrorCode::MessageTooLarge))
    }
}
