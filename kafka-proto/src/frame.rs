//! A message on a connection: int32 length, header, body.
//!
//! A response does not say what it answers: the connection remembers API and version of each request, and responses
//! come in the order of the requests.

use crate::message::{self, Known};
use crate::messages::headers::{RequestHeader, ResponseHeader};
use crate::wire::{
    DecodeError, DecodeErrorKind, Decoder, EncodeError, EncodeErrorKind, Encoder, Sink, UnknownTags,
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
    let mut out = Encoder::with_capacity(ROOM);
    out.begin_frame();
    request_header(&mut out, request.api_key(), version, correlation_id, client_id)?;
    request.encode(&mut out, version)?;
    end(&mut out)
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
    let header = ResponseHeader { correlation_id, ..ResponseHeader::default() };
    let mut out = Encoder::with_capacity(ROOM);
    out.begin_frame();
    header.encode(&mut out, response.api_key().response_header_version(version))?;
    response.encode(&mut out, version)?;
    end(&mut out)
}

/// Room that a frame begins with, in bytes: most need no more, payloads not counted.
const ROOM: usize = 256;

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

/// The whole frame, its length filled in: so nothing is counted beforehand.
fn end(out: &mut Encoder) -> Result<Vec<Bytes>, EncodeError> {
    let too_long = |len| EncodeError::new("", EncodeErrorKind::TooLong { len, max: i32::MAX as usize });
    out.end_frame().map_err(too_long)?;
    Ok(out.take_segments())
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
