//! `cargo xtask handles`: the methods of the blocking handles, from those of the async ones.
//!
//! `source` reads the public methods of kafka-core's handles, `docs` fits what they say, `print` writes the methods of
//! kafka-blocking's handles and of those that the contract suite holds.
//!
//! Invariants
//! * Each public method of a handle is generated or in [`LEFT_OUT`].
//! * A method that is not understood is an error that names it.

mod docs;
mod print;
mod source;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::Args;
use print::{for_programs, for_scenarios};
use source::{Method, Source};
use xtask::generated::{Result, check, format, root, write};

/// Write the methods of the blocking handles from those of the async ones
#[derive(Debug, Args)]
pub(crate) struct Handles {
    /// Write nothing; fail where a generated file is not what it should be
    #[arg(long)]
    check: bool,
}

/// The handles, whose public methods are the list.
const HANDLES: [&str; 4] = ["Client", "Reader", "Writer", "Delivery"];

/// What makes handles: it has the same settings for all of them.
const BUILDERS: [&str; 2] = ["ReaderBuilder", "WriterBuilder"];

/// Methods that no blocking handle has, each with the reason.
const LEFT_OUT: [(&str, &str, &str); 4] = [
    ("Client", "probe", "tests look through the async handle"),
    ("Reader", "poll_event", "it is for tasks that poll"),
    ("Reader", "poll_fetch", "it is for tasks that poll"),
    ("Writer", "sink", "a sink is polled"),
];

/// Methods that can wait indefinitely: each has a twin, with `_within` behind its name, that waits for some time at most.
const WITHIN: [(&str, &str); 4] =
    [("Reader", "next_event"), ("Reader", "fetch"), ("Reader", "read"), ("Reader", "next_batch")];

impl Handles {
    pub(crate) fn run(&self) -> Result {
        let sources = generate(&Source::of_core()?)?;
        if self.check { check(&root(), &sources, "handles") } else { write(&root(), &sources) }
    }
}

/// Returns all generated files: path and formatted text.
fn generate(source: &Source) -> Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for handle in HANDLES {
        let methods = methods(source, handle)?;
        let file = format!("{}.rs", handle.to_lowercase());
        files.push((
            PathBuf::from("kafka-blocking/src/handles/methods").join(&file),
            for_programs(handle, &methods)?,
        ));
        files.push((
            PathBuf::from("tests/tests/contract/handles/methods").join(&file),
            for_scenarios(handle, &methods)?,
        ));
    }
    format("handles", files)
}

/// Returns the methods of a handle that are generated.
fn methods(source: &Source, handle: &str) -> Result<Vec<Method>> {
    let found = source.methods(handle);
    let left_out = LEFT_OUT.iter().map(|(of, name, _)| (of, name));
    let listed = left_out.chain(WITHIN.iter().map(|(of, name)| (of, name)));
    for (_, name) in listed.filter(|(of, _)| **of == handle) {
        if !found.iter().any(|(method, _)| method == name) {
            return Err(format!("a list in xtask/src/handles names `{handle}::{name}`, which is gone").into());
        }
    }
    let generated = found.into_iter().filter(|(name, _)| !is_left_out(handle, name));
    generated.map(|(_, method)| method).collect()
}

fn is_left_out(handle: &str, method: &str) -> bool {
    LEFT_OUT.iter().any(|(of, name, _)| (*of, *name) == (handle, method))
}

fn has_twin(handle: &str, method: &str) -> bool {
    WITHIN.contains(&(handle, method))
}
