//! Inputs without what an exception is about.

use std::collections::BTreeSet;
use std::ops::Range;

use kafka_proto::ApiKey;
use twox_hash::XxHash32;

use super::batches::seal;

/// A blob with each of the tails that it may lack: user data, owned partitions, generation, rack.
pub(super) fn completed(question: &[u8]) -> Vec<Vec<u8>> {
    let [kind, a, b, ..] = question else { return Vec::new() };
    let version = i16::from_be_bytes([*a, *b]);
    let fields: [&[u8]; 4] = [&[0xff; 4], &[0; 4], &[0xff; 4], &[0xff; 2]];
    let last = if *kind == 1 { version.clamp(0, 3) as usize } else { 0 };
    let tails = (0..=last).map(|first| fields[first..=last].concat());
    tails.map(|tail| [question, &tail].concat()).collect()
}

/// An assignment without partitions, in place of one without bytes.
pub(super) fn of_no_partitions(question: &[u8]) -> Vec<Vec<u8>> {
    match question {
        [2] => vec![vec![2, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]],
        _ => Vec::new(),
    }
}

/// What was read of a subscription, each topic once.
pub(super) fn without_doubles(answer: &str) -> String {
    let Some((topics, rest)) = answer.strip_prefix("topics [").and_then(|list| list.split_once(']')) else {
        return answer.to_owned();
    };
    let mut seen = BTreeSet::new();
    let once: Vec<_> = topics.split(", ").filter(|topic| seen.insert(*topic)).collect();
    format!("topics [{}]{rest}", once.join(", "))
}

/// A response with an empty value in place of what may be a null, each of them.
pub(super) fn without_nulls(question: &[u8]) -> Vec<Vec<u8>> {
    let [_, a, b, c, d, body @ ..] = question else { return Vec::new() };
    let key = ApiKey::from_code(i16::from_be_bytes([*a, *b]));
    let flexible = key.is_some_and(|key| key.is_flexible(i16::from_be_bytes([*c, *d])));
    let empty: &[u8] = if flexible { &[1] } else { &[0; 4] };
    let repaired = (0..body.len()).filter_map(|at| {
        let null = match &body[at..] {
            [0, ..] if flexible => 1,
            // Any negative number is null.
            [a, b, c, d, 0x08..=0x0f, ..] if flexible && a & b & c & d & 0x80 != 0 => 5,
            [0x80..=0xff, _, _, _, ..] if !flexible => 4,
            _ => return None,
        };
        Some([&question[..5 + at], empty, &body[at + null..]].concat())
    });
    repaired.collect()
}

/// LZ4 frames that say that their blocks do not refer to each other.
pub(super) fn with_independent_blocks(question: &[u8]) -> Vec<Vec<u8>> {
    packed(question, 3, mark_independent)
}

/// Zstandard frames that claim a window in which all of them has room, and which may be had.
pub(super) fn with_other_windows(question: &[u8]) -> Vec<Vec<u8>> {
    packed(question, 4, widen_windows)
}

/// Changes what is packed with this codec, in batches or by itself.
fn packed(question: &[u8], codec: u8, change: fn(&mut [u8]) -> bool) -> Vec<Vec<u8>> {
    let is_of_batches = question.first() == Some(&0);
    if is_of_batches { inside(question, codec, change) } else { alone(question, codec, change) }
}

/// Changes what is packed with this codec, where it is by itself.
fn alone(question: &[u8], codec: u8, change: fn(&mut [u8]) -> bool) -> Vec<Vec<u8>> {
    let mut repaired = question.to_vec();
    let is_changed = match repaired.split_at_mut_checked(3) {
        Some(([_, of, _], packed)) if *of == codec => change(packed),
        _ => false,
    };
    if is_changed { vec![repaired] } else { Vec::new() }
}

