//! Everything that must wait until the client's lock is released: code of others that is called or dropped, and what takes
//! its time. Empty, it costs no allocation.
//!
//! Invariant: what panics takes nothing else with it.

use crate::client::{Garbage, Notify};
use crate::trace::Trace;
use crate::unwind::make_all;
use std::task::Waker;
use std::vec::IntoIter;

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
        let mut left = Left {
            notify: notify.into_iter(),
            hooks: hooks.into_iter(),
            wakers: wakers.into_iter(),
            garbage: garbage.into_iter(),
            traces: traces.into_iter(),
        };
        make_all(&mut left, Left::send);
    }

    pub(super) fn waste(&mut self, waker: Option<Waker>) {
        self.garbage.extend(waker.map(Waste::Waker));
    }
}

/// What of an outbox was not sent yet.
struct Left {
    notify: IntoIter<Notify>,
    hooks: IntoIter<EndHook>,
    wakers: IntoIter<Waker>,
    garbage: IntoIter<Waste>,
    traces: IntoIter<Trace>,
}

impl Left {
    fn send(&mut self) {
        self.notify.by_ref().for_each(Notify::notify);
        self.hooks.by_ref().for_each(|hook| hook());
        self.wakers.by_ref().for_each(Waker::wake);
        self.garbage.by_ref().for_each(drop);
        // Last, since it may take its time.
        self.traces.by_ref().for_each(Trace::emit);
    }
}
