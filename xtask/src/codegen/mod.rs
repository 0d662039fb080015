//! `cargo xtask codegen`: `kafka-proto/schema/*.kp` to Rust.
//!
//! `grammar` reads a line, `tree` nests lines, `model` fills in what they leave unsaid, `check` looks for what
//! cannot be, `rust` (with `body`) and `shapes` print. `layout` is the one layout of the schema files.

/// Appends a line to a `String`, which cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => { writeln!($out, $($arg)*).unwrap_or_default() };
}

mod body;
mod check;
mod docs;
mod fuzz;
mod grammar;
mod layout;
mod model;
mod rust;
mod samples;
mod shapes;
#[cfg(test)]
mod tests;
mod tree;

use crate::generated::{Result, check, format, root, write};
pub use fuzz::fuzz;
use model::File;
pub use samples::{ResponseType, Sample, Schema};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Make the protocol's Rust code from its schema
#[derive(Debug, clap::Args)]
pub struct Codegen {
    /// Write nothing; fail where a generated file is not what it should be
    #[arg(long)]
    check: bool,
    /// Print the byte layout of every request and response version instead
    #[arg(long)]
    shapes: bool,
    /// Give the schema files their one layout, too
    #[arg(long)]
    fmt: bool,
}

impl Codegen {
    /// Generates, checks or prints.
    ///
    /// # Errors
    /// What is wrong with a schema file or stale, in words.
    pub fn run(&self) -> Result {
        let crate_dir = root().join("kafka-proto");
        let schema = crate_dir.join("schema");
        let files = load(&schema)?;
        if self.shapes {
            return Ok(print(&shapes::shapes(&files))?);
        }
        let layout = layout(&schema)?;
        if self.fmt {
            write(&schema, &layout)?;
        }
        let sources = generate(&files)?;
        if self.check {
            check(&schema, &layout, "codegen --fmt")?;
            return check(&crate_dir, &sources, "codegen");
        }
        write(&crate_dir, &sources)
    }
}

fn print(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match lines.iter().try_for_each(|line| writeln!(out, "{line}")) {
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// The schema files, in the order of their names.
fn schema_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "kp") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads and checks all schema files.
fn load(dir: &Path) -> Result<Vec<File>> {
    schema_files(dir)?.iter().map(|path| load_file(path)).collect()
}

/// The schema files as they should be laid out.
fn layout(dir: &Path) -> Result<Vec<(PathBuf, String)>> {
    let canonical = |path: PathBuf| {
        let text = fs::read_to_string(&path)?;
        Ok((PathBuf::from(path.file_name().unwrap_or_default()), layout::canonical(&text)))
    };
    schema_files(dir)?.into_iter().map(canonical).collect()
}

fn load_file(path: &Path) -> Result<File> {
    let text = fs::read_to_string(path)?;
    let stem = path.file_stem().and_then(|s| s.to_str()).ok_or("a file name is not UTF-8")?;
    let module = stem.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
    let nodes = tree::parse(path, &text)?;
    let mut file = model::resolve(module, nodes).map_err(|e| format!("{}:{e}", path.display()))?;
    file.docs.push(format!("{stem}.kp"));
    let wrong = check::check(&file);
    if !wrong.is_empty() {
        let place = |what: &String| format!("{}:{what}", path.display());
        return Err(wrong.iter().map(place).collect::<Vec<_>>().join("\n").into());
    }
    Ok(file)
}

/// All generated files: path in the crate, and formatted text.
fn generate(files: &[File]) -> Result<Vec<(PathBuf, String)>> {
    let messages = Path::new("src/messages");
    let mut sources: Vec<_> =
        files.iter().map(|f| (messages.join(format!("{}.rs", f.module)), rust::module(f))).collect();
    sources.push((messages.join("mod.rs"), rust::module_list(files)));
    sources.push((PathBuf::from("src/api_key.rs"), rust::api_keys(files)));
    format("codegen", sources)
}
