//! Documentation of what is generated.

use super::grammar::UnitKind;
use super::model::{Field, File, Struct, Unit, Versions};

/// Of a module.
pub(crate) fn module(file: &File) -> Vec<String> {
    let names: Vec<_> = file.units.iter().map(|u| format!("`{}`", u.name)).collect();
    let mut lines =
        vec![format!("{}: {}.", if names.len() > 1 { "Messages" } else { "Message pair" }, names.join(", "))];
    for unit in &file.units {
        lines.push(String::new());
        lines.extend(unit.docs.iter().cloned());
        lines.extend(unit.table.iter().map(|(v, meaning)| {
            let until = v.until.as_ref().map_or(String::new(), |r| format!(", until {r}"));
            let flexible = if v.flexible { ", flexible from here on" } else { "" };
            let unstable = if v.unstable { ", not stable" } else { "" };
            let meaning = if meaning.is_empty() { String::new() } else { format!(": {}", meaning.join(" ")) };
            format!("* version {}: Kafka {}{until}{flexible}{unstable}{meaning}", v.number, v.release)
        }));
    }
    lines
}

/// Of an API key.
pub(crate) fn api(unit: &Unit) -> Vec<String> {
    let valid = unit.valid();
    let mut lines = unit.docs.clone();
    lines.push(format!("`{}`, versions {} to {}.", unit.name, valid.0, valid.1));
    lines
}

/// Of a structure or message.
pub(crate) fn structure(file: &File, s: &Struct) -> Vec<String> {
    if !s.docs.is_empty() {
        return s.docs.clone();
    }
    let message = file
        .units
        .iter()
        .flat_map(|u| u.messages.iter().map(move |m| (u, m)))
        .find(|(_, m)| m.name == s.name);
    vec![match message {
        Some((u, m)) if u.kind == UnitKind::Api => {
            format!("The {} of [`{}`](crate::ApiKey::{1}).", format!("{:?}", m.block).to_lowercase(), u.name)
        }
        Some((_, m)) => format!("`{}`.", m.name),
        None => format!("A part of [`{}`].", s.message),
    }]
}

/// Texts of `schema/glossary.txt`: what a field means wherever its name stands without a comment of its own.
const GLOSSARY: &str = include_str!("../../../kafka-proto/schema/glossary.txt");

fn glossary(name: &str) -> Option<&'static str> {
    GLOSSARY
        .lines()
        .find_map(|line| line.split_once(' ').filter(|(word, _)| *word == name))
        .map(|(_, text)| text)
}

/// Of a field.
pub(crate) fn field(field: &Field, s: &Struct) -> Vec<String> {
    let mut lines = field.docs.clone();
    if lines.is_empty() {
        lines.push(glossary(&field.name).map_or_else(|| in_words(&field.name), str::to_owned));
    }
    if let Some(first) =
        lines.first_mut().filter(|l| l.chars().nth(1).is_some_and(|c| c.is_ascii_lowercase()))
    {
        first[..1].make_ascii_uppercase();
    }
    let last = lines.last_mut().filter(|l| !l.ends_with(['.', ':', ')']));
    last.into_iter().for_each(|l| l.push('.'));
    let mut facts = vec![versions(field.versions, s.used)];
    facts.push(nullability(field, s));
    let value = field.default_value(s);
    if field.default.is_some() && value != "None" {
        facts.push(format!("Default: `{value}`."));
    }
    facts.retain(|fact| !fact.is_empty());
    if !facts.is_empty() {
        lines.push(facts.join(" "));
    }
    lines
}

/// A name as a sentence.
fn in_words(name: &str) -> String {
    let (name, unit) = match (name.strip_suffix("_timestamp_ms"), name.strip_suffix("_ms")) {
        (Some(time), _) => (format!("{time}_time"), ", in milliseconds since 1970"),
        (_, Some(span)) => (span.to_owned(), ", in milliseconds"),
        _ => (name.to_owned(), ""),
    };
    let mut words = format!("The {}{unit}", name.replace('_', " "));
    if let Some(rest) = words.strip_prefix("The is ") {
        words = format!("Whether it is {rest}");
    }
    if let Some(rest) = words.strip_prefix("The include ") {
        words = format!("Whether to tell of {rest}");
    }
    words
}

fn nullability(field: &Field, s: &Struct) -> String {
    let all = field.nullable.and(s.used).covers(field.versions.and(s.used));
    match (field.is_option(s), all) {
        (false, _) if field.lenient => "Null is read as empty.".to_owned(),
        (false, _) => String::new(),
        (true, true) => "May be null.".to_owned(),
        (true, false) => format!("May be null: {}", versions(field.nullable, s.used).to_lowercase()),
    }
}

fn versions(range: Versions, used: Versions) -> String {
    match (range.0 > used.0, range.1 < used.1) {
        (false, false) => String::new(),
        (true, false) => format!("From version {} on.", range.0),
        _ if range.0.max(used.0) == range.1 => format!("In version {} only.", range.1),
        (false, true) => format!("Up to version {}.", range.1),
        (true, true) => format!("In versions {} to {}.", range.0, range.1),
    }
}
