use super::*;
use crate::group::GroupConfig;
use crate::message::Message;
use crate::reader::{ReaderConfig, Start};
use crate::snapshot::TopicPartition;
use crate::writer::WriterConfig;
use kafka_proto::messages::metadata::MetadataRequest;
use std::sync::Arc;

const NOW: Now = Now { time: Time::START, wall_ms: 0 };

fn client() -> Client {
    let bootstrap = Address::parse_list("localhost:9092").unwrap();
    Client::new(ClientConfig { bootstrap, ..ClientConfig::default() })
}

fn writer(client: &mut Client) -> Writer {
    let config = WriterConfig { topic: Some("t".into()), ..WriterConfig::default() };
    Writer::new(client.at(NOW), config).unwrap()
}

fn reader(client: &mut Client, from: ReadFrom) -> crate::Result<Reader> {
    Reader::new(client.at(NOW), ReaderConfig::default(), from)
}

fn is_closed<T: std::fmt::Debug>(result: crate::Result<T>) -> bool {
    *result.unwrap_err().kind() == ErrorKind::Closed
}

#[test]
fn a_closed_client_connects_no_more_and_its_calls_have_ended() {
    let mut client = client();
    let before = client.call(NOW, Target::Any, MetadataRequest::default(), None);
    let Some(Action::Connect { conn, .. }) = client.poll_action() else { panic!("it has to connect") };
    client.close(NOW);
    assert!(matches!(client.poll_action(), Some(Action::Close(closed)) if closed == conn));
    let after = client.call(NOW, Target::Any, MetadataRequest::default(), None);
    assert!(client.poll_action().is_none(), "there is nothing to connect for");
    assert!([before, after].iter().all(|call| is_closed(call.take(&mut client).unwrap())));
}

#[test]
fn a_message_comes_back_with_the_reason() {
    let mut client = client();
    let writer = writer(&mut client);
    let refused = writer.try_send(client.at(NOW), Message::new("v")).unwrap_err();
    assert_eq!((*refused.message, refused.reason), (Message::new("v"), TrySendReason::TopicPending));
    assert!(matches!(client.poll_action(), Some(Action::Connect { .. })), "the topic is asked for");
    client.close(NOW);
    let refused = writer.try_send(client.at(NOW), Message::new("v")).unwrap_err();
    assert!(matches!(refused.reason, TrySendReason::Failed(error) if error.error == closed()));
}

#[test]
fn what_has_nothing_to_wait_for_is_done_at_once() {
    let mut client = client();
    let writer = writer(&mut client);
    let mut flushing = writer.flush(client.at(NOW));
    assert!(flushing.report().unwrap().is_clean());
    let partition = (TopicPartition::new("t", 0), Start::First);
    let reader = reader(&mut client, ReadFrom::Partitions(vec![partition])).unwrap();
    assert!(reader.commit(client.at(NOW), []).unwrap().is_none());
    let mut closing = client.begin_close(NOW);
    assert!(closing.is_done(&client) && reader.has_ended(&client));
    assert!(closing.finish(&mut client, NOW, std::time::Duration::ZERO).is_clean());
}

/// What it reads, and whether in a group.
fn sources() -> [ReadFrom; 2] {
    let group = GroupConfig { group_id: "g".into(), ..GroupConfig::default() };
    let partition = (TopicPartition::new("t", 0), Start::First);
    [ReadFrom::Partitions(vec![partition]), ReadFrom::Group(Arc::new(group), "t".into(), Start::First)]
}

#[test]
fn a_closed_client_has_no_readers_and_makes_none() {
    for from in sources() {
        let mut client = client();
        let before = reader(&mut client, from.clone()).unwrap();
        client.close(NOW);
        assert!(before.has_ended(&client));
        assert!(is_closed(reader(&mut client, from)));
        let config = WriterConfig { topic: Some("t".into()), ..WriterConfig::default() };
        assert!(is_closed(Writer::new(client.at(NOW), config)));
    }
}

#[test]
fn a_closed_client_rings_a_few_times_at_most() {
    for from in sources() {
        let mut client = client();
        let _reader = reader(&mut client, from).unwrap();
        let _ = writer(&mut client).try_send(client.at(NOW), Message::new("v"));
        client.close(NOW);
        let (mut now, mut rung) = (NOW, 0);
        while let Some(at) = client.poll_timeout() {
            now.time = at.max(now.time);
            client.handle_input(now, Input::Timeout);
            while client.poll_event().is_some() {}
            while client.poll_action().is_some() {}
            rung += 1;
            assert!(rung < 10, "at {:?}", now.time);
        }
    }
}

#[test]
fn a_subscription_that_cannot_be_is_refused() {
    let mut client = client();
    let one = |topic: &str, partition, start| {
        ReadFrom::Partitions(vec![(TopicPartition::new(topic, partition), start)])
    };
    let wrong = [
        ReadFrom::Topics("".into(), Start::First),
        ReadFrom::Topics("t".into(), Start::Time(-1)),
        one("", 0, Start::First),
        one("t", -1, Start::First),
    ];
    for from in wrong {
        assert!(reader(&mut client, from.clone()).is_err(), "{from:?}");
    }
    assert!(client.is_quiescent() && client.poll_action().is_none(), "no reader was made");
}
