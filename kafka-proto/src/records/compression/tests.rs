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
        assert!(unpack(compression, 2, &packed[..end]).is_err(), "{compression} cut at {end}");
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
    // Linked blocks, and content checksums that nobody looks at, are no reason to refuse what can be read; a frame that is cut
    // off is one, also behind another (there zstd-jni takes what it has for the end), and so is no frame at all.
    let is_meant = |codec, case: &str| match codec {
        "lz4" => ["linked blocks", "content checksum cut off"].contains(&case),
        "zstd" => case == "nothing" || case.starts_with("another cut") || case.starts_with("the first"),
        _ => false,
    };
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
