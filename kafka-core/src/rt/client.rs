//! The handle of a client.

use super::builder::{ReaderBuilder, WriterBuilder};
use super::probe::Probe;
use super::shared::{DriverWaker, Handle};
use super::wait::{EndWait, TopicWait, after, call, ended, until};
use crate::client::Client as Core;
use crate::error::{Error, ErrorKind, Result};
use crate::machine::{MachineId, Now, Target};
use crate::reading::{Leave, Leaving, Reading};
use crate::settings::draft::Defaults;
use crate::snapshot::Topic;
use crate::stats::Stats;
use crate::writer::{CloseInput, Tickets, Writing};
use kafka_proto::messages::metadata::MetadataRequest;
use kafka_proto::{ApiKey, Str};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A client of one cluster: many writers, readers and calls share its connections and what it knows.
///
/// Clones are handles of the same client. It lives until the last handle of it, and of its writers and readers, is
/// dropped. Nobody waits for anything then: what is not delivered is given up, and groups are left in the background, for
/// as long as the runtime lives. [`close`](Self::close) ends it earlier and waits.
pub struct Client {
    pub(super) handle: Handle,
    budget: DriverWaker,
    defaults: Arc<Defaults>,
}

impl Client {
    pub(super) fn new(handle: Handle, budget: DriverWaker, defaults: Arc<Defaults>) -> Self {
        Self { handle, budget, defaults }
    }

    /// Waits until a broker has told of the cluster.
    pub(super) async fn reach(&self, timeout: Duration) -> Result<()> {
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        call(self.handle.shared(), Target::Any, request, Some(timeout)).await.map(|_| ())
    }

    /// A writer to a topic.
    pub fn writer(&self, topic: impl Into<Str>) -> WriterBuilder {
        WriterBuilder::new(self.handle.clone(), self.defaults.writer.clone(), Some(topic.into()))
    }

    /// A writer whose messages name their topics.
    pub fn writer_to_any(&self) -> WriterBuilder {
        WriterBuilder::new(self.handle.clone(), self.defaults.writer.clone(), None)
    }

    /// A reader of a topic, by itself or in a group.
    pub fn reader(&self, topic: impl Into<Str>) -> ReaderBuilder {
        ReaderBuilder::new(self.handle.clone(), self.budget.clone(), &self.defaults, topic.into())
    }

    /// The partitions of a topic, with their leaders and replicas.
    ///
    /// # Errors
    /// The topic does not exist or must not be seen, or no broker answered within the call timeout.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn topic(&self, name: impl Into<Str>) -> Result<Arc<Topic>> {
        let timeout = self.handle.with(|state| state.core.config().call_timeout);
        let deadline = self.handle.now().time + timeout;
        TopicWait::new(self.handle.shared(), &name.into(), deadline).await
    }

    /// Counters, gauges and latencies since the beginning.
    pub fn stats(&self) -> Stats {
        self.handle.with(|state| state.core.stats())
    }

    /// A look at the client from outside.
    #[doc(hidden)]
    pub fn probe(&self) -> Probe {
        Probe::new(self.handle.shared())
    }

    /// What the client does without, since the brokers are too old for it; empty with newer ones.
    pub fn degraded(&self) -> Vec<crate::Error> {
        self.handle.with(|state| state.core.degraded().to_vec())
    }

    /// Closes the client and all its writers and readers: delivers what the writers took, commits what was marked or came
    /// back from [`read`](super::Reader::read), leaves the groups, and ends everything at the latest when
    /// `deadline` has passed. Returns what could not be done by then. Other handles find the client closed.
    ///
    /// The message that `read` gave out last is not committed: only [`Reader::close`](super::Reader::close) counts
    /// it as handled.
    ///
    /// # Cancel safety
    /// A dropped future leaves the writers and readers closing and the client open.
    pub async fn close(&self, deadline: Duration) -> ClientCloseReport {
        let now = self.handle.now();
        let begun = self.handle.with(|state| {
            let is_open = !state.is_shut_down();
            is_open.then(|| (close_writers(&mut state.core, now), close_readers(&mut state.core, now)))
        });
        let Some((batches, leaving)) = begun else { return ClientCloseReport::default() };
        let (waiting, readers) = (batches.clone(), leaving.keys().copied().collect::<Vec<_>>());
        let all = async {
            ended(waiting).await;
            EndWait::new(&self.handle, &readers).await;
        };
        let _ = until(self.handle.shared(), after(now, deadline), all).await;
        let groups = self.handle.with(|state| {
            let groups = leaving.iter();
            groups.filter_map(|(id, leaving)| not_left(&mut state.core, *id, leaving, deadline)).collect()
        });
        self.handle.shut_down();
        // By now each has its outcome.
        let (not_written, possibly_written) = ended(batches).await;
        ClientCloseReport { not_written, possibly_written, groups }
    }
}

/// The writers take no more messages, and send what they took; what has to be waited for.
fn close_writers(core: &mut Core, now: Now) -> Vec<Arc<Tickets>> {
    let ids = core.all::<Writing>().into_iter();
    ids.filter_map(|id| core.command(now, id, CloseInput)).flatten().collect()
}

/// The readers commit what was handled and leave their groups; who has to be waited for.
fn close_readers(core: &mut Core, now: Now) -> BTreeMap<MachineId, Leaving> {
    let ids = core.all::<Reading>().into_iter();
    ids.filter_map(|id| Some((id, core.command(now, id, Leave)??))).collect()
}

/// What of a reader's end was not done in this time.
fn not_left(core: &mut Core, id: MachineId, leaving: &Leaving, after: Duration) -> Option<Error> {
    let ended: Vec<Result<()>> = leaving.commits.iter().filter_map(|commit| core.take(*commit)).collect();
    let error = if core.has(id) {
        Error::new(ErrorKind::TimedOut { after, last: core.last_trouble() }).with_api(ApiKey::LeaveGroup)
    } else {
        ended.into_iter().find_map(Result::err)?
    };
    Some(error.with_group(&leaving.group))
}

/// What [`Client::close`] could not do in time.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ClientCloseReport {
    /// Records that are not in the log and never will be.
    pub not_written: u64,
    /// Records that may be in the log.
    pub possibly_written: u64,
    /// Groups that were not left, or in which what was handled was not committed, each with the reason: the other members
    /// wait for the session timeout, or read again what was not committed.
    pub groups: Vec<Error>,
}

impl ClientCloseReport {
    /// Whether everything was delivered, committed and left.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

impl Clone for Client {
    fn clone(&self) -> Self {
        Self::new(self.handle.clone(), self.budget.clone(), self.defaults.clone())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
