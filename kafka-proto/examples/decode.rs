//! Shows the bytes of a message as JSON: `decode --response Metadata 12 < FILE`.
//!
//! The bytes may be raw or hexadecimal digits with white space between them. With `--frame` they are a frame as it is on
//! the wire: its length, the header, the message. What is no request or response is named in full: `decode LeaderChangeMessage 0`.

use kafka_proto::any::{AnyMessage, MessageType};
use kafka_proto::wire::Decoder;
use kafka_proto::{ApiKey, Bytes};
use std::error::Error;
use std::io::Read;

const USAGE: &str = "usage: decode [--frame] (--request API | --response API | MESSAGE) VERSION < BYTES";

/// What the bytes are.
struct Capture {
    message: String,
    header: Option<Header>,
    version: i16,
}

/// What stands before the message.
#[derive(Clone, Copy)]
enum Header {
    Request(ApiKey),
    Response(ApiKey),
}

fn main() -> Result<(), Box<dyn Error>> {
    let capture = Capture::from_args(std::env::args().skip(1))?;
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let bytes = Bytes::from(unhex(&bytes).unwrap_or(bytes));
    let mut input = Decoder::new(&bytes);
    let length;
    if let Some(header) = capture.header {
        length = bytes.slice(bytes.len().min(4)..);
        input = Decoder::new(&length);
        let (name, version) = header.form(capture.version);
        show(&*decode(&mut input, name, version)?, version)?;
    }
    show(&*decode(&mut input, &capture.message, capture.version)?, capture.version)?;
    if input.remaining() > 0 {
        eprintln!("{} bytes are left over", input.remaining());
    }
    Ok(())
}

impl Capture {
    fn from_args(args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let args: Vec<String> = args.collect();
        let framed = args.iter().any(|arg| arg == "--frame");
        let args: Vec<&str> = args.iter().map(String::as_str).filter(|arg| *arg != "--frame").collect();
        let (message, header, version) = match args[..] {
            ["--request", name, version] => {
                (format!("{name}Request"), Some(Header::Request(api(name)?)), version)
            }
            ["--response", name, version] => {
                (format!("{name}Response"), Some(Header::Response(api(name)?)), version)
            }
            [name, version] if !framed => (name.to_owned(), None, version),
            _ => return Err(USAGE.into()),
        };
        let version = version.parse().map_err(|_| format!("{version:?} is no version\n{USAGE}"))?;
        Ok(Self { message, header: header.filter(|_| framed), version })
    }
}

impl Header {
    /// The header's name and version before a message of this version.
    fn form(self, version: i16) -> (&'static str, i16) {
        match self {
            Header::Request(key) => ("RequestHeader", key.request_header_version(version)),
            Header::Response(key) => ("ResponseHeader", key.response_header_version(version)),
        }
    }
}

fn api(name: &str) -> Result<ApiKey, String> {
    ApiKey::ALL
        .iter()
        .copied()
        .find(|key| key.name() == name)
        .ok_or_else(|| format!("there is no API {name:?}"))
}

fn decode(input: &mut Decoder<'_>, name: &str, version: i16) -> Result<Box<dyn AnyMessage>, Box<dyn Error>> {
    let message = MessageType::by_name(name).ok_or_else(|| format!("there is no message {name:?}"))?;
    Ok(message.decode(input, version)?)
}

fn show(message: &dyn AnyMessage, version: i16) -> Result<(), Box<dyn Error>> {
    println!("{:#}", message.to_json(version)?);
    Ok(())
}

/// The bytes that hexadecimal digits stand for; `None` if these are none.
fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.iter().copied().filter(|c| !c.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |c: u8| (c as char).to_digit(16);
    digits.chunks(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}
