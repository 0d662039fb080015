//! Collects the programs of the documents for `tests/programs.rs`, which runs them: each code block that connects somewhere.
//!
//! A program is taken as it stands. Only its address is replaced, by that of the cluster it is to run against.

use std::path::Path;
use std::{env, fs};

const ADDRESS: &str = "\"localhost:9092\"";
const DOCUMENTS: [&str; 4] =
    ["README.md", "kafka-tokio/src/lib.rs", "kafka-smol/src/lib.rs", "kafka-blocking/src/lib.rs"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // As of this run: the script may have been built in another checkout.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let root = Path::new(&package).join("..");
    let mut modules = String::new();
    let mut list = String::new();
    for document in DOCUMENTS {
        let path = root.join(document);
        println!("cargo:rerun-if-changed={}", path.display());
        // A package on its own has no documents beside it.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (line, program) in programs(&text) {
            let name = format!("program_{}", list.lines().count());
            let program = program.replace(ADDRESS, "&super::brokers()");
            modules += &format!(
                "mod {name} {{\n{program}\npub(super) fn run() -> super::Ended {{ {} }}\n}}\n",
                run(&program)
            );
            list += &format!("(\"{document}:{line}\", {name}::run),\n");
        }
    }
    let code = format!("{modules}const PROGRAMS: &[Program] = &[\n{list}];\n");
    let out = env::var_os("OUT_DIR").map(|dir| Path::new(&dir).join("programs.rs"));
    let written = out.map(|out| fs::write(out, code));
    assert!(matches!(written, Some(Ok(()))), "{written:?}");
}

/// The Rust code blocks that connect somewhere, with the lines they begin at; comments' signs and the signs of hidden lines taken away.
fn programs(text: &str) -> Vec<(usize, String)> {
    let mut programs = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.strip_prefix("//! ").or(line.strip_prefix("//!")).unwrap_or(line);
        match (&mut block, line.strip_prefix("```")) {
            (None, Some(language)) if is_rust(language) => block = Some((at + 1, String::new())),
            (None, _) => {}
            (Some(_), Some(_)) => programs.extend(block.take().filter(|(_, code)| code.contains(ADDRESS))),
            (Some((_, code)), None) => {
                *code += line.strip_prefix("# ").unwrap_or(line);
                code.push('\n');
            }
        }
    }
    programs
}

fn is_rust(language: &str) -> bool {
    language.split(',').all(|word| ["", "rust", "no_run"].contains(&word))
}

/// How a program is run: by its `main`, or as its adapter's front page says, by a runtime.
fn run(program: &str) -> &'static str {
    match program {
        _ if !program.contains("async fn example()") => "main().map_err(|error| error.to_string())",
        _ if program.contains("use kafka_tokio::") => {
            "super::tokio_runtime().block_on(example()).map_err(|error| error.to_string())"
        }
        _ => "smol::block_on(example()).map_err(|error| error.to_string())",
    }
}
