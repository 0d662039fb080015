use super::*;
use crate::address::Address;
use crate::client::door::{Entry, Observer, Told};
use crate::client::{Action, Input};
use crate::error::ConnectionError;
use crate::machine::Target;
use crate::record::Sink;
use crate::record::format::Blocks;
use crate::sans_io::Writer;
use crate::writer::WriterConfig;
use kafka_proto::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, ScramCredentialUpsertion,
};
use kafka_proto::messages::metadata::MetadataRequest;
use std::sync::{Arc, Mutex};

const PASSWORD: &[u8] = b"correct-horse-battery-staple";

#[derive(Debug, Default)]
struct Collect(Mutex<Vec<Entry>>);

impl Observer for Collect {
    fn observe(&self, entry: Entry) {
        self.0.lock().unwrap().push(entry);
    }
}

/// A client that asks brokers which cannot be reached, for some seconds.
fn recording() -> Vec<u8> {
    let bootstrap = Address::parse_list("one:9092,two:9092").unwrap();
    let config = ClientConfig { bootstrap, seed: 42, ..ClientConfig::default() };
    let observer = Arc::new(Collect::default());
    let mut client = Client::new(config.clone());
    client.observe(observer.clone());
    let mut now = Now { time: Time::START, wall_ms: 1_700_000_000_000 };
    let call = client.call(now, Target::Any, MetadataRequest::default(), Some(Duration::from_secs(5)));
    let upsertion = ScramCredentialUpsertion { salted_password: PASSWORD.into(), ..Default::default() };
    let request = AlterUserScramCredentialsRequest { upsertions: vec![upsertion], ..Default::default() };
    let secret = client.call(now, Target::Any, request, Some(Duration::from_secs(3)));
    let writer =
        Writer::new(client.at(now), WriterConfig { topic: Some("t".into()), ..WriterConfig::default() })
            .unwrap();
    while call.take(&mut client).is_none() {
        while let Some(action) = client.poll_action() {
            if let Action::Connect { conn, .. } = action {
                client.handle_input(
                    now,
                    Input::Closed { conn, error: ConnectionError::Refused, unanswered: Vec::new() },
                );
            }
        }
        while client.poll_event().is_some() {}
        now.time = client.poll_timeout().unwrap();
        client.handle_input(now, Input::Timeout);
    }
    assert!(secret.take(&mut client).unwrap().is_err());
    let _ = writer.flush(client.at(now));
    client.close(now);
    drop(client);

    let mut bytes = Vec::new();
    let mut sink = Sink::begin(&mut bytes, false, &config).unwrap();
    for entry in Arc::into_inner(observer).unwrap().0.into_inner().unwrap() {
        sink.write(entry);
    }
    sink.end();
    bytes
}

/// The recording once more, changed.
fn changed(bytes: &[u8], change: impl FnOnce(&mut Head, &mut Vec<Kept>)) -> Vec<u8> {
    let (mut reading, mut head) = Reading::begin(bytes).unwrap();
    let mut entries: Vec<Kept> = std::iter::from_fn(|| reading.next().unwrap()).collect();
    change(&mut head, &mut entries);
    let mut again = Vec::new();
    let mut blocks = Blocks::begin(&mut again, &head).unwrap();
    entries.iter().for_each(|entry| blocks.add(entry));
    blocks.end();
    again
}

/// How many entries were replayed, and what ended it.
fn replayed(bytes: &[u8]) -> (u64, Option<Stop>) {
    let mut replay = Replay::new(bytes).unwrap();
    let mut entries = 0;
    loop {
        match replay.step() {
            Ok(Some(step)) => entries = step.number,
            Ok(None) => return (entries, None),
            Err(stop) => return (entries, Some(stop)),
        }
    }
}

fn difference(bytes: &[u8]) -> Difference {
    match replayed(bytes) {
        (_, Some(Stop::Difference(difference))) => *difference,
        other => panic!("{other:?}"),
    }
}

/// Where the first entry stands that is so, counted from 0.
fn first(bytes: &[u8], is: impl Fn(&Kept) -> bool) -> usize {
    let mut at = None;
    changed(bytes, |_, entries| at = entries.iter().position(is));
    at.unwrap()
}

#[test]
fn a_client_by_hand_is_replayed_alike() {
    let bytes = recording();
    let (entries, stop) = replayed(&bytes);
    assert!(stop.is_none() && entries > 50, "{entries} {stop:?}");
    assert_eq!(replayed(&changed(&bytes, |_, _| ())).0, entries, "written again it is the same");
    assert_eq!(read_all(&bytes[..]).unwrap(), entries);
}

#[test]
fn credentials_are_not_in_the_file() {
    let bytes = recording();
    assert!(!bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD));
    let (_, stop) = replayed(&bytes);
    assert!(stop.is_none());
}

#[test]
fn another_outcome_is_reported_at_its_entry() {
    let bytes = recording();
    let is_told = |kept: &Kept| matches!((&kept.what, &kept.outcome), (What::Action, Outcome::Told(_)));
    let at = first(&bytes, is_told);
    let other = Outcome::Told(Told::of(&"another"));
    let found = difference(&changed(&bytes, |_, entries| entries[at].outcome = other));
    assert_eq!(found.number, at as u64 + 1, "{found}");
    assert!(found.recorded.contains("another") && found.now.contains("connect"), "{found}");
}

#[test]
fn another_deadline_is_reported_at_its_entry() {
    let bytes = recording();
    let at = first(&bytes, |kept| matches!(kept.deadline, Some(Some(_))));
    let found = difference(&changed(&bytes, |_, entries| entries[at].deadline = Some(None)));
    assert_eq!((found.number, &*found.recorded), (at as u64 + 1, "no deadline"), "{found}");
}

#[test]
fn another_look_through_a_side_door_is_reported_at_its_entry() {
    let bytes = recording();
    let found = difference(&changed(&bytes, |_, entries| entries[9].seen.push(vec![1].into())));
    assert_eq!(found.number, 10, "{found}");
}

/// The seed decides how long backoffs are.
#[test]
fn another_seed_is_reported() {
    let bytes = recording();
    let other = ClientConfig { seed: 43, ..ClientConfig::default() };
    let seed = other.keep().into_iter().find(|(name, _)| name == "seed").unwrap();
    let found = difference(&changed(&bytes, |head, _| {
        head.settings.retain(|(name, _)| name != "seed");
        head.settings.push(seed);
    }));
    assert!(found.number > 1, "{found}");
}

#[test]
fn a_missing_entry_is_reported_after_it() {
    let bytes = recording();
    let at = first(&bytes, |kept| matches!(kept.what, What::Closed { .. }));
    let found = difference(&changed(&bytes, |_, entries| drop(entries.remove(at))));
    assert!(found.number > at as u64, "{found}");
}

#[test]
fn what_ended_in_a_panic_is_no_difference() {
    let bytes = recording();
    let (all, _) = replayed(&bytes);
    let cut = changed(&bytes, |_, entries| entries.last_mut().unwrap().outcome = Outcome::Unfinished);
    let (entries, stop) = replayed(&cut);
    assert!(entries == all && stop.is_none(), "{stop:?}");
}
