//! A message on a connection: int32 length, header, body.
//!
//! A response does not say what it answers: the connection remembers API and version of each request, and responses
//! come in the order of the requests.

use crate::message::{self, Known};
use crate::messages::headers::{RequestHeader, ResponseHeader};
use crate::wire::{
    DecodeError, DecodeErrorKind, Decoder, EncodeError, EncodeErrorKind, Encoder, Records, Sink, UnknownTags,
};
use crate::{ApiKey, Message, RequestKind, ResponseKind};
use alloc::vec::Vec;
use bytes::Bytes;

/// A whole request frame with its length, in pieces for a vectored write.
///
/// # Errors
/// If the body cannot be written in this version, or is larger than a frame can be.
pub fn encode_request(
    correlation_id: i32,
    client_id: Option<&str>,
    version: i16,
    request: &RequestKind,
) -> Result<Vec<Bytes>, EncodeError> {
    let mut out = Encoder::with_capacity(ROOM + request_payload(request));
    write_request(&mut out, correlation_id, client_id, version, request)?;
    Ok(out.take_segments())
}

/// Writes a whole request frame with its length behind what the encoder has, so that one may hold many and be used again.
///
/// # Errors
/// As [`encode_request`]; nothing is written then.
pub fn write_request(
    out: &mut Encoder,
    correlation_id: i32,
    client_id: Option<&str>,
    version: i16,
    request: &RequestKind,
) -> Result<(), EncodeError> {
    frame(out, |out| {
        request_header(out, request.api_key(), version, correlation_id, client_id)?;
        request.encode(out, version)
    })
}

/// A whole response frame with its length, in pieces for a vectored write.
///
/// # Errors
/// As [`encode_request`].
pub fn encode_response(
    correlation_id: i32,
    version: i16,
    response: &ResponseKind,
) -> Result<Vec<Bytes>, EncodeError> {
    let mut out = Encoder::with_capacity(ROOM + response_payload(response));
    write_response(&mut out, correlation_id, version, response)?;
    Ok(out.take_segments())
}

/// Writes a whole response frame with its length behind what the encoder has, so that one may hold many and be used again.
///
/// # Errors
/// As [`encode_request`]; nothing is written then.
pub fn write_response(
    out: &mut Encoder,
    correlation_id: i32,
    version: i16,
    response: &ResponseKind,
) -> Result<(), EncodeError> {
    let header = ResponseHeader { correlation_id, ..ResponseHeader::default() };
    frame(out, |out| {
        header.encode(out, response.api_key().response_header_version(version))?;
        response.encode(out, version)
    })
}

/// Room that a frame begins with, in bytes: most need no more, payloads not counted.
const ROOM: usize = 256;
/// Room for what stands around the records of a partition.
const PARTITION_ROOM: usize = 48;

/// What a request copies of its payloads: with room for it the frame does not grow again and again.
fn request_payload(request: &RequestKind) -> usize {
    let RequestKind::Produce(request) = request else { return 0 };
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    partitions.map(|partition| partition_room(&partition.records)).sum()
}

fn response_payload(response: &ResponseKind) -> usize {
    let ResponseKind::Fetch(response) = response else { return 0 };
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition_room(&partition.records)).sum()
}

fn partition_room(records: &Option<Records>) -> usize {
    PARTITION_ROOM + records.as_ref().map_or(0, Encoder::copied_of)
}

