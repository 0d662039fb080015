//! What a reader reads: several topics, patterns, and changes of it.

use crate::adapter::Adapter;
use crate::handles::{Client, Reader};
use crate::target::{Feature, LONG, Target, skip, unique};
use crate::tools::{error_of, message, number, numbered, read, write};
use kafka_core::{ErrorKind, Event, NewTopic, Pattern, Record, Reset, Start, Subscription, TopicPartition};
use std::collections::BTreeSet;
use std::time::Duration;

const MOMENT: Duration = Duration::from_millis(20);

/// Writes messages with these numbers to a partition.
async fn fill(client: &Client, topic: &str, partition: i32, numbers: std::ops::Range<usize>) {
    let writer = client.writer(topic).build().unwrap();
    write(&writer, numbered(1, numbers).map(|m| m.partition(partition))).await;
}

/// A topic of this very name, with so many partitions; it holds messages with these numbers.
async fn made(client: &Client, name: &str, numbers: std::ops::Range<usize>) {
    let topic = NewTopic::new(name.to_owned(), 1).replication_factor(1);
    client.create_topic(topic).await.expect("create");
    fill(client, name, 0, numbers).await;
}

fn of(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn sorted(reader: &Reader) -> Vec<TopicPartition> {
    let mut assignment = reader.assignment();
    assignment.sort();
    assignment
}

async fn until_assigned<A: Adapter>(reader: &Reader, count: usize) {
    while reader.assignment().len() != count {
        A::sleep(MOMENT).await;
    }
}

fn places(messages: &[Record]) -> BTreeSet<(&str, usize)> {
    messages.iter().map(|message| (&*message.topic, number(message))).collect()
}

pub(crate) async fn several_topics_without_a_group<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let (one, two) = (target.topic(&client, "several", 1).await, target.topic(&client, "several", 1).await);
    fill(&client, &one, 0, 0..20).await;
    fill(&client, &two, 0, 0..20).await;
    let mut reader = client.reader([&*one, &*two]).build().unwrap();
    let messages = read(&mut reader, 40).await;
    assert_eq!(places(&messages).len(), 40);
    assert_eq!(reader.subscription(), Some(Subscription::from([&*one, &*two])));
    let topics: BTreeSet<_> = reader.assignment().into_iter().map(|tp| tp.topic).collect();
    assert_eq!(topics, [&one, &two].map(|name| name.as_str().into()).into());
    // By the builder's method, for one more.
    let mut reader = client.reader(one.clone()).topic(two.clone()).build().unwrap();
    assert_eq!(places(&read(&mut reader, 40).await).len(), 40);
}

pub(crate) async fn a_pattern_finds_a_topic_that_comes_later<A: Adapter>(target: &Target) {
    if !target.has(Feature::CreateTopics) {
        skip!("topics are made by name");
    }
    let (client, prefix) = (target.curious_client::<A>().await, unique("pattern"));
    let [early, late, other] = ["a", "b", "c.x"].map(|name| format!("{prefix}.{name}"));
    made(&client, &early, 0..10).await;
    made(&client, &other, 0..10).await;
    let pattern = Pattern::new(format!("{}\\.\\w", prefix.replace('.', "\\."))).unwrap();
    let mut reader = client.reader(&pattern).start(Start::Last).build().unwrap();
    until_assigned::<A>(&reader, 1).await;
    while reader.position(&of(&early, 0)) != Some(10) {
        assert!(reader.fetch_within::<A>(MOMENT).await.is_none());
    }
    // What is in it when it is found came after the reader began.
    made(&client, &late, 0..5).await;
    let messages = read(&mut reader, 5).await;
    assert_eq!(messages.iter().map(number).collect::<Vec<_>>(), (0..5).collect::<Vec<_>>());
    fill(&client, &early, 0, 10..11).await;
    let last = message(&mut reader).await;
    assert_eq!((&*last.topic, number(&last)), (&*early, 10));
    assert_eq!(sorted(&reader), [of(&early, 0), of(&late, 0)]);
    assert_eq!(reader.subscription(), Some(pattern.into()));
}

