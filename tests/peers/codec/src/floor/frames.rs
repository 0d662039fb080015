//! Floors of small frames: Heartbeat requests and responses, version 4, with length and header.

use super::put_slice;
use crate::data::{CLIENT_ID, GENERATION, GROUP, MEMBER};

/// One whole request frame into `out`; gives its length.
pub fn encode_heartbeat(correlation_id: i32, out: &mut [u8]) -> usize {
    let mut p = 4;
    put_slice(out, &mut p, &12i16.to_be_bytes());
    put_slice(out, &mut p, &4i16.to_be_bytes());
    put_slice(out, &mut p, &correlation_id.to_be_bytes());
    put_slice(out, &mut p, &(CLIENT_ID.len() as i16).to_be_bytes());
    put_slice(out, &mut p, CLIENT_ID.as_bytes());
    put_slice(out, &mut p, &[0, GROUP.len() as u8 + 1]);
    put_slice(out, &mut p, GROUP.as_bytes());
    put_slice(out, &mut p, &GENERATION.to_be_bytes());
    put_slice(out, &mut p, &[MEMBER.len() as u8 + 1]);
    put_slice(out, &mut p, MEMBER.as_bytes());
    put_slice(out, &mut p, &[0, 0]); // no instance id, no tags
    out[..4].copy_from_slice(&(p as i32 - 4).to_be_bytes());
    p
}

/// Response frames that follow each other: the sum of what they say.
pub fn decode_heartbeats(mut b: &[u8]) -> u64 {
    let mut acc = 0;
    while !b.is_empty() {
        let int = |at: usize| i32::from_be_bytes(b[at..at + 4].try_into().unwrap());
        let end = 4 + int(0) as usize;
        assert_eq!((b[8], b[15]), (0, 0)); // no tags
        acc += int(4) as u64 + int(9) as u64 + i16::from_be_bytes([b[13], b[14]]) as u64;
        b = &b[end..];
    }
    acc
}
