//! Calls of code of others, such as wakers: all of them are made, whichever panics.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Makes all calls by `make`, which makes those that are left. Where one panics, those behind it are made before the panic goes on;
/// further panics end here. Without a panic it costs nothing.
pub(crate) fn make_all<C>(calls: &mut C, make: impl Fn(&mut C)) {
    let rest = Rest { calls, make };
    (rest.make)(rest.calls);
    mem::forget(rest);
}

/// Wakes all of them, whichever panics.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    make_all(&mut wakers.into_iter(), |wakers| wakers.for_each(Waker::wake));
}

/// The calls that are left when one of them panics.
struct Rest<'a, C, F: Fn(&mut C)> {
    calls: &'a mut C,
    make: F,
}

impl<C, F: Fn(&mut C)> Drop for Rest<'_, C, F> {
    fn drop(&mut self) {
        // A second panic that left this drop would abort the program.
        while catch_unwind(AssertUnwindSafe(|| (self.make)(self.calls))).is_err() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_calls_are_made_in_their_order_and_the_first_panic_goes_on() {
        let mut made = Vec::new();
        let mut calls = (0..6, &mut made);
        let make = |(left, made): &mut (std::ops::Range<i32>, &mut Vec<i32>)| {
            left.for_each(|call| {
                made.push(call);
                assert!(call % 2 == 0, "{call}");
            });
        };
        let panic = catch_unwind(AssertUnwindSafe(|| make_all(&mut calls, make))).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some("1"));
        assert_eq!(made, [0, 1, 2, 3, 4, 5]);
    }
}
