//! The client's lock, and who is woken because of what happens under it.

use super::shared::{DriverWaker, Handle, Shared, State};
use super::wait::{Alarm, Settled, alarm};
use crate::client::{Input, Rung};
use crate::config::ClientConfig;
use crate::interleavings::{explore, poll_once};
use crate::machine::Time;
use crate::sans_io::Flushing;
use crate::writer::{Outcome, Tickets};
use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

struct World {
    shared: Arc<Shared>,
    start: Time,
    clock: Arc<AtomicU64>,
}

fn world() -> World {
    let (start, clock) = (Time::START, Arc::new(AtomicU64::new(0)));
    let ms = clock.clone();
    let now = move || start + MS * ms.load(Ordering::SeqCst) as u32;
    World { shared: Shared::new(ClientConfig::default(), super::system::now(), now, || 0), start, clock }
}

impl World {
    /// The driver, whose timer rings at once where it is set to a second or less, and never where it is set to more.
    fn drive(&self) -> thread::JoinHandle<()> {
        let (shared, start, clock) = (self.shared.clone(), self.start, self.clock.clone());
        thread::spawn(move || {
            loop {
                let armed = shared.with(|state| (!state.is_shut_down()).then(|| state.arm()));
                let Some(armed) = armed else { return };
                let rings = armed.filter(|at| *at <= start + MS * 1000);
                let is_due = block_on(poll_fn(|cx| {
                    if shared.poll(cx, State::driver_called) {
                        return Poll::Ready(false);
                    }
                    if rings.is_some() { Poll::Ready(true) } else { Poll::Pending }
                }));
                if let Some(at) = rings.filter(|_| is_due) {
                    clock.fetch_max((at - start).as_millis() as u64, Ordering::SeqCst);
                    shared.input(Input::Timeout);
                }
            }
        })
    }

    fn alarm(&self, ms: u64) -> Alarm {
        alarm(&self.shared, self.start + MS * ms as u32)
    }
}

/// A deadline that is nearer than what the driver sleeps for wakes the driver, at whatever moment it is set.
#[test]
fn a_nearer_deadline_wakes_the_driver() {
    explore(|| {
        let world = world();
        let driver = world.drive();
        let far = world.alarm(100_000);
        let far = thread::spawn(move || block_on(far));
        let near: Vec<_> = [500, 20]
            .map(|ms| {
                let (shared, at) = (world.shared.clone(), world.start + MS * ms);
                thread::spawn(move || block_on(alarm(&shared, at)))
            })
            .into();
        near.into_iter().for_each(|near| assert_eq!(near.join().unwrap(), Rung));
        assert!(world.clock.load(Ordering::SeqCst) <= 1000);
        world.shared.shut_down();
        far.join().unwrap();
        driver.join().unwrap();
    });
}

/// Everybody who waits hears of the end, also who begins to wait while it comes.
#[test]
fn the_end_wakes_all_who_wait() {
    explore(|| {
        let world = world();
        let driver = world.drive();
        let handle = Handle::new(world.shared.clone());
        let waits: Vec<_> = (0..2)
            .map(|_| {
                let (shared, at) = (world.shared.clone(), world.start + MS * 100_000);
                thread::spawn(move || block_on(alarm(&shared, at)))
            })
            .collect();
        let other = handle.clone();
        let other = thread::spawn(move || drop(other));
        drop(handle);
        other.join().unwrap();
        waits.into_iter().for_each(|wait| assert_eq!(wait.join().unwrap(), Rung));
        driver.join().unwrap();
    });
}

/// A future that is dropped after its first poll takes its place back and nobody else's.
#[test]
fn a_dropped_wait_takes_nobody_along() {
    explore(|| {
        let world = world();
        let driver = world.drive();
        let dropped = {
            let (shared, at) = (world.shared.clone(), world.start + MS * 10);
            thread::spawn(move || {
                let mut alarm = pin!(alarm(&shared, at));
                let _ = poll_once(|cx| alarm.as_mut().poll(cx));
            })
        };
        block_on(world.alarm(20));
        dropped.join().unwrap();
        world.shared.shut_down();
        driver.join().unwrap();
    });
}

/// Room in a budget is told to the driver without the client's lock.
#[test]
fn freed_room_wakes_the_driver() {
    explore(|| {
        let waker = DriverWaker::default();
        let givers: Vec<_> = (0..2)
            .map(|_| {
                let waker = waker.clone();
                thread::spawn(move || waker.notify(crate::machine::MachineId(1)))
            })
            .collect();
        block_on(poll_fn(|cx| if waker.poll(cx).is_empty() { Poll::Pending } else { Poll::Ready(()) }));
        givers.into_iter().for_each(|giver| giver.join().unwrap());
    });
}

/// Who waits for a whole batch, as a flush does, hears of it beside the deliveries, and of the parts it goes on in.
#[test]
fn a_flush_is_woken() {
    explore(|| {
        let [whole, first, second] = [(); 3].map(|()| Arc::new(Tickets::new(0)));
        first.set_count(2);
        second.set_count(1);
        let waits: Vec<_> = (0..2)
            .map(|_| {
                let wait = Settled::new(Flushing::new(vec![whole.clone()]));
                thread::spawn(move || block_on(wait))
            })
            .collect();
        let mut dropped = Box::pin(Settled::new(Flushing::new(vec![whole.clone()])));
        let dropped = thread::spawn(move || {
            let _ = poll_once(|cx| dropped.as_mut().poll(cx));
        });
        let parts = (first.clone(), second.clone());
        whole.resolve(Outcome::Split { at: 2, first: parts.0, second: parts.1 });
        whole.wake();
        for part in [first, second] {
            part.resolve(Outcome::Acked { base_offset: 0, log_append_time: None });
            part.wake();
        }
        waits.into_iter().for_each(|wait| assert!(wait.join().unwrap().is_clean()));
        dropped.join().unwrap();
    });
}
