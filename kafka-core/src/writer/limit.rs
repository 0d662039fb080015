//! How large requests may be for a broker that closed a connection on one instead of answering: it, or a proxy before it, may take
//! only smaller ones, and no answer tells so.
//!
//! Invariants
//! * Each such end of a request of several batches halves the limit; a request of one batch cannot be smaller.
//! * The limit is tried again: doubled after so many answers to requests of more than half of it (where it keeps two batches apart, one is as large), four times as many after each end. So a broker that merely
//!   restarted soon has whole requests, and one that takes no more is rarely asked for it.

/// Answers before the limit is doubled for the first time.
const PATIENCE: u32 = 8;

#[derive(Debug)]
pub(super) struct RequestLimit {
    bytes: usize,
    answers: u32,
    patience: u32,
}

impl RequestLimit {
    /// The connection ended on a request of several batches.
    pub(super) fn lower(limit: &mut Option<Self>, request: usize) {
        let bytes = if mutant!("large_requests_sent_again") { request } else { (request / 2).max(1) };
        let (bytes, patience) = match limit {
            None => (bytes, PATIENCE),
            Some(known) => (bytes.min(known.bytes), known.patience.saturating_mul(4)),
        };
        *limit = Some(Self { bytes, answers: 0, patience });
    }

    /// A request of so many bytes was answered; it proves something only where the limit may have made it smaller.
    pub(super) fn answered(limit: &mut Option<Self>, request: usize, configured: usize) {
        let Some(known) = limit.as_mut().filter(|known| request > known.bytes / 2) else { return };
        known.answers += 1;
        if known.answers < known.patience {
            return;
        }
        (known.bytes, known.answers) = (known.bytes.saturating_mul(2), 0);
        if known.bytes >= configured {
            *limit = None;
        }
    }

    /// No request of several batches is larger.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::RequestLimit;

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
