//! Headers and frames, as brokers, clients and proxies read them.

use super::messages::select;
use super::survival::survives;
use kafka_proto::frame::{
    decode_request, decode_request_header, decode_response, encode_request, encode_response,
};
use kafka_proto::messages::headers::{RequestHeader, ResponseHeader};
use kafka_proto::wire::{Decoder, Encoder};
use kafka_proto::{Bytes, Message, proxy};

/// A frame without its length: as a request, as the header of one, and as the response that its first bytes select.
pub fn frames(data: &[u8]) {
    request(&Bytes::copy_from_slice(data));
    response(data);
    header::<RequestHeader>(data);
    header::<ResponseHeader>(data);
}

fn request(frame: &Bytes) {
    let header = decode_request_header(frame);
    let Ok((whole, request)) = decode_request(frame) else { return };
    let (header, input) = header.unwrap_or_else(|error| panic!("the request can be read: {error}"));
    assert_eq!(header, whole);
    assert!(input.remaining() <= frame.len());
    let version = header.request_api_version;
    let write = |request: &_| {
        let id = header.correlation_id;
        let frame = encode_request(id, header.client_id.as_deref(), version, request)?;
        Ok(whole_frame(&frame.concat()))
    };
    // The client id may be null, which takes more bytes than its absence in version 0.
    survives(&request, frame.len() + 16, write, |bytes| decode_request(bytes).map(|(_, request)| request));
}

fn response(data: &[u8]) {
    let Some((key, version, frame)) = select(data) else { return };
    let frame = Bytes::copy_from_slice(frame);
    let read = |bytes: &Bytes| decode_response(key, version, bytes);
    let same = proxy::rewrite_addresses(key, version, &frame, |_| {});
    let Ok((id, response)) = read(&frame) else { return };
    let write = |response: &_| Ok(whole_frame(&encode_response(id, version, response)?.concat()));
    survives(&response, frame.len(), write, |bytes| read(bytes).map(|(_, response)| response));
    if let Ok(same) = same {
        let (_, same) = read(&same.concat().into()).unwrap_or_else(|error| panic!("{error}: {response:?}"));
        assert_eq!(format!("{same:?}"), format!("{response:?}"), "a proxy that changes nothing");
    }
}

/// Checks the length before a frame, and takes it off.
fn whole_frame(bytes: &[u8]) -> Bytes {
    let (length, frame) = bytes.split_first_chunk().unwrap_or((&[0; 4], &[]));
    assert_eq!(i32::from_be_bytes(*length) as usize, frame.len());
    Bytes::copy_from_slice(frame)
}

fn header<T: Message + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    for version in T::VERSIONS.iter() {
        let decode = |bytes: &Bytes| T::decode(&mut Decoder::new(bytes), version);
        let Ok(header) = decode(&frame) else { continue };
        let encode = |header: &T| {
            let mut out = Encoder::new();
            header.encode(&mut out, version)?;
            Ok(out.into_bytes())
        };
        survives(&header, data.len(), encode, decode);
    }
}
