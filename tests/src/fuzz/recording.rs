//! The file of a recording.

use kafka_core::internal::{Unreadable, read_all};
use kafka_proto::records::crc32c;

/// What a recording begins with: no version, hidden payloads, no settings.
const HEAD: [u8; 3] = [0; 3];

/// An input for [`recording`]: entries, each behind its length.
pub fn recording_seed(entries: &[u8]) -> Vec<u8> {
    [&[1], entries].concat()
}

/// The first byte says whether the rest is a file (0) or the entries of one whose checksums are right (1). No file is read that was cut
/// off or changed.
pub fn recording(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    // A block without entries is the end.
    if mode & 1 == 0 || rest.is_empty() {
        let _ = read_all(rest);
        return;
    }
    let file = [b"KAFKAREC\x01".as_slice(), &block(&HEAD), &block(rest), &block(&[])].concat();
    if let Err(error) = read_all(&file[..]) {
        assert!(matches!(error, Unreadable::Damaged { .. }), "{error}");
    }
    let cut = file.len() - 1;
    assert!(read_all(&file[..cut]).is_err(), "it is cut off");
}

fn block(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes(), &crc32c(bytes).to_le_bytes(), bytes].concat()
}
