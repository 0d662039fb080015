//! The two checksums: CRC-32C (format 2) and CRC-32 of IEEE (formats 0 and 1).
//!
//! With `std` they are computed by whatever instructions the processor turns out to have, otherwise by tables.

use super::RecordsError;
#[cfg(feature = "std")]
use hardware::Digest;
#[cfg(not(feature = "std"))]
use software::Digest;

/// CRC-32C over bytes that come in pieces.
pub(super) struct Crc32c(Digest);

impl Default for Crc32c {
    fn default() -> Self {
        Crc32c(Digest::castagnoli())
    }
}

impl Crc32c {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> u32 {
        self.0.finish()
    }
}

/// CRC-32C (Castagnoli), the checksum of record batches.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = Crc32c::default();
    crc.update(bytes);
    crc.finish()
}

/// Whether a checksum is the one that was stored.
pub(super) fn compare(stored: u32, computed: u32) -> Result<(), RecordsError> {
    if computed == stored { Ok(()) } else { Err(RecordsError::CrcMismatch { stored, computed }) }
}

/// CRC-32 of IEEE over bytes that come in pieces.
pub(super) fn crc32<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut digest = Digest::ieee();
    pieces.into_iter().for_each(|piece| digest.update(piece));
    digest.finish()
}

#[cfg(feature = "std")]
mod hardware {
    use crc_fast::CrcAlgorithm::{Crc32Iscsi, Crc32IsoHdlc};

    pub(super) struct Digest(crc_fast::Digest);

    impl Digest {
        pub(super) fn castagnoli() -> Self {
            Digest(crc_fast::Digest::new(Crc32Iscsi))
        }

        pub(super) fn ieee() -> Self {
            Digest(crc_fast::Digest::new(Crc32IsoHdlc))
        }

        pub(super) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(super) fn finish(self) -> u32 {
            self.0.finalize() as u32
        }
    }
}

/// Compiled in tests too, so that it is compared with the other.
#[cfg(any(test, not(feature = "std")))]
mod software {
    use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, Crc, Table};

    static CASTAGNOLI: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
    static IEEE: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

    pub(super) struct Digest(crc::Digest<'static, u32, Table<16>>);

    impl Digest {
        pub(super) fn castagnoli() -> Self {
            Digest(CASTAGNOLI.digest())
        }

        pub(super) fn ieee() -> Self {
            Digest(IEEE.digest())
        }

        pub(super) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(super) fn finish(self) -> u32 {
            self.0.finalize()
        }
    }
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

    /// Of all lengths around those at which the hardware's way changes, in two pieces.
    #[test]
    fn software_equals_hardware() {
        let bytes: alloc::vec::Vec<u8> = (0..70_000u32).map(|i| ((i * 31) >> 3) as u8).collect();
        for end in (0..600).chain([1023, 1024, 4999, 65_537, 70_000]) {
            let (first, second) = bytes[..end].split_at(end / 3);
            for (mut digest, hardware) in [
                (software::Digest::castagnoli(), crc32c(&bytes[..end])),
                (software::Digest::ieee(), crc32([&bytes[..end]])),
            ] {
                digest.update(first);
                digest.update(second);
                assert_eq!(digest.finish(), hardware, "{end}");
            }
            assert_eq!(crc32([first, second]), crc32([&bytes[..end]]));
            let mut pieces = Crc32c::default();
            pieces.update(first);
            pieces.update(second);
            assert_eq!(pieces.finish(), crc32c(&bytes[..end]));
        }
    }
}
