//! `cargo xtask deps`: licences, minimum Rust versions and layers of all dependencies, out of `cargo metadata`.
//!
//! The lists are this file's own; `deny.toml` says the same of licences and sources to cargo-deny, where that is at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::process::Command;
use std::{env, fmt};

use clap::Args;
use serde_json::Value;

/// Check licences, minimum Rust versions, sources and layers of all dependencies
#[derive(Debug, Args)]
pub(crate) struct Deps {
    /// Ask no registry, and leave out what only optional features and other systems need
    #[arg(long)]
    offline: bool,
}

/// Each is enough by itself.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What must never stand below a package.
const LAYERS: &[(&str, &[&str])] = &[
    ("kafka-proto", &["kafka-core", "tokio", "mio", "smol", "async-std", "async-io", "polling", "socket2"]),
    ("kafka-core", &["tokio", "mio", "smol", "async-std", "async-io", "polling", "socket2"]),
    ("kafka-blocking", &["tokio", "mio", "smol", "async-std", "async-io", "async-executor", "polling"]),
    ("kafka-testkit", &["kafka-tokio", "kafka-smol", "kafka-blocking"]),
];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

impl Deps {
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let tree = Tree::read(&metadata(self.offline)?)?;
        let problems = tree.problems();
        problems.iter().for_each(|problem| eprintln!("{problem}"));
        println!("{} packages, {} problems", tree.packages.len(), problems.len());
        if problems.is_empty() { Ok(()) } else { Err("dependencies are not as they should be".into()) }
    }
}

fn metadata(offline: bool) -> Result<Value, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--locked", "--manifest-path"]);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    if offline {
        command.args(["--offline", "--filter-platform", &host()?]);
    } else {
        command.arg("--all-features");
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The system that is compiled for: what rustc says after `host:`.
fn host() -> Result<String, Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not tell its host")?.to_owned())
}

/// All packages by id.
#[derive(Debug)]
struct Tree {
    packages: BTreeMap<String, Package>,
}

#[derive(Debug)]
struct Package {
    name: String,
    version: String,
    licence: Option<String>,
    rust: Option<Version>,
    /// `None` for our own.
    source: Option<String>,
    /// The ids of what it links: no build and no test dependencies.
    links: Vec<String>,
}

/// What is wrong with a package.
#[derive(Debug, PartialEq)]
struct Problem {
    package: String,
    what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.package, self.what)
    }
}

