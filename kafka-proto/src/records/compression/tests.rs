//! Forms that other writers than ours choose, and broken ones.

use bytes::Bytes;

use super::{Compression, RecordsError, compress, decompress};

const CAP: usize = 1 << 20;

/// Bytes that compress, but not to nothing: 200 kB, so that every codec needs several blocks.
fn sample() -> Vec<u8> {
    let mut random = 1u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random >> 24
    };
    (0..20_000).flat_map(|i| format!("{:03}:{:05};", next(), i).into_bytes()).collect()
}

fn unpack(compression: Compression, magic: u8, packed: &[u8]) -> Result<Bytes, RecordsError> {
    decompress(compression, magic, &Bytes::copy_from_slice(packed), CAP)
}

/// No byte of a packed stream can be cut off unnoticed, nor does a changed one lead to a panic.
fn check_hostile(compression: Compression, packed: &[u8]) {
    for end in (0..packed.len()).step_by(packed.len() / 500 + 1) {
        // To zstd-jni no bytes are no content.
        let is_whole = compression == Compression::Zstd && end == 0;
        assert_eq!(unpack(compression, 2, &packed[..end]).is_ok(), is_whole, "{compression} cut at {end}");
    }
    for at in (0..packed.len()).step_by(packed.len() / 500 + 1) {
        let mut broken = packed.to_vec();
        broken[at] ^= 0x55;
        let _ = unpack(compression, 2, &broken);
    }
}

#[test]
fn codes_and_names() {
    for (code, compression) in Compression::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(compression.code()), code);
        assert_eq!(Compression::from_code(code as u8), Some(compression));
        assert_eq!(Compression::from_name(compression.name()), Some(compression));
    }
    assert_eq!(Compression::from_code(5), None);
    assert_eq!(Compression::from_name("brotli"), None);
}

#[test]
fn pieces_make_one_stream() {
    let plain = sample();
    let pieces: Vec<Bytes> =
        [&plain[..7], &plain[7..70_000], &plain[70_000..]].map(Bytes::copy_from_slice).into();
    for compression in Compression::ALL.into_iter().filter(|compression| compression.is_enabled()) {
        let packed = compress(compression, 2, None, &pieces).unwrap();
        assert_eq!(unpack(compression, 2, &packed).unwrap(), plain, "{compression}");
        assert!(compression == Compression::None || packed.len() < plain.len(), "{compression}");
    }
}

#[cfg(feature = "gzip")]
mod gzip {
    use super::*;

    #[test]
    fn members_behind_each_other() {
        let one = compress(Compression::Gzip, 2, Some(9), &[Bytes::from_static(b"one")]).unwrap();
        let two = compress(Compression::Gzip, 2, Some(1), &[Bytes::from_static(b"two")]).unwrap();
        assert_eq!(unpack(Compression::Gzip, 2, &[one, two].concat()).unwrap(), &b"onetwo"[..]);
    }

    /// A member of "hi", stored, behind this header.
    fn member(flags: u8, fields: &[u8]) -> Vec<u8> {
        let content = [1, 2, 0, 0xfd, 0xff, b'h', b'i', 0xac, 0x2a, 0x93, 0xd8, 2, 0, 0, 0];
        [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 0xff], fields, &content].concat()
    }

    #[test]
    fn case_j1_of_a_header_only_its_checksum_is_looked_at() {
        for (flags, fields) in [
            (0x00, &b""[..]),
            (0xe1, b""),
            (0x04, b"\x02\x00ab"),
            (0x08, b"name\0"),
            (0x18, b"name\0comment\0"),
            (0x9c, b"\x00\x00name\0\0"),
            (0x02, b"\x90\xc9"),
        ] {
            let read = unpack(Compression::Gzip, 2, &member(flags, fields));
            assert_eq!(read.as_deref(), Ok(&b"hi"[..]), "{flags:x}");
        }
        for (flags, fields) in [(0x02, &b"\x90\xc8"[..]), (0x04, b"\xff\xff"), (0x08, b"")] {
            assert!(unpack(Compression::Gzip, 2, &member(flags, fields)).is_err(), "{flags:x}");
        }
        // Another header that is damaged is what is ignored, but another content that is damaged is not.
        let first = member(0, b"");
        let twice = |second: Vec<u8>| unpack(Compression::Gzip, 2, &[&first[..], &second].concat());
        assert_eq!(twice(member(0x40, b"")).as_deref(), Ok(&b"hihi"[..]));
        assert_eq!(twice(member(0x02, b"\0\0")).as_deref(), Ok(&b"hi"[..]));
        let mut wrong = member(0, b"");
        wrong[15] ^= 1;
        assert!(twice(wrong).is_err());
    }

    #[test]
    fn case_r2_the_limit_is_of_all_members_together() {
        let half = compress(Compression::Gzip, 2, None, &[vec![b'x'; CAP / 2].into()]).unwrap();
        let one = compress(Compression::Gzip, 2, None, &[Bytes::from_static(b"1")]).unwrap();
        let (full, more) = ([&half[..], &half].concat(), [&half[..], &half, &one].concat());
        assert_eq!(unpack(Compression::Gzip, 2, &full).unwrap().len(), CAP);
        let too_large = Err(RecordsError::DecompressedTooLarge { limit: CAP });
        assert_eq!(unpack(Compression::Gzip, 2, &more), too_large);
        // What is ignored does not count.
        let text = [&full[..], &b"x".repeat(CAP)].concat();
        assert_eq!(unpack(Compression::Gzip, 2, &text).unwrap().len(), CAP);
    }

    #[test]
    fn hostile() {
        let packed = compress(Compression::Gzip, 2, None, &[sample().into()]).unwrap();
        check_hostile(Compression::Gzip, &packed);
    }
}

