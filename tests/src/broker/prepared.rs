//! A request as it comes from the wire: decoded, and its record batches checked, before any state is touched.

use kafka_proto::{ApiKey, Bytes, RequestKind, Str, frame};

use super::ConnKey;
use super::config::NodeId;
use super::dialect::Dialect;
use super::state::inspect::{CheckedRecords, inspect};

/// What a frame turned out to be. Made by [`prepare`].
#[derive(Debug)]
#[allow(private_interfaces, reason = "callers pass it on, they do not look into it")]
pub enum Prepared {
    /// A request this node takes.
    Request(Box<Arrived>),
    /// ApiVersions in a version this node does not know, which alone is answered all the same.
    ApiVersionsTooNew {
        /// The request's correlation id.
        correlation_id: i32,
    },
    /// Anything else; a broker closes the connection.
    Unreadable(String),
}

/// A request and what is needed to answer it.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) call: Call,
    pub(crate) request: RequestKind,
    /// For Produce: the batches of each partition, in the order of the request.
    pub(crate) records: Vec<CheckedRecords>,
}

/// Who asks, in which version, and where the answer goes.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) node: NodeId,
    pub(crate) conn: ConnKey,
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Str,
    /// What the answer shall say about throttling.
    pub(crate) throttle_ms: i32,
    /// The connection is closed when the request is done, in place of an answer.
    pub(crate) close_instead: bool,
}

/// Decodes a frame and checks the record batches in it: everything that costs time and needs no state.
pub fn prepare(frame: &Bytes, dialect: Dialect) -> Prepared {
    let Dialect { release, oddities } = dialect;
    let Some((code, version, correlation_id)) = peek(frame) else {
        return Prepared::Unreadable("shorter than a request header".to_owned());
    };
    let Some(key) = ApiKey::from_code(code) else {
        return Prepared::Unreadable(format!("unknown API key {code}"));
    };
    if oddities.closes_on(key, frame.len()) {
        return Prepared::Unreadable(format!("{key:?} of {} bytes is denied", frame.len()));
    }
    let taken = dialect.versions(key).is_some_and(|(min, max)| (min..=max).contains(&version));
    if !taken && key == ApiKey::ApiVersions && oddities.answers_new_api_versions() {
        return Prepared::ApiVersionsTooNew { correlation_id };
    }
    if !taken {
        return Prepared::Unreadable(format!("{release} does not take {key:?} version {version}"));
    }
    match frame::decode_request(frame) {
        Ok((header, request)) => {
            let records = checked_records(&request, version, dialect);
            let call = Call {
                node: -1,
                conn: ConnKey(0),
                key,
                version,
                correlation_id,
                client_id: header.client_id.map(|id| own(&id)).unwrap_or_default(),
                throttle_ms: 0,
                close_instead: false,
            };
            Prepared::Request(Box::new(Arrived { call, request, records }))
        }
        Err(error) => Prepared::Unreadable(error.to_string()),
    }
}

fn checked_records(request: &RequestKind, version: i16, dialect: Dialect) -> Vec<CheckedRecords> {
    let RequestKind::Produce(produce) = request else { return Vec::new() };
    let partitions = produce.topic_data.iter().flat_map(|topic| &topic.partition_data);
    partitions.map(|partition| inspect(partition.records.as_ref(), version, dialect)).collect()
}

fn peek(frame: &Bytes) -> Option<(i16, i16, i32)> {
    let (head, _) = frame.split_first_chunk::<8>()?;
    let [k0, k1, v0, v1, c0, c1, c2, c3] = *head;
    Some((i16::from_be_bytes([k0, k1]), i16::from_be_bytes([v0, v1]), i32::from_be_bytes([c0, c1, c2, c3])))
}

/// A copy that does not keep the frame it came in.
pub(crate) fn own(text: &str) -> Str {
    Str::from(text)
}
