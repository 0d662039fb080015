//! The end of a client that delivers, commits and leaves before.

use super::flushing::{CloseReport, Flushing};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::machine::{MachineId, Now, OpId};
use crate::reading::{Leave, Leaving, Reading};
use crate::writer::{CloseInput, Writing};
use kafka_proto::ApiKey;
use std::time::Duration;

/// A client that is being closed, see [`Client::begin_close`].
#[derive(Debug)]
#[must_use = "it ends with `finish`"]
pub struct Closing {
    batches: Flushing,
    leaving: Vec<(MachineId, Leaving)>,
}

/// What [`Client::close`](crate::Client::close) could not do in time.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ClientCloseReport {
    /// Records that are not in the log and never will be.
    pub not_written: u64,
    /// Records that may be in the log.
    pub possibly_written: u64,
    /// Groups that were not left, or in which what was handled was not committed, each with the reason: the other members
    /// wait for the session timeout, or read again what was not committed.
    pub groups: Vec<Error>,
}

impl ClientCloseReport {
    /// Whether everything was delivered, committed and left.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// What [`Reader::close`](crate::Reader::close) could not do in time.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
#[must_use = "the group may not have been left, or what was handled not committed"]
pub struct ReaderCloseReport {
    /// Why its group was not left, or what was handled not committed: the other members wait for the session timeout, or read again
    /// what was not committed. The group goes on being left in the background, while the client lives.
    pub group: Option<Error>,
}

impl ReaderCloseReport {
    /// Returns whether everything was committed and the group left.
    pub fn is_clean(&self) -> bool {
        self.group.is_none()
    }

    /// Turns what could not be done into an error.
    ///
    /// # Errors
    /// Why the group was not left, or what was handled not committed.
    pub fn into_result(self) -> Result<()> {
        self.group.map_or(Ok(()), Err)
    }
}

impl Client {
    /// Begins to close all writers and readers: the writers take no more messages and send what they took, and the readers commit what
    /// is marked and leave their groups. The loop must go on until [`Closing::is_done`], or until the program waits no longer.
    pub fn begin_close(&mut self, now: Now) -> Closing {
        let writers = self.all::<Writing>().into_iter();
        let batches = writers.filter_map(|id| self.command(now, id, CloseInput)).flatten().collect();
        let readers = self.all::<Reading>().into_iter();
        let leaving = readers.filter_map(|id| Some((id, self.command(now, id, Leave)??))).collect();
        Closing { batches: Flushing::new(batches), leaving }
    }
}

impl Closing {
    /// Returns whether everything was delivered, committed and left.
    pub fn is_done(&mut self, client: &Client) -> bool {
        self.batches.report().is_some() && !self.readers().any(|id| client.has(id))
    }

    /// Closes the client at once, after `waited`, and returns what was not done by then.
    pub fn finish(mut self, client: &mut Client, now: Now, waited: Duration) -> ClientCloseReport {
        let groups = self.not_left(client, waited);
        client.close(now);
        // By now each batch has its outcome.
        let report = self.batches.report().unwrap_or_default();
        Self::report(report, groups)
    }

    pub(crate) fn batches(&self) -> &Flushing {
        &self.batches
    }

    pub(crate) fn readers(&self) -> impl Iterator<Item = MachineId> {
        self.leaving.iter().map(|(id, _)| *id)
    }

    /// What is promised of the readers' commits.
    pub(crate) fn commits(&self) -> impl Iterator<Item = OpId> {
        self.leaving.iter().flat_map(|(_, leaving)| leaving.commits.iter().copied())
    }

    /// The groups that were not left, or in which not all was committed.
    pub(crate) fn not_left(&self, client: &mut Client, waited: Duration) -> Vec<Error> {
        let groups = self.leaving.iter();
        groups.filter_map(|(id, leaving)| not_left(client, *id, leaving, waited)).collect()
    }

    pub(crate) fn report(batches: CloseReport, groups: Vec<Error>) -> ClientCloseReport {
        let CloseReport { not_written, possibly_written } = batches;
        ClientCloseReport { not_written, possibly_written, groups }
    }
}

/// What of a reader's end was not done in this time.
pub(crate) fn not_left(
    client: &mut Client,
    id: MachineId,
    leaving: &Leaving,
    after: Duration,
) -> Option<Error> {
    let ended: Vec<Result<()>> = leaving.commits.iter().filter_map(|commit| client.take(*commit)).collect();
    let error = if client.has(id) {
        Error::new(ErrorKind::TimedOut { after, last: client.last_trouble() }).with_api(ApiKey::LeaveGroup)
    } else {
        ended.into_iter().find_map(Result::err)?
    };
    Some(error.with_group(&leaving.group))
}
