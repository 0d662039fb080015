//! The consumer protocol: what members send to the leader, and what the leader sends to members, inside JoinGroup and SyncGroup.
//!
//! Each blob begins with its version. A newer one than we know is read as the newest we know, what follows is passed over.
//! A blob may end before any field behind its list of topics: some clients leave out the last fields of the version they
//! name. What is missing is empty then. A blob that ends within a field is an error, never a shorter list: a lost partition
//! would be read by no one. The rest is as Kafka reads it: any negative length is null, and names need not be UTF-8.
//!
//! This is why the blobs are not read by the generated `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`, which
//! refuse what ends before a field. A test checks that they read all else alike.

use super::assignor::Member;
use crate::error::{Error, ErrorKind};
use crate::snapshot::TopicPartition;
use bytes::{BufMut, BytesMut};
use kafka_proto::wire::lossy;
use kafka_proto::{Bytes, Str};

/// What a member subscribes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topics.
    pub topics: Vec<Str>,
    /// What the member's assignor sends along.
    pub user_data: Option<Bytes>,
    /// The partitions the member still has (version 1+); none in an eager group.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it got them (version 2+); -1 where unknown.
    pub generation: i32,
    /// The member's rack (version 3+).
    pub rack: Option<Str>,
}

impl Default for Subscription {
    fn default() -> Self {
        Self { topics: Vec::new(), user_data: None, owned: Vec::new(), generation: -1, rack: None }
    }
}

impl Subscription {
    /// Encodes it in the oldest version that holds all of it, so that the oldest leader can read it.
    pub fn encode(&self) -> Bytes {
        let version = match self {
            Self { rack: Some(_), .. } => 3,
            Self { generation: 0.., .. } => 2,
            Self { owned, .. } => i16::from(!owned.is_empty()),
        };
        self.encode_as(version)
    }

    /// Encodes it in a version from 0 to 3; what the version does not know is left out.
    pub fn encode_as(&self, version: i16) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(version);
        out.put_i32(self.topics.len() as i32);
        self.topics.iter().for_each(|topic| put_string(&mut out, topic));
        put_bytes(&mut out, self.user_data.as_ref());
        if version >= 1 {
            put_partitions(&mut out, &self.owned);
        }
        if version >= 2 {
            out.put_i32(self.generation);
        }
        if version >= 3 {
            match &self.rack {
                Some(rack) => put_string(&mut out, rack),
                None => out.put_i16(-1),
            }
        }
        out.freeze()
    }

    /// Decodes one. A topic named twice counts once.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] where the blob is damaged or ends within a field.
    pub fn decode(blob: &Bytes) -> Result<Self, Error> {
        let mut input = Input(blob.clone());
        let version = input.version()?;
        let mut topics = input.list(2, Input::string)?;
        let mut seen = std::collections::BTreeSet::new();
        topics.retain(|topic| seen.insert(topic.clone()));
        Ok(Self {
            topics,
            user_data: input.or_end(None, Input::bytes)?,
            owned: if version >= 1 { input.or_end(Vec::new(), Input::partitions)? } else { Vec::new() },
            generation: if version >= 2 { input.or_end(-1, Input::i32)?.max(-1) } else { -1 },
            rack: if version >= 3 { input.or_end(None, Input::nullable_string)? } else { None },
        })
    }

    /// As the assignors see it.
    pub fn into_member(self, id: Str, instance_id: Option<Str>) -> Member {
        let Self { topics, user_data, owned, generation, rack } = self;
        Member { id, instance_id, topics, user_data, owned, generation, rack }
    }
}

/// What a member is assigned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The partitions.
    pub partitions: Vec<TopicPartition>,
    /// What the leader's assignor sends along.
    pub user_data: Option<Bytes>,
}

impl Assignment {
    /// Encodes it in version 0; the versions differ in nothing but the number.
    pub fn encode(&self) -> Bytes {
        self.encode_as(0)
    }

    /// Encodes it with this version.
    pub fn encode_as(&self, version: i16) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(version);
        put_partitions(&mut out, &self.partitions);
        put_bytes(&mut out, self.user_data.as_ref());
        out.freeze()
    }

    /// Decodes one. Nothing at all is what the broker gives a member that the leader did not mention: no partitions.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] where the blob is damaged or ends within a field.
    pub fn decode(blob: &Bytes) -> Result<Self, Error> {
        if blob.is_empty() {
            return Ok(Self::default());
        }
        let mut input = Input(blob.clone());
        input.version()?;
        Ok(Self { partitions: input.partitions()?, user_data: input.or_end(None, Input::bytes)? })
    }
}

