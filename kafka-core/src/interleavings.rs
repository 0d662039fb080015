//! What several threads do at once, in one interleaving after the other:
//! `RUSTFLAGS="--cfg shuttle" cargo test -p kafka-core --lib interleavings`.
//!
//! The tests stand beside what they are of. One that fails prints its schedule, which `shuttle::replay` repeats; a thread that
//! waits for ever, since its wake-up was lost, is a deadlock, and fails too.

use crate::reader::Budget;
use shuttle::future::block_on;
use shuttle::thread;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Interleavings of each kind.
const MANY: usize = 3000;

/// Runs the body in interleavings drawn at random, and in such as have few switches at telling places.
pub(crate) fn explore(body: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(body, MANY);
    shuttle::check_pct(body, MANY, 3);
}

/// Polls once, as a future that is dropped after its first poll is.
pub(crate) fn poll_once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    poll(&mut Context::from_waker(Waker::noop()))
}

/// Who was refused is woken once there is room, whoever gives back whenever.
#[test]
fn a_refused_reader_is_woken() {
    explore(|| {
        let budget = Budget::new(10);
        let holders: Vec<_> = (0..2)
            .map(|_| {
                let budget = budget.clone();
                thread::spawn(move || {
                    for bytes in [5, 3] {
                        drop(budget.reserve(bytes));
                    }
                })
            })
            .collect();
        let all = block_on(poll_fn(|cx| {
            budget.register(cx.waker().clone());
            budget.reserve(10).map_or(Poll::Pending, Poll::Ready)
        }));
        assert_eq!((all.bytes(), budget.used()), (10, 10));
        drop(all);
        holders.into_iter().for_each(|holder| holder.join().unwrap());
        assert_eq!(budget.used(), 0);
    });
}

/// What is held never exceeds the budget, and frames give back what they took over.
#[test]
fn a_budget_is_not_exceeded() {
    explore(|| {
        let budget = Budget::new(10);
        let fetches: Vec<_> = (0..3)
            .map(|n| {
                let budget: Arc<Budget> = budget.clone();
                thread::spawn(move || {
                    let Some(reserved) = budget.reserve_between(2, 6) else { return };
                    assert!(budget.used() <= 10);
                    let frame = reserved.charge(kafka_proto::Bytes::from_static(&[0, 1]));
                    let slice = frame.slice(n % 2..);
                    drop(frame);
                    assert!(budget.used() <= 10);
                    drop(slice);
                })
            })
            .collect();
        fetches.into_iter().for_each(|fetch| fetch.join().unwrap());
        assert_eq!(budget.used(), 0);
    });
}
