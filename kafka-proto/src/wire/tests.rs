use super::*;
use crate::{Message, Str};
use alloc::{format, string::ToString, vec, vec::Vec};
use bytes::Bytes;

fn decoder_error<T: core::fmt::Debug>(result: Result<T, DecodeError>) -> DecodeErrorKind {
    result.unwrap_err().kind().clone()
}

fn read<T: Field>(input: &Bytes, name: &'static str) -> Result<T, DecodeError> {
    let (mut input, mut value) = (Decoder::new(input), T::EMPTY);
    value.fill(&mut input, name, 0);
    input.finish("", 0).map(|()| value)
}

#[test]
fn varints_may_be_longer_than_needed_but_not_than_five_bytes() {
    let read = |bytes: &'static [u8]| {
        let bytes = Bytes::from_static(bytes);
        let mut input = Decoder::new(&bytes);
        let value = input.uvarint("x");
        input.finish("", 0).map(|()| value)
    };
    assert_eq!(read(&[0]).unwrap(), 0);
    assert_eq!(read(&[0x80, 0]).unwrap(), 0);
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap(), u32::MAX);
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x7f]).unwrap(), u32::MAX);
    assert_eq!(decoder_error(read(&[0x80; 6])), DecodeErrorKind::Varint);
    assert!(matches!(decoder_error(read(&[0x80])), DecodeErrorKind::Truncated { .. }));
}

#[test]
fn an_array_cannot_have_more_elements_than_bytes_left() {
    let input = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 1, 2, 3]);
    let array = read::<Vec<Str>>(&input, "names");
    assert_eq!(decoder_error(array), DecodeErrorKind::TooManyElements(0x7fff_ffff));
    let ints = read::<Int32s>(&input, "ids");
    assert_eq!(decoder_error(ints), DecodeErrorKind::TooManyElements(0x7fff_ffff));
}

#[test]
fn bad_utf8_is_replaced() {
    let input = Bytes::from_static(&[0, 3, b'a', 0xff, b'b']);
    let text = read::<Str>(&input, "name").unwrap();
    assert_eq!(&*text, "a\u{fffd}b");
}

/// Kafka's own numbers are signed: a compact length of 2^31 and more is a negative one.
#[test]
fn case_j5_any_negative_length_is_null() {
    use crate::Message;
    use crate::messages::{heartbeat::HeartbeatResponse, unregister_broker::UnregisterBrokerResponse};
    let message = |length: &[u8]| {
        let bytes = Bytes::from([&[0, 0, 0, 0, 0, 0][..], length, &[0]].concat());
        UnregisterBrokerResponse::decode(&mut Decoder::new(&bytes), 0)
    };
    for length in [&[0][..], &[0x80, 0], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x81, 0x80, 0x80, 0x80, 0x08]] {
        assert_eq!(message(length).unwrap().error_message, None, "{length:x?}");
    }
    assert_eq!(message(&[1]).unwrap().error_message.as_deref(), Some(""));
    // One less than the smallest number is the largest one.
    assert!(message(&[0x80, 0x80, 0x80, 0x80, 0x08]).is_err());
    let classic = Bytes::from_static(&[0xff, 0xfe]);
    assert_eq!(read::<Option<Str>>(&classic, "name").unwrap(), None);
    let tags = Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert!(HeartbeatResponse::decode(&mut Decoder::new(&tags), 4).is_err());
}

/// Kafka passes over the size of a tagged field that it knows, so what it says makes no difference.
#[test]
fn case_j6_a_known_tagged_field_ends_where_it_ends() {
    use crate::Message;
    use crate::messages::fetch::{FetchResponse, NodeEndpoint};
    // No topics; a tag 0 of one node, and how much it says that it takes.
    let message = |size: &[u8]| {
        let node = [2, 0, 0, 0, 7, 2, b'h', 0, 0, 0, 9, 0, 0];
        let all = [&[0; 10][..], &[1, 1, 0], size, &node].concat();
        let bytes = Bytes::from(all);
        let mut input = Decoder::new(&bytes);
        let read = FetchResponse::decode(&mut input, 17)?;
        Ok::<_, DecodeError>((read.node_endpoints, input.remaining()))
    };
    let node = NodeEndpoint { node_id: 7, host: "h".into(), port: 9, ..NodeEndpoint::default() };
    for size in [&[13][..], &[12], &[0], &[100], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
        assert_eq!(message(size).unwrap(), (vec![node.clone()], 0), "{size:x?}");
    }
    // What is not known is as long as it says.
    let unknown = |size: u8| {
        let bytes = Bytes::from([&[0; 10][..], &[1, 1, 50, size, b'x', b'y']].concat());
        FetchResponse::decode(&mut Decoder::new(&bytes), 17).map(|read| read.unknown_tags.get(50).cloned())
    };
    assert_eq!(unknown(2).unwrap().as_deref(), Some(&b"xy"[..]));
    assert!(unknown(3).is_err());
}

