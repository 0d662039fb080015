//! How a handle reaches its client: directly, or through a lock of the program's own.

use crate::client::Client;
use crate::machine::{Command, MachineId, Now};
use crate::writer::Clock;

/// Gives a handle its client and the time, for one call.
///
/// Where the client is at hand, this is [`Client::at`]. A program that keeps the client under a lock implements the trait for that
/// lock. The handles then hold it only for decisions: they call the application's code (balancers, iterators of records), encode
/// records and drop what was fetched outside of [`with`](Self::with).
pub trait Access {
    /// Returns the time, which must not go backwards.
    fn now(&self) -> Now;

    /// Returns the wall clock alone, in ms since 1970.
    fn wall_ms(&self) -> i64 {
        self.now().wall_ms
    }

    /// Runs `f` on the client, once.
    fn with<R>(&mut self, f: impl FnOnce(&mut Client) -> R) -> R;
}

/// A client at a time, see [`Client::at`].
#[derive(Debug)]
pub struct At<'a> {
    client: &'a mut Client,
    now: Now,
}

impl Client {
    /// Returns the client with the time of one call of a handle: `reader.next(client.at(now))`.
    pub fn at(&mut self, now: Now) -> At<'_> {
        At { client: self, now }
    }
}

impl Access for At<'_> {
    fn now(&self) -> Now {
        self.now
    }

    fn with<R>(&mut self, f: impl FnOnce(&mut Client) -> R) -> R {
        f(self.client)
    }
}

impl<A: Access> Access for &mut A {
    fn now(&self) -> Now {
        (**self).now()
    }

    fn wall_ms(&self) -> i64 {
        (**self).wall_ms()
    }

    fn with<R>(&mut self, f: impl FnOnce(&mut Client) -> R) -> R {
        (**self).with(f)
    }
}

/// Does something to a machine; `None` where it has ended.
pub(crate) fn command<C: Command>(client: &mut impl Access, id: MachineId, command: C) -> Option<C::Reply> {
    let now = client.now();
    client.with(|client| client.command(now, id, command))
}

/// The time of an append, which looks at a clock only where it has to.
pub(crate) struct ClockOf<'a, A>(pub(crate) &'a A);

impl<A> Clone for ClockOf<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for ClockOf<'_, A> {}

impl<A: Access> Clock for ClockOf<'_, A> {
    fn now(self) -> Now {
        self.0.now()
    }

    fn wall_ms(self) -> i64 {
        self.0.wall_ms()
    }
}
