use super::*;
use kafka_proto::ErrorCode;
use kafka_proto::messages::produce::{ProduceResponse, TopicProduceResponse};
use kafka_proto::{ApiKey, RequestKind, ResponseKind};
use serde::{Deserialize, Serialize};

#[test]
fn what_was_seen_is_seen_again_and_nothing_else() {
    let tape = Tape::recording();
    assert_eq!(tape.see(|| 1i64), 1, "no entry is open");
    tape.begin();
    assert_eq!((tape.see(|| 2i64), tape.see(|| true), tape.see(|| None::<u64>)), (2, true, None));
    let privacy = Privacy::new(false, [1, 2]);
    let seen: Vec<Bytes> = tape.end().into_iter().map(|note| note.into_bytes(&privacy).into()).collect();
    assert_eq!(seen.len(), 3);

    let tape = Tape::playing();
    tape.play(seen.clone());
    assert_eq!((tape.see(|| 7i64), tape.see(|| false), tape.see(|| Some(7u64))), (2, true, None));
    assert_eq!(tape.played(), Some(0));
    tape.play(seen.clone());
    assert_eq!(tape.see(|| 7i64), 2);
    assert_eq!(tape.played(), Some(2), "two were not looked at");
    tape.play(seen[..1].to_vec());
    assert_eq!((tape.see(|| 7i64), tape.see(|| 8i64)), (2, 8));
    assert_eq!(tape.played(), None, "it looked once more");
    assert_eq!(tape.see(|| 9i64), 9, "no entry is open");
}

#[test]
fn payloads_are_lengths_and_hashes_under_a_secret() {
    let (one, other) = (Privacy::new(false, [1, 2]), Privacy::new(false, [1, 3]));
    assert_eq!(one.hide(b"abc"), one.hide(b"abc"));
    assert_ne!(one.hide(b"abc"), one.hide(b"abd"));
    assert_ne!(one.hide(b"abc"), other.hide(b"abc"), "nobody can guess without the secret");
    assert_eq!(one.hide(b"abc").len, 3);
    assert!(!format!("{one:?}").contains('2'));
    assert_eq!(
        stand_in(0).unwrap().len() + stand_in(5).unwrap().len() + stand_in(2 << 20).unwrap().len(),
        5 + (2 << 20)
    );
    assert!(stand_in(usize::MAX).is_none());
}

#[derive(Serialize, Deserialize)]
struct Both {
    #[serde(with = "with::request")]
    request: RequestKind,
    #[serde(with = "with::response")]
    response: ResponseKind,
}

/// A Produce response names topics up to version 12, and a recording does not know which version it was.
#[test]
fn messages_keep_what_only_an_old_version_carries() {
    let topic = TopicProduceResponse { name: "t".into(), ..Default::default() };
    let response = ProduceResponse { responses: vec![topic], ..Default::default() };
    let both = Both { request: RequestKind::default_of(ApiKey::Metadata), response: response.into() };
    let again: Both = read(&write(&both)).unwrap();
    assert!(again.request == both.request && again.response == both.response);
}

#[test]
fn messages_of_every_api_are_written_and_those_with_secrets_without_content() {
    for api in ApiKey::ALL {
        let both = Both { request: RequestKind::default_of(api), response: ResponseKind::default_of(api) };
        let again: Both = read(&write(&both)).unwrap();
        assert_eq!((again.request.api_key(), again.response.api_key()), (api, api));
    }
    use kafka_proto::messages::sasl_authenticate::SaslAuthenticateRequest;
    let request = SaslAuthenticateRequest { auth_bytes: "a password".into(), ..Default::default() };
    let both = Both { request: request.into(), response: ResponseKind::default_of(ApiKey::Metadata) };
    let bytes = write(&both);
    assert!(!bytes.windows(10).any(|part| part == b"a password"), "{bytes:?}");
    let again: Both = read(&bytes).unwrap();
    assert!(again.request == RequestKind::default_of(ApiKey::SaslAuthenticate));
}

#[test]
fn errors_are_written_and_do_not_nest_without_end() {
    use crate::error::{Error, ErrorKind};
    use std::time::Duration;
    let unsupported = ErrorKind::Unsupported { feature: "record headers", needs: "Kafka 0.11" };
    let topic = "t".into();
    let mut error = Error::new(unsupported).with_partition(&topic, 3).with_api(ApiKey::Produce);
    assert_eq!(read::<Error>(&write(&error)).unwrap(), error);
    assert_eq!(
        read::<Error>(&write(&Error::of_code(ErrorCode::Unknown(999)))).unwrap().code(),
        Some(ErrorCode::Unknown(999))
    );
    for _ in 0..100_000 {
        error = Error::new(ErrorKind::TimedOut { after: Duration::ZERO, last: Some(error) });
        if read::<Error>(&write(&error)).is_none() {
            return;
        }
    }
    panic!("they nest for ever");
}
