//! The handle of a client.

use super::builder::{ReaderBuilder, WriterBuilder};
use super::probe::Probe;
use super::shared::{DriverWaker, Handle};
use super::wait::{EndWait, Settled, Ticketed, TopicWait, after, call, until};
use crate::error::Result;
use crate::machine::{MachineId, Target};
use crate::reading::Subscription;
use crate::sans_io::{ClientCloseReport, Closing};
use crate::settings::draft::Defaults;
use crate::snapshot::Topic;
use crate::stats::Stats;
use kafka_proto::Str;
use kafka_proto::messages::metadata::MetadataRequest;
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

    /// A reader of topics, by itself or in a group: of one, of several, or of all that a [`Pattern`](crate::Pattern) matches.
    ///
    /// ```
    /// # use kafka_core::{Client, Result};
    /// use kafka_core::Pattern;
    ///
    /// # fn example(client: &Client) -> Result<()> {
    /// let one = client.reader("orders").build()?;
    /// let several = client.reader(["orders", "payments"]).group("billing").build()?;
    /// let pattern = client.reader(Pattern::new("orders-.*")?).build()?;
    /// # Ok(()) }
    /// ```
    pub fn reader(&self, topics: impl Into<Subscription>) -> ReaderBuilder {
        ReaderBuilder::new(self.handle.clone(), self.budget.clone(), &self.defaults, topics.into())
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
    /// `timeout` has passed. Returns what could not be done by then. Other handles find the client closed.
    ///
    /// The message that `read` gave out last is not committed: only [`Reader::close`](super::Reader::close) counts
    /// it as handled.
    ///
    /// # Cancel safety
    /// A dropped future leaves the writers and readers closing and the client open.
    pub async fn close(&self, timeout: Duration) -> ClientCloseReport {
        let now = self.handle.now();
        let begun = self.handle.with(|state| (!state.is_shut_down()).then(|| state.core.begin_close(now)));
        let Some(closing) = begun else { return ClientCloseReport::default() };
        let readers: Vec<MachineId> = closing.readers().collect();
        // Dropped, it gives up what the commits have promised.
        let _commits: Vec<_> =
            closing.commits().map(|op| Ticketed::<Result<()>>::new(self.handle.shared(), op)).collect();
        let all = async {
            Settled::new(closing.batches().clone()).await;
            EndWait::new(&self.handle, &readers).await;
        };
        let _ = until(self.handle.shared(), after(now, timeout), all).await;
        let groups = self.handle.with(|state| closing.not_left(&mut state.core, timeout));
        self.handle.shut_down();
        // By now each has its outcome.
        Closing::report(Settled::new(closing.batches().clone()).await, groups)
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
