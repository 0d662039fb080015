//! Whether a broker answers a fetch as soon as there is a record, or only when the fetch's time is over.
//!
//! One that is prompt may wait longer while nothing comes. A record may come at the end of a wait by chance, and where records come
//! by the clock again and again, so a late answer is believed for a while only, in which waits are shorter by some part: the next
//! record of a prompt broker is then in the middle of one.

use std::time::Duration;

/// The part of the longest wait in which an answer came at once.
const BEGINNING: u32 = 8;
/// The part of it by which brokers may be early when the wait is over: their timers are coarse.
const EARLY: u32 = 50;
/// So many answers without records end the doubt that the first late one began; a second one begins a doubt four times as long.
const DOUBT: u32 = 4;
/// So many late answers in a row are no chance any more.
const PROOF: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Promptness {
    /// Answers in a row that came at the end of their wait although they brought records.
    late: u32,
}

impl Promptness {
    /// A parked fetch that might take `wait` brought records after `waited`. Short waits show nothing: their end is their beginning.
    /// Nor does what came at once: it was there before the fetch was.
    pub(super) fn note(&mut self, waited: Duration, wait: Duration, max_wait: Duration) {
        if wait < max_wait / 2 || waited <= max_wait / BEGINNING {
            return;
        }
        self.late = if waited + max_wait / EARLY < wait { 0 } else { self.late.saturating_add(1) };
    }

    /// How many of so many answers in a row without records count, so that waits grow by them.
    pub(super) fn trusted(&self, quiet: u32) -> u32 {
        match self.late {
            0 => quiet,
            late @ 1..PROOF => quiet.saturating_sub(DOUBT << (2 * (late - 1))),
            PROOF.. => 0,
        }
    }

    /// How long the broker may wait where nothing is trusted.
    pub(super) fn wait(&self, max_wait: Duration) -> Duration {
        match self.late {
            late @ 1..PROOF => max_wait - max_wait / 8 * (late + 1),
            _ => max_wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_WAIT: Duration = Duration::from_millis(500);

    /// What became of a broker whose fetches with records took so many of so many ms.
    fn after(answers: &[(u64, u64)]) -> Promptness {
        let mut promptness = Promptness::default();
        for &(waited, wait) in answers {
            promptness.note(Duration::from_millis(waited), Duration::from_millis(wait), MAX_WAIT);
        }
        promptness
    }

    #[test]
    fn a_late_answer_is_doubted_after_a_while() {
        assert_eq!(after(&[]).trusted(3), 3);
        let late = after(&[(500, 500)]);
        assert_eq!([1, 4, 5, 8].map(|quiet| late.trusted(quiet)), [0, 0, 1, 4]);
        let later = after(&[(500, 500), (8000, 8000)]);
        assert_eq!([1, 5, 16, 18].map(|quiet| later.trusted(quiet)), [0, 0, 0, 2]);
        let latest = after(&[(500, 500); 3]);
        assert_eq!([1, 100, u32::MAX].map(|quiet| latest.trusted(quiet)), [0; 3]);
    }

    #[test]
    fn a_prompt_answer_ends_the_doubt() {
        for late in 1..=5 {
            for prompt in [(63, 500), (250, 500), (489, 500), (7900, 8000)] {
                let mut answers = vec![(490, 500); late];
                answers.push(prompt);
                assert_eq!(after(&answers).trusted(1), 1);
            }
        }
    }

    #[test]
    fn short_waits_and_answers_at_once_tell_nothing() {
        for (waited, wait) in [(15, 15), (249, 249), (0, 500), (62, 500), (30, 8000)] {
            assert_eq!(after(&[(waited, wait); 3]).trusted(1), 1, "{waited} of {wait}");
            assert_eq!(after(&[(500, 500), (waited, wait)]).trusted(1), 0, "{waited} of {wait}");
        }
    }
}
