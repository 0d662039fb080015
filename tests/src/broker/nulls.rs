//! Responses of brokers that send null where the schema has bytes that are never null.
//!
//! What holds here: only the empty bytes of JoinGroup and SyncGroup responses change; the frame stays whole otherwise.

use kafka_proto::wire::EncodeError;
use kafka_proto::{Bytes, ResponseKind, frame};

/// Stands for null until the response is encoded; longer than anything that could be it by chance, and short enough for a
/// length of one byte in flexible versions.
const STAND_IN: &[u8; 34] = b"\0null in place of empty bytes here";

/// Encodes a response with null for empty bytes.
pub(super) fn encode_response(
    correlation_id: i32,
    version: i16,
    response: &ResponseKind,
) -> Result<Vec<Bytes>, EncodeError> {
    let Some(marked) = marked(response) else {
        return frame::encode_response(correlation_id, version, response);
    };
    let segments = frame::encode_response(correlation_id, version, &marked)?;
    Ok(vec![Bytes::from(with_nulls(&segments.concat()))])
}

/// The response with the stand-in for its empty bytes; `None` if it has none.
fn marked(response: &ResponseKind) -> Option<ResponseKind> {
    let mut marked = response.clone();
    let empty: Vec<&mut Bytes> = match &mut marked {
        ResponseKind::JoinGroup(joined) => {
            joined.members.iter_mut().map(|member| &mut member.metadata).collect()
        }
        ResponseKind::SyncGroup(synced) => vec![&mut synced.assignment],
        _ => return None,
    };
    let mut any = false;
    for bytes in empty.into_iter().filter(|bytes| bytes.is_empty()) {
        *bytes = Bytes::from_static(STAND_IN);
        any = true;
    }
    any.then_some(marked)
}

/// Replaces each stand-in and the length before it by the length of null, and corrects the length of the frame.
fn with_nulls(frame: &[u8]) -> Vec<u8> {
    const LENGTH: [u8; 4] = (STAND_IN.len() as u32).to_be_bytes();
    let mut out = Vec::with_capacity(frame.len());
    let mut rest = frame;
    while let Some(at) = rest.windows(STAND_IN.len()).position(|window| window == STAND_IN) {
        out.extend_from_slice(&rest[..at]);
        if out.ends_with(&LENGTH) {
            out.truncate(out.len() - LENGTH.len());
            out.extend_from_slice(&(-1_i32).to_be_bytes());
        } else {
            // Flexible versions: the length and one, so 0 is null.
            out.pop();
            out.push(0);
        }
        rest = &rest[at + STAND_IN.len()..];
    }
    out.extend_from_slice(rest);
    let length = u32::try_from(out.len() - 4).unwrap_or_default();
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}
