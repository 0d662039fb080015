//! Everything that must wait until the client's lock is released: code of others that is called or dropped, and what takes
//! its time. Empty, it costs no allocation.

use crate::client::{Garbage, Notify};
use crate::trace::Trace;
use std::task::Waker;

/// Run once a connection is told to end.
pub(crate) type EndHook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(super) struct Outbox {
    pub(super) notify: Vec<Notify>,
    pub(super) hooks: Vec<EndHook>,
    pub(super) wakers: Vec<Waker>,
    pub(super) garbage: Vec<Waste>,
    pub(super) traces: Vec<Trace>,
}

/// What is only dropped.
#[expect(dead_code, reason = "it is only dropped")]
pub(super) enum Waste {
    Waker(Waker),
    Hook(EndHook),
    Machine(Garbage),
}

impl Outbox {
    pub(super) fn send(self) {
        let Self { notify, hooks, wakers, garbage, traces } = self;
        notify.into_iter().for_each(Notify::notify);
        hooks.into_iter().for_each(|hook| hook());
        wakers.into_iter().for_each(Waker::wake);
        drop(garbage);
        // Last, since it may take its time.
        traces.into_iter().for_each(Trace::emit);
    }

    pub(super) fn waste(&mut self, waker: Option<Waker>) {
        self.garbage.extend(waker.map(Waste::Waker));
    }
}
