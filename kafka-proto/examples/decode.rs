//! Shows bytes of a message as JSON: `decode FetchRequest 12 < bytes`, or with `hex` for hexadecimal digits:
//! `echo 00010002 | decode RequestHeader 1 hex`.

use kafka_proto::Bytes;
use kafka_proto::any::MessageType;
use kafka_proto::wire::Decoder;
use std::error::Error;
use std::io::Read;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (name, version, hex) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [name, version] => (name, version, false),
        [name, version, "hex"] => (name, version, true),
        _ => return Err("usage: decode MESSAGE VERSION [hex] < BYTES".into()),
    };
    let kind = MessageType::by_name(name).ok_or_else(|| format!("{name} is no message"))?;
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let bytes = Bytes::from(if hex { unhex(&bytes)? } else { bytes });
    let version = version.parse()?;
    let mut input = Decoder::new(&bytes);
    let message = kind.decode(&mut input, version)?;
    println!("{:#}", message.to_json(version)?);
    if input.remaining() > 0 {
        eprintln!("{} bytes are left over", input.remaining());
    }
    Ok(())
}

fn unhex(text: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits: Vec<u8> = text.iter().copied().filter(|c| !c.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    digits.chunks(2).map(pair).collect()
}
