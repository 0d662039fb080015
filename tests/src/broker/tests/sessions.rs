use super::*;
use kafka_proto::messages::fetch::ForgottenTopic;

fn begin(topic: &str) -> FetchRequest {
    FetchRequest { session_epoch: 0, ..fetch(topic, 0, 0) }
}

fn next(session_id: i32, session_epoch: i32) -> FetchRequest {
    FetchRequest { session_id, session_epoch, topics: Vec::new(), min_bytes: 1, ..Default::default() }
}

fn partitions(response: &FetchResponse) -> Vec<i32> {
    response.responses.iter().flat_map(|topic| topic.partitions.iter().map(|p| p.partition_index)).collect()
}

#[test]
fn an_incremental_fetch_tells_only_news() {
    let mut rig = Rig::new(1);
    rig.topic("p", 2, &[]);
    let mut request = begin("p");
    let second = FetchPartition { partition: 1, ..request.topics[0].partitions[0].clone() };
    request.topics[0].partitions.push(second);
    let full = rig.call(0, 12, request);
    assert!(full.session_id > 0);
    assert_eq!(partitions(&full), [0, 1]);

    assert!(rig.call(0, 12, next(full.session_id, 1)).responses.is_empty());
    rig.put("p", "a");
    let news = rig.call(0, 12, next(full.session_id, 2));
    assert_eq!((news.session_id, partitions(&news)), (full.session_id, vec![0]));
    assert_eq!(read(&fetched(news)), [(0, "a".to_owned())]);
}

#[test]
fn a_parked_session_fetch_wakes_for_any_of_its_partitions() {
    let mut rig = Rig::new(1);
    let full = rig.call(0, 12, begin("t"));
    let waiting = rig.park(0, 12, FetchRequest { max_wait_ms: 500, ..next(full.session_id, 1) });
    rig.put("t", "a");
    assert_eq!(read(&fetched(rig.answer::<FetchRequest>(waiting).unwrap())).len(), 1);
}

#[test]
fn partitions_are_added_changed_and_forgotten() {
    let mut rig = Rig::new(1);
    rig.topic("p", 1, &[]);
    rig.fill("t", 2);
    let id = rig.call(0, 12, begin("p")).session_id;
    let added = rig.call(0, 12, FetchRequest { topics: fetch("t", 0, 0).topics, ..next(id, 1) });
    assert_eq!(read(&fetched(added)).len(), 2);
    let moved = rig.call(0, 12, FetchRequest { topics: fetch("t", 1, 0).topics, ..next(id, 2) });
    assert_eq!(read(&fetched(moved)), [(1, "a".to_owned())]);
    let gone = ForgottenTopic { topic: "t".into(), partitions: [0].into(), ..Default::default() };
    let forgot = rig.call(0, 12, FetchRequest { forgotten_topics_data: vec![gone], ..next(id, 3) });
    assert!(forgot.responses.is_empty());
}

#[test]
fn a_session_without_partitions_ends() {
    let mut rig = Rig::new(1);
    let id = rig.call(0, 12, begin("t")).session_id;
    let gone = ForgottenTopic { topic: "t".into(), partitions: [0].into(), ..Default::default() };
    let ended = rig.call(0, 12, FetchRequest { forgotten_topics_data: vec![gone], ..next(id, 1) });
    assert_eq!((ended.session_id, rig.cluster.fetch_sessions(0)), (0, 0));
}

