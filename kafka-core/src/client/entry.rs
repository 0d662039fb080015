//! The marks at the beginning and the end of the client's methods: what enters, and what came of it, is told at its `door`. Without the
//! feature `record` they are nothing.

/// Something enters the client.
#[cfg(feature = "record")]
macro_rules! enter {
    ($client:expr, $now:expr, $what:expr) => {
        if let Some(door) = &mut $client.door {
            door.enter($now, || $what);
        }
    };
}

/// What has entered is done; this came of it, for which [`Outcome`] is made.
#[cfg(feature = "record")]
macro_rules! leave {
    ($client:expr, $outcome:expr) => {
        if let Some(door) = &mut $client.door
            && door.leave()
        {
            let deadline = $client.timers.next();
            door.tell($crate::client::door::Outcome::of($outcome), deadline);
        }
    };
}

#[cfg(not(feature = "record"))]
macro_rules! enter {
    ($($entry:tt)*) => {};
}

#[cfg(not(feature = "record"))]
macro_rules! leave {
    ($($outcome:tt)*) => {};
}

pub(super) use {enter, leave};
