//! Everything that must wait until the client's lock is released: code of others that is called or dropped, and what takes
//! its time. Empty, it costs no allocation.

use crate::client::{Batches, Garbage, Writers};
use crate::group::AssignorCall;
use crate::trace::Trace;
use std::task::Waker;

/// Run once a connection is told to end.
pub(crate) type EndHook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(super) struct Outbox {
    pub(super) wakers: Vec<Waker>,
    pub(super) hooks: Vec<EndHook>,
    pub(super) resolved: Vec<Batches>,
    pub(super) writers: Vec<Writers>,
    pub(super) traces: Vec<Trace>,
    pub(super) calls: Vec<(u32, AssignorCall)>,
    pub(super) garbage: Vec<Waste>,
}

/// What is only dropped.
#[expect(dead_code, reason = "it is only dropped")]
pub(super) enum Waste {
    Waker(Waker),
    Hook(EndHook),
    Machine(Garbage),
}

impl Outbox {
    /// Does all but the calls of the application's assignors, whose answers go back to the client.
    pub(super) fn send(self) -> Vec<(u32, AssignorCall)> {
        let Self { wakers, hooks, resolved, writers, traces, calls, garbage } = self;
        resolved.into_iter().for_each(Batches::wake);
        writers.into_iter().for_each(Writers::wake);
        hooks.into_iter().for_each(|hook| hook());
        wakers.into_iter().for_each(Waker::wake);
        drop(garbage);
        // Last, since it may take its time.
        traces.into_iter().for_each(Trace::emit);
        calls
    }

    pub(super) fn waste(&mut self, waker: Option<Waker>) {
        self.garbage.extend(waker.map(Waste::Waker));
    }
}
