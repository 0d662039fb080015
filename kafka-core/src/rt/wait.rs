//! Futures that wait for one thing of the client each. Dropping one takes its ticket back.

use super::shared::Shared;
use super::waits::Place;
use crate::client::{Key, Outcome, Rung};
use crate::declare::checks::capped;
use crate::error::{Error, ErrorKind};
use crate::machine::{MachineId, Now, OpId, Target, Time, response};
use crate::sans_io::{CloseReport, Flushing, closed};
use crate::snapshot::{Topic, TopicPartition, TopicState};
use kafka_proto::{Request, ResponseKind, Str};
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Makes a call that ends within `timeout`, by default the client's call timeout, and waits for its result. The codes in the response are
/// the caller's to look at.
pub(crate) async fn call<R: Request>(
    shared: &Arc<Shared>,
    target: Target,
    request: R,
    timeout: Option<Duration>,
) -> Result<R::Response, Error> {
    let now = shared.now();
    let begun =
        shared.with(|state| (!state.is_shut_down()).then(|| state.core.call(now, target, request, timeout)));
    let id = begun.ok_or_else(closed)?.id();
    let result: Result<ResponseKind, Error> = Ticketed::new(shared, id).await;
    result.and_then(response)
}

/// Waits for what the client has promised. Dropped before, it gives that up.
#[derive(Debug)]
pub(crate) struct Ticketed<T: Outcome> {
    shared: Arc<Shared>,
    /// `None` once the outcome was taken.
    id: Option<OpId>,
    outcome: PhantomData<fn() -> T>,
}

/// An outcome that there is also where the client was closed meanwhile.
pub(crate) trait OrClosed: Outcome {
    fn closed() -> Self;
}

impl<T> OrClosed for Result<T, Error>
where
    Self: Outcome,
{
    fn closed() -> Self {
        Err(closed())
    }
}

impl OrClosed for Rung {
    fn closed() -> Self {
        Self
    }
}

impl<T: OrClosed> Ticketed<T> {
    pub(crate) fn new(shared: &Arc<Shared>, id: OpId) -> Self {
        Self { shared: shared.clone(), id: Some(id), outcome: PhantomData }
    }
}

impl<T: OrClosed> Future for Ticketed<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(id) = self.id else { return Poll::Ready(T::closed()) };
        let outcome = self.shared.poll(cx, |state, wait| match state.core.take(id) {
            Some(outcome) => Some(outcome),
            None if state.is_shut_down() => Some(T::closed()),
            None => {
                state.wait(Key::Op(id), wait);
                None
            }
        });
        let Some(outcome) = outcome else { return Poll::Pending };
        self.id = None;
        Poll::Ready(outcome)
    }
}

impl<T: Outcome> Drop for Ticketed<T> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.with(|state| {
                T::give_up(&mut state.core, id);
                state.stop_waiting(Key::Op(id));
            });
        }
    }
}

/// Waits until the client's clock has reached a time, or the client is closed.
pub(crate) type Alarm = Ticketed<Rung>;

pub(crate) fn alarm(shared: &Arc<Shared>, at: Time) -> Alarm {
    let id = shared.with(|state| state.core.set_alarm(at));
    Ticketed::new(shared, id)
}

/// So long from now; a time beyond all clocks counts as a long one.
pub(crate) fn after(now: Now, time: Duration) -> Time {
    now.time + capped(time)
}

/// The future's output, or `None` when the deadline comes first.
pub(crate) async fn until<T>(shared: &Arc<Shared>, at: Time, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut alarm = pin!(alarm(shared, at));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        alarm.as_mut().poll(cx).map(|Rung| None)
    })
    .await
}

/// Waits until a topic is known. The topic must be wanted by somebody, which this future sees to while it lives.
pub(crate) struct TopicWait<'a> {
    shared: &'a Arc<Shared>,
    topic: Str,
    begun: Time,
    deadline: Time,
    alarm: Option<Alarm>,
    place: Place,
}

impl<'a> TopicWait<'a> {
    pub(crate) fn new(shared: &'a Arc<Shared>, topic: &Str, deadline: Time) -> Self {
        let now = shared.now();
        let place = shared.with(|state| {
            state.core.want_topic(now, topic);
            state.new_place()
        });
        Self { shared, topic: topic.clone(), begun: now.time, deadline, alarm: None, place }
    }

    fn look(&self, cx: &Context<'_>) -> Poll<Result<Arc<Topic>, Error>> {
        self.shared.poll(cx, |state, wait| {
            if state.is_shut_down() {
                return Poll::Ready(Err(closed()));
            }
            match state.core.topic(&self.topic) {
                TopicState::Known(topic) => Poll::Ready(Ok(topic)),
                TopicState::Failed(error) => Poll::Ready(Err(error)),
                TopicState::Pending => {
                    state.wait_at(Key::Topic(self.topic.clone()), self.place, wait);
                    Poll::Pending
                }
            }
        })
    }
}