pub(crate) async fn a_change_of_topics_keeps_what_stays<A: Adapter>(target: &Target) {
    if !target.has(Feature::CreateTopics) {
        skip!("topics are made by name");
    }
    let (client, prefix) = (target.curious_client::<A>().await, unique("change"));
    let [one, two, three] = ["1", "2", "3"].map(|name| format!("{prefix}-{name}"));
    for topic in [&one, &two, &three] {
        made(&client, topic, 0..50).await;
    }
    let mut reader = client.reader([&*one, &*two]).build().unwrap();
    // Some of each, and some in hand.
    let mut next = [0, 0];
    while next.iter().any(|next| *next < 5) {
        let message = message(&mut reader).await;
        let at = &mut next[usize::from(*message.topic == *two)];
        assert_eq!(number(&message), *at);
        *at += 1;
    }
    reader.subscribe([&*two, &*three]).unwrap();
    assert!(reader.assignment().contains(&of(&two, 0)) && !reader.assignment().contains(&of(&one, 0)));
    assert_eq!(reader.position(&of(&two, 0)), Some(next[1] as i64));
    let messages = read(&mut reader, 100 - next[1]).await;
    let expected = (next[1]..50).map(|n| (&*two, n)).chain((0..50).map(|n| (&*three, n)));
    assert_eq!(places(&messages), expected.collect());

    // To a pattern, by which the first topic comes back, from its beginning; a pause stays.
    reader.pause(&of(&two, 0)).unwrap();
    reader.subscribe(Pattern::new(format!("{prefix}-[12]")).unwrap()).unwrap();
    assert!(!reader.assignment().contains(&of(&three, 0)));
    fill(&client, &two, 0, 50..51).await;
    fill(&client, &three, 0, 50..51).await;
    assert_eq!(places(&read(&mut reader, 50).await), (0..50).map(|n| (&*one, n)).collect());
    assert!(reader.fetch_within::<A>(MOMENT).await.is_none(), "paused, or not subscribed to");
    reader.resume(&of(&two, 0)).unwrap();
    assert_eq!(places(&[message(&mut reader).await]), [(&*two, 50)].into());
    let error = error_of(reader.subscribe(Vec::<String>::new()));
    assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error}");
    assert_eq!(sorted(&reader), [of(&one, 0), of(&two, 0)], "nothing was changed");
}

pub(crate) async fn chosen_partitions_are_replaced<A: Adapter>(target: &Target) {
    if !target.has(Feature::CreateTopics) {
        skip!("topics of a chosen size need Kafka 0.10.1");
    }
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "assign", 3).await;
    for partition in 0..3 {
        fill(&client, &topic, partition, 0..50).await;
    }
    let mut reader = client.reader(topic.clone()).partition(0).partition(1).build().unwrap();
    let mut next = [0, 0];
    while next.iter().any(|next| *next < 5) {
        next[message(&mut reader).await.partition as usize] += 1;
    }
    // The one that stays goes on where it is, whatever is said.
    reader.assign([(of(&topic, 1), Start::First), (of(&topic, 2), Start::at(48))]).unwrap();
    assert_eq!(sorted(&reader), [of(&topic, 1), of(&topic, 2)]);
    assert_eq!(reader.position(&of(&topic, 1)), Some(next[1]));
    let messages = read(&mut reader, (50 - next[1]) as usize + 2).await;
    let read: BTreeSet<_> = messages.iter().map(|m| (m.partition, m.offset)).collect();
    assert_eq!(read, (next[1]..50).map(|offset| (1, offset)).chain([(2, 48), (2, 49)]).collect());
    assert_eq!(reader.subscription(), None);

    reader.assign([]).unwrap();
    assert!(reader.assignment().is_empty() && reader.fetch_within::<A>(MOMENT).await.is_none());
    reader.assign([(of(&topic, 0), Start::at(49))]).unwrap();
    assert_eq!(message(&mut reader).await.offset, 49);
    let error = error_of(reader.assign([(of(&topic, -1), Start::First)]));
    assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error}");
}

/// Reads as a member until nothing comes for a while; what was handled is committed when partitions are given up.
async fn work<A: Adapter>(reader: &mut Reader, handled: &mut Vec<Record>) {
    let mut seen = handled.len();
    loop {
        match reader.next_event_within::<A>(MOMENT).await {
            None => return,
            Some(event) => match event.expect("no error").expect("open") {
                Event::Record(message) => handled.push(message),
                Event::Revoking { .. } => {
                    reader.commit(&handled[seen..]).await.expect("commit while revoking");
                    seen = handled.len();
                }
                Event::Lost { error, .. } => panic!("{error}"),
                _ => {}
            },
        }
        if handled.len() > seen {
            reader.commit(&handled[seen..]).await.expect("commit");
            seen = handled.len();
        }
    }
}

