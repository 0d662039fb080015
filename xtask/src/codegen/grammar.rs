//! The grammar of one line of a `.kp` file. A line has no state; nesting is the business of [`tree`](super::tree).

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_while, take_while1},
    character::complete::{char, digit1, space0, space1},
    combinator::{all_consuming, map, opt, recognize, rest, value, verify},
    error::{ErrorKind, ParseError},
    multi::{many0, separated_list0},
    sequence::{pair, preceded, terminated},
};

/// A version range; `high` is `None` where it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) low: i16,
    pub(crate) high: Option<i16>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// Nesting: leading blanks divided by two.
    pub(crate) depth: usize,
    pub(crate) item: Item,
    pub(crate) comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Blank,
    Unit(Unit),
    Note(Note),
    Version(Version),
    Block(Block),
    Field(Field),
}

/// What begins a message or a pair of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unit {
    pub(crate) kind: UnitKind,
    pub(crate) code: Option<i16>,
    pub(crate) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnitKind {
    Api,
    Header,
    Data,
    Record,
    Metadata,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Note {
    pub(crate) word: &'static str,
    pub(crate) args: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Version {
    pub(crate) number: i16,
    pub(crate) release: String,
    pub(crate) flexible: bool,
    pub(crate) until: Option<String>,
    pub(crate) unstable: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    Request,
    Response,
    Key,
    Value,
    Body,
    Struct(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) array: bool,
    pub(crate) type_name: String,
    /// `None`: never null.
    pub(crate) nullable: Option<Range>,
    pub(crate) versions: Option<Range>,
    pub(crate) tag: Option<u32>,
    pub(crate) default: Option<Literal>,
    pub(crate) key: bool,
    pub(crate) ignorable: bool,
    pub(crate) classic: bool,
    /// Null is read as empty, though it may not be written: some brokers do.
    pub(crate) lenient: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int { value: i64, hex: bool },
}

/// What a line should have had, and where it has not.
#[derive(Debug, PartialEq)]
pub(crate) struct Expected<'a> {
    pub(crate) at: &'a str,
    pub(crate) what: &'static str,
}

impl<'a> ParseError<&'a str> for Expected<'a> {
    fn from_error_kind(at: &'a str, _: ErrorKind) -> Self {
        Self { at, what: "something else" }
    }

    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

type Parsed<'a, T> = IResult<&'a str, T, Expected<'a>>;

/// Parses a line without its line end.
pub(crate) fn line(text: &str) -> Result<Line, Expected<'_>> {
    let (at, depth) = indent(text).map_err(inner)?;
    let parser = pair(terminated(item, space0), opt(comment));
    let (_, (item, comment)) =
        expect("a comment or the end of the line", all_consuming(parser)).parse(at).map_err(inner)?;
    Ok(Line { depth, item, comment })
}

fn inner(error: nom::Err<Expected<'_>>) -> Expected<'_> {
    match error {
        nom::Err::Error(e) | nom::Err::Failure(e) => e,
        nom::Err::Incomplete(_) => Expected { at: "", what: "more" },
    }
}

/// Past this point there is only one reading: a failure is final and says what was expected.
fn expect<'a, O, P>(
    what: &'static str,
    mut parser: P,
) -> impl Parser<&'a str, Output = O, Error = Expected<'a>>
where
    P: Parser<&'a str, Output = O, Error = Expected<'a>>,
{
    move |input: &'a str| match parser.parse(input) {
        Err(nom::Err::Error(e)) => Err(nom::Err::Failure(Expected { at: e.at, what })),
        other => other,
    }
}

fn indent(input: &str) -> Parsed<'_, usize> {
    let (at, blanks) = take_while(|c| c == ' ').parse(input)?;
    if blanks.len() % 2 == 1 && !at.is_empty() {
        return Err(nom::Err::Failure(Expected { at, what: "an indentation by twos" }));
    }
    Ok((at, blanks.len() / 2))
}

fn comment(input: &str) -> Parsed<'_, String> {
    preceded((char('#'), space0), map(rest, |text: &str| text.trim_end().to_owned())).parse(input)
}

