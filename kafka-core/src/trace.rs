//! What the client tells `tracing`, behind the feature of that name: nothing secret, and these names and levels are kept.
//!
//! | event | level | fields | when |
//! |---|---|---|---|
//! | `degraded` | WARN | `error` | the brokers are too old for something; once |

use crate::error::Error;

#[cfg(feature = "tracing")]
pub(crate) fn degraded(error: &Error) {
    tracing::warn!(target: "kafka", %error, "degraded");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn degraded(_: &Error) {}
