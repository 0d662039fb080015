//! Ends a cluster whose owner is gone, whatever ended the owner: a panic, Ctrl-C, SIGKILL, or a `static` that is
//! never dropped. A shell waits for the end of a pipe whose other end only the owner holds.

use std::path::Path;
use std::process::{Child, Stdio};

use super::LaunchError;
use super::node::Node;

/// Reads until the pipe ends, then kills what the cluster's folders name, and removes them once they have let go.
const SCRIPT: &str = r#"cat >/dev/null
for file in "$1"/*/pid; do kill -9 "$(cat "$file")"; done
sleep 1
rm -rf "$1""#;

/// The waiting shell. It has the cluster's own folder for its `pid`, which also marks a name as taken while the
/// cluster starts.
#[derive(Debug)]
pub(super) struct Reaper(Child);

impl Reaper {
    pub(super) fn watch(dir: &Path) -> Result<Self, LaunchError> {
        let command = ["sh", "-c", SCRIPT, "reaper"].map(Into::into);
        let mut command = command.to_vec();
        command.push(dir.into());
        Node::new(dir.to_owned()).spawn(&command, Stdio::piped()).map(Self)
    }

    /// Lets the cluster live on.
    pub(super) fn dismiss(mut self) {
        // Kill before the pipe closes, or it would do its work.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
