//! Compressed bytes by themselves: streams of each codec in the forms that writers give them, one or several, then changed.

use std::io::Write;

use flate2::{Crc, GzBuilder};
use kafka_core::Bytes;
use kafka_proto::records::{Compression, compression};
use twox_hash::XxHash32;
use xtask::dice::Dice;

use super::mutate::{append, change, mutate};

/// A codec, a format, and what is to be unpacked.
pub(super) fn question(dice: &mut Dice) -> Vec<u8> {
    let codec = dice.of(&Compression::ALL[1..]);
    let magic = match codec {
        Compression::Zstd => 2,
        _ => dice.of(&[0, 1, 2, 2]),
    };
    let len = match dice.below(40) {
        0 => 0,
        1 => 60_000 + dice.below(80_000),
        2..=6 => 1000 + dice.below(9000),
        _ => dice.below(200),
    };
    let content = content(len, dice);
    let mut question = vec![1, codec.code(), magic];
    question.extend(stream(codec, magic, &content, dice));
    question
}

fn content(len: usize, dice: &mut Dice) -> Vec<u8> {
    if dice.one_in(4) { dice.bytes(len) } else { dice.text(len) }
}

/// What unpacks to these bytes, or has been damaged so that it does not.
pub(super) fn stream(codec: Compression, magic: u8, content: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut ends = vec![0];
    let parts = dice.of(&[1, 1, 1, 2, 3]);
    for part in content.chunks(content.len().div_ceil(parts).max(1)) {
        packed.extend(one(codec, magic, part, dice));
        ends.push(packed.len());
    }
    if content.is_empty() || dice.one_in(30) {
        packed.extend(one(codec, magic, b"", dice));
    }
    match dice.below(6) {
        0 => mutate(&mut packed, &ends, dice),
        1 => change_an_edge(&mut packed, dice),
        2 => cut_an_edge(&mut packed, dice),
        3 => append(&mut packed, dice),
        _ => {}
    }
    packed
}

/// Heads and ends are where the fields of a stream are.
fn change_an_edge(packed: &mut [u8], dice: &mut Dice) {
    let edge = packed.len().min(16);
    let from = if dice.one_in(2) { 0 } else { packed.len() - edge };
    change(&mut packed[from..from + edge], dice);
}

fn cut_an_edge(packed: &mut Vec<u8>, dice: &mut Dice) {
    let less = 1 + dice.below(16);
    packed.truncate(packed.len().saturating_sub(less));
}

fn one(codec: Compression, magic: u8, content: &[u8], dice: &mut Dice) -> Vec<u8> {
    if dice.one_in(3) {
        // As we write it, which cannot fail.
        let piece = [Bytes::copy_from_slice(content)];
        return compression::compress(codec, magic, None, &piece).unwrap_or_default();
    }
    match codec {
        Compression::Gzip => gzip(content, dice),
        Compression::Snappy => snappy(content, dice),
        Compression::Lz4 => lz4(content, magic, dice),
        _ => zstd(content, dice),
    }
}

/// A member with or without the optional fields of its header.
fn gzip(content: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut builder = GzBuilder::new();
    if dice.one_in(3) {
        builder = builder.filename("records");
    }
    if dice.one_in(3) {
        builder = builder.comment("no comment");
    }
    if dice.one_in(3) {
        builder = builder.extra(vec![7; 5]);
    }
    let level = flate2::Compression::new(dice.below(10) as u32);
    let mut writer = builder.write(Vec::new(), level);
    let _ = writer.write_all(content);
    let mut member = writer.finish().unwrap_or_default();
    if dice.one_in(4) {
        add_header_checksum(&mut member, dice);
    }
    member
}

/// The checksum of a member's header (FHCRC), which writers leave out; not always the right one.
fn add_header_checksum(member: &mut Vec<u8>, dice: &mut Dice) {
    // Only behind a header of fixed length is it known where.
    if member.len() < 10 || member[3] != 0 {
        return;
    }
    member[3] = 2;
    let mut crc = Crc::new();
    crc.update(&member[..10]);
    let sum = (crc.sum() as u16) ^ u16::from(dice.one_in(2));
    member.splice(10..10, sum.to_le_bytes());
}

