//! What stands in a `records` field: batches and message sets, written by hand so that each field may be odd.

use flate2::Crc;
use kafka_proto::records::{Compression, crc32c};
use xtask::dice::Dice;

use super::mutate::{append, change, mutate};
use super::payloads::stream;

/// How often something is odd, where that is wanted.
const ODD: usize = 12;

/// One to three batches of whatever formats.
pub(super) fn question(dice: &mut Dice) -> Vec<u8> {
    let odd = !dice.one_in(4);
    let mut out = vec![0];
    let mut ends = Vec::new();
    let mut offset = if odd && dice.one_in(20) {
        dice.of(&[-1, i64::MIN, i64::MAX, i64::MAX - 2])
    } else {
        dice.below(1000) as i64
    };
    for _ in 0..dice.of(&[1, 1, 1, 2, 3]) {
        let mut batch = Writer { dice, odd }.batch(&mut offset);
        if odd && dice.one_in(6) {
            let from = dice.of(&[16, 20, 60]).min(batch.len());
            change(&mut batch[from..], dice);
        }
        if !(odd && dice.one_in(12)) {
            seal(&mut batch);
        }
        out.extend(batch);
        ends.push(out.len());
    }
    match dice.below(8) {
        0 if odd => mutate(&mut out, &ends, dice),
        1 => append(&mut out, dice),
        2 => out.truncate(out.len() - dice.below(out.len().min(80))),
        _ => {}
    }
    if out.first() != Some(&0) {
        out.insert(0, 0);
    }
    out
}

/// Puts in the checksum that belongs there.
pub(super) fn seal(batch: &mut [u8]) {
    match batch.get(16) {
        Some(0 | 1) => {
            let mut crc = Crc::new();
            crc.update(&batch[16..]);
            batch[12..16].copy_from_slice(&crc.sum().to_be_bytes());
        }
        Some(_) if batch.len() > 21 => {
            let sum = crc32c(&batch[21..]);
            batch[17..21].copy_from_slice(&sum.to_be_bytes());
        }
        _ => {}
    }
}

struct Writer<'a> {
    dice: &'a mut Dice,
    odd: bool,
}

