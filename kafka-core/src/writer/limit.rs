//! How large requests may be for a broker that closed a connection on one instead of answering: it, or a proxy before it, may take
//! only smaller ones, and no answer tells so. And how large batches may be where an answer did.
//!
//! Invariants
//! * Each such end of a request of several batches halves the limit; a request of one batch cannot be smaller.
//! * The limit is tried again: doubled after so many answers to requests of more than half of it (where it keeps two batches apart,
//!   one of them is), four times as many after each end. So a broker that merely restarted soon has whole requests, and one that
//!   takes no more is rarely asked for it.

/// Answers, or batches, before a limit is doubled for the first time.
const PATIENCE: u32 = 8;

#[derive(Debug)]
pub(super) struct RequestLimit(Limit);

impl RequestLimit {
    /// The connection ended on a request of several batches.
    pub(super) fn lower(limit: &mut Option<Self>, request: usize) {
        let bytes = if mutant!("large_requests_sent_again") { request } else { (request / 2).max(1) };
        match limit {
            None => *limit = Some(Self(Limit::new(bytes))),
            Some(Self(known)) => known.lower(bytes.min(known.bytes), 4),
        }
    }

    /// A request of so many bytes was answered; it proves something only where the limit may have made it smaller.
    pub(super) fn answered(limit: &mut Option<Self>, request: usize, configured: usize) {
        let Some(Self(known)) = limit.as_mut().filter(|known| request > known.bytes() / 2) else { return };
        if known.is_proven() && known.bytes >= configured {
            *limit = None;
        }
    }

    /// No request of several batches is larger.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes
    }
}

/// How large the batches of a partition may be, where its broker refused a larger one. The topic's limit may be raised, or the
/// topic made anew; so this one is tried again too, and after each time in vain more rarely.
#[derive(Debug)]
pub(super) struct BatchLimit {
    limit: Limit,
    /// It was doubled since the last refusal.
    is_raised: bool,
}

impl BatchLimit {
    /// A batch of so many bytes was too large. What was filled before a lower limit was known tells nothing new.
    pub(super) fn lower(limit: &mut Option<Self>, batch: usize) {
        let bytes = (batch / 2).max(1);
        match limit {
            None => *limit = Some(Self { limit: Limit::new(bytes), is_raised: false }),
            Some(known) if bytes < known.bytes() => {
                let times = if std::mem::take(&mut known.is_raised) { 4 } else { 1 };
                known.limit.lower(bytes, times);
            }
            Some(_) => {}
        }
    }

    /// A batch of so many bytes was taken; it proves something only where it is about as large as it may be. Whether the limit
    /// is another one now.
    pub(super) fn acked(limit: &mut Option<Self>, batch: usize, configured: usize) -> bool {
        let Some(known) = limit.as_mut().filter(|known| batch >= known.bytes() / 2) else { return false };
        if !known.limit.is_proven() {
            return false;
        }
        known.is_raised = true;
        if known.bytes() >= configured {
            *limit = None;
        }
        true
    }

    pub(super) fn bytes(&self) -> usize {
        self.limit.bytes
    }
}

/// A size that was refused, and is tried again once enough has been taken.
#[derive(Debug)]
struct Limit {
    bytes: usize,
    /// What was taken since the limit is what it is.
    proofs: u32,
    patience: u32,
}

impl Limit {
    fn new(bytes: usize) -> Self {
        Self { bytes, proofs: 0, patience: PATIENCE }
    }

    fn lower(&mut self, bytes: usize, times: u32) {
        *self = Self { bytes, proofs: 0, patience: self.patience.saturating_mul(times) };
    }

    /// Something was taken that proves that the limit may be higher. Whether it is now.
    fn is_proven(&mut self) -> bool {
        self.proofs += 1;
        if self.proofs < self.patience {
            return false;
        }
        (self.bytes, self.proofs) = (self.bytes.saturating_mul(2), 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{BatchLimit, RequestLimit};

    fn batch_bytes(limit: &Option<BatchLimit>) -> Option<usize> {
        limit.as_ref().map(BatchLimit::bytes)
    }

    #[test]
    fn a_limit_of_batches_is_tried_again_more_and_more_rarely() {
        let mut limit = None;
        // One batch, its halves, and their halves.
        [8000, 4000, 4000, 2000].into_iter().for_each(|batch| BatchLimit::lower(&mut limit, batch));
        assert_eq!(batch_bytes(&limit), Some(1000));
        (0..100).for_each(|_| assert!(!BatchLimit::acked(&mut limit, 400, 8000), "small ones prove nothing"));
        let mut acks = Vec::new();
        for _ in 0..3 {
            let mut count = 1;
            while !BatchLimit::acked(&mut limit, 900, 8000) {
                count += 1;
            }
            assert_eq!(batch_bytes(&limit), Some(2000));
            [2000, 2000].into_iter().for_each(|batch| BatchLimit::lower(&mut limit, batch));
            acks.push(count);
        }
        assert_eq!(acks, [8, 32, 128]);
        let takes_all = (0..100_000).any(|_| BatchLimit::acked(&mut limit, 9000, 8000) && limit.is_none());
        assert!(takes_all);
    }

    fn bytes(limit: &Option<RequestLimit>) -> Option<usize> {
        limit.as_ref().map(RequestLimit::bytes)
    }

    #[test]
    fn each_end_halves_and_answers_double() {
        let mut limit = None;
        RequestLimit::answered(&mut limit, 4000, 8000);
        assert_eq!(bytes(&limit), None);
        RequestLimit::lower(&mut limit, 8000);
        RequestLimit::lower(&mut limit, 4000);
        assert_eq!(bytes(&limit), Some(2000));
        (0..31).for_each(|_| RequestLimit::answered(&mut limit, 4000, 8000));
        assert_eq!(bytes(&limit), Some(2000));
        RequestLimit::answered(&mut limit, 4000, 8000);
        assert_eq!(bytes(&limit), Some(4000));
        (0..32).for_each(|_| RequestLimit::answered(&mut limit, 4000, 8000));
        assert_eq!(bytes(&limit), None);
    }

    #[test]
    fn small_requests_prove_nothing() {
        let mut limit = None;
        RequestLimit::lower(&mut limit, 4000);
        (0..1000).for_each(|_| RequestLimit::answered(&mut limit, 1000, 8000));
        assert_eq!(bytes(&limit), Some(2000));
    }

    #[test]
    fn what_was_in_flight_beside_it_does_not_raise_the_limit() {
        let mut limit = None;
        RequestLimit::lower(&mut limit, 2000);
        RequestLimit::lower(&mut limit, 8000);
        assert_eq!(bytes(&limit), Some(1000));
        RequestLimit::lower(&mut limit, 1);
        assert_eq!(bytes(&limit), Some(1), "one batch a request goes always");
    }
}
