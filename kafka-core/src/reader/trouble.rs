//! What a broker's error means for a partition. Every way out is an error reported once, a hint with a wait, or a newer leader.

use super::brokers::Asked;
use super::cursor::{Cursor, CursorId};
use super::fetched::LeaderAndEpoch;
use super::machine::ReaderMachine;
use super::placing::Known;
use super::position::Want;
use crate::error::{Error, ErrorKind};
use crate::machine::Now;
use crate::snapshot::Cluster;
use kafka_proto::ApiKey;
use kafka_proto::error_code::ErrorCode;

/// What a broker has against a request for a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) api: ApiKey,
    pub(super) code: ErrorCode,
    /// Who refuses.
    pub(super) broker: Option<i32>,
    /// The leader according to it.
    pub(super) leader: Option<LeaderAndEpoch>,
}

impl ReaderMachine {
    /// A broker refused a partition.
    pub(super) fn refused(&mut self, now: Now, id: CursorId, refusal: Refusal, known: Known<'_>) {
        let Refusal { api, code, broker, leader } = refusal;
        let cluster = known.cluster;
        let broker = broker.map(|broker| cluster.broker_name(broker));
        let here = |error: Error| error.with_api(api).with_known_broker(broker);
        if leader.is_some_and(|leader| self.led_elsewhere(id, leader, known)) {
            return;
        }
        let Some(topic) = self.partitions.get(id).map(|cursor| cursor.topic().clone()) else { return };
        match code {
            ErrorCode::UnsupportedCompressionType => {
                let kind = ErrorKind::Unsupported { feature: "zstd", needs: "Kafka 2.1" };
                self.halt(id, here(Error::new(kind)));
            }
            ErrorCode::UnsupportedForMessageFormat | ErrorCode::UnsupportedVersion => {
                self.halt(id, here(Error::of_code(code)));
            }
            ErrorCode::CorruptMessage => {
                let offset = self.partitions.get(id).map_or(-1, Cursor::position);
                let problem = "the broker found its own copy to be corrupt".to_owned();
                let kind = ErrorKind::Corrupt { offset, next: None, problem };
                self.report_once(id, here(Error::new(kind)));
                self.hold_off_long(now, id);
            }
            _ => {
                if code.refreshes_metadata() || doubts_metadata(code) {
                    self.hints.refresh(&topic);
                }
                self.tried_in_vain(now, id, here(Error::of_code(code)), passes(code));
            }
        }
    }

    /// What should pass is reported if it lasts, anything else at once; both are tried again.
    pub(super) fn tried_in_vain(&mut self, now: Now, id: CursorId, error: Error, passes: bool) {
        if passes {
            return self.retry_later(now, id, error);
        }
        self.report_once(id, error);
        self.hold_off_long(now, id);
    }

    /// A fetch says that the position is out of range. Only the leader in its own epoch proves it.
    pub(super) fn out_of_range(&mut self, now: Now, cluster: &Cluster, id: CursorId, asked: Asked) {
        let Some(cursor) = self.partitions.get(id) else { return };
        let is_proven = cursor.source().was_leader_asked(asked);
        let offset = cursor.position();
        let broker = cursor.placement.home().map(|broker| cluster.broker_name(broker));
        let error = Error::new(ErrorKind::OffsetOutOfRange { offset }).with_api(ApiKey::Fetch);
        let error = error.with_known_broker(broker);
        self.leave_replica(id);
        if is_proven {
            self.reset_again(now, id, error);
        } else {
            self.retry_later(now, id, error);
        }
    }

    /// The leader has nothing of the epoch of what was read, or before it.
    pub(super) fn nothing_in_common(&mut self, now: Now, id: CursorId, api: ApiKey) {
        let Some(cursor) = self.partitions.get(id) else { return };
        let offset = cursor.position();
        self.reset_again(now, id, Error::new(ErrorKind::OffsetOutOfRange { offset }).with_api(api));
    }

    /// The first reset is reported and done at once. A broker that refuses the very position that it named is asked for another
    /// one after growing waits, and that is not reported again until it has answered a fetch.
    fn reset_again(&mut self, now: Now, id: CursorId, cause: Error) {
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        let before = cursor.count_reset();
        match Want::of_reset(self.config.reset).filter(|_| before > 0) {
            Some(want) => {
                if let Some(cursor) = self.partitions.get_mut(id) {
                    cursor.begin(want);
                    cursor.retry.count_from(before - 1);
                }
                self.hold_off(now, id);
            }
            None => self.reset(id, cause),
        }
    }

    /// An error that ends the reading of a partition until it is sought.
    pub(super) fn halt(&mut self, id: CursorId, error: Error) {
        let Some(cursor) = self.partitions.get_mut(id) else { return };
        cursor.halt(error);
        self.update(id);
    }

    /// A request that was only about this partition failed as a whole.
    pub(super) fn ask_failed(&mut self, now: Now, id: CursorId, error: &Error) {
        match error.kind() {
            ErrorKind::Unsupported { .. } => self.halt(id, error.clone()),
            kind => {
                let passes =
                    error.is_retriable() || *kind == ErrorKind::Closed || error.code().is_some_and(passes);
                if let Some(topic) =
                    self.partitions.get(id).map(|cursor| cursor.topic().clone()).filter(|_| passes)
                {
                    self.hints.refresh(&topic);
                }
                self.tried_in_vain(now, id, error.clone(), passes);
            }
        }
    }
}

/// Returns whether an error goes away by itself, as far as is known.
pub(super) fn passes(code: ErrorCode) -> bool {
    code.is_retriable() || code == ErrorCode::UnknownServerError || doubts_metadata(code)
}

/// The broker knows the topic by another id, or not by ours yet, or not our leader epoch: metadata is to settle it.
fn doubts_metadata(code: ErrorCode) -> bool {
    use ErrorCode::{InconsistentTopicId, UnknownLeaderEpoch, UnknownTopicId};
    matches!(code, UnknownTopicId | InconsistentTopicId | UnknownLeaderEpoch)
}
