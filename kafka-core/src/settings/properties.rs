//! Settings by the names of Java's clients, as a map or as the text of a `.properties` file.
//!
//! * Each property is used, refused, or reported as unused with the reason; none is dropped silently.
//! * Properties of security are refused, as a client that ignored them would talk in the clear.
//! * Values are kept nowhere but in the settings they become, so that no `Debug` and no error can show a secret.

use super::draft::{Declared, Defaults, Draft};
use super::java::{self, Fate};
use super::pairs;
use super::values::translated;
use crate::config::ClientConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::reader::{Reset, Start};
use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// A property that had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnusedProperty {
    /// Its name. The value is kept nowhere.
    pub name: String,
    /// Why it had none.
    pub reason: Unused,
}

/// Why a property had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unused {
    /// Neither this library nor Java's clients know it.
    Unknown {
        /// A known name that looks like it.
        nearest: Option<&'static str>,
    },
    /// Java's clients know it, but it has no meaning here.
    Ignored(&'static str),
}

impl fmt::Display for UnusedProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.reason {
            Unused::Unknown { nearest: None } => write!(f, "`{name}` is unknown"),
            Unused::Unknown { nearest: Some(nearest) } => {
                write!(f, "`{name}` is unknown, perhaps `{nearest}` is meant")
            }
            Unused::Ignored(why) => write!(f, "`{name}` is ignored: {why}"),
        }
    }
}

/// What became of properties.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) client: Draft<ClientConfig>,
    pub(crate) defaults: Defaults,
    pub(crate) unused: Vec<UnusedProperty>,
}

/// Takes all settings from properties; of two with one name the later counts.
pub(crate) fn read<K: Into<String>, V: Into<String>>(
    properties: impl IntoIterator<Item = (K, V)>,
) -> Result<Outcome> {
    let map: BTreeMap<String, String> =
        properties.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let mut outcome = Outcome::default();
    for (name, value) in &map {
        if let Some(reason) = outcome.take(name, value, &map)? {
            outcome.unused.push(UnusedProperty { name: name.clone(), reason });
        }
    }
    outcome.defaults.start = start(&outcome.defaults);
    outcome.check_pairs().map_err(in_javas_words)?;
    Ok(outcome)
}

impl Outcome {
    /// Refuses properties that contradict each other now, and not where a writer or reader is made.
    fn check_pairs(&self) -> Result<()> {
        pairs::client(&mut self.client.clone())?;
        let defaults = self.defaults.clone();
        pairs::writer(&mut defaults.writer.clone())?;
        pairs::reader(&mut defaults.reader.clone(), self.client.config.max_response_bytes)?;
        pairs::group(&mut defaults.group.clone())
    }

    /// Uses a property, or returns why not.
    fn take(&mut self, name: &str, value: &str, all: &BTreeMap<String, String>) -> Result<Option<Unused>> {
        if name == "security.protocol" {
            return plaintext(value).map(|()| None);
        }
        match java::fate(name) {
            Some((_, Fate::Ignored(why))) => return Ok(Some(Unused::Ignored(why))),
            Some(_) if is_said_to_be_plaintext(all) => return Ok(Some(Unused::Ignored(PLAINTEXT))),
            Some((setting, Fate::Refused)) => return Err(not_secure(setting, name)),
            None => {}
        }
        if is_level_of_another_codec(name, all) {
            return Ok(Some(Unused::Ignored("`compression.type` is another codec")));
        }
        let Some(value) = translated(name, value) else { return Ok(None) };
        let defaults = &mut self.defaults;
        let used = [
            Declared::read(&mut self.client, name, &value)?,
            Declared::read(&mut defaults.writer, name, &value)?,
            Declared::read(&mut defaults.reader, name, &value)?,
            Declared::read(&mut defaults.group, name, &value)?,
        ];
        Ok((!used.contains(&true)).then(|| Unused::Unknown { nearest: nearest(name) }))
    }
}

/// Names the setting, and others that the text names in backquotes, by their properties.
fn in_javas_words(error: Error) -> Error {
    let ErrorKind::Config { setting, problem } = error.kind() else { return error };
    let settings = super::all();
    let property =
        |name: &str| settings.iter().find(|it| it.name == name).and_then(|it| it.java.first().copied());
    let words = problem.split('`').enumerate().map(|(at, word)| match at % 2 {
        0 => word,
        _ => property(word).unwrap_or(word),
    });
    let problem = words.collect::<Vec<_>>().join("`");
    Error::config(property(setting).unwrap_or(setting), problem)
}

const NOT_SECURE: &str =
    "is not supported: this version speaks neither TLS nor SASL, and would not be secure";

const PLAINTEXT: &str = "`security.protocol` is PLAINTEXT";

/// Names the property also where Java does not know it.
fn not_secure(setting: &'static str, name: &str) -> Error {
    match setting == name {
        true => Error::config(setting, NOT_SECURE),
        false => Error::config(setting, format!("{NOT_SECURE} (it is `{name}`)")),
    }
}

