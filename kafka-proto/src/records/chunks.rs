//! Where the chunks of a batch come from, and where they go when nobody holds the batch any more.
//!
//! Invariants: a chunk on a shelf is empty and of exactly the shelf's size; all together are within the pool's limit.

use alloc::vec::Vec;

use bytes::Bytes;

/// Size of the smallest chunk in bytes: a lone small record costs no more.
pub(super) const MIN_CHUNK: usize = 512;
/// Size of the largest chunk in bytes, unless one record needs more.
pub(super) const MAX_CHUNK: usize = 64 * 1024;

/// Where a builder's chunks come from: a pool, if it has one.
#[derive(Debug, Default)]
pub(super) struct Source {
    #[cfg(feature = "std")]
    pool: Option<ChunkPool>,
}

impl Source {
    /// An empty chunk of this size.
    pub(super) fn chunk(&self, size: usize) -> Vec<u8> {
        #[cfg(feature = "std")]
        if let Some(chunk) = self.pool.as_ref().and_then(|pool| pool.take(size)) {
            return chunk;
        }
        Vec::with_capacity(size)
    }

    /// A chunk that is written no more.
    pub(super) fn share(&self, chunk: Vec<u8>) -> Bytes {
        #[cfg(feature = "std")]
        if let Some(pool) = self.pool.as_ref().filter(|_| pool::shelf(chunk.capacity()).is_some()) {
            return pool.share(chunk);
        }
        chunk.into()
    }
}

#[cfg(feature = "std")]
pub use pool::ChunkPool;

#[cfg(feature = "std")]
mod pool {
    use super::{Bytes, MAX_CHUNK, MIN_CHUNK, Source, Vec};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    const SHELVES: usize = (MAX_CHUNK / MIN_CHUNK).ilog2() as usize + 1;

    /// Memory that sealed batches give back, for those that are built next.
    ///
    /// A builder that was made with a pool takes its chunks from there. They come back when the last slice of the batch
    /// is dropped, in whatever thread, as far as the limit goes. Cloning gives another handle to the same pool.
    #[derive(Debug, Clone)]
    pub struct ChunkPool(Arc<Shared>);

    #[derive(Debug)]
    struct Shared {
        limit: usize,
        idle: Mutex<Idle>,
    }

    #[derive(Debug, Default)]
    struct Idle {
        bytes: usize,
        shelves: [Vec<Vec<u8>>; SHELVES],
    }

    impl ChunkPool {
        /// A pool that keeps up to so many bytes that nobody uses.
        pub fn new(limit: usize) -> Self {
            ChunkPool(Arc::new(Shared { limit, idle: Mutex::default() }))
        }

        /// Bytes that wait to be used again.
        pub fn idle_bytes(&self) -> usize {
            self.lock().bytes
        }

        fn lock(&self) -> MutexGuard<'_, Idle> {
            self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(super) fn take(&self, size: usize) -> Option<Vec<u8>> {
            let shelf = shelf(size)?;
            let mut idle = self.lock();
            let chunk = idle.shelves.get_mut(shelf)?.pop()?;
            idle.bytes -= size;
            Some(chunk)
        }

        pub(super) fn share(&self, chunk: Vec<u8>) -> Bytes {
            Bytes::from_owner(Lent { chunk, pool: self.clone() })
        }

        fn put(&self, mut chunk: Vec<u8>) {
            let size = chunk.capacity();
            let Some(shelf) = shelf(size) else { return };
            chunk.clear();
            let mut idle = self.lock();
            if idle.bytes + size > self.0.limit {
                drop(idle); // what does not fit is freed outside of the lock
                return;
            }
            if let Some(shelf) = idle.shelves.get_mut(shelf) {
                shelf.push(chunk);
                idle.bytes += size;
            }
        }
    }

    /// The shelf of this size; `None` for odd ones, which are not kept.
    pub(super) fn shelf(size: usize) -> Option<usize> {
        let fits = size.is_power_of_two() && (MIN_CHUNK..=MAX_CHUNK).contains(&size);
        fits.then(|| (size / MIN_CHUNK).ilog2() as usize)
    }

    impl Source {
        pub(in super::super) fn pool(pool: &ChunkPool) -> Self {
            Source { pool: Some(pool.clone()) }
        }
    }

    /// A chunk whose bytes are in use.
    struct Lent {
        chunk: Vec<u8>,
        pool: ChunkPool,
    }

    impl AsRef<[u8]> for Lent {
        fn as_ref(&self) -> &[u8] {
            &self.chunk
        }
    }

    impl Drop for Lent {
        fn drop(&mut self) {
            self.pool.put(core::mem::take(&mut self.chunk));
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn comes_back_when_the_last_slice_is_dropped() {
            let pool = ChunkPool::new(4096);
            let source = Source::pool(&pool);
            let mut chunk = source.chunk(1024);
            chunk.extend_from_slice(b"abc");
            let at = chunk.as_ptr();
            let bytes = source.share(chunk);
            let slice = bytes.slice(1..2);
            drop((bytes, source));
            assert_eq!((pool.idle_bytes(), &slice[..]), (0, &b"b"[..]));
            drop(slice);
            assert_eq!(pool.idle_bytes(), 1024);
            let again = Source::pool(&pool).chunk(1024);
            assert_eq!((again.as_ptr(), again.len(), again.capacity()), (at, 0, 1024));
            assert_eq!(pool.idle_bytes(), 0);
        }

        #[test]
        fn keeps_to_its_limit_and_sizes() {
            let pool = ChunkPool::new(3000);
            let source = Source::pool(&pool);
            let chunks: Vec<Bytes> =
                [2048, 512, 512, 700, 131_072].map(|size| source.share(source.chunk(size))).into();
            drop(chunks);
            assert_eq!(pool.idle_bytes(), 2560);
            assert!(pool.take(4096).is_none());
            assert!(pool.take(700).is_none());
        }

        #[test]
        fn every_size_has_its_shelf() {
            assert_eq!((shelf(MIN_CHUNK), shelf(MAX_CHUNK)), (Some(0), Some(SHELVES - 1)));
            assert_eq!((shelf(MIN_CHUNK / 2), shelf(2 * MAX_CHUNK), shelf(513)), (None, None, None));
        }
    }
}