#[cfg(feature = "snappy")]
mod snappy {
    use super::*;

    #[test]
    fn raw_and_streams_behind_each_other() {
        let plain = sample();
        let raw = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
        assert_eq!(unpack(Compression::Snappy, 2, &raw).unwrap(), plain);
        let framed = compress(Compression::Snappy, 2, None, &[plain.clone().into()]).unwrap();
        let twice = unpack(Compression::Snappy, 2, &[&framed[..], &framed].concat()).unwrap();
        assert_eq!(twice, [&plain[..], &plain].concat());
    }

    #[test]
    fn case_j2_headers_are_looked_at_as_snappy_java_does() {
        const MAGIC: &[u8] = b"\x82SNAPPY\0";
        let header = |version: i32, oldest: i32| [version.to_be_bytes(), oldest.to_be_bytes()].concat();
        let (one, two) = (b"\0\0\0\x03\x01\0c", b"\0\0\0\x03\x01\0d");
        for (version, oldest) in [(1, 1), (0, 0), (-1, 1), (1, 0), (9, 9)] {
            let odd = [MAGIC, &header(version, oldest), one].concat();
            assert_eq!(unpack(Compression::Snappy, 2, &odd).as_deref(), Ok(&b"c"[..]), "{version}");
            let behind = [MAGIC, &header(1, 1), one, MAGIC, &header(version, oldest), two].concat();
            assert_eq!(unpack(Compression::Snappy, 2, &behind).is_ok(), version >= 1, "{version}");
        }
        // Of another magic four bytes tell it from a length.
        let another = |magic: &[u8]| {
            let all = [MAGIC, &header(1, 1), one, magic, &header(1, 1), two].concat();
            unpack(Compression::Snappy, 2, &all)
        };
        assert_eq!(another(b"\x82SNAxxxx").as_deref(), Ok(&b"cd"[..]));
        assert!(another(b"\x82SNxPPY\0").is_err());
        let cut_off = [MAGIC, &header(1, 1), one, MAGIC].concat();
        assert!(unpack(Compression::Snappy, 2, &cut_off).is_err());
    }

    /// A block of few bytes that claims 4 GiB, raw and framed.
    #[test]
    fn claims_are_not_believed() {
        let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
        assert!(matches!(unpack(Compression::Snappy, 2, &claim), Err(RecordsError::Decompress { .. })));
        let mut framed = compress(Compression::Snappy, 2, None, &[]).unwrap();
        framed.extend_from_slice(&6u32.to_be_bytes());
        framed.extend_from_slice(&claim);
        assert!(matches!(unpack(Compression::Snappy, 2, &framed), Err(RecordsError::Decompress { .. })));
    }

    #[test]
    fn hostile() {
        // Cut between two blocks a stream is whole, so only a single block is cut here.
        let packed = compress(Compression::Snappy, 2, None, &[sample()[..30_000].to_vec().into()]).unwrap();
        check_hostile(Compression::Snappy, &packed[16..]);
        // Less than a length behind the header is ignored.
        for end in 20..packed.len() {
            assert!(unpack(Compression::Snappy, 2, &packed[..end]).is_err(), "cut at {end}");
        }
    }
}

#[cfg(feature = "lz4")]
mod lz4 {
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    use super::*;

