//! The producer id and epoch a writer sends under (KIP-98, KIP-360).
//!
//! Each partition keeps the identity its sequences belong to, and takes the newest when it has to begin anew; the others
//! go on undisturbed.

use super::config::Idempotence;
use super::producer::Producer;
use super::sequences::Identity;
use crate::error::{Error, ErrorKind, Fate};
use crate::machine::{Answer, Ask, Lane, Now, Target};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use kafka_proto::{ApiKey, Str};

impl Producer {
    /// Returns whether the next batch has, or can get, its sequence.
    pub(super) fn has_identity(&mut self, index: usize) -> bool {
        if self.producer_id.is_off() {
            return true;
        }
        let partition = &self.partitions[index];
        if partition.has_sequence() {
            return true;
        }
        // What is in flight under the old identity is resolved first.
        if partition.queue.has_in_flight() {
            return false;
        }
        let Some(identity) = self.identity_after(partition.identity()) else { return false };
        // Newer batches cannot go under theirs any more: they come after this one.
        let doubtful = self.partitions[index].begin(identity);
        let error = Error::of_code(ErrorCode::OutOfOrderSequenceNumber).with_api(ApiKey::Produce);
        self.fail_doubtful(doubtful, &error);
        true
    }

    /// Returns the identity of a partition that used this one.
    fn identity_after(&mut self, used: Option<Identity>) -> Option<Identity> {
        let current = self.producer_id.current()?;
        if used != Some(current) {
            return Some(current);
        }
        self.stats.epoch_bumps += 1;
        self.producer_id.bump()
    }

    /// Asks for a producer id as soon as there is something to send under it.
    pub(crate) fn poll_ask(&mut self) -> Option<Ask> {
        if self.partitions.is_empty() || !self.producer_id.ask() {
            return None;
        }
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..InitProducerIdRequest::default()
        };
        Some(Ask {
            tag: 0,
            target: Target::Any,
            lane: Lane::Other,
            request: request.into(),
            timeout: self.pace.request_timeout,
        })
    }

    pub(crate) fn handle_answer(&mut self, now: Now, answer: Answer) {
        if !self.producer_id.is_asked() {
            // The writer does without meanwhile.
            return;
        }
        let error = match answer.response_to::<InitProducerIdRequest>().and_then(identity) {
            Ok(identity) => {
                self.producer_id.received(identity);
                return self.reschedule_all(now.time);
            }
            Err(error) => error,
        };
        self.producer_id.note(error.clone());
        if error.is_retriable() || matches!(error.kind(), ErrorKind::Decode(_)) {
            let (random, pace) = (&mut self.random, &self.pace);
            return self.producer_id.retry(|failures| now.time + failures.wait(random, pace));
        }
        self.without_identity(now, error);
    }

    /// The cluster gives no producer ids: it is too old, or the user has no right to them.
    fn without_identity(&mut self, now: Now, error: Error) {
        let too_old = matches!(error.kind(), ErrorKind::Unsupported { .. });
        let error =
            if too_old { not_idempotent().with_context(|c| *c = error.context().clone()) } else { error };
        let may_do_without = too_old || error.code().is_some_and(ErrorCode::is_authorization);
        if may_do_without && self.may_do_without(&error) {
            return self.reschedule_all(now.time);
        }
        // What waits cannot be sent; whatever comes later asks again.
        self.producer_id.want();
        for index in 0..self.partitions.len() {
            while let Some(pending) = self.partitions[index].queue.next() {
                self.give_up(index, &pending, error.clone());
            }
            while let Some(pending) = self.partitions[index].queue.next_of_all() {
                self.resolve_failed(pending.batch(), error.clone(), Fate::NotWritten);
            }
        }
    }

    /// Returns whether the writer may go without producer ids and sequences, as it does from then on. The reason is reported
    /// once.
    pub(super) fn may_do_without(&mut self, reason: &Error) -> bool {
        if self.producer_id.is_off() {
            return true;
        }
        let may = self.accumulator.config.idempotence == Idempotence::IfSupported;
        if may {
            self.degrade(reason.clone());
        }
        may
    }

    fn degrade(&mut self, reason: Error) {
        let detail = Str::from_static("written without idempotence: retries may duplicate records");
        self.effects.degraded(reason.with_detail(detail));
        self.producer_id.turn_off();
        (0..self.partitions.len()).for_each(|index| self.partitions[index].turn_sequences_off());
    }

    /// A leader is too old for sequences, although another node gave a producer id: as in a cluster that is being upgraded.
    /// Whether the writer may do without.
    pub(super) fn do_without_sequences(&mut self, leader: i32) -> bool {
        if self.may_do_without(&not_idempotent()) {
            return true;
        }
        while let Some(index) = self.brokers.pop_ready(leader) {
            self.partitions[index].placement.leave_ready();
            while let Some(pending) = self.partitions[index].queue.next() {
                self.give_up(index, &pending, not_idempotent());
            }
        }
        false
    }
}

/// Returns the identity that the broker gives.
fn identity(response: InitProducerIdResponse) -> Result<Identity, Error> {
    let (id, epoch) = (response.producer_id, response.producer_epoch);
    match ErrorCode::from(response.error_code) {
        ErrorCode::None if id < 0 || epoch < 0 => {
            // The broker would take batches under it for such without idempotence.
            let text = format!("producer id {id} with epoch {epoch}, and no error");
            Err(Error::new(ErrorKind::Decode(text)).with_api(ApiKey::InitProducerId))
        }
        ErrorCode::None => Ok(Identity { id, epoch }),
        code => Err(Error::of_code(code).with_api(ApiKey::InitProducerId)),
    }
}

fn not_idempotent() -> Error {
    Error::new(ErrorKind::Unsupported { feature: "idempotent writing", needs: "Kafka 0.11" })
}