/// One raw block, or blocks in the framing of snappy-java.
fn snappy(content: &[u8], dice: &mut Dice) -> Vec<u8> {
    let raw = |part: &[u8]| snap::raw::Encoder::new().compress_vec(part).unwrap_or_default();
    if dice.one_in(3) {
        return raw(content);
    }
    let versions = dice.of(&[(1i32, 1i32), (1, 1), (1, 1), (2, 1), (9, 9), (1, 0), (0, 0), (-1, 1)]);
    let mut out = b"\x82SNAPPY\0".to_vec();
    out.extend(versions.0.to_be_bytes());
    out.extend(versions.1.to_be_bytes());
    for part in content.chunks(dice.of(&[10, 100, 32768, 100_000])) {
        let block = raw(part);
        out.extend((block.len() as u32).to_be_bytes());
        out.extend(block);
    }
    if dice.one_in(8) {
        out.extend(dice.of(&[[0u8; 4], [0, 0, 0, 1], [0xff; 4], [0x7f, 0xff, 0xff, 0xff]]));
    }
    out
}

const LZ4_STORED: u32 = 0x8000_0000;

/// A frame with each of the flags set or not, blocks packed or stored.
fn lz4(content: &[u8], magic: u8, dice: &mut Dice) -> Vec<u8> {
    let (independent, block_sums, content_size, content_sum) =
        (!dice.one_in(8), dice.one_in(3), dice.one_in(4), dice.one_in(4));
    let version = if dice.one_in(40) { dice.below(4) as u8 } else { 1 };
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let flags = version << 6
        | flag(independent, 0x20)
        | flag(block_sums, 0x10)
        | flag(content_size, 0x08)
        | flag(content_sum, 0x04)
        | flag(dice.one_in(40), 0x02)
        | flag(dice.one_in(40), 0x01);
    let block_size = if dice.one_in(30) { dice.below(16) } else { 4 + dice.below(4) };
    let mut out = vec![4, 0x22, 0x4d, 0x18, flags, (block_size as u8) << 4 | u8::from(dice.one_in(60))];
    if content_size {
        let told = content.len() as u64 + u64::from(dice.one_in(6));
        out.extend(told.to_le_bytes());
    }
    let old = magic == 0 && !dice.one_in(4);
    let sum = (XxHash32::oneshot(0, &out[if old { 0 } else { 4 }..]) >> 8) as u8;
    out.push(if dice.one_in(30) { sum ^ 1 } else { sum });
    for part in content.chunks(dice.of(&[20, 300, 65536])) {
        lz4_block(part, block_sums, &mut out, dice);
    }
    if !dice.one_in(20) {
        out.extend([0; 4]);
    }
    if content_sum {
        let sum = XxHash32::oneshot(0, content) ^ u32::from(dice.one_in(4));
        out.extend(sum.to_le_bytes());
    }
    out
}

fn lz4_block(part: &[u8], with_sum: bool, out: &mut Vec<u8>, dice: &mut Dice) {
    let packed = (!dice.one_in(3)).then(|| lz4_packed(part)).flatten();
    let (size, block) = match packed {
        Some(block) => (block.len() as u32, block),
        None => (part.len() as u32 | LZ4_STORED, part.to_vec()),
    };
    out.extend(size.to_le_bytes());
    out.extend(&block);
    if with_sum {
        let sum = XxHash32::oneshot(0, &block) ^ u32::from(dice.one_in(20));
        out.extend(sum.to_le_bytes());
    }
}

/// The only block of a frame that we write, where it is not stored.
fn lz4_packed(part: &[u8]) -> Option<Vec<u8>> {
    let frame = compression::compress(Compression::Lz4, 2, None, &[Bytes::copy_from_slice(part)]).ok()?;
    let size = u32::from_le_bytes(*frame.get(7..)?.first_chunk()?);
    frame.get(11..11 + size as usize).map(<[u8]>::to_vec)
}

/// A frame of a streaming writer, with or without checksum and size; sometimes one that is to be skipped before it.
fn zstd(content: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    if dice.one_in(8) {
        let len = dice.below(6);
        out.extend((0x184d_2a50u32 + dice.below(16) as u32).to_le_bytes());
        out.extend((len as u32).to_le_bytes());
        out.extend(dice.bytes(len));
    }
    out.extend(zstd_frame(content, dice).unwrap_or_default());
    out
}

fn zstd_frame(content: &[u8], dice: &mut Dice) -> std::io::Result<Vec<u8>> {
    let mut writer = zstd::stream::Encoder::new(Vec::new(), dice.of(&[-3, 1, 3, 9]))?;
    writer.include_checksum(dice.one_in(2))?;
    if dice.one_in(2) {
        writer.set_pledged_src_size(Some(content.len() as u64))?;
    }
    for part in content.chunks(dice.of(&[50, 10_000, 1 << 20])) {
        writer.write_all(part)?;
        if dice.one_in(3) {
            writer.flush()?;
        }
    }
    writer.finish()
}
