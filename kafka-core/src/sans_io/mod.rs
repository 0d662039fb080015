//! The client by hand.

mod access;
mod batch;
mod calls;
mod closing;
mod flushing;
mod reader;
mod received;
mod writer;

pub use crate::address::Address;
pub use crate::client::{Action, Client, Event, Garbage, Input, Job, JobDone, Key, Notify};
pub use crate::config::ClientConfig;
pub use crate::link::{
    Answered, BrokerVersions, ConnId, LinkConfig, LinkInbound, LinkOutbound, MAX_SLICES, Payload, Received,
    RequestId, Transmit, Unanswered, link,
};
pub use crate::machine::{CoordinatorKind, MachineId, Now, OpId, Peer, Target, Time};
pub use crate::reading::Subscription;
pub use crate::snapshot::{Cluster, TopicState};
pub use crate::trace::Trace;
pub use access::{Access, At};
pub use batch::Batch;
pub use calls::{Call, Commit};
pub use closing::{ClientCloseReport, Closing};
pub use flushing::{CloseReport, Flushing};
pub use reader::{Reader, ReaderEvent};
pub use writer::{TrySendError, TrySendReason, Writer};

pub(crate) use access::ClockOf;
pub(crate) use writer::{Known, Slots};

use crate::error::{Error, ErrorKind};

/// The error of everything that is done after the end.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed)
}
