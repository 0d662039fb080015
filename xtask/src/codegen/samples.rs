//! Messages of any kind and version as bytes, drawn from the schema by dice: the codec has no part in writing them.
//!
//! Where faults are wanted, lengths, counts and tags are now and then what no writer of Kafka's would put there: null where it is
//! not allowed, other negative numbers, too large or small by one, varints that are longer than they need be.

use super::grammar::{Block, UnitKind};
use super::model::{Base, Field, File, Message, Struct, Versions};
use super::{Result, load, root};
use crate::dice::Dice;
use std::ops::RangeInclusive;

/// The schema, to draw messages from.
#[derive(Debug)]
pub struct Schema(Vec<File>);

/// A response that there is.
#[derive(Debug, Clone)]
pub struct ResponseType {
    /// The API's code.
    pub key: i16,
    /// The message's name.
    pub name: String,
    /// All versions, oldest first.
    pub versions: RangeInclusive<i16>,
}

/// A message as bytes, and where its fields end.
#[derive(Debug, Default)]
pub struct Sample {
    /// The message.
    pub bytes: Vec<u8>,
    /// The place after each field.
    pub ends: Vec<usize>,
}

impl Schema {
    /// Reads the schema files.
    ///
    /// # Errors
    /// What is wrong with a file, in words.
    pub fn load() -> Result<Self> {
        load(&root().join("kafka-proto/schema")).map(Self)
    }

    /// The responses of all APIs.
    pub fn responses(&self) -> Vec<ResponseType> {
        let apis = self.0.iter().flat_map(|file| &file.units).filter(|unit| unit.kind == UnitKind::Api);
        let each = apis.filter_map(|unit| {
            let message = unit.messages.iter().find(|message| message.block == Block::Response)?;
            let Versions(first, last) = message.valid;
            Some(ResponseType { key: unit.code?, name: message.name.clone(), versions: first..=last })
        });
        each.collect()
    }

    /// A message of this name; nothing where there is none.
    pub fn sample(&self, name: &str, version: i16, faults: bool, dice: &mut Dice) -> Sample {
        let Some((file, message, root)) = self.0.iter().find_map(|file| find(file, name)) else {
            return Sample::default();
        };
        let flexible = message.flexible.has(version);
        let mut writer = Writer { file, version, flexible, faults, dice, out: Sample::default() };
        writer.structure(root, Versions::ALL);
        writer.out
    }
}

fn find<'a>(file: &'a File, name: &str) -> Option<(&'a File, &'a Message, &'a Struct)> {
    let message = file.units.iter().flat_map(|unit| &unit.messages).find(|message| message.name == name)?;
    Some((file, message, structure(file, name)?))
}

fn structure<'a>(file: &'a File, name: &str) -> Option<&'a Struct> {
    file.structs.iter().find(|s| s.name == name)
}

/// How often something is at fault, where faults are wanted.
const FAULT: usize = 25;

struct Writer<'a> {
    file: &'a File,
    version: i16,
    flexible: bool,
    faults: bool,
    dice: &'a mut Dice,
    out: Sample,
}

