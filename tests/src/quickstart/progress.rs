//! Progress bars, and the watch over a run that does not move.

use super::run::Run;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(100);
/// Longer than what the client allows itself: its own error tells more.
const STALLED: Duration = Duration::from_secs(180);

/// Bars that follow a run until they are dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bars: MultiProgress,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    pub(crate) fn new(run: &Arc<Run>) -> Self {
        let bars = MultiProgress::new();
        let written = bars.add(bar("write", run.ledger.messages.count));
        let read = bars.add(bar("read ", run.ledger.messages.count));
        let (stop, stopped) = channel();
        let run = run.clone();
        let thread = thread::spawn(move || {
            let (mut last, mut moved) = ((0, 0), Instant::now());
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let now = (run.ledger.acked.load(Relaxed), run.ledger.read.load(Relaxed));
                written.set_position(now.0);
                read.set_position(now.1);
                if now != last {
                    (last, moved) = (now, Instant::now());
                }
                if moved.elapsed() > STALLED {
                    run.stop(&format!("nothing has moved for {} s", STALLED.as_secs()));
                }
            }
            written.finish_and_clear();
            read.finish_and_clear();
        });
        Self { bars, thread: Some((stop, thread)) }
    }

    /// Takes the bars away, so that something can be said.
    pub(crate) fn clear(&self) {
        // A terminal that is gone needs no clearing.
        let _ = self.bars.clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

fn bar(name: &'static str, count: u64) -> ProgressBar {
    let style = "{msg} [{bar:40}] {human_pos}/{human_len} {per_sec} {eta}";
    let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(count).with_style(style.progress_chars("=> ")).with_message(name)
}
