//! The embedded broker over real sockets, with a client of a few lines of `std`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use kafka_proto::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_proto::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use kafka_proto::messages::metadata::{MetadataRequest, MetadataResponse};
use kafka_proto::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use kafka_proto::records::{BatchBuilder, ProducerStamp, batches};
use kafka_proto::{ApiKey, Bytes, ErrorCode, Request, RequestKind, ResponseKind, Uuid, frame};
use kafka_testkit::Cluster;

struct Client(TcpStream);

impl Client {
    fn connect(address: &str) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Client(stream)
    }

    fn send(&mut self, version: i16, request: impl Into<RequestKind>) {
        let segments = frame::encode_request(7, Some("test"), version, &request.into()).unwrap();
        self.0.write_all(&segments.concat()).unwrap();
    }

    fn receive(&mut self, key: ApiKey, version: i16) -> std::io::Result<ResponseKind> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut body)?;
        let (correlation_id, response) = frame::decode_response(key, version, &Bytes::from(body)).unwrap();
        assert_eq!(correlation_id, 7);
        Ok(response)
    }

    fn call<R: Request + Into<RequestKind>>(&mut self, version: i16, request: R) -> R::Response
    where
        R::Response: TryFrom<ResponseKind>,
    {
        self.send(version, request);
        let response = self.receive(R::KEY, version).unwrap();
        response.try_into().ok().unwrap()
    }
}

fn topic_id(client: &mut Client) -> Uuid {
    let metadata: MetadataResponse = client.call(13, MetadataRequest { topics: None, ..Default::default() });
    metadata.topics[0].topic_id
}

fn produce(topic_id: Uuid, value: &[u8]) -> ProduceRequest {
    let mut builder = BatchBuilder::new();
    builder.append(1, Some(b"key"), Some(value), &[]).unwrap();
    let records = Some(builder.finish().seal(ProducerStamp::NONE));
    let partition_data = vec![PartitionProduceData { index: 0, records, ..Default::default() }];
    let topic_data = vec![TopicProduceData { topic_id, partition_data, ..Default::default() }];
    ProduceRequest { acks: -1, timeout_ms: 1000, topic_data, ..Default::default() }
}

fn fetch(topic_id: Uuid, fetch_offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition { fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topics = vec![FetchTopic { topic_id, partitions: vec![partition], ..Default::default() }];
    FetchRequest { max_wait_ms, min_bytes: 1, session_epoch: -1, topics, ..Default::default() }
}

fn values(response: FetchResponse) -> Vec<Bytes> {
    let records = response.responses[0].partitions[0].records.clone().unwrap();
    let mut values = Vec::new();
    for batch in batches(records.into_bytes()) {
        let mut records = batch.unwrap().records(1 << 20).unwrap();
        while let Some(record) = records.next_record() {
            values.push(record.unwrap().value_bytes().unwrap());
        }
    }
    values
}

#[test]
fn what_is_written_is_read_and_a_waiting_fetch_hears_of_it() {
    let cluster = Cluster::builder().topic("orders", 1).start().unwrap();
    let mut writer = Client::connect(&cluster.bootstrap());
    let versions: ApiVersionsResponse = writer.call(
        3,
        ApiVersionsRequest {
            client_software_name: "t".into(),
            client_software_version: "1".into(),
            ..Default::default()
        },
    );
    assert!(versions.api_keys.iter().any(|api| api.api_key == ApiKey::Produce.code()));

    let id = topic_id(&mut writer);
    let mut reader = Client::connect(&cluster.bootstrap());
    reader.send(18, fetch(id, 0, 60_000));
    let big = vec![b'x'; 100_000];
    let written: ProduceResponse = writer.call(13, produce(id, &big));
    assert_eq!(written.responses[0].partition_responses[0].error_code, 0);
    let read = reader.receive(ApiKey::Fetch, 18).unwrap();
    assert_eq!(values(read.try_into().unwrap()), [big]);
    assert_eq!(cluster.log("orders", 0).len(), 1);
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let cluster = Cluster::builder().topic("orders", 1).start().unwrap();
    let mut client = Client::connect(&cluster.bootstrap());
    let id = topic_id(&mut client);
    for number in 0..100 {
        client.send(13, produce(id, format!("{number}").as_bytes()));
    }
    for number in 0..100 {
        let answer: ProduceResponse = client.receive(ApiKey::Produce, 13).unwrap().try_into().unwrap();
        assert_eq!(answer.responses[0].partition_responses[0].base_offset, number);
    }
}

#[test]
fn a_killed_node_is_gone_and_comes_back_on_its_port() {
    let cluster = Cluster::builder().nodes(2).topic("orders", 1).start().unwrap();
    let address = cluster.address_of(0).unwrap();
    let mut client = Client::connect(&address);
    let id = topic_id(&mut client);
    client.send(18, fetch(id, 0, 60_000));
    cluster.kill(0).unwrap();
    assert!(client.receive(ApiKey::Fetch, 18).is_err());
    assert!(TcpStream::connect(&address).is_err());
    assert_eq!(cluster.leader("orders", 0), Some(1));

    cluster.restart(0).unwrap();
    let mut client = Client::connect(&address);
    let answer: ProduceResponse = client.call(13, produce(id, b"v"));
    let answer = &answer.responses[0].partition_responses[0];
    assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::NotLeaderOrFollower);
    assert_eq!(answer.current_leader.leader_id, 1);
}

