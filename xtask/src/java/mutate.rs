//! What may happen to bytes between those who write and those who read.

use xtask::dice::Dice;

/// Changes bytes whose parts end at these places, or leaves them alone.
pub(super) fn mutate(bytes: &mut Vec<u8>, ends: &[usize], dice: &mut Dice) {
    match dice.below(12) {
        0 | 1 if !ends.is_empty() => bytes.truncate(dice.of(ends)),
        2 => bytes.truncate(dice.below(bytes.len() + 1)),
        3 | 4 => append(bytes, dice),
        5 | 6 => change(bytes, dice),
        7 => insert_or_remove(bytes, dice),
        8 => {
            change(bytes, dice);
            change(bytes, dice);
        }
        9 if dice.one_in(4) => {
            *bytes = {
                let len = dice.below(60);
                dice.bytes(len)
            }
        }
        _ => {}
    }
}

/// Puts something behind them.
pub(super) fn append(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let len = dice.of(&[1, 2, 3, 4, 8, 20, 100]);
    match dice.below(4) {
        0 => bytes.extend(vec![0; len]),
        1 => bytes.extend(vec![0xff; len]),
        2 => bytes.extend(dice.bytes(len)),
        _ => bytes.extend_from_within(..len.min(bytes.len())),
    }
}

/// Changes one byte.
pub(super) fn change(bytes: &mut [u8], dice: &mut Dice) {
    if bytes.is_empty() {
        return;
    }
    let at = dice.below(bytes.len());
    bytes[at] = match dice.below(4) {
        0 => bytes[at] ^ (1 << dice.below(8)),
        1 => bytes[at].wrapping_add(dice.of(&[1, 0xff])),
        2 => dice.of(&[0, 1, 0x7f, 0x80, 0xff]),
        _ => dice.next() as u8,
    };
}

fn insert_or_remove(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    if dice.one_in(2) {
        bytes.insert(at, dice.next() as u8);
    } else if at < bytes.len() {
        bytes.remove(at);
    }
}