impl Writer<'_> {
    fn structure(&mut self, s: &Struct, outer: Versions) {
        let version = self.version;
        for field in s.plain().filter(|field| field.versions.and(outer).has(version)) {
            self.field(field, field.versions.and(outer), false);
            self.out.ends.push(self.out.bytes.len());
        }
        if self.flexible {
            self.tags(s, outer);
            self.out.ends.push(self.out.bytes.len());
        }
    }

    fn field(&mut self, field: &Field, versions: Versions, tagged: bool) {
        let is_null = field.nullable.has(self.version) && self.dice.one_in(4);
        if !field.array {
            return self.element(field, versions, is_null, tagged);
        }
        let count = self.dice.below(4);
        self.length((!is_null).then_some(count), false);
        for _ in 0..if is_null { 0 } else { count } {
            self.element(field, versions, false, false);
        }
    }

    fn element(&mut self, field: &Field, versions: Versions, is_null: bool, tagged: bool) {
        match field.base {
            Base::Struct => {
                if field.nullable.has(self.version) && !field.array {
                    let there = if is_null { [0, 0xff] } else { [1, self.dice.of(&[1, 1, 1, 0, 5])] };
                    self.out.bytes.push(there[usize::from(!tagged)]);
                }
                let inner = structure(self.file, &field.type_name).filter(|_| !is_null);
                if let Some(inner) = inner {
                    self.structure(inner, versions);
                }
            }
            Base::String => self.sized(is_null, true, !self.flexible || field.classic),
            Base::Bytes | Base::Records => self.sized(is_null, false, false),
            Base::Bool => {
                let value = self.dice.of(&[0, 1, 0, 1, 0, 1, 2, 0xff]);
                self.out.bytes.push(value);
            }
            fixed => self.fixed(fixed.min()),
        }
    }

    /// Small and extreme numbers are more likely to mean something.
    fn fixed(&mut self, len: usize) {
        let bytes = match self.dice.below(5) {
            0 => vec![0; len],
            1 => vec![0xff; len],
            2 | 3 => [vec![0; len - 1], self.dice.bytes(1)].concat(),
            _ => self.dice.bytes(len),
        };
        self.out.bytes.extend(bytes);
    }

    fn sized(&mut self, is_null: bool, text: bool, short: bool) {
        let len = if self.dice.one_in(20) { self.dice.of(&[127, 128, 300]) } else { self.dice.below(8) };
        self.length((!is_null).then_some(len), short);
        let content = match text {
            _ if is_null => Vec::new(),
            true if !self.dice.one_in(4) => self.dice.text(len),
            true if !(self.faults && self.dice.one_in(FAULT)) => {
                cut("é€😀\u{7f}\0".repeat(80), len).into_bytes()
            }
            _ => self.dice.bytes(len),
        };
        let missing = (if is_null { 0 } else { len }) - content.len();
        self.out.bytes.extend(content);
        self.out.bytes.extend(vec![b'x'; missing]);
    }

    /// A length or count; `None` is null.
    fn length(&mut self, len: Option<usize>, short: bool) {
        let mut value = len.map_or(-1, |len| len as i64);
        let at_fault = self.faults && self.dice.one_in(FAULT);
        if at_fault {
            let odd =
                [-1, -1, -1, -2, i64::from(i16::MIN), value + 1, value - 1, 32767, 32768, 1 << 20, 1 << 30];
            value = self.dice.of(&odd);
        }
        match (short, self.flexible) {
            (true, _) => self.out.bytes.extend((value as i16).to_be_bytes()),
            (_, false) => self.out.bytes.extend((value as i32).to_be_bytes()),
            (_, true) => {
                let longer = if at_fault && self.dice.one_in(3) { self.dice.below(6) } else { 0 };
                self.uvarint((value + 1) as u32, longer);
            }
        }
    }

    /// An unsigned varint, by so many bytes longer than it need be.
    fn uvarint(&mut self, mut value: u32, longer: usize) {
        while value >= 0x80 {
            self.out.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        match longer {
            0 => self.out.bytes.push(value as u8),
            longer => {
                self.out.bytes.push(value as u8 | 0x80);
                self.out.bytes.extend(vec![0x80; longer - 1]);
                let last = if self.dice.one_in(3) { self.dice.next() as u8 } else { 0 };
                self.out.bytes.push(last);
            }
        }
    }

    fn tags(&mut self, s: &Struct, outer: Versions) {
        let mut tags: Vec<(u32, Vec<u8>)> = Vec::new();
        for field in s.tagged() {
            let versions = field.versions.and(outer);
            if versions.has(self.version) && self.dice.one_in(2) {
                let begin = (self.out.bytes.len(), self.out.ends.len());
                self.field(field, versions, true);
                self.out.ends.truncate(begin.1);
                tags.push((field.tag.unwrap_or_default(), self.out.bytes.split_off(begin.0)));
            }
        }
        tags.sort_by_key(|(tag, _)| *tag);
        for at in 0..if self.dice.one_in(6) { 1 + self.dice.below(2) } else { 0 } {
            let (tag, len) = (100 * (at + 1) + self.dice.below(100), self.dice.below(5));
            tags.push((tag as u32, self.dice.bytes(len)));
        }
        self.write_tags(tags);
    }

    fn write_tags(&mut self, mut tags: Vec<(u32, Vec<u8>)>) {
        let at_fault = self.faults && !tags.is_empty() && self.dice.one_in(FAULT / 4);
        match if at_fault { self.dice.below(3) } else { 9 } {
            0 => tags.reverse(),
            1 => tags.push(tags[0].clone()),
            2 => tags[0].0 += 1,
            _ => {}
        }
        self.uvarint(tags.len() as u32, 0);
        for (tag, value) in tags {
            let odd = if self.faults && self.dice.one_in(FAULT) { self.dice.of(&[-1, 1, 2, 100]) } else { 0 };
            self.uvarint(tag, 0);
            self.uvarint((value.len() as i64 + odd).max(0) as u32, 0);
            self.out.bytes.extend(value);
            self.out.ends.push(self.out.bytes.len());
        }
    }
}

/// The longest beginning of at most so many bytes.
fn cut(mut text: String, len: usize) -> String {
    let mut end = len.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}
