//! Messages with all that a line leaves unsaid filled in.

use super::grammar::{self, Block, Item, Literal, Note, Range, UnitKind, Version};
use super::tree::Node;
use std::collections::BTreeMap;

/// Versions from `.0` to `.1`, both included; empty where `.0 > .1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions(pub(crate) i16, pub(crate) i16);

impl Versions {
    pub(crate) const ALL: Versions = Versions(0, i16::MAX);
    pub(crate) const NONE: Versions = Versions(0, -1);

    pub(crate) fn and(self, other: Versions) -> Versions {
        let both = Versions(self.0.max(other.0), self.1.min(other.1));
        if both.is_empty() { Self::NONE } else { both }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 > self.1
    }

    pub(crate) fn has(self, version: i16) -> bool {
        self.0 <= version && version <= self.1
    }

    pub(crate) fn covers(self, other: Versions) -> bool {
        other.is_empty() || self.0 <= other.0 && other.1 <= self.1
    }

    fn or(self, other: Versions) -> Versions {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ => Versions(self.0.min(other.0), self.1.max(other.1)),
        }
    }
}

impl From<Range> for Versions {
    fn from(range: Range) -> Self {
        Versions(range.low, range.high.unwrap_or(i16::MAX))
    }
}

/// A file: one Rust module.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) module: String,
    pub(crate) units: Vec<Unit>,
    /// All messages and structures, in the order of the file.
    pub(crate) structs: Vec<Struct>,
    pub(crate) docs: Vec<String>,
}

/// An API pair, or one message or key and value of another kind.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) kind: UnitKind,
    pub(crate) code: Option<i16>,
    pub(crate) name: String,
    pub(crate) docs: Vec<String>,
    pub(crate) notes: Vec<Note>,
    pub(crate) table: Vec<(Version, Vec<String>)>,
    pub(crate) messages: Vec<Message>,
}

impl Unit {
    pub(crate) fn valid(&self) -> Versions {
        match (self.table.first(), self.table.last()) {
            (Some((first, _)), Some((last, _))) => Versions(first.number, last.number),
            _ => Versions::NONE,
        }
    }

    pub(crate) fn flexible(&self) -> Versions {
        let from = self.table.iter().find(|(v, _)| v.flexible).map(|(v, _)| v.number);
        from.map_or(Versions::NONE, |from| Versions(from, i16::MAX))
    }

    pub(crate) fn note(&self, word: &str) -> Option<&[String]> {
        self.notes.iter().find(|n| n.word == word).map(|n| n.args.as_slice())
    }
}

#[derive(Debug)]
pub(crate) struct Message {
    /// Name in Kafka, and of the Rust structure.
    pub(crate) name: String,
    pub(crate) block: Block,
    pub(crate) valid: Versions,
    pub(crate) flexible: Versions,
}

#[derive(Debug, Clone)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) docs: Vec<String>,
    pub(crate) fields: Vec<Field>,
    /// Versions in which it is used, over all its users.
    pub(crate) used: Versions,
    /// Versions of its message that are flexible, cut to `used`.
    pub(crate) flexible: Versions,
    /// The message it belongs to; of several the first.
    pub(crate) message: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) line: usize,
    pub(crate) docs: Vec<String>,
    pub(crate) name: String,
    pub(crate) array: bool,
    pub(crate) base: Base,
    /// As the schema names it, such as `broker_id`.
    pub(crate) type_name: String,
    pub(crate) versions: Versions,
    pub(crate) nullable: Versions,
    pub(crate) tag: Option<u32>,
    pub(crate) default: Option<Literal>,
    #[allow(dead_code)]
    pub(crate) key: bool,
    pub(crate) ignorable: bool,
    pub(crate) classic: bool,
    pub(crate) lenient: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint16,
    Uint32,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct,
}

