//! For proxies: other addresses for the brokers in a response.
//!
//! A proxy hands most bytes on as they are. Only responses that tell where brokers are have to be changed, or clients
//! would go past it.

use crate::message::{self, Known, Message};
use crate::messages::describe_cluster::DescribeClusterResponse;
use crate::messages::fetch::FetchResponse;
use crate::messages::find_coordinator::FindCoordinatorResponse;
use crate::messages::headers::ResponseHeader;
use crate::messages::metadata::{MetadataResponse, MetadataResponseBroker};
use crate::messages::produce::ProduceResponse;
use crate::messages::share_acknowledge::ShareAcknowledgeResponse;
use crate::messages::share_fetch::ShareFetchResponse;
use crate::wire::{DecodeError, Decoder, EncodeError, Encoder, Field, Source, Struct};
use crate::{ApiKey, Str};
use alloc::{vec, vec::Vec};
use bytes::Bytes;

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The broker; the group's coordinator in FindCoordinator.
    pub node_id: i32,
    /// Host name or address.
    pub host: Str,
    /// Port.
    pub port: i32,
}

/// A response could not be read or written again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// The bytes are not such a response.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A host name that is too long, or the like.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// True where responses of this version hold addresses.
pub fn has_addresses(key: ApiKey, version: i16) -> bool {
    match key {
        ApiKey::Metadata | ApiKey::FindCoordinator | ApiKey::DescribeCluster => true,
        // The leader's new place comes with the error (KIP-951).
        ApiKey::Produce => version >= 10,
        ApiKey::Fetch => version >= 16,
        ApiKey::ShareFetch | ApiKey::ShareAcknowledge => true,
        _ => false,
    }
}

/// Changes all addresses in a response frame (without its length) by a function, and gives the frame in pieces. Empty
/// hosts, which mean that there is none, are left alone. A response without addresses comes back as it is.
///
/// Of a Metadata response, which may be large, only the brokers are read; records of a Fetch response are not copied.
///
/// # Errors
/// If the bytes are not such a response, or a new host does not fit.
pub fn rewrite_addresses(
    key: ApiKey,
    version: i16,
    frame: &Bytes,
    mut change: impl FnMut(&mut Address),
) -> Result<Vec<Bytes>, RewriteError> {
    let mut input = Decoder::new(frame);
    message::decode::<ResponseHeader>(&mut input, key.response_header_version(version))?;
    let body = frame.slice(frame.len() - input.remaining()..);
    let head = frame.slice(..frame.len() - body.len());
    let change: Change<'_> = &mut change;
    let mut segments = vec![head];
    segments.extend(match key {
        _ if !has_addresses(key, version) => vec![body],
        ApiKey::Metadata => metadata(&body, version, change)?,
        ApiKey::FindCoordinator => whole(&body, version, |m| find_coordinator(m, change))?,
        ApiKey::DescribeCluster => whole(&body, version, |m: &mut DescribeClusterResponse| {
            m.brokers.iter_mut().for_each(|b| with(change, b.broker_id, &mut b.host, &mut b.port));
        })?,
        ApiKey::Produce => whole(&body, version, |m: &mut ProduceResponse| {
            m.node_endpoints.iter_mut().for_each(|n| with(change, n.node_id, &mut n.host, &mut n.port));
        })?,
        ApiKey::Fetch => whole(&body, version, |m: &mut FetchResponse| {
            m.node_endpoints.iter_mut().for_each(|n| with(change, n.node_id, &mut n.host, &mut n.port));
        })?,
        ApiKey::ShareFetch => whole(&body, version, |m: &mut ShareFetchResponse| {
            m.node_endpoints.iter_mut().for_each(|n| with(change, n.node_id, &mut n.host, &mut n.port));
        })?,
        _ => whole(&body, version, |m: &mut ShareAcknowledgeResponse| {
            m.node_endpoints.iter_mut().for_each(|n| with(change, n.node_id, &mut n.host, &mut n.port));
        })?,
    });
    Ok(segments)
}

type Change<'a> = &'a mut dyn FnMut(&mut Address);

fn with(change: &mut dyn FnMut(&mut Address), node_id: i32, host: &mut Str, port: &mut i32) {
    if host.is_empty() {
        return;
    }
    let mut address = Address { node_id, host: core::mem::take(host), port: *port };
    change(&mut address);
    *host = address.host;
    *port = address.port;
}

fn find_coordinator(response: &mut FindCoordinatorResponse, change: Change<'_>) {
    with(change, response.node_id, &mut response.host, &mut response.port);
    for c in &mut response.coordinators {
        with(change, c.node_id, &mut c.host, &mut c.port);
    }
}

fn whole<M: Message + Struct>(
    body: &Bytes,
    version: i16,
    change: impl FnOnce(&mut M),
) -> Result<Vec<Bytes>, RewriteError> {
    let mut response: M = message::decode(&mut Decoder::new(body), version)?;
    change(&mut response);
    let mut out = Encoder::new();
    message::encode(&response, &mut out, version)?;
    Ok(out.into_segments())
}

/// The brokers stand near the beginning; what follows is not looked at.
fn metadata(body: &Bytes, version: i16, change: Change<'_>) -> Result<Vec<Bytes>, RewriteError> {
    let name = MetadataResponse::NAME;
    let mut input = Decoder::new(body);
    input.begin(MetadataResponse::FACTS, version);
    if version >= 3 {
        let _throttle_time_ms: i32 = input.fixed("throttle_time_ms");
    }
    let before = body.slice(..body.len() - input.remaining());
    let mut brokers = Vec::<MetadataResponseBroker>::new();
    brokers.fill(&mut input, "brokers", version);
    input.finish(name, version)?;
    let after = body.slice(body.len() - input.remaining()..);
    brokers.iter_mut().for_each(|b| with(change, b.node_id, &mut b.host, &mut b.port));
    let mut out = Encoder::new();
    out.begin(MetadataResponse::FACTS, version);
    brokers.put(&mut out, "brokers", version);
    out.finish(name, version)?;
    Ok([vec![before], out.into_segments(), vec![after]].concat())
}