/// Writes a [`RequestHeader`] without making one, which would need a client id of its own.
fn request_header(
    out: &mut Encoder,
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<(), EncodeError> {
    let header_version = key.request_header_version(version);
    out.begin(RequestHeader::FACTS, header_version);
    out.run(&[], (key.code(), version, correlation_id));
    if header_version >= 1 {
        out.classic_str("client_id", client_id);
    }
    out.no_tags(&UnknownTags::new());
    out.finish(RequestHeader::NAME, header_version)
}

/// A whole frame, its length filled in at the end: so nothing is counted beforehand.
#[inline]
fn frame(
    out: &mut Encoder,
    write: impl FnOnce(&mut Encoder) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let begin = out.begin_frame();
    let too_long = |len| EncodeError::new("", EncodeErrorKind::TooLong { len, max: i32::MAX as usize });
    let written = write(out).and_then(|()| out.end_frame(&begin).map_err(too_long));
    if written.is_err() {
        out.back_to(&begin);
    }
    written
}

/// Reads a response frame (without its length): the correlation id, and the response to a request of that API and version.
///
/// # Errors
/// If the bytes are not such a response. Bytes behind it are ignored, as Kafka does.
pub fn decode_response(key: ApiKey, version: i16, frame: &Bytes) -> Result<(i32, ResponseKind), DecodeError> {
    let (mut input, mut header) = (Decoder::new(frame), ResponseHeader::default());
    message::decode_into(&mut header, &mut input, key.response_header_version(version))?;
    ResponseKind::decode_with(header.correlation_id, key, &mut input, version)
}

/// Reads a request frame (without its length), as brokers and proxies do.
///
/// # Errors
/// If the API or the version is not known, or the bytes are not such a request. Bytes behind it are ignored.
pub fn decode_request(frame: &Bytes) -> Result<(RequestHeader, RequestKind), DecodeError> {
    let (header, mut input) = decode_request_header(frame)?;
    let key = api_key(&header)?;
    let request = RequestKind::decode(key, &mut input, header.request_api_version)?;
    Ok((header, request))
}

/// Reads the header of a request frame (without its length), whether its version is known or not, and leaves the
/// decoder at the body.
///
/// # Errors
/// If the API is not known or the bytes are not a header.
pub fn decode_request_header(frame: &Bytes) -> Result<(RequestHeader, Decoder<'_>), DecodeError> {
    let fixed: RequestHeader = message::decode(&mut Decoder::new(frame), 0)?;
    let version = api_key(&fixed)?.request_header_version(fixed.request_api_version);
    let mut input = Decoder::new(frame);
    let header = message::decode(&mut input, version)?;
    Ok((header, input))
}

fn api_key(header: &RequestHeader) -> Result<ApiKey, DecodeError> {
    let code = header.request_api_key;
    ApiKey::from_code(code).ok_or_else(|| {
        DecodeError::new("request_api_key", DecodeErrorKind::UnknownApi(code)).of("RequestHeader", 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::heartbeat::HeartbeatRequest;
    use crate::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
    use crate::messages::{metadata::MetadataResponse, produce};
    use crate::wire::SHARE_FROM;

    fn concat(out: &Encoder) -> Vec<u8> {
        out.pieces().collect::<Vec<_>>().concat()
    }

    /// A request whose records are shared.
    fn produce() -> RequestKind {
        let records = Bytes::from(alloc::vec![7; SHARE_FROM + 1]);
        let partition = |index| PartitionProduceData {
            index,
            records: Some(records.clone().into()),
            ..PartitionProduceData::default()
        };
        let topic = TopicProduceData {
            name: "t".into(),
            partition_data: [0, 1].map(partition).to_vec(),
            ..TopicProduceData::default()
        };
        ProduceRequest { topic_data: alloc::vec![topic], ..ProduceRequest::default() }.into()
    }

    #[test]
    fn an_encoder_holds_many_frames_and_is_used_again() {
        let heartbeat = RequestKind::from(HeartbeatRequest { group_id: "g".into(), ..Default::default() });
        let requests = [(4, heartbeat.clone()), (9, produce()), (3, heartbeat), (8, produce())];
        let alone: Vec<Bytes> = (0..)
            .zip(&requests)
            .flat_map(|(id, (version, request))| encode_request(id, Some("c"), *version, request).unwrap())
            .collect();
        let mut out = Encoder::new();
        for _ in 0..3 {
            for (id, (version, request)) in (0..).zip(&requests) {
                write_request(&mut out, id, Some("c"), *version, request).unwrap();
            }
            assert_eq!(concat(&out), alone.concat());
            assert_eq!(out.len(), alone.concat().len());
            assert_eq!(out.pieces().filter(|piece| piece.len() == SHARE_FROM + 1).count(), 4);
            out.clear();
            assert!(out.is_empty() && out.pieces().next().is_none());
        }
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let mut out = Encoder::new();
        let response = ResponseKind::from(MetadataResponse::default());
        write_response(&mut out, 1, 12, &response).unwrap();
        let before = concat(&out);
        let newest = produce::ProduceRequest::VERSIONS.max;
        write_request(&mut out, 2, None, newest + 1, &produce()).unwrap_err();
        write_response(&mut out, 2, 99, &response).unwrap_err();
        assert_eq!(concat(&out), before);
        write_response(&mut out, 1, 12, &response).unwrap();
        assert_eq!(concat(&out), [&before[..], &before[..]].concat());
    }
}