impl Base {
    /// The primitive types, and the named ones that say what a primitive means.
    pub(crate) fn named(name: &str) -> Option<Base> {
        Some(match name {
            "bool" => Base::Bool,
            "int8" => Base::Int8,
            "int16" => Base::Int16,
            "int32" | "broker_id" => Base::Int32,
            "int64" | "producer_id" => Base::Int64,
            "uint16" => Base::Uint16,
            "uint32" => Base::Uint32,
            "float64" => Base::Float64,
            "uuid" => Base::Uuid,
            "string" | "topic_name" | "group_id" | "transactional_id" => Base::String,
            "bytes" => Base::Bytes,
            "records" => Base::Records,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Base::Bool => "bool",
            Base::Int8 => "int8",
            Base::Int16 => "int16",
            Base::Int32 => "int32",
            Base::Int64 => "int64",
            Base::Uint16 => "uint16",
            Base::Uint32 => "uint32",
            Base::Float64 => "float64",
            Base::Uuid => "uuid",
            Base::String => "string",
            Base::Bytes => "bytes",
            Base::Records => "records",
            Base::Struct => "struct",
        }
    }

    /// Bytes of a value in its shortest form.
    pub(crate) fn min(self) -> usize {
        match self {
            Base::Bool | Base::Int8 | Base::String | Base::Bytes | Base::Records | Base::Struct => 1,
            Base::Int16 | Base::Uint16 => 2,
            Base::Int32 | Base::Uint32 => 4,
            Base::Int64 | Base::Float64 => 8,
            Base::Uuid => 16,
        }
    }
}

type Result<T> = std::result::Result<T, String>;

/// Resolves a parsed file. Errors begin with the line.
pub(crate) fn resolve(module: &str, nodes: Vec<Node>) -> Result<File> {
    let mut file =
        File { module: module.to_owned(), units: Vec::new(), structs: Vec::new(), docs: Vec::new() };
    for node in nodes {
        let at = node.number;
        add(&mut file, node).map_err(|e| format!("{at}: {e}"))?;
    }
    spread_versions(&mut file)?;
    Ok(file)
}

fn add(file: &mut File, node: Node) -> Result<()> {
    match node.item {
        Item::Unit(unit) => file.units.push(Unit {
            kind: unit.kind,
            code: unit.code,
            name: unit.name,
            docs: node.comments,
            notes: Vec::new(),
            table: Vec::new(),
            messages: Vec::new(),
        }),
        Item::Note(note) => unit(file)?.notes.push(note),
        Item::Version(version) => unit(file)?.table.push((version, node.comments)),
        Item::Block(Block::Struct(name)) => add_struct(file, name, node.comments, node.children)?,
        Item::Block(block) => {
            let unit = unit(file)?;
            let name = message_name(unit, &block);
            let key = block == Block::Key;
            let (valid, flexible) =
                if key { (Versions(0, 0), Versions::NONE) } else { (unit.valid(), unit.flexible()) };
            unit.messages.push(Message { name: name.clone(), block, valid, flexible });
            add_struct(file, name, node.comments, node.children)?;
        }
        Item::Field(field) => return Err(format!("field {} stands outside of a block", field.name)),
        Item::Blank => {}
    }
    Ok(())
}

fn unit(file: &mut File) -> Result<&mut Unit> {
    file.units.last_mut().ok_or_else(|| "a unit has to come first".to_owned())
}

fn message_name(unit: &Unit, block: &Block) -> String {
    let end = match (block, unit.kind) {
        (Block::Request, _) => "Request",
        (Block::Response, _) => "Response",
        (Block::Key, _) => "Key",
        (Block::Value, _) => "Value",
        (_, UnitKind::Metadata) => "Record",
        _ => "",
    };
    format!("{}{end}", unit.name)
}

fn add_struct(file: &mut File, name: String, docs: Vec<String>, nodes: Vec<Node>) -> Result<()> {
    if file.structs.iter().any(|s| s.name == name) {
        return Err(format!("structure {name} is there already"));
    }
    let place = file.structs.len();
    file.structs.push(Struct {
        name,
        docs,
        fields: Vec::new(),
        used: Versions::NONE,
        flexible: Versions::NONE,
        message: String::new(),
    });
    for node in nodes {
        let number = node.number;
        let field = add_field(file, node).map_err(|e| format!("line {number}: {e}"))?;
        file.structs[place].fields.push(field);
    }
    Ok(())
}

fn add_field(file: &mut File, node: Node) -> Result<Field> {
    let Item::Field(grammar::Field {
        name,
        array,
        type_name,
        nullable,
        versions,
        tag,
        default,
        key,
        ignorable,
        classic,
        lenient,
    }) = node.item
    else {
        return Err("a field is expected inside a block".to_owned());
    };
    let base = Base::named(&type_name);
    if !node.children.is_empty() {
        if base.is_some() {
            return Err(format!("{name} is a primitive and has fields"));
        }
        add_struct(file, type_name.clone(), Vec::new(), node.children)?;
    } else if base.is_none() && type_name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(format!("{type_name} is no type"));
    }
    Ok(Field {
        line: node.number,
        docs: node.comments,
        name,
        array,
        base: base.unwrap_or(Base::Struct),
        type_name,
        versions: versions.map_or(Versions::ALL, Versions::from),
        nullable: nullable.map_or(Versions::NONE, Versions::from),
        tag,
        default,
        key,
        ignorable,
        classic,
        lenient,
    })
}

/// Tells each structure in which versions it is used, from the messages down.
fn spread_versions(file: &mut File) -> Result<()> {
    let places: BTreeMap<String, usize> =
        file.structs.iter().enumerate().map(|(i, s)| (s.name.clone(), i)).collect();
    let messages: Vec<_> =
        file.units.iter().flat_map(|u| &u.messages).map(|m| (m.name.clone(), m.valid, m.flexible)).collect();
    for (name, valid, flexible) in messages {
        let mut queue = vec![(name.clone(), valid, 0)];
        while let Some((used_name, versions, depth)) = queue.pop() {
            let place =
                *places.get(&used_name).ok_or_else(|| format!("structure {used_name} is not there"))?;
            if depth > 20 {
                return Err(format!("structure {used_name} contains itself"));
            }
            let s = &mut file.structs[place];
            s.used = s.used.or(versions);
            s.flexible = s.flexible.or(flexible.and(versions));
            if s.message.is_empty() {
                s.message = name.clone();
            }
            for field in s.fields.iter().filter(|f| f.base == Base::Struct) {
                queue.push((field.type_name.clone(), field.versions.and(versions), depth + 1));
            }
        }
    }
    Ok(())
}
