//! Responses, and the blobs of consumer groups.

use std::error::Error;

use xtask::codegen::{ResponseType, Schema};
use xtask::dice::Dice;

use super::mutate::mutate;

const SUBSCRIPTION: u8 = 1;
const ASSIGNMENT: u8 = 2;

/// Makes them from the schema.
pub(super) struct Messages {
    schema: Schema,
    responses: Vec<ResponseType>,
}

impl Messages {
    pub(super) fn load() -> Result<Self, Box<dyn Error>> {
        let schema = Schema::load()?;
        Ok(Self { responses: schema.responses(), schema })
    }

    /// A response of any API in any version.
    pub(super) fn response(&self, dice: &mut Dice) -> Vec<u8> {
        let ResponseType { key, name, versions } = self.response_type(dice);
        let version = versions.start() + dice.below(versions.clone().count()) as i16;
        let faults = dice.one_in(2);
        let mut sample = self.schema.sample(name, version, faults, dice);
        mutate(&mut sample.bytes, &sample.ends, dice);
        [&[0], &key.to_be_bytes()[..], &version.to_be_bytes(), &sample.bytes].concat()
    }

    /// Of any API; more often of those that every reader and writer needs, or that carry the blobs of groups.
    fn response_type(&self, dice: &mut Dice) -> &ResponseType {
        let key = dice.of(&[0, 1, 2, 3, 8, 9, 10, 11, 11, 14, 14, 15, 15, 18, 36]);
        match self.responses.iter().find(|response| response.key == key) {
            Some(response) if dice.one_in(4) => response,
            _ => &self.responses[dice.below(self.responses.len())],
        }
    }

    /// A subscription or an assignment in any version, also one that there is not yet, or something else.
    pub(super) fn blob(&self, dice: &mut Dice) -> Vec<u8> {
        let (question, name) = dice.of(&[
            (SUBSCRIPTION, "ConsumerProtocolSubscription"),
            (ASSIGNMENT, "ConsumerProtocolAssignment"),
        ]);
        let written = dice.below(4) as i16;
        let told = if dice.one_in(10) { dice.of(&[-1, 4, 9, i16::MAX, i16::MIN, 0, 3]) } else { written };
        let foreign = dice.one_in(40);
        let name = if foreign { &self.responses[dice.below(self.responses.len())].name } else { name };
        let faults = dice.one_in(3);
        let mut sample = self.schema.sample(name, written, faults, dice);
        let mut blob = [&told.to_be_bytes()[..], &sample.bytes].concat();
        sample.ends.iter_mut().for_each(|end| *end += 2);
        mutate(&mut blob, &sample.ends, dice);
        blob.insert(0, question);
        blob
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_core::Bytes;
    use kafka_proto::wire::Decoder;
    use kafka_proto::{ApiKey, ResponseKind};

    /// What the schema writes the codec reads to its end: only faults and changes make inputs odd.
    #[test]
    fn samples_without_faults_are_whole() {
        let messages = Messages::load().unwrap();
        for ResponseType { key, name, versions } in &messages.responses {
            for version in versions.clone() {
                let mut dice = Dice::new(1, version as u64);
                let sample = messages.schema.sample(name, version, false, &mut dice);
                assert_eq!(sample.ends.last().copied().unwrap_or(0), sample.bytes.len());
                let bytes = Bytes::from(sample.bytes);
                let mut input = Decoder::new(&bytes);
                let read = ResponseKind::decode(ApiKey::from_code(*key).unwrap(), &mut input, version);
                assert!(read.is_ok() && input.remaining() == 0, "{name} v{version}: {read:?}");
            }
        }
    }

    #[test]
    fn an_input_follows_from_its_number() {
        let messages = Messages::load().unwrap();
        let made = |number| messages.response(&mut Dice::new(7, number));
        assert_eq!(made(3), made(3));
        assert_ne!(made(3), made(4));
    }
}