#[test]
fn null_is_refused_where_the_type_is_not_an_option() {
    let input = Bytes::from_static(&[0xff, 0xff]);
    assert_eq!(read::<Option<Str>>(&input, "name").unwrap(), None);
    let error = read::<Str>(&input, "name").unwrap_err();
    assert_eq!((error.kind(), error.field()), (&DecodeErrorKind::Null, "name"));
}

#[test]
fn ints_are_inline_or_shared_and_equal() {
    for len in [0, 1, 5, 6, 100] {
        let values: Vec<i32> = (0..len).map(|i| i * 7 - 3).collect();
        let built = Int32s::from(values.clone());
        let mut out = Encoder::new();
        built.put(&mut out, "x", 0);
        let bytes = out.into_bytes();
        assert_eq!(bytes.len(), 4 + 4 * len as usize);
        let read = read::<Int32s>(&bytes, "x").unwrap();
        assert_eq!(read, built);
        assert_eq!(read.to_vec(), values);
        assert_eq!(read.get(1), values.get(1).copied());
        assert_eq!(read.len(), len as usize);
        assert_eq!(read.contains(4), values.contains(&4));
        assert_eq!(format!("{read:?}"), format!("{values:?}"));
    }
    assert_eq!(Ints::<i64>::new().get(usize::MAX), None);
}

#[test]
fn large_payloads_become_segments() {
    let large = Bytes::from(vec![7; SHARE_FROM]);
    let mut out = Encoder::with_capacity(16);
    out.put_slice(b"head");
    large.put(&mut out, "x", 0);
    Bytes::from_static(b"small").put(&mut out, "y", 0);
    assert_eq!(out.len(), 4 + 4 + SHARE_FROM + 4 + 5);
    let segments = out.into_segments();
    assert_eq!(segments.len(), 3);
    assert_eq!(segments[1].as_ptr(), large.as_ptr());
}

#[test]
fn records_are_equal_by_content() {
    let rope = Records::from(vec![Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"c")]);
    let flat = Records::from(Bytes::from_static(b"abc"));
    assert_eq!(rope, flat);
    assert_ne!(rope, Records::from(Bytes::from_static(b"abd")));
    assert_eq!((rope.len(), flat.is_empty(), Records::new().is_empty()), (3, false, true));
    assert_eq!(rope.into_bytes(), flat.into_bytes());
}

#[test]
fn unknown_tags_are_sorted_and_single() {
    let mut tags = UnknownTags::new();
    for (tag, value) in [(9, "a"), (2, "b"), (9, "c")] {
        tags.insert(tag, Bytes::from_static(value.as_bytes()));
    }
    assert_eq!(tags.as_slice().iter().map(|t| t.tag).collect::<Vec<_>>(), [2, 9]);
    assert_eq!(tags.get(9).unwrap(), "c");
    assert_eq!(size_of::<UnknownTags>(), size_of::<usize>());
}