    fn foreign(info: FrameInfo) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&sample()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_kind_of_frame() {
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
                for checksums in [false, true] {
                    let info = FrameInfo::new().block_mode(mode).block_size(size);
                    let info = info.block_checksums(checksums).content_checksum(checksums);
                    let info = info.content_size(checksums.then_some(sample().len() as u64));
                    assert_eq!(unpack(Compression::Lz4, 2, &foreign(info)).unwrap(), sample());
                }
            }
        }
    }

    #[test]
    fn a_changed_block_is_noticed_by_its_checksum() {
        let mut packed = foreign(FrameInfo::new().block_checksums(true));
        packed[1000] ^= 1;
        assert!(unpack(Compression::Lz4, 2, &packed).is_err());
    }

    /// Magic, flags, block size, the right checksum, then a stored block of "hi" and what follows.
    fn frame(flags: u8, block_size: u8, behind: &[u8]) -> Vec<u8> {
        let sum = (twox_hash::XxHash32::oneshot(0, &[flags, block_size]) >> 8) as u8;
        let head = [4, 0x22, 0x4d, 0x18, flags, block_size, sum, 2, 0, 0, 0x80, b'h', b'i'];
        [&head[..], behind].concat()
    }

    #[test]
    fn case_j3_a_block_of_nothing_ends_a_frame() {
        for end in [[0, 0, 0, 0], [0, 0, 0, 0x80]] {
            let read = unpack(Compression::Lz4, 2, &frame(0x60, 0x40, &[&end[..], b"\xff"].concat()));
            assert_eq!(read.as_deref(), Ok(&b"hi"[..]), "{end:?}");
            assert!(
                unpack(Compression::Lz4, 2, &frame(0x64, 0x40, &[&end[..], b"\0\0\0"].concat())).is_err()
            );
        }
    }

    #[test]
    fn case_j3_flags_without_a_meaning_are_refused() {
        let frames = [(0x60, 0x40), (0x62, 0x40), (0x61, 0x40), (0x60, 0x41), (0x60, 0xc0), (0x20, 0x40)];
        let read =
            frames.map(|(flags, size)| unpack(Compression::Lz4, 2, &frame(flags, size, &[0; 4])).is_ok());
        assert_eq!(read, [true, false, false, false, false, false]);
    }

    #[test]
    fn format_0_has_its_own_header_checksum() {
        let pieces = [Bytes::from_static(b"abc")];
        let (wrong, right) =
            (compress(Compression::Lz4, 0, None, &pieces), compress(Compression::Lz4, 1, None, &pieces));
        let (wrong, right) = (wrong.unwrap(), right.unwrap());
        assert_eq!((wrong[6], right[6]), (0x1a, 0x82));
        assert_eq!(unpack(Compression::Lz4, 0, &wrong).unwrap(), &b"abc"[..]);
        assert_eq!(unpack(Compression::Lz4, 0, &right).unwrap(), &b"abc"[..]);
        assert!(unpack(Compression::Lz4, 1, &wrong).is_err());
    }

    /// What is ours, others read: noise too, which is stored as it is.
    #[test]
    fn others_read_ours() {
        let noise = noise_bytes();
        for plain in [sample(), noise, Vec::new()] {
            let packed = compress(Compression::Lz4, 2, None, &[plain.clone().into()]).unwrap();
            let mut read = Vec::new();
            std::io::copy(&mut lz4_flex::frame::FrameDecoder::new(&packed[..]), &mut read).unwrap();
            assert_eq!(read, plain);
        }
    }

    fn noise_bytes() -> Vec<u8> {
        let mut random = 7u64;
        let step = |random: &mut u64| {
            *random ^= *random << 13;
            *random ^= *random >> 7;
            *random ^= *random << 17;
            (*random >> 32) as u8
        };
        (0..150_000).map(|_| step(&mut random)).collect()
    }

    #[test]
    fn hostile() {
        check_hostile(Compression::Lz4, &compress(Compression::Lz4, 2, None, &[sample().into()]).unwrap());
    }
}

#[cfg(feature = "zstd")]
mod zstd {
    use super::*;

    #[test]
    fn levels_and_frames_of_others() {
        for level in [-5, 1, 3, 19, 22] {
            // A streaming writer does not know the content's size.
            let packed = ::zstd::stream::encode_all(&sample()[..], level).unwrap();
            assert_eq!(unpack(Compression::Zstd, 2, &packed).unwrap(), sample(), "level {level}");
        }
    }

    #[test]
    fn frames_behind_each_other_and_skippable_ones() {
        let one = ::zstd::stream::encode_all(&b"one"[..], 3).unwrap();
        let skippable = [&0x184d_2a53u32.to_le_bytes()[..], &3u32.to_le_bytes(), b"xyz"].concat();
        let two = ::zstd::bulk::compress(b"two", 3).unwrap();
        let all = unpack(Compression::Zstd, 2, &[one, skippable, two].concat()).unwrap();
        assert_eq!(all, &b"onetwo"[..]);
    }

    /// A frame of a window of 1 KiB, with a stored block, one that is repeated, and a stored one at the end.
    const BLOCKS: [u8; 22] = *b"\x28\xb5\x2f\xfd\x00\x00\x18\x00\x00abc\x22\x00\x00x\x19\x00\x00def";

