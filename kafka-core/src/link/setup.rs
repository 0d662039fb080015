//! The first exchange of a connection: ApiVersions, with its fallbacks (KIP-35, KIP-511).
//!
//! A broker that does not know our version answers in version 0 with UNSUPPORTED_VERSION and, since 2.4, the range it
//! does know. Brokers that close instead are asked again with version 0 on the next connection, by the client.

use super::SOFTWARE;
use super::versions::BrokerVersions;
use crate::error::ConnectionError;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::frame;
use kafka_proto::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_proto::wire::EncodeError;
use kafka_proto::{ApiKey, Bytes, Str};
use kafka_proto::{RequestKind, ResponseKind};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Setup {
    state: State,
    attempts: u32,
}

#[derive(Debug)]
enum State {
    /// To be asked with this version.
    Ask(i16),
    /// Asked with this version and correlation id.
    Asked(i16, i32),
    Done,
}

const MAX_ATTEMPTS: u32 = 3;

impl Setup {
    pub(super) fn new(version: i16) -> Self {
        Self { state: State::Ask(version), attempts: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The frame to send now, if any.
    pub(super) fn poll_transmit(
        &mut self,
        correlation_id: i32,
        client_id: &str,
    ) -> Option<Result<Vec<Bytes>, EncodeError>> {
        let State::Ask(version) = self.state else { return None };
        self.state = State::Asked(version, correlation_id);
        self.attempts += 1;
        let request = ApiVersionsRequest {
            client_software_name: Str::from_static(SOFTWARE),
            client_software_version: Str::from_static(env!("CARGO_PKG_VERSION")),
            ..ApiVersionsRequest::default()
        };
        Some(frame::encode_request(
            correlation_id,
            Some(client_id),
            version,
            &RequestKind::ApiVersions(request),
        ))
    }

    /// Takes the answer; the versions once they are known.
    pub(super) fn handle(&mut self, frame: &Bytes) -> Result<Option<Arc<BrokerVersions>>, ConnectionError> {
        let State::Asked(version, expected) = self.state else {
            return Err(ConnectionError::NotKafka("it spoke before it was asked".into()));
        };
        let response = decode(version, frame)?;
        if response.0 != expected {
            return Err(ConnectionError::Correlation { expected, got: response.0 });
        }
        let response = response.1;
        match ErrorCode::from(response.error_code) {
            ErrorCode::None => {
                self.state = State::Done;
                Ok(Some(Arc::new(BrokerVersions::from_response(&response))))
            }
            ErrorCode::UnsupportedVersion if self.attempts < MAX_ATTEMPTS => {
                self.state = State::Ask(retry_version(version, &response));
                Ok(None)
            }
            code => Err(ConnectionError::NotKafka(format!("ApiVersions was answered with {code}"))),
        }
    }
}

/// The newest version that the broker told, else 0.
fn retry_version(asked: i16, response: &ApiVersionsResponse) -> i16 {
    let told = response.api_keys.iter().find(|a| a.api_key == ApiKey::ApiVersions.code());
    told.map_or(0, |range| range.max_version.min(asked - 1)).max(0)
}

fn decode(version: i16, frame: &Bytes) -> Result<(i32, ApiVersionsResponse), ConnectionError> {
    // The error stands first in every version; UNSUPPORTED_VERSION comes in the layout of version 0.
    let code = frame.get(4..6).and_then(|b| b.first_chunk()).map(|b| i16::from_be_bytes(*b));
    let version = if code == Some(ErrorCode::UnsupportedVersion.code()) { 0 } else { version };
    match frame::decode_response(ApiKey::ApiVersions, version, frame) {
        Ok((id, ResponseKind::ApiVersions(response))) => Ok((id, response)),
        Ok(_) => Err(ConnectionError::NotKafka("another answer than that to ApiVersions".into())),
        Err(error) => Err(ConnectionError::NotKafka(error.to_string())),
    }
}