#[test]
fn uuids_have_kafkas_text() {
    let uuid = Uuid(*b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff");
    assert_eq!(uuid.to_string(), "AAECAwQFBgcICQoLDA0O_w");
    assert_eq!("AAECAwQFBgcICQoLDA0O_w".parse(), Ok(uuid));
    assert_eq!(Uuid::ZERO.to_string(), "A".repeat(22));
    assert!("short".parse::<Uuid>().is_err() && "????AwQFBgcICQoLDA0O_w".parse::<Uuid>().is_err());
}

/// Few integers are read in two ways, by whether something follows; many are shared.
#[test]
fn ints_at_the_end_and_before_it() {
    for count in 0..40u8 {
        let mut wire = vec![0, 0, 0, count];
        (0..count).for_each(|n| wire.extend_from_slice(&[n, n ^ 0x55]));
        for behind in [0, 1, 30] {
            let mut wire = wire.clone();
            wire.resize(wire.len() + behind, 0xff);
            let wire = Bytes::from(wire);
            let mut input = Decoder::new(&wire);
            let mut read = Int16s::new();
            assert!(input.ints(&mut read, "", false));
            assert_eq!(input.remaining(), behind);
            let plain: Int16s = (0..count).map(|n| i16::from_be_bytes([n, n ^ 0x55])).collect();
            assert_eq!(read, plain);
            let mut out = Encoder::new();
            out.ints("", Some(&read));
            assert_eq!(out.into_bytes(), wire[..wire.len() - behind]);
        }
    }
}

/// What is shared stands where it was put, between own bytes.
#[test]
fn segments_in_order() {
    let large = Bytes::from(vec![7; SHARE_FROM]);
    let mut out = Encoder::new();
    out.shared(&large);
    out.put_slice(b"ab");
    out.shared(&Bytes::from_static(b"c"));
    out.shared(&large);
    out.shared(&large);
    out.put_slice(b"d");
    assert_eq!(out.len(), 3 * SHARE_FROM + 4);
    let own = |bytes| Bytes::from_static(bytes);
    assert_eq!(out.into_segments(), [large.clone(), own(b"abc"), large.clone(), large, own(b"d")]);
}

/// A tagged field's length is filled in behind it, whatever it takes and whatever is shared inside.
#[test]
fn tagged_fields_of_any_length() {
    let large = Bytes::from(vec![7; SHARE_FROM]);
    for own in [0, 1, 127, 128, 16_383, 16_384] {
        for shared in [0, 1, 2] {
            let mut write = |out: &mut Encoder| {
                out.put_slice(b"before");
                out.tag(true, 3, &UnknownTags::new(), |out| {
                    out.put_slice(&vec![1; own]);
                    (0..shared).for_each(|_| out.shared(&large));
                });
                out.put_slice(b"behind");
                Ok(())
            };
            let counted = Encoder::count(&mut write).unwrap();
            let mut out = Encoder::new();
            write(&mut out).unwrap();
            assert_eq!(out.len(), counted);
            let bytes = out.into_bytes();
            let mut input = Decoder::new(&bytes);
            let before: [i16; 3] = core::array::from_fn(|_| input.fixed(""));
            assert_eq!(before.map(i16::to_be_bytes).as_flattened(), b"before");
            let len = own + shared * SHARE_FROM;
            assert_eq!((input.uvarint("tag"), input.uvarint("size")), (3, len as u32));
            assert_eq!(input.remaining(), len + b"behind".len());
            assert_eq!(&bytes[bytes.len() - 6..], b"behind");
        }
    }
}

/// The first error counts; what comes behind it is neither read nor allocated, and says nothing of its own.
#[test]
fn after_an_error_nothing_is_left() {
    let bytes = Bytes::from_static(&[0, 1, 0, 2, 0x7f, 0xff, 0xff, 0xff, 9]);
    let mut input = Decoder::new(&bytes);
    let run: (i16, i16, i64) = input.run(&["a", "b", "c"]);
    assert_eq!(run, (0, 0, 0));
    let mut names = Vec::<Str>::new();
    names.fill(&mut input, "names", 0);
    assert_eq!((names.capacity(), input.remaining()), (0, 0));
    let error = input.finish("Thing", 4).unwrap_err();
    assert_eq!(error.to_string(), "Thing v4: c 8 bytes are needed, 5 are left");
}

/// What is read where null stands for each field of bytes that is `MARK` in the message.
fn read_with_nulls<M: Message>(message: &M, version: i16) -> Result<M, DecodeError> {
    let mut out = Encoder::new();
    message.encode(&mut out, version).unwrap();
    let flexible = M::FLEXIBLE_SINCE.is_some_and(|since| version >= since);
    let (mark, null) =
        if flexible { (&b"\x05MARK"[..], &[0][..]) } else { (&b"\0\0\0\x04MARK"[..], &[0xff; 4][..]) };
    let (mut rest, mut bytes) = (&out.into_bytes()[..], Vec::new());
    while let Some(&byte) = rest.first() {
        let take = if rest.starts_with(mark) { (null, mark.len()) } else { (&[byte][..], 1) };
        bytes.extend_from_slice(take.0);
        rest = &rest[take.1..];
    }
    M::decode(&mut Decoder::new(&bytes.into()), version)
}

/// Azure Event Hubs says -1 where there are no bytes, in fields that Kafka never has null.
#[test]
fn case_d4_null_bytes_of_a_group_are_read_as_empty() {
    use crate::messages::{describe_groups as describe, join_group as join, sync_group as sync};

    let read = sync::SyncGroupResponse::decode(
        &mut Decoder::new(&Bytes::from_static(&[0, 0, 0xff, 0xff, 0xff, 0xff])),
        0,
    );
    assert_eq!(read.unwrap(), sync::SyncGroupResponse::default());

    let mark = || Bytes::from_static(b"MARK");
    let synced = sync::SyncGroupResponse { assignment: mark(), ..Default::default() };
    for version in 0..=5 {
        assert_eq!(read_with_nulls(&synced, version).unwrap(), sync::SyncGroupResponse::default());
    }
    let member = |metadata| join::JoinGroupResponseMember { metadata, ..Default::default() };
    let joined = |metadata| join::JoinGroupResponse {
        protocol_name: Some(Str::new()),
        members: vec![member(metadata)],
        ..Default::default()
    };
    for version in 0..=9 {
        assert_eq!(read_with_nulls(&joined(mark()), version).unwrap(), joined(Bytes::new()), "{version}");
    }
    let described = |blob: Bytes| {
        let member = describe::DescribedGroupMember {
            member_metadata: blob.clone(),
            member_assignment: blob,
            ..Default::default()
        };
        let group = describe::DescribedGroup { members: vec![member], ..Default::default() };
        describe::DescribeGroupsResponse { groups: vec![group], ..Default::default() }
    };
    for version in 0..=6 {
        let read = read_with_nulls(&described(mark()), version).unwrap();
        assert_eq!(read, described(Bytes::new()), "{version}");
    }
}

#[test]
fn case_d4_null_bytes_are_refused_where_no_broker_is_known_to_write_them() {
    use crate::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

    let assignment =
        SyncGroupRequestAssignment { assignment: Bytes::from_static(b"MARK"), ..Default::default() };
    let request = SyncGroupRequest { assignments: vec![assignment], ..Default::default() };
    for version in 0..=5 {
        assert_eq!(decoder_error(read_with_nulls(&request, version)), DecodeErrorKind::Null, "{version}");
    }
}
