//! Futures that wait for one thing of the client each. Dropping one takes its ticket back.

use super::shared::{Shared, closed};
use crate::client::cluster::Topic;
use crate::client::machine::Now;
use crate::client::{CallSpec, Leaving, TopicState};
use crate::error::{Error, ErrorKind};
use crate::settings::checks::capped;
use crate::writer::{Fate, Outcome, SendError, Tickets};
use kafka_proto::{ResponseKind, Str};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Makes a call and waits for its result.
pub(crate) async fn call(shared: &Arc<Shared>, spec: CallSpec) -> Result<ResponseKind, Error> {
    let now = shared.now();
    let id = shared.with(|state| if state.is_shut_down() { None } else { Some(state.core.call(now, spec)) });
    Call { shared, id: Some(id.ok_or_else(closed)?) }.await
}

struct Call<'a> {
    shared: &'a Arc<Shared>,
    id: Option<u64>,
}

impl Future for Call<'_> {
    type Output = Result<ResponseKind, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(id) = self.id else { return Poll::Ready(Err(closed())) };
        let result = self.shared.with(|state| match state.core.take_call(id) {
            Some(result) => Some(result),
            None if state.is_shut_down() => Some(Err(closed())),
            None => {
                state.await_call(id, cx);
                None
            }
        });
        match result {
            Some(result) => {
                self.id = None;
                Poll::Ready(result)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.with(|state| state.forget_call(id));
        }
    }
}

/// Waits until the client's clock has reached `at`, or the client is closed.
#[derive(Debug)]
pub(crate) struct Alarm {
    shared: Arc<Shared>,
    id: u64,
}

impl Alarm {
    pub(crate) fn new(shared: &Arc<Shared>, at: Instant) -> Self {
        let id = shared.with(|state| state.core.set_alarm(at));
        Self { shared: shared.clone(), id }
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.with(|state| {
            if state.core.alarm_rang(self.id) || state.is_shut_down() {
                return Poll::Ready(());
            }
            state.await_call(self.id, cx);
            Poll::Pending
        })
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.shared.with(|state| {
            state.core.stop_alarm(self.id);
            state.forget_call(self.id);
        });
    }
}

/// So long from now; a time beyond all clocks counts as a long one.
pub(crate) fn after(now: Now, time: Duration) -> Instant {
    now.instant + capped(time)
}

/// The future's output, or `None` when the deadline comes first.
pub(crate) async fn until<T>(
    shared: &Arc<Shared>,
    at: Instant,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    let mut alarm = pin!(Alarm::new(shared, at));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        alarm.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Waits until a topic is known. The topic must be wanted by somebody, which this future sees to while it lives.
pub(crate) struct TopicWait<'a> {
    shared: &'a Arc<Shared>,
    topic: Str,
    begun: Instant,
    deadline: Instant,
    alarm: Option<Alarm>,
    ticket: u64,
}

impl<'a> TopicWait<'a> {
    pub(crate) fn new(shared: &'a Arc<Shared>, topic: &Str, deadline: Instant) -> Self {
        let now = shared.now();
        let ticket = shared.with(|state| {
            state.core.want_topic(now, topic);
            state.ticket()
        });
        Self { shared, topic: topic.clone(), begun: now.instant, deadline, alarm: None, ticket }
    }

    fn look(&self, cx: &Context<'_>) -> Poll<Result<Arc<Topic>, Error>> {
        self.shared.with(|state| {
            if state.is_shut_down() {
                return Poll::Ready(Err(closed()));
            }
            match state.core.topic(&self.topic) {
                TopicState::Known(topic) => Poll::Ready(Ok(topic)),
                TopicState::Failed(error) => Poll::Ready(Err(error)),
                TopicState::Pending => {
                    state.await_topic(&self.topic, self.ticket, cx);
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
            self.alarm = Some(Alarm::new(self.shared, self.deadline));
        }
        let Some(alarm) = &mut self.alarm else { return Poll::Pending };
        match Pin::new(alarm).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let last = self.shared.with(|state| {
                    let core = &state.core;
                    core.topic_trouble(&self.topic).or_else(|| core.last_trouble())
                });
                let after = self.deadline.saturating_duration_since(self.begun);
                let error = Error::new(ErrorKind::TimedOut { after, last });
                Poll::Ready(Err(error.api(kafka_proto::ApiKey::Metadata).topic(&self.topic)))
            }
        }
    }
}

impl Drop for TopicWait<'_> {
    fn drop(&mut self) {
        self.shared.with(|state| {
            state.core.unwant_topic(&self.topic);
            state.forget_topic_waiter(&self.topic, self.ticket);
        });
    }
}

/// Waits until the readers are out of their groups, or the client is closed.
pub(crate) struct LeaveWait<'a> {
    shared: &'a Shared,
    leaving: &'a [Leaving],
    ticket: u64,
}

impl<'a> LeaveWait<'a> {
    pub(crate) fn new(shared: &'a Shared, leaving: &'a [Leaving]) -> Self {
        Self { shared, leaving, ticket: shared.with(|state| state.ticket()) }
    }
}

impl Future for LeaveWait<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.with(|state| {
            let all = self.leaving.iter().all(|leaving| state.core.has_left(leaving));
            if all || state.is_shut_down() {
                return Poll::Ready(());
            }
            state.await_closed_reader(self.ticket, cx);
            Poll::Pending
        })
    }
}

impl Drop for LeaveWait<'_> {
    fn drop(&mut self) {
        self.shared.with(|state| state.forget_closer(self.ticket));
    }
}

/// Waits for a batch's outcome without being one of its records; also for the parts it may go on in. Gives how many
/// records failed: surely not written, and possibly written.
pub(crate) struct BatchWait {
    open: Vec<Arc<Tickets>>,
    /// Where the waker is kept in the last of them.
    place: Option<usize>,
    failed: (u64, u64),
}

impl BatchWait {
    pub(crate) fn new(tickets: Arc<Tickets>) -> Self {
        Self { open: vec![tickets], place: None, failed: (0, 0) }
    }

    fn leave(&mut self) {
        if let (Some(tickets), Some(place)) = (self.open.last(), self.place.take()) {
            tickets.leave(place);
        }
    }
}

impl Future for BatchWait {
    type Output = (u64, u64);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(u64, u64)> {
        let this = &mut *self;
        while let Some(tickets) = this.open.last().cloned() {
            let outcome = ready!(tickets.poll_outcome(&mut this.place, cx));
            this.leave();
            this.open.pop();
            let count = u64::from(tickets.count());
            match outcome {
                Outcome::Split { first, second, .. } => this.open.extend([first.clone(), second.clone()]),
                Outcome::Failed(SendError { fate: Fate::PossiblyWritten, .. }) => this.failed.1 += count,
                Outcome::Failed(_) => this.failed.0 += count,
                Outcome::Acked { .. } => {}
            }
        }
        Poll::Ready(this.failed)
    }
}

/// Waits until all of them have ended: how many of their records are not written, and how many possibly.
pub(crate) async fn ended(batches: impl IntoIterator<Item = Arc<Tickets>>) -> (u64, u64) {
    let mut failed = (0, 0);
    for batch in batches {
        let (not_written, possibly_written) = BatchWait::new(batch).await;
        failed = (failed.0 + not_written, failed.1 + possibly_written);
    }
    failed
}

impl Drop for BatchWait {
    fn drop(&mut self) {
        self.leave();
    }
}