/// The one protocol there is does not need to be told.
fn plaintext(value: &str) -> Result<()> {
    match is_plaintext(value) {
        true => Ok(()),
        false => Err(Error::config("security.protocol", NOT_SECURE)),
    }
}

fn is_plaintext(protocol: &str) -> bool {
    protocol.trim().eq_ignore_ascii_case("PLAINTEXT")
}

/// Java's clients ignore settings of TLS and SASL then.
fn is_said_to_be_plaintext(all: &BTreeMap<String, String>) -> bool {
    all.get("security.protocol").is_some_and(|protocol| is_plaintext(protocol))
}

fn is_level_of_another_codec(name: &str, all: &BTreeMap<String, String>) -> bool {
    let codec = name.strip_prefix("compression.").and_then(|rest| rest.strip_suffix(".level"));
    let chosen = all.get("compression.type").map_or("none", |codec| codec.trim());
    codec.is_some_and(|codec| !codec.eq_ignore_ascii_case(chosen))
}

/// Java's `auto.offset.reset` says where to begin as well. Without a group there is nothing that could have been committed,
/// so that `none` leaves the beginning to the builder.
fn start(defaults: &Defaults) -> Option<(Start, Start)> {
    if !defaults.reader.said.has("reset") {
        return None;
    }
    match defaults.reader.config.reset {
        Reset::First => Some((Start::First, Start::First)),
        Reset::Last => Some((Start::Last, Start::Last)),
        Reset::Error => Some((Start::First, Start::Committed)),
        Reset::Time(ms) => Some((Start::Time(ms), Start::Time(ms))),
    }
}

/// The known name that is nearest to one that is unknown, if it is near enough to be meant.
fn nearest(name: &str) -> Option<&'static str> {
    let of_settings = super::all().into_iter().flat_map(|setting| setting.java);
    let all = of_settings.copied().chain(java::names()).chain(["security.protocol"]);
    let (distance, nearest) = all.map(|known| (distance(name, known), known)).min()?;
    (distance <= 1 + name.chars().count() / 5).then_some(nearest)
}

/// How many characters have to be put in, taken out or replaced to make one of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(100).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Reads the text of a `.properties` file as Java does: `name=value`, `name: value` or `name value` in each line, comments that
/// begin with `#` or `!`, a `\` at the end of a line that goes on, and escapes such as `\t`, `\:` and `\u00e9`.
///
/// # Errors
/// [`ErrorKind::Config`](crate::error::ErrorKind::Config) with the number of a line that has a malformed `\u`.
pub fn parse_properties(text: &str) -> Result<Vec<(String, String)>> {
    let mut properties = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut line = blank_trimmed(line).to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while goes_on(&line) {
            line.pop();
            line.push_str(lines.next().map_or("", |(_, next)| blank_trimmed(next)));
        }
        let property = split(&line)
            .ok_or_else(|| Error::config("properties", format!("line {} has a malformed \\u", number + 1)))?;
        properties.push(property);
    }
    Ok(properties)
}

const BLANK: [char; 3] = [' ', '\t', '\x0c'];

fn blank_trimmed(line: &str) -> &str {
    line.trim_start_matches(BLANK)
}

/// Returns whether the next line belongs to this one: an odd number of backslashes ends it.
fn goes_on(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// Splits a line at the first `=`, `:` or blank that is not escaped.
fn split(line: &str) -> Option<(String, String)> {
    let mut rest = line.chars().peekable();
    let mut name = String::new();
    while let Some(c) = rest.next_if(|c| !"=:".contains(*c) && !BLANK.contains(c)) {
        name.push(unescaped(c, &mut rest)?);
    }
    while rest.next_if(|c| BLANK.contains(c)).is_some() {}
    rest.next_if(|c| "=:".contains(*c));
    while rest.next_if(|c| BLANK.contains(c)).is_some() {}
    let mut value = String::new();
    while let Some(c) = rest.next() {
        value.push(unescaped(c, &mut rest)?);
    }
    Some((name, value))
}

/// The character that begins with `c`; half of a pair of surrogates is replaced.
fn unescaped(c: char, rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    if c != '\\' {
        return Some(c);
    }
    Some(match rest.next() {
        Some('t') => '\t',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('f') => '\x0c',
        Some('u') => return unicode(rest),
        Some(other) => other,
        None => return Some('\\'),
    })
}

fn unicode(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    let high = unit(rest)?;
    let mut ahead = rest.clone();
    let low =
        match (0xD800..0xDC00).contains(&high) && ahead.next() == Some('\\') && ahead.next() == Some('u') {
            true => unit(&mut ahead),
            false => None,
        };
    if let Some(Some(Ok(pair))) = low.map(|low| char::decode_utf16([high, low]).next()) {
        *rest = ahead;
        return Some(pair);
    }
    Some(char::from_u32(high.into()).unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// Four hexadecimal digits.
fn unit(rest: &mut Peekable<Chars<'_>>) -> Option<u16> {
    let digits: String = rest.by_ref().take(4).filter(char::is_ascii_hexdigit).collect();
    (digits.len() == 4).then(|| u16::from_str_radix(&digits, 16).ok())?
}