fn put_string(out: &mut BytesMut, text: &str) {
    out.put_i16(text.len() as i16);
    out.put_slice(text.as_bytes());
}

fn put_bytes(out: &mut BytesMut, bytes: Option<&Bytes>) {
    match bytes {
        None => out.put_i32(-1),
        Some(bytes) => {
            out.put_i32(bytes.len() as i32);
            out.put_slice(bytes);
        }
    }
}

/// Neighbours of the same topic share an entry.
fn put_partitions(out: &mut BytesMut, partitions: &[TopicPartition]) {
    let topics = || partitions.chunk_by(|a, b| a.topic == b.topic);
    out.put_i32(topics().count() as i32);
    for run in topics() {
        put_string(out, &run[0].topic);
        out.put_i32(run.len() as i32);
        run.iter().for_each(|p| out.put_i32(p.partition));
    }
}

/// What is left to read of a blob.
struct Input(Bytes);

type Read<T> = Result<T, Error>;

impl Input {
    /// The next field, or this where the blob ends before it.
    fn or_end<T>(&mut self, empty: T, read: fn(&mut Self) -> Read<T>) -> Read<T> {
        if self.0.is_empty() { Ok(empty) } else { read(self) }
    }

    fn take(&mut self, len: usize) -> Read<Bytes> {
        if self.0.len() < len { Err(damaged("is cut off")) } else { Ok(self.0.split_to(len)) }
    }

    fn i16(&mut self) -> Read<i16> {
        let two = self.take(2)?;
        Ok(i16::from_be_bytes([two[0], two[1]]))
    }

    fn i32(&mut self) -> Read<i32> {
        let four = self.take(4)?;
        Ok(i32::from_be_bytes([four[0], four[1], four[2], four[3]]))
    }

    fn version(&mut self) -> Read<i16> {
        match self.i16()? {
            ..0 => Err(damaged("has a negative version")),
            version => Ok(version),
        }
    }

    fn string(&mut self) -> Read<Str> {
        self.nullable_string()?.ok_or_else(|| damaged("lacks a name"))
    }

    fn nullable_string(&mut self) -> Read<Option<Str>> {
        let Ok(len) = usize::try_from(self.i16()?) else { return Ok(None) };
        let bytes = self.take(len)?;
        Ok(Some(Str::try_from(bytes.clone()).unwrap_or_else(|_| lossy(&bytes))))
    }

    fn bytes(&mut self) -> Read<Option<Bytes>> {
        let Ok(len) = usize::try_from(self.i32()?) else { return Ok(None) };
        self.take(len).map(Some)
    }