fn item(input: &str) -> Parsed<'_, Item> {
    if input.is_empty() || input.starts_with('#') {
        return Ok((input, Item::Blank));
    }
    // A field's name is followed by a colon, nothing else has one, so fields may be called `version` or `key`.
    expect(
        "a unit (api, header, data, record, metadata), a note, `version`, a block or a field",
        alt((
            map(field, Item::Field),
            map(unit, Item::Unit),
            map(note, Item::Note),
            map(version, Item::Version),
            map(block, Item::Block),
        )),
    )
    .parse(input)
}

fn unit(input: &str) -> Parsed<'_, Unit> {
    let (input, (kind, numbered)) = terminated(
        alt((
            value((UnitKind::Api, true), tag("api")),
            value((UnitKind::Record, true), tag("record")),
            value((UnitKind::Metadata, true), tag("metadata")),
            value((UnitKind::Header, false), tag("header")),
            value((UnitKind::Data, false), tag("data")),
        )),
        space1,
    )
    .parse(input)?;
    let (input, code) = if numbered {
        map(expect("a number", terminated(int, space1)), Some).parse(input)?
    } else {
        (input, None)
    };
    let (input, name) = expect("a name in CamelCase", camel).parse(input)?;
    Ok((input, Unit { kind, code, name: name.to_owned() }))
}

const NOTES: [&str; 7] =
    ["on", "route", "throttle", "request_header", "response_header", "prefix", "type_name"];

fn note(input: &str) -> Parsed<'_, Note> {
    let (input, word) = terminated(word, space1).parse(input)?;
    let Some(word) = NOTES.into_iter().find(|w| *w == word) else {
        return Err(nom::Err::Error(Expected { at: input, what: "a note" }));
    };
    let argument = take_while1(|c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c));
    let (input, args) =
        expect("words", verify(separated_list0(space1, argument), |a: &Vec<&str>| !a.is_empty()))
            .parse(input)?;
    Ok((input, Note { word, args: args.into_iter().map(str::to_owned).collect() }))
}

fn version(input: &str) -> Parsed<'_, Version> {
    let (input, _) = (tag("version"), space1).parse(input)?;
    let (input, number) = expect("a version number", terminated(int, space1)).parse(input)?;
    let (input, since) = expect("a Kafka release such as 2.4", release).parse(input)?;
    let (input, flexible) = flag("flexible").parse(input)?;
    let (input, until) =
        opt(preceded((space1, tag("until"), space1), expect("a Kafka release", release))).parse(input)?;
    let (input, unstable) = flag("unstable").parse(input)?;
    let owned = |text: &str| text.to_owned();
    Ok((input, Version { number, release: owned(since), flexible, until: until.map(owned), unstable }))
}

fn release(input: &str) -> Parsed<'_, &str> {
    recognize((digit1, char('.'), digit1, opt((char('.'), digit1)))).parse(input)
}

fn block(input: &str) -> Parsed<'_, Block> {
    alt((
        value(Block::Request, tag("request")),
        value(Block::Response, tag("response")),
        value(Block::Key, tag("key")),
        value(Block::Value, tag("value")),
        value(Block::Body, tag("body")),
        map(preceded((tag("struct"), space1), expect("a structure's name", camel)), |n: &str| {
            Block::Struct(n.to_owned())
        }),
    ))
    .parse(input)
}

#[derive(Debug, Clone)]
enum Attribute {
    Versions(Range),
    Tag(u32),
    Default(Literal),
    Key,
    Ignorable,
    Classic,
    Lenient,
}

