//! What users hold: the core's handles, waited for. Their methods are generated, see [`methods`].

mod client;
mod methods;
mod reader;
mod writer;

pub use client::{Client, ClientBuilder, builder, builder_from_properties, connect};
pub use reader::{Reader, Records};
pub use writer::{Delivery, Writer};

use crate::park::{block_on, block_until};
use kafka_core::{Error, ErrorKind, Result};
use std::future::Future;
use std::time::{Duration, Instant};

/// Waits for a future, for so long at most.
fn within<T>(timeout: Duration, future: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Err(Error::new(ErrorKind::TimedOut { after: timeout, last: None }));
    match Instant::now().checked_add(timeout) {
        Some(until) => block_until(until, future).unwrap_or_else(late),
        None => block_on(future),
    }
}
