//! The rooms of kafka-core stand above each other, and what is written in one names only those below it.
//!
//! Invariants
//! * No arrow points up, and none goes between two rooms of one storey but those of [`BESIDE`].
//! * The client names no machine, and no machine names the client.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up.
const STOREYS: [&[&str]; 17] = [
    &["sync", "stats", "random", "unwind"],
    &["tape"],
    &["error"],
    &["address"],
    &["trace", "declare", "snapshot"],
    &["link"],
    &["machine"],
    &["message", "trouble", "sasl"],
    &["group", "reader", "writer"],
    &["settings"],
    &["reading"],
    &["client"],
    &["sans_io"],
    &["record"],
    &["replay"],
    &["rt"],
    &["runtime"],
];

/// Machines that hold one another.
const BESIDE: [(&str, &str); 0] = [];

#[test]
fn no_arrow_points_up() {
    let arrows = arrows(&source());
    assert!(arrows.len() > 40, "{arrows:?}");
    let is_allowed = |arrow: &(String, String)| {
        let arrow = (arrow.0.as_str(), arrow.1.as_str());
        BESIDE.contains(&arrow) || storey(arrow.0) > storey(arrow.1)
    };
    let wrong: Vec<_> = arrows.iter().filter(|arrow| !is_allowed(arrow)).collect();
    assert!(wrong.is_empty(), "arrows that point up, or beside: {wrong:?}");
}

#[test]
fn arrows_are_found_where_they_are() {
    let code = "use crate::client::{Client, Event};\nuse super::machine::x;\n// use crate::rt;\nuse crate::{link, group::a};\n\
                impl crate::trace::Told for X {} // see crate::rt\n$crate::writer::X; fn f(x: crate::config::Y) {}";
    let found: Vec<_> = targets(code).collect();
    assert_eq!(found, ["client", "link", "group", "trace", "settings"]);
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../kafka-core/src")
}

fn storey(room: &str) -> usize {
    let at = STOREYS.iter().position(|storey| storey.contains(&room));
    at.unwrap_or_else(|| panic!("{room} stands on no storey: give it one in this test"))
}

fn arrows(source: &Path) -> BTreeSet<(String, String)> {
    let mut arrows = BTreeSet::new();
    for file in files(source) {
        let Some(from) = room(source, &file) else { continue };
        let text = fs::read_to_string(&file).unwrap();
        // Tests may look at everything.
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let to = targets(code).filter(|to| *to != from).map(str::to_owned);
        arrows.extend(to.filter(|to| is_room(source, to)).map(|to| (from.clone(), to)));
    }
    arrows
}

/// The room that a file belongs to; `None` for tests and for what only measures. Settings are a room of their own, wherever
/// they stand.
fn room(source: &Path, file: &Path) -> Option<String> {
    let path = file.strip_prefix(source).unwrap();
    let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
    let name = parts.last()?.trim_end_matches(".rs");
    let is_test = parts.iter().any(|part| part.trim_end_matches(".rs") == "tests") || name == "interleavings";
    match parts[0].trim_end_matches(".rs") {
        _ if is_test => None,
        "lib" | "workloads" | "items" => None,
        _ if name == "config" => Some("settings".into()),
        first => Some(first.into()),
    }
}

fn is_room(source: &Path, name: &str) -> bool {
    source.join(name).is_dir() || source.join(format!("{name}.rs")).is_file()
}

/// The rooms that some code names, by `use` or in a path; `config` counts as what it is. Comments name what they like.
fn targets(code: &str) -> impl Iterator<Item = &str> {
    let parts = code.split("crate::").collect::<Vec<_>>();
    let named = parts.windows(2).filter(|pair| is_code(pair[0])).map(|pair| pair[1]).collect::<Vec<_>>();
    named.into_iter().flat_map(|path| match path.strip_prefix('{') {
        Some(list) => {
            list.split(['}', ';']).next().unwrap_or_default().split(',').map(first_segment).collect()
        }
        None => vec![first_segment(path)],
    })
}

/// Whether what stands before a path lets it be one of this crate: no comment, no macro's `$crate`.
fn is_code(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or_default();
    !line.contains("//") && !before.ends_with('$')
}

fn first_segment(path: &str) -> &str {
    let end = path.trim().find(|c: char| !c.is_alphanumeric() && c != '_');
    let segment = &path.trim()[..end.unwrap_or(path.trim().len())];
    if segment == "config" { "settings" } else { segment }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    files.chain(folders.iter().flat_map(|folder| self::files(folder))).collect()
}