fn field(input: &str) -> Parsed<'_, Field> {
    let (input, name) = terminated(word, (char(':'), space0)).parse(input)?;
    let (input, array) = map(opt(tag("[]")), |a| a.is_some()).parse(input)?;
    let (input, type_name) = expect("a type", alt((camel, word))).parse(input)?;
    let (input, nullable) = nullability(input)?;
    let (input, attributes) = many0(preceded(space1, attribute)).parse(input)?;
    let mut field = Field {
        name: name.to_owned(),
        array,
        type_name: type_name.to_owned(),
        nullable,
        versions: None,
        tag: None,
        default: None,
        key: false,
        ignorable: false,
        classic: false,
        lenient: false,
    };
    for attribute in attributes {
        match attribute {
            Attribute::Versions(range) => field.versions = Some(range),
            Attribute::Tag(tag) => field.tag = Some(tag),
            Attribute::Default(literal) => field.default = Some(literal),
            Attribute::Key => field.key = true,
            Attribute::Ignorable => field.ignorable = true,
            Attribute::Classic => field.classic = true,
            Attribute::Lenient => field.lenient = true,
        }
    }
    Ok((input, field))
}

/// `?`, or `?7+` where only some of the field's versions may be null.
fn nullability(input: &str) -> Parsed<'_, Option<Range>> {
    let all = Range { low: 0, high: None };
    map(opt(preceded(char('?'), opt(range))), |n| n.map(|range| range.unwrap_or(all))).parse(input)
}

fn attribute(input: &str) -> Parsed<'_, Attribute> {
    alt((
        map(range, Attribute::Versions),
        map(preceded((tag("tag"), space1), expect("a tag's number", number)), Attribute::Tag),
        map(preceded((char('='), space0), expect("a default", literal)), Attribute::Default),
        value(Attribute::Key, tag("key")),
        value(Attribute::Ignorable, tag("ignorable")),
        value(Attribute::Classic, tag("classic")),
        value(Attribute::Lenient, tag("lenient")),
    ))
    .parse(input)
}

fn range(input: &str) -> Parsed<'_, Range> {
    let (input, low) = int(input)?;
    alt((
        value(Range { low, high: None }, char('+')),
        map(preceded(char('-'), expect("the last version", int)), |high| Range { low, high: Some(high) }),
        |input| Ok((input, Range { low, high: Some(low) })),
    ))
    .parse(input)
}

fn literal(input: &str) -> Parsed<'_, Literal> {
    alt((
        value(Literal::Null, tag("null")),
        value(Literal::Bool(true), tag("true")),
        value(Literal::Bool(false), tag("false")),
        hexadecimal,
        decimal,
    ))
    .parse(input)
}

fn hexadecimal(input: &str) -> Parsed<'_, Literal> {
    let (rest, digits) =
        preceded(tag("0x"), expect("hexadecimal digits", take_while1(|c: char| c.is_ascii_hexdigit())))
            .parse(input)?;
    let value = i64::from_str_radix(digits, 16).map_err(|_| too_large(input))?;
    Ok((rest, Literal::Int { value, hex: true }))
}

fn decimal(input: &str) -> Parsed<'_, Literal> {
    let (rest, digits) = recognize((opt(char('-')), digit1)).parse(input)?;
    let value = digits.parse().map_err(|_| too_large(input))?;
    Ok((rest, Literal::Int { value, hex: false }))
}

fn int(input: &str) -> Parsed<'_, i16> {
    let (rest, digits) = digit1(input)?;
    Ok((rest, digits.parse().map_err(|_| too_large(input))?))
}

fn number(input: &str) -> Parsed<'_, u32> {
    let (rest, digits) = digit1(input)?;
    Ok((rest, digits.parse().map_err(|_| too_large(input))?))
}

fn too_large(at: &str) -> nom::Err<Expected<'_>> {
    nom::Err::Failure(Expected { at, what: "a smaller number" })
}

fn flag<'a>(name: &'static str) -> impl Parser<&'a str, Output = bool, Error = Expected<'a>> {
    map(opt(preceded(space1, tag(name))), |found| found.is_some())
}

/// A name in snake case.
fn word(input: &str) -> Parsed<'_, &str> {
    recognize((
        take_while1(|c: char| c.is_ascii_lowercase()),
        take_while(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
    ))
    .parse(input)
}

/// A name in camel case.
fn camel(input: &str) -> Parsed<'_, &str> {
    recognize((
        take_while1(|c: char| c.is_ascii_uppercase()),
        take_while(|c: char| c.is_ascii_alphanumeric()),
    ))
    .parse(input)
}
