//! Identifiers of topics, directories, processes.

use core::{fmt, str::FromStr};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A 128-bit identifier; all zero means none. Shown as Kafka shows it: 22 characters of base64 in the URL alphabet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Stands for no identifier.
    pub const ZERO: Uuid = Uuid([0; 16]);

    /// True for [`Uuid::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let mut text = ['A'; 22];
        for (i, place) in text.iter_mut().enumerate() {
            // 128 bits are 21 groups of six and a last one of two.
            let group = if i < 21 { bits >> (122 - 6 * i) } else { bits << 4 };
            *place = char::from(ALPHABET[(group & 63) as usize]);
        }
        text.iter().try_for_each(|c| fmt::Write::write_char(f, *c))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not an identifier: 22 characters of base64 in the URL alphabet are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not 22 characters of URL base64")]
#[non_exhaustive]
pub struct ParseUuidError;

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        let text = text.strip_suffix("==").unwrap_or(text);
        if text.len() != 22 {
            return Err(ParseUuidError);
        }
        let mut bits: u128 = 0;
        for (i, c) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|a| *a == c).ok_or(ParseUuidError)? as u128;
            bits = if i < 21 { bits << 6 | digit } else { bits << 2 | digit >> 4 };
        }
        Ok(Uuid(bits.to_be_bytes()))
    }
}