impl Writer<'_> {
    fn is_odd(&mut self) -> bool {
        self.odd && self.dice.one_in(ODD)
    }

    fn batch(&mut self, offset: &mut i64) -> Vec<u8> {
        match self.dice.of(&[0, 1, 1, 2, 2, 2]) {
            2 => self.format2(offset),
            magic => self.old_format(magic, offset),
        }
    }

    fn codec(&mut self, magic: u8) -> u8 {
        if self.odd && self.dice.one_in(30) {
            return self.dice.below(8) as u8;
        }
        let codecs = if magic == 2 { 5 } else { 4 };
        if self.dice.one_in(2) { 0 } else { 1 + self.dice.below(codecs - 1) as u8 }
    }

    /// Packs what is to stand in a batch; without damage where nothing is to be odd.
    fn pack(&mut self, codec: u8, magic: u8, plain: &[u8]) -> Vec<u8> {
        match Compression::from_code(codec) {
            None | Some(Compression::None) => plain.to_vec(),
            Some(codec) if self.odd && self.dice.one_in(3) => stream(codec, magic, plain, self.dice),
            Some(codec) => {
                let piece = [plain.to_vec().into()];
                kafka_proto::records::compression::compress(codec, magic, None, &piece).unwrap_or_default()
            }
        }
    }

    fn count(&mut self) -> usize {
        if self.dice.one_in(12) { self.dice.below(40) } else { self.dice.below(5) }
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let len = if self.dice.one_in(20) { 100 + self.dice.below(200) } else { self.dice.below(12) };
        (!self.dice.one_in(4)).then(|| self.dice.text(len))
    }

    // Format 2.

    fn format2(&mut self, offset: &mut i64) -> Vec<u8> {
        let count = self.count() as i32;
        let mut records = Vec::new();
        let mut delta = 0;
        for _ in 0..count {
            delta += if self.dice.one_in(6) { self.dice.below(5) as i32 } else { 0 };
            self.record(delta, &mut records);
            delta += 1;
        }
        if self.is_odd() {
            append(&mut records, self.dice);
        }
        let codec = self.codec(2);
        let packed = self.pack(codec, 2, &records);
        let last = delta.max(1) - 1 + if self.dice.one_in(8) { self.dice.below(4) as i32 } else { 0 };
        let header = self.header(*offset, codec, count, last, packed.len());
        *offset = offset.wrapping_add(i64::from(last)).wrapping_add(1);
        [header, packed].concat()
    }

    fn header(&mut self, offset: i64, codec: u8, count: i32, last: i32, len: usize) -> Vec<u8> {
        let mut flags = u16::from(codec);
        for (bit, seldom) in [(0x08, 4), (0x10, 6), (0x20, 12), (0x40, 12), (0x80, 30), (0x4000, 30)] {
            flags |= if self.dice.one_in(seldom) { bit } else { 0 };
        }
        let odd_number = |dice: &mut Dice, right: i32| {
            dice.of(&[
                right.wrapping_sub(1),
                right.wrapping_add(1),
                -1,
                0,
                i32::MIN,
                i32::MAX,
                right.wrapping_add(1000),
            ])
        };
        let size = if self.odd && self.dice.one_in(40) {
            odd_number(self.dice, len as i32 + 49)
        } else {
            len as i32 + 49
        };
        let count = if self.is_odd() { odd_number(self.dice, count) } else { count };
        let last = if self.is_odd() { odd_number(self.dice, last) } else { last };
        let (base_time, max_time) = (self.time(), self.time());
        let producer = if self.dice.one_in(3) {
            (self.dice.below(100) as i64, 0i16, self.dice.of(&[0, 5, i32::MAX]))
        } else {
            (-1, -1, -1)
        };
        let mut out = offset.to_be_bytes().to_vec();
        out.extend(size.to_be_bytes());
        out.extend(self.dice.of(&[-1i32, 0, 7]).to_be_bytes());
        out.push(2);
        out.extend([0; 4]);
        out.extend(flags.to_be_bytes());
        out.extend(last.to_be_bytes());
        out.extend(base_time.to_be_bytes());
        out.extend(max_time.to_be_bytes());
        out.extend(producer.0.to_be_bytes());
        out.extend(producer.1.to_be_bytes());
        out.extend(producer.2.to_be_bytes());
        out.extend(count.to_be_bytes());
        out
    }

    fn time(&mut self) -> i64 {
        if self.is_odd() {
            return self.dice.of(&[-1, 0, i64::MAX, i64::MIN, -2]);
        }
        1_700_000_000_000 + self.dice.below(100_000) as i64
    }

    fn record(&mut self, delta: i32, out: &mut Vec<u8>) {
        let odd_delta = self.odd && self.dice.one_in(40);
        let delta =
            if odd_delta { self.dice.of(&[-1, 0, delta + 1, delta - 1, i32::MAX, i32::MIN]) } else { delta };
        let mut body = vec![if self.dice.one_in(10) { self.dice.next() as u8 } else { 0 }];
        let time = if self.odd && self.dice.one_in(30) {
            self.dice.next() as i64
        } else {
            self.dice.below(1000) as i64 - 100
        };
        self.varint(time, &mut body);
        self.varint(delta.into(), &mut body);
        self.sized(true, &mut body);
        self.sized(true, &mut body);
        let count = if self.dice.one_in(3) { self.dice.below(4) } else { 0 };
        let told = if self.odd && self.dice.one_in(40) {
            self.dice.of(&[-1, count as i64 + 1, count as i64 - 1, 1 << 20])
        } else {
            count as i64
        };
        self.varint(told, &mut body);
        for _ in 0..count {
            self.sized(false, &mut body);
            self.sized(true, &mut body);
        }
        if self.odd && self.dice.one_in(40) {
            append(&mut body, self.dice);
        }
        let len = body.len() as i64;
        let len = if self.odd && self.dice.one_in(50) {
            self.dice.of(&[len - 1, len + 1, -1, 0, 1, 1 << 30])
        } else {
            len
        };
        self.varint(len, out);
        out.extend(body);
    }

    fn sized(&mut self, nullable: bool, out: &mut Vec<u8>) {
        let bytes = self.bytes();
        if self.odd && self.dice.one_in(60) {
            let len = bytes.as_ref().map_or(0, |bytes| bytes.len() as i64);
            let odd = self.dice.of(&[-1, -2, -100, len + 1, len - 1, 1 << 20]);
            self.varint(odd, out);
            out.extend(bytes.unwrap_or_default());
            return;
        }
        match bytes {
            None if nullable => self.varint(-1, out),
            bytes => {
                let mut bytes = bytes.unwrap_or_default();
                if self.odd && self.dice.one_in(30) {
                    change(&mut bytes, self.dice);
                }
                self.varint(bytes.len() as i64, out);
                out.extend(bytes);
            }
        }
    }

    /// Zigzag, seldom longer than need be.
    fn varint(&mut self, value: i64, out: &mut Vec<u8>) {
        let mut raw = ((value << 1) ^ (value >> 63)) as u64;
        while raw >= 0x80 {
            out.push(raw as u8 | 0x80);
            raw >>= 7;
        }
        if self.odd && self.dice.one_in(150) {
            out.push(raw as u8 | 0x80);
            let longer = self.dice.below(5);
            out.extend(vec![0x80; longer]);
            raw = if self.dice.one_in(3) { self.dice.next() & 0x7f } else { 0 };
        }
        out.push(raw as u8);
    }

    // Formats 0 and 1.

    fn old_format(&mut self, magic: u8, offset: &mut i64) -> Vec<u8> {
        let codec = self.codec(magic);
        if codec == 0 {
            let message = self.plain_message(magic, *offset);
            *offset = offset.wrapping_add(1);
            return message;
        }
        self.wrapper(magic, codec, offset)
    }

    fn plain_message(&mut self, magic: u8, offset: i64) -> Vec<u8> {
        let (key, value) = (self.bytes(), self.bytes());
        self.message(magic, 0, offset, key.as_deref(), value.as_deref())
    }

    /// A message around others, whose offsets are absolute in format 0 and relative in format 1.
    fn wrapper(&mut self, magic: u8, codec: u8, offset: &mut i64) -> Vec<u8> {
        let count = self.count().max(usize::from(!self.is_odd())) as i64;
        let (inner, last) = self.inner_set(magic, count, *offset);
        let packed = self.pack(codec, magic, &inner);
        let right = offset.wrapping_add(last);
        let told = if self.is_odd() {
            self.dice.of(&[
                0,
                last,
                right.wrapping_add(1),
                right.wrapping_sub(1),
                last - 1,
                last + 1,
                -1,
                i64::MAX,
            ])
        } else {
            right
        };
        *offset = right.wrapping_add(1);
        let key = if self.dice.one_in(10) { self.bytes() } else { None };
        let value = if self.odd && self.dice.one_in(40) { self.bytes() } else { Some(packed) };
        self.message(magic, codec, told, key.as_deref(), value.as_deref())
    }

    /// The messages inside, and the last of their offsets as it is counted from the first.
    fn inner_set(&mut self, magic: u8, count: i64, offset: i64) -> (Vec<u8>, i64) {
        let relative = (magic == 1) != (self.odd && self.dice.one_in(10));
        let (mut set, mut at) = (Vec::new(), 0);
        for _ in 0..count {
            at += if self.dice.one_in(6) { self.dice.below(4) as i64 } else { 0 };
            let told = if relative { at } else { offset.wrapping_add(at) };
            let told = if self.odd && self.dice.one_in(40) {
                self.dice.of(&[-1, 0, told.wrapping_add(1), i64::MAX])
            } else {
                told
            };
            let magic = if self.odd && self.dice.one_in(40) { 1 - magic } else { magic };
            let codec = if self.odd && self.dice.one_in(60) { 1 } else { 0 };
            let (key, value) = (self.bytes(), self.bytes());
            let mut message = self.message(magic, codec, told, key.as_deref(), value.as_deref());
            if !(self.odd && self.dice.one_in(30)) {
                seal(&mut message);
            }
            set.extend(message);
            at += 1;
        }
        if self.is_odd() {
            let ends = [set.len()];
            mutate(&mut set, &ends, self.dice);
        }
        (set, (at - 1).max(0))
    }

    fn message(
        &mut self,
        magic: u8,
        codec: u8,
        offset: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Vec<u8> {
        let append_time = magic == 1 && self.dice.one_in(5);
        let odd_bits =
            if self.odd && self.dice.one_in(30) { self.dice.of(&[0x10, 0x20, 0x80, 0x08]) } else { 0 };
        let mut body = vec![magic, codec | if append_time { 0x08 } else { 0 } | odd_bits];
        if magic == 1 {
            body.extend(self.time().to_be_bytes());
        }
        for part in [key, value] {
            let odd = self.odd && self.dice.one_in(60);
            let len = part.map_or(-1, |part| part.len() as i32);
            let len = if odd { self.dice.of(&[-1, -2, len + 1, len - 1, 1 << 30]) } else { len };
            body.extend(len.to_be_bytes());
            body.extend(part.unwrap_or_default());
        }
        if self.odd && self.dice.one_in(40) {
            append(&mut body, self.dice);
        }
        let size = body.len() as i32 + 4;
        let size = if self.odd && self.dice.one_in(60) {
            self.dice.of(&[size - 1, size + 1, 13, 14, 21, -1])
        } else {
            size
        };
        let mut out = offset.to_be_bytes().to_vec();
        out.extend(size.to_be_bytes());
        out.extend([0; 4]);
        out.extend(body);
        out
    }
}
