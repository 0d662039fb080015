//! What the generated `write` and `read` of a structure do, field by field.

use super::model::{Field, Struct, Versions};
use std::fmt::Write;

/// What is done with plain fields that follow each other, in the versions that have them.
struct Part<'a> {
    /// The test for the versions; `None` where it always holds.
    versions: Option<String>,
    steps: Vec<Step<'a>>,
}

/// Fields that are read and written by one line.
enum Step<'a> {
    /// Of fixed length, at least two.
    Run(Vec<&'a Field>),
    One(&'a Field),
}

/// As many values as `wire::Run` has tuples for.
const LONGEST_RUN: usize = 8;

/// The plain fields in their order; neighbours of the same versions together.
fn parts(s: &Struct) -> Vec<Part<'_>> {
    let fields: Vec<&Field> = s.plain().collect();
    let versions = |f: &Field| condition(f.versions, s.used);
    let same = fields.chunk_by(|a, b| versions(a) == versions(b));
    same.map(|fields| Part { versions: versions(fields[0]), steps: steps(fields) }).collect()
}

fn steps<'a>(fields: &[&'a Field]) -> Vec<Step<'a>> {
    let alike = fields.chunk_by(|a, b| a.is_fixed() && b.is_fixed());
    let cut = alike.flat_map(|fields| fields.chunks(LONGEST_RUN));
    cut.map(|fields| if let [one] = fields { Step::One(one) } else { Step::Run(fields.to_vec()) }).collect()
}

impl<'a> Part<'a> {
    fn fields(&self) -> impl Iterator<Item = &'a Field> {
        self.steps.iter().flat_map(|step| match step {
            Step::Run(fields) => fields.clone(),
            Step::One(field) => vec![*field],
        })
    }
}

pub(crate) fn write_fn(out: &mut String, s: &Struct) {
    let mut body = String::new();
    parts(s).iter().for_each(|part| write_part(&mut body, s, part));
    write_tags(&mut body, s);
    let (sink, version) = (used(&body, "s"), used(&body, "v"));
    line!(out, "fn write<S: Sink>(&self, {sink}: &mut S, {version}: i16) {{\n{body}}}\n");
}

/// The name of a parameter, or `_` where the body does not use it.
fn used<'a>(body: &str, parameter: &'a str) -> &'a str {
    let mut words = body.split(|c: char| !c.is_alphanumeric() && c != '_');
    if words.any(|word| word == parameter) { parameter } else { "_" }
}

fn write_part(out: &mut String, s: &Struct, part: &Part) {
    if let Some(versions) = &part.versions {
        line!(out, "if {versions} {{");
    }
    for step in &part.steps {
        match step {
            Step::Run(fields) => {
                let values: Vec<_> = fields.iter().map(|f| format!("self.{}", f.ident())).collect();
                line!(out, "s.run(&[{}], ({}));", names(fields), values.join(", "));
            }
            Step::One(field) => line!(out, "{};", put(s, field)),
        }
    }
    if part.versions.is_some() {
        let lost: Vec<_> = part.fields().filter(|f| !f.ignorable).collect();
        if !lost.is_empty() {
            line!(out, "}} else {{");
        }
        for field in lost {
            line!(out, "s.absent(\"{}\", {});", field.name, field.is_default(s));
        }
        line!(out, "}}");
    }
}

/// Names of fields, in quotes.
fn names(fields: &[&Field]) -> String {
    fields.iter().map(|f| format!("\"{}\"", f.name)).collect::<Vec<_>>().join(", ")
}

fn put(s: &Struct, field: &Field) -> String {
    let (name, ident) = (&field.name, field.ident());
    match field.sometimes_null(s) {
        _ if field.classic => format!("s.classic(\"{name}\", self.{ident}.as_ref())"),
        _ if field.tag.is_some() && field.is_nullable_struct(s) => {
            format!("s.option(\"{name}\", self.{ident}.as_ref(), true, v)")
        }
        _ if field.is_fixed() => format!("s.fixed(\"{name}\", self.{ident})"),
        Some(nullable) => format!("put_nullable(&self.{ident}, s, \"{name}\", {nullable}, v)"),
        None => format!("self.{ident}.put(s, \"{name}\", v)"),
    }
}

fn write_tags(out: &mut String, s: &Struct) {
    let tagged: Vec<_> = s.tagged().collect();
    if !s.is_flexible() {
        return;
    }
    if tagged.is_empty() {
        line!(out, "s.no_tags(&self.unknown_tags);");
        return;
    }
    line!(out, "let set = [");
    for field in &tagged {
        line!(out, "{},", set_tag(s, field));
    }
    line!(out, "];\ns.begin_tags(&set, &self.unknown_tags);");
    for (i, field) in tagged.iter().enumerate() {
        line!(out, "s.tag(set[{i}], {i}, &self.unknown_tags, |s| {});", put(s, field));
    }
    line!(out, "s.end_tags({}, &self.unknown_tags);", tagged.len());
}

