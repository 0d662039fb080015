//! The producer id and epoch a writer sends under (KIP-98, KIP-360).
//!
//! Each partition keeps the identity its sequences belong to, and takes the newest when it has to begin anew; the others
//! go on undisturbed.

use super::config::Idempotence;
use super::partition::Identity;
use super::producer::{IdentityState, Producer};
use crate::error::{Error, ErrorKind, Fate};
use crate::machine::{Answer, Ask, Lane, Now, Target};
use kafka_proto::error_code::ErrorCode;
use kafka_proto::messages::init_producer_id::InitProducerIdRequest;
use kafka_proto::{ApiKey, Str};

impl Producer {
    /// Whether the next batch has, or can get, its sequence.
    pub(super) fn has_identity(&mut self, index: usize) -> bool {
        if self.identity == IdentityState::Off {
            return true;
        }
        let partition = &self.partitions[index];
        if partition.queue.front().is_some_and(|p| p.stamp.is_some()) {
            return true;
        }
        if partition.identity.is_some() && !partition.needs_bump {
            return true;
        }
        // What is in flight under the old identity is resolved first.
        if !partition.in_flight.is_empty() {
            return false;
        }
        let IdentityState::Ready(current) = self.identity else { return false };
        let fresh = if partition.identity == Some(current) { self.bump(current) } else { Some(current) };
        let Some(identity) = fresh else { return false };
        // Newer batches cannot go under theirs any more: they come after this one.
        self.begin_anew(
            index,
            &Error::of_code(ErrorCode::OutOfOrderSequenceNumber).with_api(ApiKey::Produce),
        );
        let partition = &mut self.partitions[index];
        (partition.identity, partition.next_sequence, partition.needs_bump) = (Some(identity), 0, false);
        true
    }

    /// The next epoch, which an idempotent producer without transactions may give itself (KIP-360); a new id after the last.
    fn bump(&mut self, current: Identity) -> Option<Identity> {
        self.stats.epoch_bumps += 1;
        if current.epoch == i16::MAX {
            self.identity = IdentityState::Wanted;
            return None;
        }
        let next = Identity { epoch: current.epoch + 1, ..current };
        self.identity = IdentityState::Ready(next);
        Some(next)
    }

    /// Asks for a producer id as soon as there is something to send under it.
    pub(crate) fn poll_ask(&mut self) -> Option<Ask> {
        if self.identity != IdentityState::Wanted || self.partitions.is_empty() {
            return None;
        }
        self.identity = IdentityState::Asked;
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
            timeout: self.request_timeout,
        })
    }

    pub(crate) fn handle_answer(&mut self, now: Now, answer: Answer) {
        if self.identity != IdentityState::Asked {
            // The writer does without meanwhile.
            return;
        }
        let error = match answer.response_to::<InitProducerIdRequest>() {
            Ok(response) => match ErrorCode::from(response.error_code) {
                ErrorCode::None if response.producer_id < 0 || response.producer_epoch < 0 => {
                    // The broker would take batches under it for such without idempotence.
                    let (id, epoch) = (response.producer_id, response.producer_epoch);
                    let text = format!("producer id {id} with epoch {epoch}, and no error");
                    Error::new(ErrorKind::Decode(text)).with_api(ApiKey::InitProducerId)
                }
                ErrorCode::None => {
                    let (id, epoch) = (response.producer_id, response.producer_epoch);
                    self.identity_failures = 0;
                    (self.identity, self.trouble) = (IdentityState::Ready(Identity { id, epoch }), None);
                    return self.reschedule_all(now.time);
                }
                code => Error::of_code(code).with_api(ApiKey::InitProducerId),
            },
            Err(error) => error,
        };
        self.trouble = Some(error.clone());
        if error.is_retriable() || matches!(error.kind(), ErrorKind::Decode(_)) {
            let (min, max) = self.retry_backoff;
            let wait = self.random.backoff(self.identity_failures.min(10), min, max);
            self.identity_failures = self.identity_failures.saturating_add(1);
            self.identity = IdentityState::Backoff(now.time + wait);
            return;
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
        self.identity = IdentityState::Wanted;
        for index in 0..self.partitions.len() {
            while let Some(pending) = self.partitions[index].next() {
                self.give_up(index, &pending, error.clone());
            }
            while let Some(batch) = self.partitions[index].slot.take(true) {
                self.resolve_failed(&batch, error.clone(), Fate::NotWritten);
            }
        }
    }

    /// Whether the writer may go without producer ids and sequences, as it then does; it is told once, for this reason.
    pub(super) fn may_do_without(&mut self, reason: &Error) -> bool {
        if self.identity == IdentityState::Off {
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
        self.identity = IdentityState::Off;
        (0..self.partitions.len()).for_each(|index| self.partitions[index].forget_identity());
    }

    /// A leader is too old for sequences, although another node gave a producer id: as in a cluster that is being upgraded.
    /// Whether the writer may do without.
    pub(super) fn do_without_sequences(&mut self, leader: i32) -> bool {
        if self.may_do_without(&not_idempotent()) {
            return true;
        }
        while let Some(index) = self.brokers.get_mut(&leader).and_then(|broker| broker.ready.pop_front()) {
            self.partitions[index].is_ready = false;
            while let Some(pending) = self.partitions[index].next() {
                self.give_up(index, &pending, not_idempotent());
            }
        }
        false
    }
}

fn not_idempotent() -> Error {
    Error::new(ErrorKind::Unsupported { feature: "idempotent writing", needs: "Kafka 0.11" })
}
