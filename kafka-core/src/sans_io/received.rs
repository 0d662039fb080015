//! What goes from a link to its client.

use crate::client::Input;
use crate::link::{ConnId, Received};

impl Received {
    /// Returns what the client must be given because of it; `None` where only the writing half has something to do.
    pub fn into_input(self, conn: ConnId) -> Option<Input> {
        match self {
            Self::Ready(versions) => Some(Input::Connected { conn, versions }),
            Self::SetupGoesOn => None,
            Self::Response { id, response, throttle } => {
                Some(Input::Response { conn, id, response, throttle })
            }
        }
    }
}