/// Whether a tagged field is written.
fn set_tag(s: &Struct, field: &Field) -> String {
    let default = field.is_default(s);
    match (condition(field.versions, s.used), field.ignorable) {
        (None, _) => negated(&default),
        (Some(versions), true) => format!("{versions} && {}", negated(&default)),
        (Some(versions), false) => format!("s.sets({versions}, \"{}\", {default})", field.name),
    }
}

fn negated(condition: &str) -> String {
    if let Some(place) = condition.strip_suffix(".is_none()") {
        return format!("{place}.is_some()");
    }
    if let Some((place, rest)) = condition.split_once(".is_some_and(|x| ") {
        return format!("{place}.is_none_or(|x| {})", negated(rest.strip_suffix(')').unwrap_or(rest)));
    }
    match (condition.strip_prefix('!'), condition.split_once(" == ")) {
        (Some(positive), _) => positive.to_owned(),
        (_, Some((left, right))) => format!("{left} != {right}"),
        _ => format!("!{condition}"),
    }
}

pub(crate) fn read_fn(out: &mut String, s: &Struct) {
    let mut body = String::new();
    parts(s).iter().for_each(|part| read_part(&mut body, s, part));
    read_tags(&mut body, s);
    let (source, version) = (used(&body, "r"), used(&body, "v"));
    line!(out, "fn read<R: Source>(&mut self, {source}: &mut R, {version}: i16) {{\n{body}}}");
}

fn read_part(out: &mut String, s: &Struct, part: &Part) {
    if let Some(versions) = &part.versions {
        line!(out, "if {versions} {{");
    }
    for step in &part.steps {
        match step {
            Step::Run(fields) => {
                let places: Vec<_> = fields.iter().map(|f| format!("self.{}", f.ident())).collect();
                line!(out, "({}) = r.run(&[{}]);", places.join(", "), names(fields));
            }
            Step::One(field) => line!(out, "{};", fill(s, field)),
        }
    }
    if part.versions.is_some() {
        line!(out, "}}");
    }
}

fn fill(s: &Struct, field: &Field) -> String {
    let (name, ident) = (&field.name, field.ident());
    match field.sometimes_null(s) {
        _ if field.classic => format!("self.{ident} = r.classic(\"{name}\", true)"),
        _ if field.lenient => format!("self.{ident} = r.bytes(\"{name}\", true).unwrap_or_default()"),
        _ if field.tag.is_some() && field.is_nullable_struct(s) => {
            format!("self.{ident} = r.option(\"{name}\", true, v)")
        }
        _ if field.is_fixed() => format!("self.{ident} = r.fixed(\"{name}\")"),
        Some(nullable) => format!("fill_nullable(&mut self.{ident}, r, \"{name}\", {nullable}, v)"),
        None => format!("self.{ident}.fill(r, \"{name}\", v)"),
    }
}

fn read_tags(out: &mut String, s: &Struct) {
    let tagged: Vec<_> = s.tagged().collect();
    if !s.is_flexible() {
        return;
    }
    if tagged.is_empty() {
        line!(out, "self.unknown_tags = r.no_tags();");
        return;
    }
    line!(out, "self.unknown_tags = r.tags(&[{}], &mut |r, tag| {{\nmatch tag {{", names(&tagged));
    for (i, field) in tagged.iter().enumerate() {
        let guard =
            condition(field.versions, s.used.and(s.flexible)).map_or(String::new(), |c| format!(" if {c}"));
        line!(out, "{i}{guard} => {},", fill(s, field));
    }
    line!(out, "_ => return false,\n}}\ntrue\n}});");
}

/// The test for a range, given that the version is one of `used`; `None` where it always holds.
pub(crate) fn condition(range: Versions, used: Versions) -> Option<String> {
    match (range.0 > used.0, range.1 < used.1) {
        (false, false) => None,
        (true, false) => Some(format!("v >= {}", range.0)),
        (false, true) if range.1 == used.0 => Some(format!("v == {}", range.1)),
        (false, true) => Some(format!("v <= {}", range.1)),
        (true, true) if range.0 == range.1 => Some(format!("v == {}", range.0)),
        (true, true) => Some(format!("({}..={}).contains(&v)", range.0, range.1)),
    }
}
