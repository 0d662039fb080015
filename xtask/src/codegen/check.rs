//! What the grammar cannot say about a schema file.

use super::grammar::{Literal, UnitKind};
use super::model::{Base, Field, File, Struct, Unit, Versions};

/// All that is wrong, each with its line where there is one.
pub(crate) fn check(file: &File) -> Vec<String> {
    let mut wrong = Vec::new();
    for unit in &file.units {
        check_unit(unit, &mut wrong);
    }
    for s in &file.structs {
        if s.message.is_empty() {
            wrong.push(format!("structure {} is not used", s.name));
        }
        check_struct(s, &mut wrong);
    }
    wrong
}

fn check_unit(unit: &Unit, wrong: &mut Vec<String>) {
    let name = &unit.name;
    if unit.table.is_empty() {
        wrong.push(format!("{name} has no versions"));
    }
    if unit.table.windows(2).any(|pair| pair[1].0.number != pair[0].0.number + 1) {
        wrong.push(format!("{name}'s versions have a gap"));
    }
    if unit.table.iter().filter(|(v, _)| v.flexible).count() > 1 {
        wrong.push(format!("{name} says `flexible` twice"));
    }
    let expected = match unit.kind {
        UnitKind::Api | UnitKind::Record => 2,
        UnitKind::Header | UnitKind::Data | UnitKind::Metadata => 1,
    };
    if unit.messages.len() != expected {
        wrong.push(format!("{name} has {} messages, {expected} are expected", unit.messages.len()));
    }
}

fn check_struct(s: &Struct, wrong: &mut Vec<String>) {
    for (i, field) in s.fields.iter().enumerate() {
        let mut complain =
            |what: &str| wrong.push(format!("{}: {}.{}: {what}", field.line, s.name, field.name));
        if s.fields[..i].iter().any(|f| f.name == field.name) {
            complain("the name is there already");
        }
        check_versions(s, field, &mut complain);
        check_default(s, field, &mut complain);
        if field.lenient && (field.base != Base::Bytes || field.array || field.is_option(s)) {
            complain("only bytes that cannot be null can be lenient");
        }
        if field.classic && (field.base != Base::String || !field.is_option(s)) {
            complain("only a string that may be null can be classic");
        }
    }
    check_tags(s, wrong);
}

/// The highest version of an open range counts as the newest.
fn inside(range: Versions, outer: Versions) -> bool {
    range.0 >= outer.0 && (range.1 == i16::MAX || range.1 <= outer.1) && range.0 <= outer.1
}

fn check_versions(s: &Struct, field: &Field, complain: &mut impl FnMut(&str)) {
    if field.versions != Versions::ALL && !inside(field.versions, s.used) {
        complain("its versions are not inside those of the structure");
    }
    let present = field.versions.and(s.used);
    if !field.nullable.is_empty() && field.nullable != Versions::ALL && !inside(field.nullable, present) {
        complain("the versions that may be null are not inside those of the field");
    }
    let whole = field.nullable.and(s.used).covers(present);
    if field.is_option(s) && field.base == Base::Struct && !field.array && !whole {
        complain("a structure may be null in all its versions or in none");
    }
}

fn check_default(s: &Struct, field: &Field, complain: &mut impl FnMut(&str)) {
    let fits = match (&field.default, field.array, field.base) {
        (None, ..) => true,
        (Some(Literal::Null), ..) => field.nullable.and(s.used).covers(field.versions.and(s.used)),
        (Some(_), true, _) => false,
        (Some(Literal::Bool(_)), _, base) => base == Base::Bool,
        (Some(Literal::Int { value, .. }), _, base) => {
            bounds(base).is_some_and(|(low, high)| low <= *value && *value <= high)
        }
    };
    if !fits {
        complain("the default does not fit the type, or is null where not all versions may be");
    }
}

fn bounds(base: Base) -> Option<(i64, i64)> {
    Some(match base {
        Base::Int8 => (i8::MIN.into(), i8::MAX.into()),
        Base::Int16 => (i16::MIN.into(), i16::MAX.into()),
        Base::Int32 => (i32::MIN.into(), i32::MAX.into()),
        Base::Int64 => (i64::MIN, i64::MAX),
        Base::Uint16 => (0, u16::MAX.into()),
        Base::Uint32 => (0, u32::MAX.into()),
        _ => return None,
    })
}

fn check_tags(s: &Struct, wrong: &mut Vec<String>) {
    let mut next = 0;
    for field in &s.fields {
        let mut complain =
            |what: &str| wrong.push(format!("{}: {}.{}: {what}", field.line, s.name, field.name));
        match field.tag {
            None if next > 0 => complain("it stands behind a tagged field"),
            None => {}
            Some(tag) if tag != next => complain("tags count from 0 without a gap"),
            Some(_) => {
                next += 1;
                if field.versions.1 != i16::MAX {
                    complain("a tagged field cannot end");
                }
                if s.flexible.is_empty() || field.versions.and(s.used).0 < s.flexible.0 {
                    complain("only flexible versions have tagged fields");
                }
            }
        }
    }
}
