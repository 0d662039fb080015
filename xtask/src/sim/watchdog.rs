//! A run that does not come back is a failure as well, and one that no check after the run can tell of.

use std::process;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use kafka_testkit::sim::{Failure, Options, Plan, Report, run};

/// A run takes hundredths of a second, and on a machine that is busy with other work some seconds.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs a plan with a seed; where that does not come back, says so and ends the process.
pub(super) fn watched(plan: Plan, seed: u64, options: Options) -> Result<Report, Box<Failure>> {
    let (running, ended) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            if is_late(&ended, LIMIT) {
                let violation = format!("the run has not come back after {LIMIT:?}");
                println!("{}", Failure::without_report(plan, seed, options.faults, violation));
                process::exit(1);
            }
        });
        let result = run(plan, seed, options);
        drop(running);
        result
    })
}

/// Whether the other side still runs after the limit.
fn is_late(ended: &Receiver<()>, limit: Duration) -> bool {
    ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_still_runs_after_the_limit_is_late() {
        let (running, ended) = mpsc::channel();
        assert!(is_late(&ended, Duration::from_millis(1)));
        drop(running);
        assert!(!is_late(&ended, LIMIT));
    }
}
