//! Calls: one request of any API, and its response.

use super::closed;
use crate::client::{CallSpec, Client, Key, Outcome, no_code};
use crate::error::Error;
use crate::machine::{Now, OpId, Target, response};
use kafka_proto::{Request, ResponseKind};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A call that was made, see [`Client::call`]. Dropping it does not end the call: [`cancel`](Self::cancel) does.
pub struct Call<R> {
    id: OpId,
    request: PhantomData<fn() -> R>,
}

impl Client {
    /// Sends a request, written in the newest form of its API, to `target`. The client finds the broker, connects, fits the request to
    /// the version of the connection, and tries again after failures of connections, until the response is there or `timeout` has
    /// passed: by default the [call timeout](crate::sans_io::ClientConfig::call_timeout). Error codes inside the response are the
    /// caller's to look at.
    ///
    /// Requests and responses are types of the crate `kafka-proto`, in its module `messages`. Neither kafka-core nor an adapter re-exports
    /// them, so a program that makes calls depends on `kafka-proto`, in the version of its kafka-core:
    /// `kafka-proto = { path = "../kafka/kafka-proto" }`.
    pub fn call<R: Request>(
        &mut self,
        now: Now,
        target: Target,
        request: R,
        timeout: Option<Duration>,
    ) -> Call<R> {
        let id = self.begin_call(now, CallSpec { target, request: request.into(), timeout, code: no_code });
        Call { id, request: PhantomData }
    }
}

impl<R: Request> Call<R> {
    /// Returns what [`Event::Wake`](crate::sans_io::Event::Wake) names once the response can be taken.
    pub fn key(&self) -> Key {
        Key::Op(self.id)
    }

    /// Returns the response, once; `None` until it is there, and after it was taken.
    ///
    /// # Errors
    /// No broker answered in time, the request cannot be sent to this cluster, or the client was closed.
    pub fn take(&self, client: &mut Client) -> Option<Result<R::Response, Error>> {
        let result: Result<ResponseKind, Error> = take(client, self.id)?;
        Some(result.and_then(response))
    }

    /// Ends the call. A request that was not sent yet is not sent.
    pub fn cancel(self, client: &mut Client) {
        client.cancel_call(self.id);
    }

    pub(crate) fn id(&self) -> OpId {
        self.id
    }
}

impl<R> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.id).finish()
    }
}

/// A commit that is under way, see [`Reader::commit`](super::Reader::commit). Dropping it does not take the commit back.
#[derive(Debug)]
pub struct Commit {
    pub(super) id: OpId,
}

impl Commit {
    /// Returns what [`Event::Wake`](crate::sans_io::Event::Wake) names once the outcome can be taken.
    pub fn key(&self) -> Key {
        Key::Op(self.id)
    }

    /// Returns the outcome, once; `None` until it is there, and after it was taken.
    ///
    /// # Errors
    /// What the coordinator answered, that it did not answer in time, or that the client was closed.
    pub fn take(&self, client: &mut Client) -> Option<Result<(), Error>> {
        take(client, self.id)
    }

    pub(crate) fn id(&self) -> OpId {
        self.id
    }
}

/// An outcome. There is one also where the client was closed meanwhile.
fn take<T>(client: &mut Client, id: OpId) -> Option<Result<T, Error>>
where
    Result<T, Error>: Outcome,
{
    client.take(id).or_else(|| client.is_closed().then(|| Err(closed())))
}
