//! The byte layout of each version in one line, without any name: what `schema/shapes.txt` holds.

use super::grammar::Literal;
use super::model::{Base, Field, File, Message, Struct, Versions};

/// One line a request or response and version, sorted as Kafka's names are.
pub(crate) fn shapes(files: &[File]) -> Vec<String> {
    let mut messages: Vec<(&File, &Message)> = files
        .iter()
        .flat_map(|f| f.units.iter().filter(|u| u.kind == super::grammar::UnitKind::Api).map(move |u| (f, u)))
        .flat_map(|(f, u)| u.messages.iter().map(move |m| (f, m)))
        .collect();
    messages.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    let lines = messages.into_iter().flat_map(|(file, message)| {
        (message.valid.0..=message.valid.1).map(move |v| {
            let s = find(file, &message.name);
            let shape = s.map_or(String::new(), |s| shape(file, message.flexible, s, Versions::ALL, v));
            format!("{} v{v} {}", message.name, if shape.is_empty() { "-" } else { &shape })
        })
    });
    lines.collect()
}

fn find<'a>(file: &'a File, name: &str) -> Option<&'a Struct> {
    file.structs.iter().find(|s| s.name == name)
}

fn shape(file: &File, flexible: Versions, s: &Struct, outer: Versions, v: i16) -> String {
    let is_flexible = flexible.has(v);
    let present = |f: &&Field| f.versions.and(outer).has(v);
    let mut words: Vec<String> =
        s.plain().filter(present).map(|f| field(file, flexible, f, f.versions.and(outer), v)).collect();
    if is_flexible {
        let tags = s.tagged().filter(present).map(|f| {
            let layout = field(file, flexible, f, f.versions.and(outer), v);
            format!("{}:{layout}={}", f.tag.unwrap_or_default(), default(f))
        });
        words.push(format!("<{}>", tags.collect::<Vec<_>>().join(" ")));
    }
    words.join(" ")
}

fn field(file: &File, flexible: Versions, f: &Field, versions: Versions, v: i16) -> String {
    let compact = if flexible.has(v) { "c" } else { "" };
    let mut text = match (f.base, find(file, &f.type_name)) {
        (Base::Struct, Some(s)) => format!("{{{}}}", shape(file, flexible, s, versions, v)),
        (Base::String | Base::Bytes | Base::Records, _) if !f.classic => {
            format!("{compact}{}", f.base.name())
        }
        _ => f.base.name().to_owned(),
    };
    if f.array {
        text = format!("{compact}[{text}]");
    }
    if f.nullable.has(v) { text + "?" } else { text }
}

fn default(f: &Field) -> String {
    match (&f.default, f.array, f.base) {
        (Some(Literal::Null), ..) => "null".to_owned(),
        (Some(Literal::Int { value, .. }), ..) => value.to_string(),
        (Some(Literal::Bool(value)), ..) => value.to_string(),
        (None, true, _) => "[]".to_owned(),
        (None, _, Base::Struct) => "{}".to_owned(),
        (None, _, Base::Bool) => "false".to_owned(),
        (None, _, Base::Float64) => "0.0".to_owned(),
        (None, _, Base::Uuid) => "zero".to_owned(),
        (None, _, Base::Bytes) => "empty".to_owned(),
        (None, _, Base::Records) => "null".to_owned(),
        (None, _, Base::String) => "\"\"".to_owned(),
        (None, ..) => "0".to_owned(),
    }
}