#[test]
fn unknown_sessions_and_wrong_epochs_are_refused() {
    let mut rig = Rig::new(1);
    let id = rig.call(0, 12, begin("t")).session_id;
    let refused = rig.call(0, 12, next(id + 1, 1));
    assert_eq!(error(refused.error_code), ErrorCode::FetchSessionIdNotFound);
    let refused = rig.call(0, 12, next(id, 2));
    assert_eq!(error(refused.error_code), ErrorCode::InvalidFetchSessionEpoch);
    let refused = rig.call(0, 13, next(id, 1));
    assert_eq!(error(refused.error_code), ErrorCode::FetchSessionTopicIdError);
    assert_eq!(error(rig.call(0, 12, next(id, 1)).error_code), ErrorCode::None);
    rig.cluster.skip_session_epochs(rig.now, 0).unwrap();
    for epoch in [2, 2] {
        let refused = rig.call(0, 12, next(id, epoch));
        assert_eq!(error(refused.error_code), ErrorCode::InvalidFetchSessionEpoch, "again and again");
    }
    assert_eq!(error(rig.call(0, 12, next(id, 3)).error_code), ErrorCode::None);
    // A node that was down has forgotten.
    rig.cluster.kill(rig.now, 0).unwrap();
    rig.cluster.restart(rig.now, 0).unwrap();
    let refused = rig.call(0, 12, next(id, 2));
    assert_eq!(error(refused.error_code), ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn a_full_fetch_replaces_the_session_and_a_final_one_ends_it() {
    let mut rig = Rig::new(1);
    let first = rig.call(0, 12, begin("t")).session_id;
    let second = rig.call(0, 12, FetchRequest { session_id: first, ..begin("t") }).session_id;
    assert_ne!(first, second);
    assert_eq!(rig.cluster.fetch_sessions(0), 1);
    let last = rig.call(0, 12, FetchRequest { session_id: second, session_epoch: -1, ..fetch("t", 0, 0) });
    assert_eq!((last.session_id, rig.cluster.fetch_sessions(0)), (0, 0));
}

#[test]
fn a_full_cache_evicts_only_what_is_old() {
    let mut rig = Rig::configured(1, |config| config.fetch_session_slots = 1);
    let first = rig.call(0, 12, begin("t")).session_id;
    assert_eq!(rig.call(0, 12, begin("t")).session_id, 0);
    rig.sleep(121_000);
    let second = rig.call(0, 12, begin("t")).session_id;
    assert_ne!(second, 0);
    let refused = rig.call(0, 12, next(first, 1));
    assert_eq!(error(refused.error_code), ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn partitions_take_turns_under_the_limit() {
    let mut rig = Rig::new(1);
    rig.topic("p", 3, &[]);
    for index in 0..3 {
        for _ in 0..3 {
            let mut request = produce("p", 1, one("a"));
            request.topic_data[0].partition_data[0].index = index;
            rig.call(0, 9, request);
        }
    }
    let mut request = FetchRequest { max_bytes: 1, ..begin("p") };
    let template = request.topics[0].partitions[0].clone();
    request.topics[0].partitions =
        (0..3).map(|p| FetchPartition { partition: p, ..template.clone() }).collect();
    let full = rig.call(0, 12, request);
    let mut served = Vec::new();
    for epoch in 1..=3 {
        let response = rig.call(0, 12, FetchRequest { max_bytes: 1, ..next(full.session_id, epoch) });
        let with_records = response.responses[0].partitions.iter().find(|p| !read(p).is_empty()).unwrap();
        served.push(with_records.partition_index);
    }
    served.sort_unstable();
    assert_eq!(served, [0, 1, 2]);
}

#[test]
fn an_error_is_told_until_it_is_over() {
    let mut rig = Rig::new(2);
    let id = rig.call(0, 10, begin("t")).session_id;
    rig.cluster.move_leader(rig.now, "t", 0, 1).unwrap();
    for epoch in 1..3 {
        let answer = rig.call(0, 10, next(id, epoch));
        assert_eq!(error(fetched(answer).error_code), ErrorCode::NotLeaderOrFollower);
    }
    rig.cluster.move_leader(rig.now, "t", 0, 0).unwrap();
    assert_eq!(error(fetched(rig.call(0, 10, next(id, 3))).error_code), ErrorCode::None);
    assert!(rig.call(0, 10, next(id, 4)).responses.is_empty());
}
