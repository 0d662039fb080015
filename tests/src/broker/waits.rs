//! Requests that are not answered at once: what they wait for, and what happens when it comes.

use std::time::Duration;

use kafka_proto::{ResponseKind, Str};

use super::api::fetch::FetchWait;
use super::api::produce::ProduceWait;
use super::api::{self, Reply};
use super::prepared::{Arrived, Call};
use super::state::groups::GroupTimer;
use super::{ClusterState, Outcome};

/// A parked request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaitId(pub(crate) u64);

/// The deadlines of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Wait(WaitId),
    Group(Str, GroupTimer),
    Retention,
}

#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) call: Call,
    pub(crate) waiting: Waiting,
}

#[derive(Debug)]
pub(crate) enum Waiting {
    /// Records, up to the request's max_wait.
    Fetch(Box<FetchWait>),
    /// Replication, up to the request's timeout.
    Produce(Box<ProduceWait>),
    /// The group coordinator, whose own timers bound it.
    Group,
    /// An injected delay.
    Delay(Box<Arrived>),
    /// The end of the connection's throttling.
    Throttle(Box<Arrived>),
    /// The end of the node's silence.
    Unmute(Box<Arrived>),
    /// Throttling as brokers before 2.0 did it.
    LateAnswer(Outcome),
    /// Nothing: an injected silence.
    Forever,
}

impl ClusterState {
    /// Leaves a request waiting, until the deadline if there is one.
    pub(crate) fn park(&mut self, call: Call, waiting: Waiting, deadline: Option<Duration>) -> WaitId {
        self.next_wait += 1;
        let id = WaitId(self.next_wait);
        if let Some(conn) = self.conns.get_mut(&call.conn) {
            conn.waiting = Some(id);
        }
        if let Some(at) = deadline {
            self.timers.set(Timer::Wait(id), at);
        }
        self.waits.insert(id, Wait { call, waiting });
        id
    }

    pub(crate) fn wait_mut(&mut self, id: WaitId) -> Option<&mut Wait> {
        self.waits.get_mut(&id)
    }

    /// The request can be answered: done at the end of the current call, so that one produce request that
    /// brings records for several partitions is one answer to a reader of them all.
    pub(crate) fn mark_ready(&mut self, id: WaitId) {
        self.ready.insert(id);
    }

    /// Answers a parked request. Nothing happens if its connection has gone meanwhile.
    pub(crate) fn answer_wait(&mut self, id: WaitId, response: ResponseKind) {
        if let Some(wait) = self.take_wait(id) {
            self.answer(&wait.call, response);
        }
    }

    /// Answers all that has become ready, until nothing is.
    pub(super) fn settle(&mut self) {
        loop {
            if let Some(id) = self.ready.pop_first() {
                self.expire_wait(id);
            } else if let Some((id, answer)) = self.groups.take_answer() {
                if let Some(version) = self.waits.get(&id).map(|wait| wait.call.version) {
                    self.answer_wait(id, api::group_answer(answer, version));
                }
            } else {
                return;
            }
        }
    }

    /// The wait is over: done or timed out makes no difference here, each kind looks for itself.
    pub(super) fn expire_wait(&mut self, id: WaitId) {
        let Some(Wait { call, waiting }) = self.take_wait(id) else { return };
        let reply = match waiting {
            Waiting::Fetch(wait) => api::fetch::finish(self, id, &call, *wait),
            Waiting::Produce(wait) => api::produce::finish(self, id, *wait),
            Waiting::Delay(arrived) => return self.execute(*arrived),
            Waiting::Throttle(arrived) | Waiting::Unmute(arrived) => return self.admit(*arrived),
            Waiting::LateAnswer(outcome) => return self.push(call.conn, outcome),
            Waiting::Group | Waiting::Forever => return,
        };
        match reply {
            Reply::Now(response) => self.answer(&call, response),
            Reply::NoAnswer => self.push(call.conn, Outcome::NoAnswer),
            Reply::Close => self.push(call.conn, Outcome::Close),
            Reply::Parked => {}
        }
    }

    /// Forgets a parked request without an answer.
    pub(super) fn drop_wait(&mut self, id: WaitId) {
        if let Some(Wait { waiting: Waiting::Fetch(wait), .. }) = self.take_wait(id) {
            api::fetch::forget(self, id, &wait);
        }
    }

    /// The requests a muted node has taken, oldest first.
    pub(super) fn unmuted(&self, node: super::NodeId) -> Vec<WaitId> {
        let held = self.waits.iter();
        let held =
            held.filter(|(_, wait)| wait.call.node == node && matches!(wait.waiting, Waiting::Unmute(_)));
        held.map(|(id, _)| *id).collect()
    }

    fn take_wait(&mut self, id: WaitId) -> Option<Wait> {
        self.timers.cancel(&Timer::Wait(id));
        self.ready.remove(&id);
        let wait = self.waits.remove(&id)?;
        if let Some(conn) = self.conns.get_mut(&wait.call.conn) {
            conn.waiting = None;
        }
        Some(wait)
    }
}