/// Changes what is packed with this codec inside batches.
fn inside(question: &[u8], codec: u8, change: fn(&mut [u8]) -> bool) -> Vec<Vec<u8>> {
    let mut repaired = question.to_vec();
    for batch in batches(question) {
        let batch = &mut repaired[batch];
        let mut sealed = batch.to_vec();
        seal(&mut sealed);
        // A checksum that was wrong stays so.
        let is_right = sealed == *batch;
        if let Some(packed) = packed_at(batch, codec)
            && change(&mut batch[packed..])
            && is_right
        {
            seal(batch);
        }
    }
    if repaired == question { Vec::new() } else { vec![repaired] }
}

/// Of what may be frames all that have a window: 16 MiB.
fn widen_windows(packed: &mut [u8]) -> bool {
    let frames: Vec<_> =
        packed.windows(6).enumerate().filter(|(_, at)| at.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])).collect();
    let windows: Vec<_> = frames.iter().filter(|(_, at)| at[4] & 0x20 == 0).map(|(at, _)| at + 5).collect();
    windows.iter().for_each(|at| packed[*at] = 14 << 3);
    !windows.is_empty()
}

/// Sets the flag and the header's checksum.
fn mark_independent(frame: &mut [u8]) -> bool {
    let Some(flags) = frame.get_mut(4) else { return false };
    *flags |= 0x20;
    let checksum_at = if *flags & 0x08 != 0 { 14 } else { 6 };
    if frame.len() <= checksum_at {
        return false;
    }
    frame[checksum_at] = (XxHash32::oneshot(0, &frame[4..checksum_at]) >> 8) as u8;
    true
}

/// Where in a batch with this codec the compressed bytes begin.
fn packed_at(batch: &[u8], codec: u8) -> Option<usize> {
    let (attributes, packed_at) = match batch.get(16)? {
        2 => (*batch.get(22)?, 61),
        magic => {
            let key_at = if *magic == 0 { 18 } else { 26 };
            let key_len = i32::from_be_bytes(*batch.get(key_at..)?.first_chunk()?);
            (*batch.get(17)?, key_at + 4 + usize::try_from(key_len).unwrap_or(0) + 4)
        }
    };
    (attributes & 7 == codec && packed_at < batch.len()).then_some(packed_at)
}

/// Without each of the batches of format 2 that are for brokers or have no records, and without all of them.
pub(super) fn without_unread_batches(question: &[u8]) -> Vec<Vec<u8>> {
    let is_unread = |batch: &[u8]| {
        let is_control = batch.get(22).is_some_and(|flags| flags & 0x20 != 0);
        batch.get(16) == Some(&2) && (is_control || batch.get(57..61) == Some(&[0; 4]))
    };
    let unread: Vec<_> =
        batches(question).into_iter().filter(|batch| is_unread(&question[batch.clone()])).collect();
    let mut repaired: Vec<_> =
        unread.iter().map(|batch| without(question, std::slice::from_ref(batch))).collect();
    if unread.len() > 1 {
        repaired.push(without(question, &unread));
    }
    repaired
}

fn without(question: &[u8], batches: &[Range<usize>]) -> Vec<u8> {
    let kept = question.iter().enumerate().filter(|(at, _)| !batches.iter().any(|batch| batch.contains(at)));
    kept.map(|(_, byte)| *byte).collect()
}

/// Up to the batch whose size leaves no room for its own field.
pub(super) fn without_the_huge(question: &[u8]) -> Vec<Vec<u8>> {
    let end = batches(question).last().map_or(1, |batch| batch.end);
    let size =
        question.get(end + 8..).and_then(|rest| rest.first_chunk()).map(|size| i32::from_be_bytes(*size));
    match size {
        Some(size) if size > i32::MAX - 12 => vec![question[..end].to_vec()],
        _ => Vec::new(),
    }
}

/// Where whole batches are, as their sizes say.
fn batches(question: &[u8]) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 1);
    while let Some(size) = question.get(at + 8..).and_then(|rest| rest.first_chunk()) {
        let Some(end) = usize::try_from(i32::from_be_bytes(*size)).ok().map(|size| at + 12 + size) else {
            break;
        };
        if end > question.len() {
            break;
        }
        found.push(at..end);
        at = end;
    }
    found
}
