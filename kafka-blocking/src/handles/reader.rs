//! The handle that reads, without `async`.

use kafka_core as rt;
use kafka_core::{Record, Result};

/// Reads records: of partitions it was told, or of those that its group gives it.
///
/// Everything is as at [`rt::Reader`], except that methods wait where those there are futures; and those whose names end
/// in `_within` wait so long at most.
#[derive(Debug)]
pub struct Reader(pub(super) rt::Reader);

impl From<rt::Reader> for Reader {
    fn from(reader: rt::Reader) -> Self {
        Self(reader)
    }
}

impl Reader {
    /// Returns an iterator over the records that [`fetch`](Self::fetch) gives, until the reader is closed.
    pub fn records(&mut self) -> Records<'_> {
        Records(self)
    }
}

/// Iterates over records, see [`Reader::records`].
#[derive(Debug)]
pub struct Records<'a>(&'a mut Reader);

impl Iterator for Records<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Result<Record>> {
        self.0.fetch().transpose()
    }
}
