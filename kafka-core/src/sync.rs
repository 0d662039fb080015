//! Locks and atomics of what several threads use at once: the accumulator, tickets, memory, the reader's budget, and the
//! client's lock with its wakers.
//!
//! They are those of `std`. A build with `--cfg shuttle` has ones in their place of which a test tries one interleaving after
//! the other: see `interleavings`.

#[cfg(not(shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard, RwLock, atomic};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, RwLock, atomic};
