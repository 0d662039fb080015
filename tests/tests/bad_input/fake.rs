//! Servers that are no brokers, and a broker that answers what it is told to.

use kafka_core::{Bytes, Compression, Str};
use kafka_proto::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use kafka_proto::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_proto::messages::headers::RequestHeader;
use kafka_proto::messages::init_producer_id::InitProducerIdResponse;
use kafka_proto::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use kafka_proto::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_proto::records::{BatchBuilder, ProducerStamp};
use kafka_proto::wire::Records;
use kafka_proto::{ApiKey, RequestKind, ResponseKind, frame};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Something that listens; it ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Server {
    /// Serves each connection in a thread of its own.
    pub(crate) fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), serve)
    }

    pub(crate) fn on(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let (serve, end) = (Arc::new(serve), ended.clone());
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let serve = serve.clone();
                thread::spawn(move || serve(stream));
            }
        });
        Self { address, ended }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers whatever comes first with these bytes, then closes.
pub(crate) fn answering(bytes: &'static [u8]) -> Server {
    Server::start(move |mut stream| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(bytes);
    })
}

/// An address on which nobody listens.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let address = stream.local_addr().unwrap().to_string();
    // A port that is an end of a connection is given to no other test while that lasts.
    std::mem::forget((listener, stream));
    address
}

/// What a scripted broker does about a request.
pub(crate) enum Reply {
    /// As any broker.
    Default,
    /// This response.
    Answer(Box<ResponseKind>),
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
    /// These bytes, and the connection is closed.
    Last(Vec<u8>),
}

/// A broker with a topic `t` of two partitions that answers as the script says.
pub(crate) fn broker(
    script: impl Fn(&RequestHeader, &RequestKind) -> Reply + Send + Sync + 'static,
) -> Server {
    broker_on(TcpListener::bind("127.0.0.1:0").unwrap(), None, script)
}

/// As [`broker`], on a listener, and telling another address than its own.
pub(crate) fn broker_on(
    listener: TcpListener,
    advertised: Option<(&'static str, u16)>,
    script: impl Fn(&RequestHeader, &RequestKind) -> Reply + Send + Sync + 'static,
) -> Server {
    let own = listener.local_addr().unwrap();
    let own = (own.ip().to_string(), own.port());
    let told = advertised.map_or(own, |(host, port)| (host.to_owned(), port));
    Server::on(listener, move |mut stream| {
        while let Some(request) = read_frame(&mut stream) {
            let Ok((header, request)) = frame::decode_request(&request) else { return };
            let bytes = match script(&header, &request) {
                Reply::Default => match default_answer(&request, &told) {
                    Some(answer) => encode(&header, &answer),
                    None => return,
                },
                Reply::Answer(answer) => encode(&header, &answer),
                Reply::Raw(bytes) => bytes,
                Reply::Last(bytes) => {
                    let _ = stream.write_all(&bytes);
                    return;
                }
            };
            if stream.write_all(&bytes).is_err() {
                return;
            }
        }
    })
}

/// The bytes of a response to a request with this header.
pub(crate) fn encode(header: &RequestHeader, answer: &ResponseKind) -> Vec<u8> {
    frame::encode_response(header.correlation_id, header.request_api_version, answer).unwrap().concat()
}

fn read_frame(stream: &mut TcpStream) -> Option<Bytes> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).ok()?;
    Some(frame.into())
}

/// Old versions, in which topics go by name.
const SPOKEN: [(ApiKey, i16, i16); 6] = [
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::Metadata, 0, 9),
    (ApiKey::Produce, 3, 9),
    (ApiKey::Fetch, 4, 11),
    (ApiKey::ListOffsets, 1, 5),
    (ApiKey::InitProducerId, 0, 1),
];

/// The answer of a broker that has nothing to hide.
pub(crate) fn default_answer(request: &RequestKind, address: &(String, u16)) -> Option<ResponseKind> {
    Some(match request {
        RequestKind::ApiVersions(_) => api_versions(),
        RequestKind::Metadata(_) => metadata(address),
        RequestKind::InitProducerId(_) => {
            InitProducerIdResponse { producer_id: 1, ..Default::default() }.into()
        }
        RequestKind::ListOffsets(request) => {
            let partition = |index| ListOffsetsPartitionResponse {
                partition_index: index,
                offset: 0,
                ..Default::default()
            };
            let topic =
                |t: &kafka_proto::messages::list_offsets::ListOffsetsTopic| ListOffsetsTopicResponse {
                    name: t.name.clone(),
                    partitions: t.partitions.iter().map(|p| partition(p.partition_index)).collect(),
                    ..Default::default()
                };
            ListOffsetsResponse { topics: request.topics.iter().map(topic).collect(), ..Default::default() }
                .into()
        }
        _ => return None,
    })
}

fn api_versions() -> ResponseKind {
    let api = |(key, min_version, max_version): (ApiKey, i16, i16)| ApiVersion {
        api_key: key.code(),
        min_version,
        max_version,
        ..Default::default()
    };
    ApiVersionsResponse { api_keys: SPOKEN.map(api).to_vec(), ..Default::default() }.into()
}

fn metadata((host, port): &(String, u16)) -> ResponseKind {
    let node = MetadataResponseBroker {
        node_id: 1,
        host: Str::from(host.clone()),
        port: i32::from(*port),
        ..Default::default()
    };
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 1,
        leader_epoch: 0,
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some(Str::from_static("t")),
        partitions: vec![partition(0), partition(1)],
        ..Default::default()
    };
    MetadataResponse { brokers: vec![node], controller_id: 1, topics: vec![topic], ..Default::default() }
        .into()
}

/// A fetch response with these bytes as the records of partitions 0 and 1 of `t`.
pub(crate) fn fetched(records: [Bytes; 2]) -> ResponseKind {
    let partition = |(partition_index, records)| PartitionData {
        partition_index,
        high_watermark: 1,
        last_stable_offset: 1,
        preferred_read_replica: -1,
        records: Some(Records::from(records)),
        ..Default::default()
    };
    let partitions = (0..).zip(records).map(partition).collect();
    let topic = FetchableTopicResponse { topic: Str::from_static("t"), partitions, ..Default::default() };
    FetchResponse { responses: vec![topic], ..Default::default() }.into()
}

/// A batch with one record, in the form that a broker keeps.
pub(crate) fn batch(value: &[u8], compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.append(0, None, Some(value), &[]).unwrap();
    let body = builder.finish();
    let body =
        if compression == Compression::None { body } else { body.compress(compression, None).unwrap() };
    body.seal(ProducerStamp::NONE).into_bytes()
}
