//! Saved inputs, packed: one file a target, gzip over int32 lengths and bytes.

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;

/// Reads the inputs of a file.
///
/// # Errors
/// If there is no such file, or it is damaged.
pub fn read(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut bytes = Vec::new();
    GzDecoder::new(BufReader::new(File::open(path)?)).read_to_end(&mut bytes)?;
    let mut rest = &bytes[..];
    let mut inputs = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let input = after.split_at_checked(u32::from_be_bytes(*length) as usize);
        let (input, after) = input.ok_or(ErrorKind::UnexpectedEof)?;
        inputs.push(input.to_vec());
        rest = after;
    }
    Ok(inputs)
}

/// Writes a file of inputs, in the order of their sizes and each once.
///
/// # Errors
/// As the file system says.
pub fn write(path: &Path, mut inputs: Vec<Vec<u8>>) -> io::Result<()> {
    inputs.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    inputs.dedup();
    let mut out = GzEncoder::new(BufWriter::new(File::create(path)?), Compression::best());
    for input in inputs {
        out.write_all(&(input.len() as u32).to_be_bytes())?;
        out.write_all(&input)?;
    }
    out.finish()?.flush()
}