/// Else a client under test may meet the broker of another test at the address of one that is down.
#[test]
fn the_port_of_a_killed_node_is_given_to_nobody() {
    let cluster = Cluster::builder().topic("orders", 1).start().unwrap();
    cluster.kill(0).unwrap();
    let port = cluster.address_of(0).unwrap().parse::<SocketAddr>().unwrap().port();
    // Enough for each port of the usual range to come up three times or more.
    for _ in 0..100_000 {
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert_ne!(other.local_addr().unwrap().port(), port);
    }
}

#[test]
fn garbage_closes_the_connection_and_nothing_else() {
    let cluster = Cluster::builder().topic("orders", 1).start().unwrap();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0, 0, 0, 2, 1, 2], &[0, 0, 0, 0]] {
        let mut client = Client::connect(&cluster.bootstrap());
        client.0.write_all(garbage).unwrap();
        assert_eq!(client.0.read(&mut [0; 16]).unwrap_or(0), 0, "{garbage:?}");
    }
    topic_id(&mut Client::connect(&cluster.bootstrap()));
}

#[test]
fn several_clusters_live_side_by_side_and_end_when_dropped() {
    let clusters: Vec<Cluster> = (0..4).map(|_| Cluster::builder().nodes(3).start().unwrap()).collect();
    let parked: Vec<Client> = clusters
        .iter()
        .map(|cluster| {
            cluster.create_topic("t", 1).unwrap();
            let leader = cluster.address_of(cluster.leader("t", 0).unwrap()).unwrap();
            let mut client = Client::connect(&leader);
            let id = topic_id(&mut client);
            client.send(18, fetch(id, 0, i32::MAX));
            client
        })
        .collect();
    // Would the threads wait for their fetches, this took three weeks.
    drop(clusters);
    for mut client in parked {
        assert!(client.receive(ApiKey::Fetch, 18).is_err());
    }
}

#[test]
fn two_clusters_have_ids_of_their_own_unless_asked_otherwise() {
    let id = |cluster: &Cluster| topic_id(&mut Client::connect(&cluster.bootstrap()));
    let start = |seed: Option<u64>| {
        let builder = Cluster::builder().topic("t", 1);
        seed.into_iter().fold(builder, |builder, seed| builder.seed(seed)).start().unwrap()
    };
    assert_ne!(id(&start(None)), id(&start(None)));
    assert_eq!(id(&start(Some(7))), id(&start(Some(7))));
}

/// How long a start takes is printed and not checked: it is the machine's.
#[test]
fn a_cluster_of_three_nodes_starts() {
    let start = || {
        let begun = std::time::Instant::now();
        let cluster = Cluster::builder().nodes(3).topic("orders", 6).start().unwrap();
        (begun.elapsed(), cluster)
    };
    let mut times: Vec<_> = (0..21).map(|_| start().0).collect();
    times.sort_unstable();
    println!(
        "3 nodes, 6 partitions: {:?} at best, {:?} in the middle, {:?} at worst",
        times[0], times[10], times[20]
    );
    let (_, cluster) = start();
    assert_eq!(cluster.nodes().count(), 3);
}

#[test]
fn idle_connections_are_cut_by_brokers_or_forgotten_by_middleboxes() {
    use kafka_testkit::broker::IdleCut::{Close, Forget};
    let after = Duration::from_millis(200);
    for cut in [Close(after), Forget(after)] {
        let cluster = Cluster::builder().configure(|config| config.oddities = config.oddities.idle(cut));
        let cluster = cluster.topic("t", 1).start().unwrap();
        let mut client = Client::connect(&cluster.bootstrap());
        for _ in 0..3 {
            std::thread::sleep(after / 4);
            topic_id(&mut client);
        }
        std::thread::sleep(after * 2);
        // One says so at once, the other not before it is used.
        client.0.set_nonblocking(true).unwrap();
        let closed = matches!(client.0.peek(&mut [0]), Ok(0));
        assert_eq!(closed, cut == Close(after));
        client.0.set_nonblocking(false).unwrap();
        if !closed {
            client.send(9, MetadataRequest::default());
            client.receive(ApiKey::Metadata, 9).expect_err("forgotten");
        }
        topic_id(&mut Client::connect(&cluster.bootstrap()));
    }
}
