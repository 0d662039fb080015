//! InitProducerId: gives out the ids of idempotent producers.

use kafka_proto::ErrorCode;
use kafka_proto::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Call, ClusterState, Reply};

pub(crate) fn handle(cluster: &mut ClusterState, call: &Call, request: InitProducerIdRequest) -> Reply {
    if request.transactional_id.is_some() {
        // There is no transaction coordinator here; this one tells the client not to try again.
        return refuse(&request, call.version, ErrorCode::TransactionalIdAuthorizationFailed).into();
    }
    let producer_id = cluster.next_producer_id;
    cluster.next_producer_id += 1;
    InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() }.into()
}

pub(crate) fn refuse(_: &InitProducerIdRequest, _: i16, error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: error.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    }
}