pub(crate) async fn a_group_of_two_changes_its_topics<A: Adapter>(target: &Target) {
    if !target.has(Feature::CreateTopics) {
        skip!("topics of a chosen size need Kafka 0.10.1");
    }
    let (client, group, prefix) = (target.curious_client::<A>().await, unique("group"), unique("two"));
    let [one, two] = ["1", "2"].map(|name| format!("{prefix}-{name}"));
    for topic in [&one, &two] {
        client.create_topic(NewTopic::new(topic.clone(), 2).replication_factor(1)).await.unwrap();
    }
    let member = |subscription: Subscription| {
        let heartbeats = Duration::from_millis(100);
        let builder = client.reader(one.clone()).group(group.clone()).reset(Reset::First);
        let mut reader = builder.heartbeat_interval(heartbeats).build().unwrap();
        reader.subscribe(subscription).unwrap();
        reader
    };
    let mut members = [member(one.as_str().into()), member(one.as_str().into())];
    let mut handled = [Vec::new(), Vec::new()];
    let mut sent = 0;
    // What both have in the end, and that all is handled once.
    let mut settle = async |members: &mut [Reader; 2], topics: [[usize; 2]; 2]| {
        for topic in [&one, &two] {
            for partition in 0..2 {
                fill(&client, topic, partition, sent..sent + 10).await;
            }
        }
        sent += 10;
        let of_topics = |reader: &Reader| {
            let assignment = reader.assignment();
            [&one, &two].map(|topic| assignment.iter().filter(|tp| *tp.topic == **topic).count())
        };
        let read_topics = [0, 1].map(|at| topics.iter().any(|counts| counts[at] > 0));
        loop {
            for (member, handled) in members.iter_mut().zip(&mut handled) {
                work::<A>(member, handled).await;
            }
            let all: Vec<(&str, i32, i64)> =
                handled.iter().flatten().map(|m| (&*m.topic, m.partition, m.offset)).collect();
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "something came twice");
            let is_read = [&one, &two].iter().zip(read_topics).all(|(topic, is_read)| {
                !is_read || all.iter().filter(|(name, ..)| name == *topic).count() == 2 * sent
            });
            if is_read && [0, 1].map(|at| of_topics(&members[at])) == topics {
                return;
            }
        }
    };
    settle(&mut members, [[1, 0], [1, 0]]).await;
    // One of them reads the other topic as well.
    members[0].subscribe([&*one, &*two]).unwrap();
    settle(&mut members, [[1, 2], [1, 0]]).await;
    // Both, one by a pattern.
    members[1].subscribe(Pattern::new(format!("{prefix}-.")).unwrap()).unwrap();
    settle(&mut members, [[1, 1], [1, 1]]).await;
    // The first goes away from the first topic.
    members[0].subscribe(two.clone()).unwrap();
    settle(&mut members, [[0, 1], [2, 1]]).await;
    for mut member in members {
        member.close(LONG).await.into_result().unwrap();
    }
}

pub(crate) async fn a_member_waits_for_a_topic_that_matches<A: Adapter>(target: &Target) {
    if !target.has(Feature::CreateTopics) {
        skip!("topics are made by name");
    }
    let (client, group, prefix) = (target.curious_client::<A>().await, unique("group"), unique("wait"));
    let pattern = Pattern::new(format!("{prefix}-.*")).unwrap();
    let builder = client.reader(pattern).group(group).heartbeat_interval(Duration::from_millis(100));
    let mut reader = builder.reset(Reset::First).build().unwrap();
    match reader.next_event().await.unwrap().unwrap() {
        Event::Assigned { partitions, .. } => assert!(partitions.is_empty(), "it is a member with nothing"),
        other => panic!("{other:?}"),
    }
    let topic = format!("{prefix}-1");
    made(&client, &topic, 0..3).await;
    assert_eq!(places(&read(&mut reader, 3).await), (0..3).map(|n| (&*topic, n)).collect());
    reader.close(LONG).await.into_result().unwrap();
}

pub(crate) async fn each_kind_of_reader_refuses_the_other_change<A: Adapter>(target: &Target) {
    let client = target.client::<A>().await;
    let topic = target.topic(&client, "kind", 1).await;
    let misuse = |error: kafka_core::Error, remedy: &str| {
        assert!(matches!(error.kind(), ErrorKind::Misuse(text) if text.contains(remedy)), "{error}");
    };
    let mut chosen = client.reader(topic.clone()).partition(0).build().unwrap();
    misuse(error_of(chosen.subscribe(topic.clone())), "`assign`");
    let mut whole = client.reader(topic.clone()).build().unwrap();
    misuse(error_of(whole.assign([(of(&topic, 0), Start::First)])), "`subscribe`");
    let mut member = client.reader(topic.clone()).group(unique("group")).build().unwrap();
    misuse(error_of(member.assign([(of(&topic, 0), Start::First)])), "`subscribe`");
    member.close(LONG).await.into_result().unwrap();
    let closed = error_of(member.subscribe(topic.clone()));
    assert!(matches!(closed.kind(), ErrorKind::Closed), "{closed}");
    let several = client.reader([&*topic, "another"]).partition(0).build();
    assert!(matches!(error_of(several).kind(), ErrorKind::Config { setting: "partition", .. }));
    let added = client.reader(Pattern::new("a.*").unwrap()).topic("b").build();
    assert!(matches!(error_of(added).kind(), ErrorKind::Config { setting: "topic", .. }));
}