    /// A list whose elements have at least `smallest` bytes each, so that a count is believed only as far as there are bytes.
    fn list<T>(&mut self, smallest: usize, read: fn(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let count = usize::try_from(self.i32()?).map_err(|_| damaged("has a negative length"))?;
        if count > self.0.len() / smallest {
            return Err(damaged("is cut off"));
        }
        (0..count).map(|_| read(self)).collect()
    }

    fn partitions(&mut self) -> Read<Vec<TopicPartition>> {
        let topics = self.list(6, |input| Ok((input.string()?, input.list(4, Self::i32)?)))?;
        let each = |(topic, numbers): (Str, Vec<i32>)| {
            numbers.into_iter().map(move |partition| TopicPartition { topic: topic.clone(), partition })
        };
        Ok(topics.into_iter().flat_map(each).collect())
    }
}

fn damaged(how: &str) -> Error {
    ErrorKind::Decode(format!("the group's member data {how}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_proto::Prefixed;
    use kafka_proto::messages::consumer_protocol::{
        self, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
    };

    fn hex(text: &str) -> Bytes {
        let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(byte).collect::<Vec<u8>>().into()
    }

    fn full() -> Subscription {
        Subscription {
            topics: vec!["topics-1".into(), "éß2".into()],
            user_data: Some(Bytes::from_static(&[3, 0, 255, 128, 4])),
            owned: [16909065, -16909066].map(|p| TopicPartition::new("𝄞4", p)).to_vec(),
            generation: 7,
            rack: Some("r2".into()),
        }
    }

    #[test]
    fn kafkas_own_bytes_are_read_and_written() {
        let blob = hex("000100000002\
             0008746f706963732d310005c3a9c39f3200000005\
             0300ff8004000000010005f09d849e340000000201020309fefdfcf6");
        let one = Subscription { generation: -1, rack: None, ..full() };
        assert_eq!(Subscription::decode(&blob).unwrap(), one);
        assert_eq!(one.encode_as(1), blob);

        let java = hex("0003000000020002743000027431ffffffff00000000ffffffffffff");
        let two = Subscription { topics: vec!["t0".into(), "t1".into()], ..Subscription::default() };
        assert_eq!(Subscription::decode(&java).unwrap(), two);
        assert_eq!(two.encode_as(3), java);

        let java = hex("000300000002000274300000000100000000000274310000000100000000ffffffff");
        let assigned = Assignment {
            partitions: vec![TopicPartition::new("t0", 0), TopicPartition::new("t1", 0)],
            user_data: None,
        };
        assert_eq!(Assignment::decode(&java).unwrap(), assigned);
        assert_eq!(assigned.encode_as(3), java);
    }

    #[test]
    fn every_version_is_read_back() {
        for version in 0..=3 {
            let read = Subscription::decode(&full().encode_as(version)).unwrap();
            assert_eq!(read.encode_as(version), full().encode_as(version));
        }
        assert_eq!(Subscription::decode(&full().encode()).unwrap(), full());
    }

    #[test]
    fn a_plain_subscription_is_written_so_that_the_oldest_leader_reads_it() {
        let plain = Subscription { topics: vec!["t".into()], ..Subscription::default() };
        assert_eq!(&plain.encode()[..2], &[0, 0]);
        assert_eq!(&Subscription { rack: Some("r".into()), ..plain }.encode()[..2], &[0, 3]);
    }

    #[test]
    fn a_newer_version_is_read_as_the_newest_known() {
        let mut blob = full().encode_as(3).to_vec();
        blob[1] = 9;
        blob.extend([1, 2, 3]);
        assert_eq!(Subscription::decode(&blob.into()).unwrap(), full());
    }

    #[test]
    fn scenario_g18_a_blob_cut_off_within_a_field_is_an_error() {
        let blob = full().encode_as(3);
        let length = |version| full().encode_as(version).len();
        let topics = Subscription { topics: full().topics, ..Subscription::default() }.encode_as(0).len() - 4;
        let ends = [topics, length(0), length(1), length(2)];
        for end in 0..blob.len() {
            let read = Subscription::decode(&blob.slice(..end));
            assert_eq!(read.is_ok(), ends.contains(&end), "{end} bytes");
        }
        let assigned = Assignment { partitions: full().owned, user_data: None }.encode();
        for end in 1..assigned.len() {
            let read = Assignment::decode(&assigned.slice(..end));
            assert_eq!(read.is_ok(), end == assigned.len() - 4, "{end} bytes");
        }
    }

    #[test]
    fn case_j7_odd_blobs_are_read_as_kafka_reads_them() {
        // Names that are not UTF-8, of which one is half a surrogate.
        let read = Subscription::decode(&hex("0001000000020002ff740003eda08000000000ffffffff00"));
        assert!(read.is_err(), "cut off within a field");
        let read = Subscription::decode(&hex("0000000000020002ff740003eda080ffffffff")).unwrap();
        assert_eq!(read.topics, [Str::from("\u{fffd}t"), Str::from("\u{fffd}")]);
        let read = Assignment::decode(&hex("0000000000010001ff0000000100000007ffffffff")).unwrap();
        assert_eq!(read.partitions, [TopicPartition::new("\u{fffd}", 7)]);
        // Any negative length is null where null may be, and any negative generation none.
        for negative in ["ffff", "fffe", "8000"] {
            let blob = hex(&format!("0003000000010001748000000000000000ffffff85{negative}"));
            let read = Subscription::decode(&blob).unwrap();
            assert_eq!((read.user_data, read.generation, read.rack), (None, -1, None), "{negative}");
            assert!(Subscription::decode(&hex(&format!("000000000001{negative}ffffffff"))).is_err());
        }
        assert!(Subscription::decode(&hex("0000ffffffff")).is_err(), "null topics");
    }

    #[test]
    fn case_g_a_what_is_missing_at_the_end_counts_as_empty() {
        let t = Subscription { topics: vec!["t".into()], ..Subscription::default() };
        for blob in [
            "0000000000010001 74",
            "0001000000010001 74 ffffffff",
            "0001000000010001 74",
            "0002000000010001 74 ffffffff 00000000",
            "0003000000010001 74 ffffffff 00000000 ffffffff",
        ] {
            assert_eq!(Subscription::decode(&hex(&blob.replace(' ', ""))).unwrap(), t, "{blob}");
        }
        let partitions = vec![TopicPartition::new("t", 0)];
        let owning = Subscription { owned: partitions.clone(), ..t };
        let blob = hex("00030000000100017400000000000000010001740000000100000000");
        let user_data = Some(Bytes::new());
        assert_eq!(Subscription::decode(&blob).unwrap(), Subscription { user_data, ..owning });
        let assigned = Assignment { partitions, user_data: None };
        assert_eq!(Assignment::decode(&hex("0000000000010001740000000100000000")).unwrap(), assigned);
    }

    /// What the generated message reads of a blob with these bytes behind it.
    fn generated(blob: &[u8], tail: &[u8]) -> Option<Subscription> {
        let whole = Bytes::from([blob, tail].concat());
        let (_, read) = ConsumerProtocolSubscription::decode_prefixed(&whole).ok()?;
        let mut seen = std::collections::BTreeSet::new();
        Some(Subscription {
            topics: read.topics.into_iter().filter(|topic| seen.insert(topic.clone())).collect(),
            user_data: read.user_data,
            owned: partitions(&read.owned_partitions),
            generation: read.generation_id.max(-1),
            rack: read.rack_id,
        })
    }

    fn generated_assignment(blob: &[u8], tail: &[u8]) -> Option<Assignment> {
        let whole = Bytes::from([blob, tail].concat());
        let (_, read) = ConsumerProtocolAssignment::decode_prefixed(&whole).ok()?;
        Some(Assignment { partitions: partitions(&read.assigned_partitions), user_data: read.user_data })
    }

    fn partitions(topics: &[consumer_protocol::TopicPartition]) -> Vec<TopicPartition> {
        let each = |of: &consumer_protocol::TopicPartition| {
            of.partitions.iter().map(|p| TopicPartition::new(of.topic.clone(), p)).collect::<Vec<_>>()
        };
        topics.iter().flat_map(each).collect()
    }

    /// A blob, cut off everywhere and with each byte changed.
    fn damaged(whole: &Bytes) -> Vec<Bytes> {
        let mut blobs: Vec<Bytes> = (0..=whole.len()).map(|end| whole.slice(..end)).collect();
        for (at, byte) in (0..whole.len()).flat_map(|at| [0, 1, 2, 0x7f, 0x80, 0xff].map(|byte| (at, byte))) {
            let mut changed = whole.to_vec();
            changed[at] = byte;
            blobs.push(changed.into());
        }
        blobs
    }

    #[test]
    fn the_generated_messages_differ_only_in_blobs_that_end_before_a_field() {
        // Null, no partitions, no generation, null: the fields behind the topics.
        let empty = hex("ffffffff00000000ffffffffffff");
        for blob in (0..=3).flat_map(|version| damaged(&full().encode_as(version))) {
            let (ours, theirs) = (Subscription::decode(&blob).ok(), generated(&blob, &[]));
            let mut tails = [0, 4, 8, 12].into_iter().map(|at| &empty[at..]);
            let ends_early = ours.is_some() && tails.any(|tail| generated(&blob, tail) == ours);
            assert!(ours == theirs || theirs.is_none() && ends_early, "{blob:x?}");
        }
        let assigned = Assignment { partitions: full().owned, user_data: full().user_data };
        for blob in damaged(&assigned.encode()) {
            let (ours, theirs) = (Assignment::decode(&blob).ok(), generated_assignment(&blob, &[]));
            let ends_early = generated_assignment(&blob, &empty[..4]) == ours || blob.is_empty();
            assert!(ours == theirs || theirs.is_none() && ends_early, "{blob:x?}");
        }
    }

    #[test]
    fn nothing_at_all_is_an_empty_assignment() {
        assert_eq!(Assignment::decode(&Bytes::new()).unwrap(), Assignment::default());
    }

    #[test]
    fn counts_and_lengths_that_cannot_be_are_errors() {
        for blob in
            ["00007fffffff", "0000ffffffff", "ffff00000000ffffffff", "0000000000017fff", "000000000001ffff"]
        {
            assert!(Subscription::decode(&hex(blob)).is_err(), "{blob}");
        }
        for blob in ["00007fffffff", "0000000000010001747fffffff", "000000000001000174fffffffe"] {
            assert!(Assignment::decode(&hex(blob)).is_err(), "{blob}");
        }
    }
}