impl Tree {
    fn read(metadata: &Value) -> Result<Self, Box<dyn Error>> {
        let mut packages = BTreeMap::new();
        for package in metadata["packages"].as_array().ok_or("no packages")? {
            let text = |key: &str| package[key].as_str().map(ToOwned::to_owned);
            let id = text("id").ok_or("a package without id")?;
            let read = Package {
                name: text("name").ok_or("a package without name")?,
                version: text("version").ok_or("a package without version")?,
                licence: text("license"),
                rust: text("rust_version").map(|v| version(&v)).transpose()?,
                source: text("source"),
                links: Vec::new(),
            };
            packages.insert(id, read);
        }
        for node in metadata["resolve"]["nodes"].as_array().ok_or("no resolved graph")? {
            let id = node["id"].as_str().ok_or("a node without id")?;
            let package = packages.get_mut(id).ok_or("a node without package")?;
            let linked = |dep: &&Value| {
                dep["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k["kind"].is_null()))
            };
            let deps = node["deps"].as_array().into_iter().flatten().filter(linked);
            package.links = deps.filter_map(|dep| Some(dep["pkg"].as_str()?.to_owned())).collect();
        }
        // What the graph does not hold belongs to features that nobody switched on.
        let used: BTreeSet<String> = metadata["resolve"]["nodes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|node| Some(node["id"].as_str()?.to_owned()))
            .collect();
        packages.retain(|id, _| used.contains(id));
        Ok(Self { packages })
    }

    fn problems(&self) -> Vec<Problem> {
        let ours = self.packages.values().filter(|p| p.source.is_none());
        let minimum = ours.filter_map(|p| p.rust).min();
        let mut problems = Vec::new();
        for package in self.packages.values() {
            let mut add = |what| problems.push(package.problem(what));
            match &package.licence {
                Some(licence) if allowed(licence) => {}
                Some(licence) => add(format!("the licence {licence} is not in the list")),
                None => add("names no licence".into()),
            }
            match (package.rust, minimum) {
                (Some(needs), Some(ours)) if needs > ours => {
                    add(format!("needs Rust {needs}, we promise {ours}"))
                }
                (_, None) => add("our own packages name no Rust version".into()),
                _ => {}
            }
            if package.source.as_deref().is_some_and(|source| source != REGISTRY) {
                add("does not come from crates.io".into());
            }
        }
        problems.extend(LAYERS.iter().flat_map(|(name, banned)| self.wrong_layers(name, banned)));
        problems
    }

    fn wrong_layers(&self, name: &str, banned: &[&str]) -> Vec<Problem> {
        let Some((id, package)) = self.packages.iter().find(|(_, p)| p.name == name) else {
            return vec![Problem { package: name.into(), what: "is no package of this workspace".into() }];
        };
        let below = self.below(id).into_iter().filter_map(|id| self.packages.get(id));
        let wrong = below.filter(|p| banned.contains(&&*p.name));
        wrong.map(|p| package.problem(format!("must not depend on {}", p.name))).collect()
    }

    /// Everything that is linked into a package.
    fn below<'a>(&'a self, id: &'a str) -> BTreeSet<&'a str> {
        let (mut below, mut open) = (BTreeSet::new(), vec![id]);
        while let Some(id) = open.pop() {
            for link in self.packages.get(id).into_iter().flat_map(|p| &p.links) {
                if below.insert(link.as_str()) {
                    open.push(link);
                }
            }
        }
        below
    }
}

impl Package {
    fn problem(&self, what: String) -> Problem {
        Problem { package: format!("{} {}", self.name, self.version), what }
    }
}

/// Whether a licence expression can be met: by one side of an OR, by both of an AND. Parentheses are read as far as
/// crates use them, around the parts of an AND.
fn allowed(expression: &str) -> bool {
    let all = split_outside(expression, " AND ");
    if all.len() > 1 {
        return all.into_iter().all(allowed);
    }
    let part = expression.trim();
    if let Some(inner) = part.strip_prefix('(').and_then(|p| p.strip_suffix(')')) {
        return allowed(inner);
    }
    // A slash is how old manifests say OR.
    part.split(" OR ").flat_map(|p| p.split('/')).any(|licence| LICENCES.contains(&licence.trim()))
}

/// Cuts at a word that stands outside of parentheses.
fn split_outside<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let (mut parts, mut from) = (Vec::new(), 0);
    for (at, _) in text.match_indices(word) {
        let before = &text[..at];
        if before.matches('(').count() == before.matches(')').count() {
            parts.push(&text[from..at]);
            from = at + word.len();
        }
    }
    parts.push(&text[from..]);
    parts
}

/// Major, minor and patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

fn version(text: &str) -> Result<Version, Box<dyn Error>> {
    let mut parts = text.split('.').map(str::parse::<u32>);
    let mut next = || parts.next().unwrap_or(Ok(0));
    Ok(Version(next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_compiled_here_is_as_it_should_be() {
        let tree = Tree::read(&metadata(true).unwrap()).unwrap();
        assert_eq!(tree.problems(), []);
        assert!(tree.packages.len() > 20, "{}", tree.packages.len());
    }

    #[test]
    fn licences_are_read() {
        assert!(allowed("MIT"));
        assert!(allowed("MIT OR GPL-3.0"));
        assert!(allowed("MIT/Apache-2.0"));
        assert!(allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT"));
        assert!(!allowed("MIT AND GPL-3.0"));
        assert!(!allowed("(MIT OR Apache-2.0) AND MPL-2.0"));
        assert!(!allowed("GPL-3.0"));
    }

    #[test]
    fn what_is_wrong_is_found() {
        let package = |name: &str, licence: &str, rust: &str, source: Value| json!({"id": name, "name": name, "version": "1.0.0", "license": licence, "rust_version": rust, "source": source});
        let links = |id: &str, to: &[&str]| {
            let deps: Vec<Value> =
                to.iter().map(|t| json!({"pkg": t, "dep_kinds": [{"kind": null}]})).collect();
            json!({"id": id, "deps": deps})
        };
        let ours = ["kafka-proto", "kafka-blocking", "kafka-testkit"];
        let mut packages: Vec<Value> = ours.iter().map(|n| package(n, "MIT", "1.88", Value::Null)).collect();
        packages.push(package("kafka-core", "MIT", "1.88", Value::Null));
        packages.push(package("between", "GPL-3.0", "1.89", json!(REGISTRY)));
        packages.push(package("tokio", "MIT", "1.71", json!("git+https://example.org/tokio")));
        let mut nodes: Vec<Value> = ours.iter().map(|n| links(n, &[])).collect();
        nodes.push(links("kafka-core", &["between"]));
        nodes.push(links("between", &["tokio"]));
        nodes.push(links("tokio", &[]));
        let tree = Tree::read(&json!({"packages": packages, "resolve": {"nodes": nodes}})).unwrap();
        let found: Vec<String> = tree.problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "between 1.0.0: the licence GPL-3.0 is not in the list",
                "between 1.0.0: needs Rust 1.89.0, we promise 1.88.0",
                "tokio 1.0.0: does not come from crates.io",
                "kafka-core 1.0.0: must not depend on tokio",
            ]
        );
    }
}
