//! The handle that writes, without `async`.

use crate::park::block_on;
use kafka_core as rt;
use kafka_core::{Delivered, SendError};

/// Writes messages: gathers them in batches, sends these to the leaders of their partitions, and tells what became of each.
///
/// Everything is as at [`rt::Writer`], except that methods wait where those there are futures. Clones write through the
/// same batches, from as many threads as you like.
#[derive(Clone, Debug)]
pub struct Writer(pub(super) rt::Writer);

/// What becomes of one record; dropping it does the record no harm.
#[derive(Debug)]
#[must_use = "a delivery tells whether the record was written"]
pub struct Delivery(pub(super) rt::Delivery);

impl From<rt::Writer> for Writer {
    fn from(writer: rt::Writer) -> Self {
        Self(writer)
    }
}

impl Delivery {
    /// Waits until the record is acknowledged or given up, which the delivery timeout bounds.
    ///
    /// # Errors
    /// It was not, or perhaps not, written: [`SendError::fate`].
    pub fn wait(self) -> Result<Delivered, SendError> {
        match self.0.try_get() {
            Some(result) => result,
            None => block_on(self.0),
        }
    }
}
