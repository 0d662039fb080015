//! The two checksums: CRC-32C (format 2) and CRC-32 of IEEE (formats 0 and 1).

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// CRC-32C over bytes that come in pieces.
#[cfg(feature = "std")]
#[derive(Default)]
pub(super) struct Crc32c(u32);

#[cfg(feature = "std")]
impl Crc32c {
    #[inline]
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0 = crc32c::crc32c_append(self.0, bytes);
    }

    #[inline]
    pub(super) fn finish(self) -> u32 {
        self.0
    }
}

#[cfg(not(feature = "std"))]
pub(super) use software::Crc32c;

/// CRC-32C without hardware: compiled in tests too, so that it is compared with the other.
#[cfg(any(test, not(feature = "std")))]
mod software {
    use crc::{CRC_32_ISCSI, Crc, Digest, Table};

    static CASTAGNOLI: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

    pub(in super::super) struct Crc32c(Digest<'static, u32, Table<16>>);

    impl Default for Crc32c {
        fn default() -> Self {
            Crc32c(CASTAGNOLI.digest())
        }
    }

    impl Crc32c {
        pub(in super::super) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(in super::super) fn finish(self) -> u32 {
            self.0.finalize()
        }
    }
}

/// CRC-32C (Castagnoli), the checksum of record batches.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = Crc32c::default();
    crc.update(bytes);
    crc.finish()
}

static IEEE: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// CRC-32 of IEEE over bytes that come in pieces.
pub(super) fn crc32<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut digest = IEEE.digest();
    pieces.into_iter().for_each(|piece| digest.update(piece));
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the CRC catalogue.
    #[test]
    fn known_values() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32([&b"1234"[..], b"56789"]), 0xcbf4_3926);
    }

    #[test]
    fn software_equals_hardware() {
        let bytes: alloc::vec::Vec<u8> = (0..5000u32).map(|i| ((i * 31) >> 3) as u8).collect();
        for end in [0, 1, 7, 64, 4999] {
            let mut crc = software::Crc32c::default();
            crc.update(&bytes[..end / 2]);
            crc.update(&bytes[end / 2..end]);
            assert_eq!(crc.finish(), crc32c(&bytes[..end]));
        }
    }
}
