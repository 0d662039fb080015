//! Messages that are kept in topics, in files and in bytes fields.

use super::survival::survives;
use kafka_core::internal::subscription::{Assignment, Subscription};
use kafka_proto::messages::{
    broker_files, cluster_metadata, consumer_offsets, consumer_protocol as wire, control_records, principal,
    remote_log_metadata, share_group_state, transaction_state,
};
use kafka_proto::{Bytes, Prefixed, VersionRange};

/// The kinds that the first byte of [`stored`]'s input selects from, in this order, by the name of their vectors' file
/// or message.
pub const STORED_KINDS: [&str; 13] = [
    "consumer_offsets key",
    "transaction_state key",
    "share_group_state key",
    "consumer_offsets value",
    "transaction_state value",
    "share_group_state value",
    "cluster_metadata",
    "remote_log_metadata",
    "ControlRecordTypeSchema",
    "EndTxnMarker",
    "DefaultPrincipalData",
    "AbortedTxn",
    "consumer protocol",
];

/// A stored message; the first byte says of what kind it is, the second the type of a coordinator's value.
pub fn stored(data: &[u8]) {
    let [selected, kind, rest @ ..] = data else { return };
    let bytes = Bytes::copy_from_slice(rest);
    let kind = i16::from(*kind);
    macro_rules! key {
        ($module:ident) => {
            if let Ok(key) = $module::Key::decode(&bytes) {
                survives(&key, bytes.len(), |k| k.encode(), $module::Key::decode);
            }
        };
    }
    macro_rules! value {
        ($module:ident) => {
            if let Ok((version, value)) = $module::Value::decode(kind, &bytes) {
                let decode = |bytes: &Bytes| $module::Value::decode(kind, bytes).map(|(_, v)| v);
                survives(&value, bytes.len(), |v| v.encode(version), decode);
            }
        };
    }
    macro_rules! metadata {
        ($module:ident) => {
            if let Ok((version, record)) = $module::Record::decode(&bytes) {
                let decode = |bytes: &Bytes| $module::Record::decode(bytes).map(|(_, r)| r);
                survives(&record, bytes.len(), |r| r.encode(version), decode);
            }
        };
    }
    match usize::from(*selected) % STORED_KINDS.len() {
        0 => key!(consumer_offsets),
        1 => key!(transaction_state),
        2 => key!(share_group_state),
        3 => value!(consumer_offsets),
        4 => value!(transaction_state),
        5 => value!(share_group_state),
        6 => metadata!(cluster_metadata),
        7 => metadata!(remote_log_metadata),
        8 => prefixed::<control_records::ControlRecordTypeSchema>(&bytes),
        9 => prefixed::<control_records::EndTxnMarker>(&bytes),
        10 => prefixed::<principal::DefaultPrincipalData>(&bytes),
        11 => prefixed::<broker_files::AbortedTxn>(&bytes),
        _ => consumer_protocol(rest),
    }
}

fn prefixed<T: Prefixed + PartialEq + std::fmt::Debug>(bytes: &Bytes) {
    let Ok((version, value)) = T::decode_prefixed(bytes) else { return };
    let VersionRange { max, .. } = T::VERSIONS;
    let decode = |bytes: &Bytes| T::decode_prefixed(bytes).map(|(_, value)| value);
    survives(&value, bytes.len(), |v| v.encode_prefixed(version.min(max)), decode);
}

/// A subscription or an assignment, as the codec reads it and as the client does.
pub fn consumer_protocol(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    prefixed::<wire::ConsumerProtocolSubscription>(&bytes);
    prefixed::<wire::ConsumerProtocolAssignment>(&bytes);
    if let Ok(subscription) = Subscription::decode(&bytes) {
        let again = |bytes| Subscription::decode(&bytes).ok();
        assert_eq!(again(subscription.encode_as(3)).as_ref(), Some(&subscription));
        // Of what is no generation only -1 is kept by every version.
        if subscription.generation >= -1 {
            assert_eq!(again(subscription.encode()), Some(subscription), "the oldest version that holds it");
        }
    }
    if let Ok(assignment) = Assignment::decode(&bytes) {
        assert_eq!(Assignment::decode(&assignment.encode()).ok(), Some(assignment));
    }
}
