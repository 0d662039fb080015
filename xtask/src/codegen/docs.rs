//! Documentation of what is generated.

use super::grammar::UnitKind;
use super::model::{Base, Field, File, Struct, Unit, Versions};

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

/// Of a field.
pub(crate) fn field(field: &Field, s: &Struct) -> Vec<String> {
    let mut lines = field.docs.clone();
    if lines.is_empty() {
        let mut words = field.name.replace('_', " ");
        words[..1].make_ascii_uppercase();
        lines.push(words);
    }
    let last = lines.last_mut().filter(|l| !l.ends_with(['.', ':', ')']));
    last.into_iter().for_each(|l| l.push('.'));
    let versions = versions(field.versions, s.used);
    if !versions.is_empty() {
        lines.push(versions);
    }
    if field.base == Base::Struct && field.is_option(s) && !field.array {
        lines.push("May be null.".to_owned());
    }
    lines
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