    fn behind_another(frame: &[u8]) -> Result<Bytes, RecordsError> {
        let first = compress(Compression::Zstd, 2, None, &[Bytes::from_static(b"one")]).unwrap();
        unpack(Compression::Zstd, 2, &[&first, frame].concat())
    }

    #[test]
    fn case_j4_a_frame_that_is_cut_off_behind_another_ends_the_content() {
        let all = behind_another(&BLOCKS).unwrap();
        assert_eq!(all, &b"oneabcxxxxdef"[..]);
        for end in 0..BLOCKS.len() {
            let read = behind_another(&BLOCKS[..end]).unwrap();
            // Of stored blocks each byte counts.
            let expected = match end {
                0..=9 => 0,
                10..=12 => end - 9,
                13..=15 => 3,
                16..=19 => 7,
                _ => end - 12,
            };
            assert_eq!(read, all[..3 + expected], "{end} bytes");
            assert!(end == 0 || unpack(Compression::Zstd, 2, &BLOCKS[..end]).is_err(), "{end} bytes alone");
        }
        // Without the checksum that the header tells of, and with half of what is to be skipped.
        let packed = ::zstd::bulk::Compressor::new(3).and_then(|mut packer| {
            packer.set_parameter(::zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
            packer.compress(&sample()[..300])
        });
        let packed = packed.unwrap();
        let read = behind_another(&packed[..packed.len() - 1]).unwrap();
        assert_eq!(read, [b"one", &sample()[..300]].concat());
        assert_eq!(behind_another(b"\x51\x2a\x4d\x18\x09\0\0\0xyz").unwrap(), &b"one"[..]);
    }

    #[test]
    fn case_j4_what_is_no_beginning_of_a_frame_is_an_error() {
        let changed = |at: usize, byte: u8| {
            let mut frame = BLOCKS;
            frame[at] = byte;
            behind_another(&frame[..20])
        };
        assert!(changed(5, 0).is_ok());
        // Magic, a reserved flag, a dictionary, too large a window, a reserved kind of block, a block larger than the window.
        for (at, byte) in [(3, 0xfc), (4, 0x08), (4, 0x01), (5, 0xf8), (6, 0x1e), (7, 0x28)] {
            assert!(changed(at, byte).is_err(), "{byte:x} at {at}");
        }
        assert!(behind_another(b"x").is_err());
        // More than the header says: one segment of two bytes.
        assert!(behind_another(b"\x28\xb5\x2f\xfd\x20\x02\x18\x00\x00abc").is_err());
    }

    #[test]
    fn case_j4_the_limit_is_of_all_frames_together() {
        let half = compress(Compression::Zstd, 2, None, &[vec![b'x'; CAP / 2].into()]).unwrap();
        let cut_off = &half[..half.len() - 1];
        let read = unpack(Compression::Zstd, 2, &[&half, &half, &BLOCKS[..11]].concat());
        assert_eq!(read, Err(RecordsError::DecompressedTooLarge { limit: CAP }));
        assert!(unpack(Compression::Zstd, 2, &[&half, cut_off].concat()).unwrap().len() <= CAP);
    }

    /// Blocks of one repeated byte each take four bytes for 128 KiB: the cap is what counts then.
    #[test]
    fn repeated_bytes_are_capped() {
        let mut packed = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
        for last in [0u32, 0, 0, 0, 0, 0, 0, 0, 0, 1] {
            packed.extend_from_slice(&(last | 1 << 1 | (128 << 10) << 3).to_le_bytes()[..3]);
            packed.push(b'a');
        }
        let small = unpack(Compression::Zstd, 2, &packed);
        assert_eq!(small, Err(RecordsError::DecompressedTooLarge { limit: CAP }));
        let whole = decompress(Compression::Zstd, 2, &packed.into(), usize::MAX).unwrap();
        assert_eq!(whole.len(), 1280 << 10);
    }

    #[test]
    fn hostile() {
        check_hostile(Compression::Zstd, &compress(Compression::Zstd, 2, None, &[sample().into()]).unwrap());
    }
}

/// What Kafka's own classes make of the same bytes: `tests/java/CodecEdges.java` wrote the file.
#[cfg(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]
#[test]
fn case_r2_edges_are_read_as_kafka_reads_them() {
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    // Other writers make linked blocks.
    let is_meant = |codec, case| (codec, case) == ("lz4", "linked blocks");
    let mut differences = Vec::new();
    for line in include_str!("../../../tests/vectors/edges/codecs.txt").lines() {
        let [codec, case, packed, kafka] = line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let read = unpack(Compression::from_name(codec).unwrap(), 2, &bytes(packed));
        let expected = (kafka != "error").then(|| bytes(kafka));
        if read.ok().map(|read| read.to_vec()) != expected && !is_meant(codec, case) {
            differences.push(format!("{codec}, {case}"));
        }
    }
    assert_eq!(differences, [""; 0]);
}