impl Future for TopicWait<'_> {
    type Output = Result<Arc<Topic>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(result) = self.look(cx) {
            return Poll::Ready(result);
        }
        if self.alarm.is_none() {
            self.alarm = Some(alarm(self.shared, self.deadline));
        }
        let Some(alarm) = &mut self.alarm else { return Poll::Pending };
        match Pin::new(alarm).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Rung) => {
                let last = self.shared.with(|state| {
                    let core = &state.core;
                    core.topic_trouble(&self.topic).or_else(|| core.last_trouble())
                });
                let after = self.deadline.duration_since(self.begun);
                let error = Error::new(ErrorKind::TimedOut { after, last });
                Poll::Ready(Err(error.with_api(kafka_proto::ApiKey::Metadata).with_topic(&self.topic)))
            }
        }
    }
}

impl Drop for TopicWait<'_> {
    fn drop(&mut self) {
        self.shared.with(|state| {
            state.core.unwant_topic(&self.topic);
            state.stop_waiting_at(Key::Topic(self.topic.clone()), self.place);
        });
    }
}

/// Waits until a topic has a partition that it was not known to have, or nobody `needs` it any more, of which the machine tells.
/// Returns whether it is there; it is not once it is missing for as long as a topic may be, or the client is closed.
pub(crate) async fn partition(
    shared: &Arc<Shared>,
    partition: &TopicPartition,
    machine: Option<MachineId>,
    needs: impl Fn() -> bool,
) -> bool {
    let grace = shared.with(|state| state.core.config().unknown_topic_grace);
    let deadline = after(shared.now(), grace);
    let wait = PartitionWait::new(shared, partition, machine);
    until(shared, deadline, poll_fn(|cx| wait.look(&needs, cx))).await.unwrap_or(false)
}

struct PartitionWait<'a> {
    shared: &'a Shared,
    partition: &'a TopicPartition,
    machine: Option<MachineId>,
    place: Place,
}

impl<'a> PartitionWait<'a> {
    fn new(shared: &'a Shared, partition: &'a TopicPartition, machine: Option<MachineId>) -> Self {
        let now = shared.now();
        let place = shared.with(|state| {
            state.core.want_topic(now, &partition.topic);
            state.core.want_partition(now, partition);
            state.new_place()
        });
        Self { shared, partition, machine, place }
    }

    fn look(&self, needs: impl Fn() -> bool, cx: &Context<'_>) -> Poll<bool> {
        let TopicPartition { topic, partition } = self.partition;
        let look = |key| {
            self.shared.poll(cx, |state, wait| {
                let is_there = state.core.cluster().partition(topic, *partition).is_some();
                if is_there || state.is_shut_down() || !needs() {
                    return Poll::Ready(is_there);
                }
                state.wait_at(key, self.place, wait);
                Poll::Pending
            })
        };
        self.keys().map(look).find(Poll::is_ready).unwrap_or(Poll::Pending)
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        std::iter::once(Key::Topic(self.partition.topic.clone())).chain(self.machine.map(Key::Machine))
    }
}

impl Drop for PartitionWait<'_> {
    fn drop(&mut self) {
        self.shared.with(|state| {
            state.core.unwant_partition(self.partition);
            state.core.unwant_topic(&self.partition.topic);
            self.keys().for_each(|key| state.stop_waiting_at(key, self.place));
        });
    }
}

/// Waits until these machines have ended, or the client is closed.
pub(crate) struct EndWait<'a> {
    shared: &'a Shared,
    machines: &'a [MachineId],
    place: Place,
}

impl<'a> EndWait<'a> {
    pub(crate) fn new(shared: &'a Shared, machines: &'a [MachineId]) -> Self {
        Self { shared, machines, place: shared.with(|state| state.new_place()) }
    }
}

impl Future for EndWait<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.poll(cx, |state, wait| {
            let have_ended = !self.machines.iter().any(|machine| state.core.has(*machine));
            if have_ended || state.is_shut_down() {
                return Poll::Ready(());
            }
            state.wait_at(Key::AnyMachine, self.place, wait);
            Poll::Pending
        })
    }
}

impl Drop for EndWait<'_> {
    fn drop(&mut self) {
        self.shared.with(|state| state.stop_waiting_at(Key::AnyMachine, self.place));
    }
}

/// Waits until each of these batches has its outcome, without being one of their records. Gives how many records failed.
pub(crate) struct Settled {
    batches: Flushing,
    /// Where the waker is kept in the next of them.
    place: Option<usize>,
}

impl Settled {
    pub(crate) fn new(batches: Flushing) -> Self {
        Self { batches, place: None }
    }

    fn leave(&mut self) {
        if let (Some(batch), Some(place)) = (self.batches.next(), self.place.take()) {
            batch.leave(place);
        }
    }
}

impl Future for Settled {
    type Output = CloseReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReport> {
        let this = &mut *self;
        while let Some(batch) = this.batches.next() {
            let outcome = ready!(batch.poll_outcome(&mut this.place, cx));
            this.leave();
            this.batches.ended(outcome);
        }
        Poll::Ready(this.batches.so_far())
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        self.leave();
    }
}
