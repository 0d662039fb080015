//! What has to be waited for until a writer has delivered all that it took.

use crate::writer::{Fate, Outcome, SendError, Tickets};
use std::sync::Arc;

/// What [`Writer::close`](crate::Writer::close) could not deliver in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Records that are not in the log and never will be.
    pub not_written: u64,
    /// Records that may be in the log.
    pub possibly_written: u64,
}

impl CloseReport {
    /// Whether everything was delivered.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// The batches that a writer had when it was flushed or closed.
#[derive(Clone, Debug, Default)]
#[must_use = "it tells when everything was delivered"]
pub struct Flushing {
    open: Vec<Arc<Tickets>>,
    report: CloseReport,
}

impl Flushing {
    pub(crate) fn new(open: Vec<Arc<Tickets>>) -> Self {
        Self { open, report: CloseReport::default() }
    }

    /// Returns what was not delivered; `None` until each record was acknowledged or given up.
    pub fn report(&mut self) -> Option<CloseReport> {
        while let Some(batch) = self.next() {
            self.ended(batch.outcome()?);
        }
        Some(self.report)
    }

    /// The next batch whose outcome was not seen yet.
    pub(crate) fn next(&self) -> Option<Arc<Tickets>> {
        self.open.last().cloned()
    }

    /// The outcome of the [next](Self::next) batch. One that was split goes on in two.
    pub(crate) fn ended(&mut self, outcome: &Outcome) {
        let Some(batch) = self.open.pop() else { return };
        let count = u64::from(batch.count());
        match outcome {
            Outcome::Split { first, second, .. } => self.open.extend([first.clone(), second.clone()]),
            Outcome::Failed(SendError { fate: Fate::PossiblyWritten, .. }) => {
                self.report.possibly_written += count;
            }
            Outcome::Failed(_) => self.report.not_written += count,
            Outcome::Acked { .. } => {}
        }
    }

    /// All that was not delivered so far.
    pub(crate) fn so_far(&self) -> CloseReport {
        self.report
    }
}
