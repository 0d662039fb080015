//! The one layout of a schema file: attributes of a block in one column, comments in another.

use super::grammar::{self, Block, Field, Item, Line, Literal, Range, Unit, UnitKind, Version};
use std::fmt::Write;

/// A file's text as it has to be. The text has been parsed before, so that every line is one.
pub(crate) fn canonical(text: &str) -> String {
    let lines: Vec<Line> = text.lines().filter_map(|line| grammar::line(line).ok()).collect();
    let mut out = String::new();
    let mut blank = true;
    for group in groups(&lines) {
        if group.iter().all(is_empty) {
            if !blank {
                out.push('\n');
            }
            blank = true;
        } else {
            print(&mut out, group);
            blank = false;
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn is_empty(line: &Line) -> bool {
    line.item == Item::Blank && line.comment.is_none()
}

/// Lines whose columns belong together: what stands between empty lines.
fn groups(lines: &[Line]) -> impl Iterator<Item = &[Line]> {
    lines.chunk_by(|a, b| is_empty(a) == is_empty(b))
}

/// What comes first on a line, and its attributes.
struct Cells {
    head: String,
    attributes: String,
}

fn print(out: &mut String, group: &[Line]) {
    let notes =
        group.iter().filter_map(|l| if let Item::Note(n) = &l.item { Some(n.word.len()) } else { None });
    let note_width = notes.max().unwrap_or(0);
    let number_width =
        if group.iter().any(|l| matches!(&l.item, Item::Version(v) if v.number > 9)) { 2 } else { 1 };
    let cells: Vec<Cells> = group.iter().map(|line| cells(line, note_width, number_width)).collect();
    let column =
        cells.iter().filter(|c| !c.attributes.is_empty()).map(|c| c.head.len()).max().unwrap_or(0) + 2;
    let texts: Vec<String> = cells.iter().map(|c| join(c, column)).collect();
    let commented = texts.iter().zip(group).filter(|(text, line)| line.comment.is_some() && !text.is_empty());
    let comments = commented.map(|(text, _)| text.len() + 2).max().unwrap_or(0).max(column);
    for (text, line) in texts.iter().zip(group) {
        match &line.comment {
            None => line!(out, "{text}"),
            Some(comment) if line.item == Item::Blank => line!(out, "{}# {comment}", "  ".repeat(line.depth)),
            Some(comment) => line!(out, "{text:comments$}# {comment}"),
        }
    }
}

fn join(cells: &Cells, column: usize) -> String {
    let Cells { head, attributes } = cells;
    if attributes.is_empty() { head.clone() } else { format!("{head:column$}{attributes}") }
}

fn cells(line: &Line, note_width: usize, number_width: usize) -> Cells {
    let (head, attributes) = match &line.item {
        Item::Blank => (String::new(), String::new()),
        Item::Unit(unit) => (unit_text(unit), String::new()),
        Item::Note(note) => (format!("{:note_width$} {}", note.word, note.args.join(" ")), String::new()),
        Item::Version(version) => version_text(version, number_width),
        Item::Block(block) => (block_text(block), String::new()),
        Item::Field(field) => (field_text(field), attributes(field)),
    };
    Cells { head: format!("{}{head}", "  ".repeat(line.depth)), attributes }
}

fn unit_text(unit: &Unit) -> String {
    let kind = match unit.kind {
        UnitKind::Api => "api",
        UnitKind::Header => "header",
        UnitKind::Data => "data",
        UnitKind::Record => "record",
        UnitKind::Metadata => "metadata",
    };
    let code = unit.code.map_or(String::new(), |code| format!("{code} "));
    format!("{kind} {code}{}", unit.name)
}

fn version_text(version: &Version, number_width: usize) -> (String, String) {
    let Version { number, release, flexible, until, unstable } = version;
    let mut flags = Vec::new();
    flags.extend(flexible.then(|| "flexible".to_owned()));
    flags.extend(until.as_ref().map(|release| format!("until {release}")));
    flags.extend(unstable.then(|| "unstable".to_owned()));
    (format!("version {number:<number_width$}  {release}"), flags.join("  "))
}

fn block_text(block: &Block) -> String {
    match block {
        Block::Request => "request".to_owned(),
        Block::Response => "response".to_owned(),
        Block::Key => "key".to_owned(),
        Block::Value => "value".to_owned(),
        Block::Body => "body".to_owned(),
        Block::Struct(name) => format!("struct {name}"),
    }
}

fn field_text(field: &Field) -> String {
    let array = if field.array { "[]" } else { "" };
    let null = match field.nullable {
        None => String::new(),
        Some(Range { low: 0, high: None }) => "?".to_owned(),
        Some(range) => format!("?{}", range_text(range)),
    };
    format!("{}: {array}{}{null}", field.name, field.type_name)
}

fn attributes(field: &Field) -> String {
    let mut words = Vec::new();
    words.extend(field.versions.map(range_text));
    words.extend(field.tag.map(|tag| format!("tag {tag}")));
    words.extend(field.default.as_ref().map(|literal| format!("= {}", literal_text(literal))));
    let flags = [
        (field.key, "key"),
        (field.ignorable, "ignorable"),
        (field.classic, "classic"),
        (field.lenient, "lenient"),
    ];
    words.extend(flags.into_iter().filter(|(set, _)| *set).map(|(_, word)| word.to_owned()));
    words.join("  ")
}

fn range_text(range: Range) -> String {
    match range.high {
        None => format!("{}+", range.low),
        Some(high) if high == range.low => high.to_string(),
        Some(high) => format!("{}-{high}", range.low),
    }
}

fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".to_owned(),
        Literal::Bool(value) => value.to_string(),
        Literal::Int { value, hex: true } => format!("{value:#x}"),
        Literal::Int { value, hex: false } => value.to_string(),
    }
}
