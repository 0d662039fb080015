//! Who waits for a batch, and the wakers they leave behind.

use crate::writer::batch::{Delivery, Outcome, Tickets};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// A task that waits for a delivery itself.
struct Task(#[expect(dead_code, reason = "dropped with the task")] Mutex<Pin<Box<Delivery>>>);

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

fn owner(tickets: &Arc<Tickets>) -> Waker {
    let mut delivery = Box::pin(Delivery::new(tickets.clone(), 1));
    assert!(poll(delivery.as_mut(), Waker::noop()));
    Waker::from(Arc::new(Task(Mutex::new(delivery))))
}

/// Whether it waits.
fn poll(delivery: Pin<&mut Delivery>, waker: &Waker) -> bool {
    matches!(delivery.poll(&mut Context::from_waker(waker)), Poll::Pending)
}

#[test]
fn case_f5_a_waker_that_is_dropped_may_hold_a_delivery_of_the_same_batch() {
    let tickets = Arc::new(Tickets::new(0));
    // Replaced by another, and left behind.
    let mut delivery = pin!(Delivery::new(tickets.clone(), 0));
    assert!(poll(delivery.as_mut(), &owner(&tickets)));
    assert!(poll(delivery.as_mut(), &owner(&tickets)));
    let mut other = Box::pin(Delivery::new(tickets.clone(), 0));
    assert!(poll(other.as_mut(), &owner(&tickets)));
    drop(other);
    assert!(poll(delivery.as_mut(), Waker::noop()));
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker of the application");
    }
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_waker_that_panics_takes_no_wake_up_from_other_deliveries() {
    let (tickets, flag) = (Arc::new(Tickets::new(0)), Arc::new(Flag::default()));
    let mut deliveries = Vec::new();
    for waker in [Arc::new(Panics).into(), Arc::new(Panics).into(), flag.clone().into()] {
        let mut delivery = Box::pin(Delivery::new(tickets.clone(), 0));
        assert!(poll(delivery.as_mut(), &waker));
        deliveries.push(delivery);
    }
    assert!(tickets.resolve(Outcome::Acked { base_offset: 0, log_append_time: None }));
    assert!(catch_unwind(AssertUnwindSafe(|| tickets.wake())).is_err());
    assert!(flag.0.load(Ordering::Relaxed));
}
