//! Text that is not UTF-8.

use crate::Str;
use alloc::string::String;

/// Text as Java reads it: each part that is not UTF-8 becomes one U+FFFD. Brokers may hold and send such names.
///
/// As [`String::from_utf8_lossy`], but that Java takes a surrogate, whose three bytes are no UTF-8, as one part.
#[cold]
pub fn lossy(bytes: &[u8]) -> Str {
    let mut text = String::with_capacity(bytes.len());
    // How many bytes of a surrogate there were just before.
    let mut surrogate = 0;
    for chunk in bytes.utf8_chunks() {
        if !chunk.valid().is_empty() {
            surrogate = 0;
        }
        text.push_str(chunk.valid());
        surrogate = match (surrogate, chunk.invalid()) {
            (_, []) => 0,
            (1, [0xa0..=0xbf]) => 2,
            (2, [0x80..=0xbf]) => 0,
            (_, invalid) => {
                text.push(char::REPLACEMENT_CHARACTER);
                usize::from(*invalid == [0xed])
            }
        };
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::lossy;

    /// What `new String(bytes, UTF_8)` of Java 17 makes of them.
    #[test]
    fn as_java_does() {
        let cases: [(&[u8], &str); 12] = [
            (b"plain", "plain"),
            (b"\xff", "?"),
            (b"a\xf4\xa2b", "a??b"),
            (b"\xe2\x82", "?"),
            (b"\xc0\x80", "??"),
            (b"\xed", "?"),
            (b"\xed\xa0", "?"),
            (b"\xed\xbf\xe0", "??"),
            (b"\xed\xa0\x90\xed\xb0\x80", "??"),
            (b"\xed\xa0\x90\x90", "??"),
            (b"\xeda\xa0", "?a?"),
            (b"\x80\xed\xbf\xf1", "???"),
        ];
        for (bytes, text) in cases {
            assert_eq!(lossy(bytes), text.replace('?', "\u{fffd}"), "{bytes:x?}");
        }
    }
}
