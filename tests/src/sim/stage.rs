//! What all applications of a run share: the world, the history, and ways to wait that are oracles themselves.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use kafka_core::internal::Probe;
use kafka_core::{Client, ClientBuilder};

use super::chance::Chance;
use super::history::History;
use super::plan::Settings;
use super::runtime::{Machine, SimRuntime};

/// What may be beyond a deadline: a moment of the executor's.
pub(crate) const SLACK: Duration = Duration::from_millis(100);
const LEAST_FRESHNESS: Duration = Duration::from_secs(2);
/// So often who waits is looked at without being woken.
const LOOK: Duration = Duration::from_secs(1);

/// What all applications of a run share.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) runtime: SimRuntime,
    pub(crate) settings: Settings,
    pub(crate) partitions: i32,
    history: Arc<Mutex<History>>,
    clients: Arc<Mutex<Vec<(SimRuntime, Probe)>>>,
    /// How the names of recordings begin.
    #[cfg(feature = "record")]
    record: Option<std::path::PathBuf>,
}

impl Stage {
    pub(crate) fn new(runtime: SimRuntime, settings: Settings, partitions: i32) -> Stage {
        Stage {
            runtime,
            settings,
            partitions,
            history: Arc::default(),
            clients: Arc::default(),
            #[cfg(feature = "record")]
            record: None,
        }
    }

    /// The same, whose clients are recorded in files with names that begin like this.
    #[cfg(feature = "record")]
    pub(crate) fn recorded(self, record: Option<std::path::PathBuf>) -> Stage {
        Stage { record, ..self }
    }

    /// The same, for who runs on this machine.
    pub(crate) fn on(&self, machine: Machine) -> Stage {
        Stage { runtime: self.runtime.on(machine), ..self.clone() }
    }

    /// The same, for who may not have older metadata than this.
    pub(crate) fn keeping_fresh(&self, most: Duration) -> Stage {
        let freshness = self.settings.freshness.min(most);
        Stage { settings: Settings { freshness, ..self.settings }, ..self.clone() }
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn violation(&self, what: String) {
        self.history().violation(what);
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.runtime.elapsed() >= self.settings.settled()
    }

    /// A client of its own.
    pub(crate) fn client(&self, chance: &mut Chance) -> Client {
        let addresses = ["n0:9092,n1:9092,n2:9092", "cluster:9092", "n2:9092,n0:9092"];
        let number = self.history().new_client();
        let runtime = self.runtime.of_client(number);
        let builder = ClientBuilder::<SimRuntime>::new(chance.pick(&addresses).copied().unwrap_or_default())
            .runtime(runtime.clone())
            .seed(chance.below(u64::MAX))
            .request_timeout(chance.millis(1000, 6000))
            .connect_timeout(chance.millis(1000, 4000))
            .call_timeout(chance.millis(3000, 20_000))
            .metadata_max_age(chance.between(LEAST_FRESHNESS, self.settings.freshness))
            .connections_max_idle(chance.millis(3000, 60_000));
        #[cfg(feature = "record")]
        let builder = match &self.record {
            Some(path) => builder.record(format!("{}-{number}.rec", path.display())).record_payloads(true),
            None => builder,
        };
        let client = builder.build();
        // The settings above are within their ranges.
        let client = client.unwrap_or_else(|error| panic!("{error}"));
        self.clients().push((runtime, client.probe()));
        client
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Join {
        let join = Join::default();
        let end = join.clone();
        let runtime = self.runtime.clone();
        kafka_core::runtime::Runtime::spawn(&runtime, async move {
            task.await;
            end.finish();
        });
        join
    }

    fn clients(&self) -> MutexGuard<'_, Vec<(SimRuntime, Probe)>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No quiescent state with work left: looks at all clients.
    pub(crate) fn check_clients(&self) {
        let stuck: Vec<String> = {
            let mut clients = self.clients();
            clients.retain(|(_, client)| !client.is_gone());
            let running = clients.iter().filter(|(machine, _)| !machine.is_suspended());
            running.flat_map(|(_, client)| client.stuck()).collect()
        };
        for why in stuck {
            let now = self.runtime.elapsed();
            self.violation(format!("I8: at {now:?} a client stands still: {why}"));
        }
    }

    /// How many clients are left in memory.
    pub(crate) fn clients_left(&self) -> usize {
        self.clients().iter().filter(|(_, client)| !client.is_gone()).count()
    }

    // ---- waiting ----

    /// The future's output. Now and then it is polled although it did not ask for it: were it ready then, a wake-up was lost.
    pub(crate) async fn wait<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        let mut future = pin!(self.woken(what, future));
        loop {
            if let Some(output) = self.runtime.within(LOOK, future.as_mut()).await {
                return output;
            }
        }
    }

    /// The output, or `None` where the future was dropped because the time was over first.
    pub(crate) async fn within<T>(
        &self,
        what: &str,
        time: Duration,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        self.runtime.within(time, self.woken(what, future)).await
    }

    /// As [`Stage::wait`], of something that has to end in time.
    pub(crate) async fn by<T>(
        &self,
        what: &str,
        time: Duration,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut future = pin!(self.wait(what, future));
        let end = self.runtime.elapsed() + time + SLACK;
        let mut output = self.runtime.within(time + SLACK, future.as_mut()).await;
        // A machine that was suspended beyond the deadline has its moment after it.
        if output.is_none() && self.runtime.elapsed() > end {
            output = self.runtime.within(SLACK, future).await;
        }
        if output.is_none() {
            self.violation(format!("I8: {what} has not ended after {time:?}"));
        }
        output
    }

    /// The output, or `None` where the future was dropped: most are waited for, some for a while or for some polls only.
    pub(crate) async fn perhaps<T>(
        &self,
        what: &str,
        chance: &mut Chance,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        // Once all has healed each call shall be waited for.
        let kind = if self.is_healed() { 40 } else { chance.below(40) };
        let output = match kind {
            0 => self.within(what, chance.millis(0, 50), future).await,
            1 => self.runtime.polled(chance.below(4), future).await,
            2 => self.runtime.dropped_when_woken(future).await,
            _ => Some(self.wait(what, future).await),
        };
        if output.is_none() {
            self.history().count("dropped futures", 1);
        }
        output
    }

    async fn woken<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let own = Arc::new(Woken::default());
        let waker = Waker::from(own.clone());
        let mut first = true;
        std::future::poll_fn(|cx| {
            own.forward_to(cx.waker());
            let asked = own.asked.swap(false, Ordering::Relaxed) || std::mem::take(&mut first);
            let output = future.as_mut().poll(&mut Context::from_waker(&waker));
            if output.is_ready() && !asked {
                let now = self.runtime.elapsed();
                self.violation(format!("I8: at {now:?} {what} was ready, and nobody was woken"));
            }
            output
        })
        .await
    }
}

/// Whether a future has asked to be polled.
#[derive(Debug, Default)]
struct Woken {
    asked: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Woken {
    fn forward_to(&self, waker: &Waker) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.asked.store(true, Ordering::Relaxed);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        task.into_iter().for_each(Waker::wake);
    }
}

/// The end of a task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Join(Arc<Mutex<(bool, Option<Waker>)>>);

impl Join {
    fn finish(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = true;
        state.1.take().into_iter().for_each(Waker::wake);
    }

    pub(crate) async fn wait(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.0 {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A handler at work.
pub(crate) async fn pause(stage: &Stage, chance: &mut Chance) {
    if chance.per_mille(200) {
        let time = chance.between(Duration::ZERO, stage.settings.handling);
        stage.runtime.sleep(time).await;
    }
}
