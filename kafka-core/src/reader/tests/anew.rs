//! Topics that are made anew at any time, whatever is under way, paused or in the application's hands: what is read is of the
//! topic that it says, without a gap that was not told.

use super::*;
use kafka_proto::messages::fetch::FetchRequest;
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Step {
    /// The topic is deleted and made again.
    Anew,
    Tell,
    /// Records are written to a partition.
    Write(i32, i64),
    /// A fetch is handed out and executed; or, where there is none, the first one that is open is answered.
    Fetch,
    Answer,
    Lose,
    /// The application takes something, and reads so many records of it.
    Read(usize),
    Pause(i32),
    Resume(i32),
    Seek(i32, i64),
    Sleep(u64),
    /// All of the memory is in use for a moment.
    Press,
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly one partition, and reads that leave something: what is rare is rarer still in a row.
    let partition = || prop_oneof![5 => Just(0), 1 => Just(1)];
    prop_oneof![
        2 => Just(Step::Anew),
        3 => Just(Step::Tell),
        3 => (partition(), 3i64..9).prop_map(|(p, n)| Step::Write(p, n)),
        4 => Just(Step::Fetch),
        4 => Just(Step::Answer),
        1 => Just(Step::Lose),
        4 => (1usize..4).prop_map(Step::Read),
        2 => partition().prop_map(Step::Pause),
        3 => partition().prop_map(Step::Resume),
        1 => (partition(), 0i64..4).prop_map(|(p, at)| Step::Seek(p, at)),
        1 => (1u64..3000).prop_map(Step::Sleep),
        1 => Just(Step::Press),
    ]
}

/// What the application may read next of a partition.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    /// This offset, of any topic.
    At(i64),
    /// This offset of this topic.
    Of(u8, i64),
    /// Nothing before it seeks.
    Nothing,
}

struct World {
    rig: Rig,
    id: u8,
    ends: [i64; 2],
    next: [Next; 2],
    open: VecDeque<(Lane, FetchResponse)>,
    walk: Option<Walk>,
}

impl World {
    fn new(version: i16) -> Self {
        let mut rig = Rig::new();
        rig.version = version;
        let mut world =
            Self { rig, id: 1, ends: [0; 2], next: [Next::At(0); 2], open: VecDeque::new(), walk: None };
        world.tell();
        world.rig.assign([at(0), at(0)]);
        world
    }

    fn tell(&mut self) {
        self.rig.topic_with_id(Uuid([self.id; 16]), &[(1, i32::from(self.id)); 2]);
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Anew if self.id < 100 => (self.id, self.ends) = (self.id + 1, [0; 2]),
            Step::Anew => {}
            Step::Tell => self.tell(),
            Step::Write(partition, count) => self.ends[partition as usize] += count,
            Step::Fetch => self.fetch(),
            Step::Answer => self.answer(false),
            Step::Lose => self.answer(true),
            Step::Read(count) => self.read(count),
            Step::Pause(partition) => {
                self.rig.machine.pause(&tp(partition)).unwrap();
                self.walk.take_if(|walk| walk.partition() == partition);
            }
            Step::Resume(partition) => self.rig.machine.resume(&tp(partition)).unwrap(),
            Step::Seek(partition, offset) => self.seek(partition, offset),
            Step::Sleep(ms) => self.rig.later(Duration::from_millis(ms)),
            Step::Press => {
                let all = self.rig.budget.reserve_between(1, usize::MAX);
                self.fetch();
                drop(all);
                drop(self.rig.machine.take_dropped());
                self.rig.machine.budget_freed();
            }
        }
        assert!(self.rig.ask().is_none());
        drop(self.rig.machine.take_dropped());
        self.rig.hints();
        self.rig.check();
    }

    fn seek(&mut self, partition: i32, offset: i64) {
        self.rig.machine.seek(&tp(partition), at(offset)).unwrap();
        self.walk.take_if(|walk| walk.partition() == partition);
        self.next[partition as usize] = Next::At(offset);
    }

    fn fetch(&mut self) {
        let Some((broker, lane)) = self.rig.lanes().first().copied() else { return };
        assert_eq!(broker, 1);
        let plan = self.rig.machine.poll_fetch(self.rig.now, 1, lane, self.rig.version);
        let Some(plan) = plan else { return };
        let response = self.execute(&plan.request, plan.version);
        self.open.push_back((lane, response));
    }

    /// As a broker does without a session: of all that it is asked for.
    fn execute(&self, request: &FetchRequest, version: i16) -> FetchResponse {
        let mut response = FetchResponse::default();
        for topic in &request.topics {
            let is_there = version < 13 || topic.topic_id == Uuid([self.id; 16]);
            let part = |asked: &kafka_proto::messages::fetch::FetchPartition| {
                let (partition, from) = (asked.partition, asked.fetch_offset);
                let end = self.ends[partition as usize];
                if !is_there {
                    return failed(partition, ErrorCode::UnknownTopicId);
                }
                if asked.current_leader_epoch != i32::from(self.id) {
                    return failed(partition, ErrorCode::FencedLeaderEpoch);
                }
                if from > end {
                    return failed(partition, ErrorCode::OffsetOutOfRange);
                }
                let until = end.min(from + 7);
                let epoch = i32::from(self.id);
                let batch = Batch { epoch, ..Batch::plain(from, until) };
                let batches = if from < until { vec![batch] } else { vec![] };
                PartitionData { high_watermark: end, last_stable_offset: end, ..data(partition, &batches) }
            };
            let partitions = topic.partitions.iter().map(part).collect();
            let (topic, topic_id) = (topic.topic.clone(), topic.topic_id);
            response.responses.push(FetchableTopicResponse {
                topic,
                topic_id,
                partitions,
                ..Default::default()
            });
        }
        response
    }

    fn answer(&mut self, is_lost: bool) {
        let Some((lane, response)) = self.open.pop_front() else { return };
        match is_lost {
            true => self.rig.lost(1, lane),
            false => self.rig.respond(1, lane, response),
        }
    }

    fn read(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(walk) = &mut self.walk {
                let partition = walk.partition() as usize;
                match walk.next_record() {
                    Some(message) => {
                        let message = message.unwrap();
                        let origin = message.origin;
                        let (of, offset) = (origin.leader_epoch as u8, message.offset);
                        assert_eq!(origin.topic_id, Uuid([of; 16]), "what it says it is of");
                        match self.next[partition] {
                            Next::At(next) => assert_eq!(next, offset),
                            next => assert_eq!(next, Next::Of(of, offset)),
                        }
                        self.next[partition] = Next::Of(of, offset + 1);
                        continue;
                    }
                    None => self.walk = None,
                }
            }
            match self.rig.take() {
                Some(Item::Chunk(chunk)) => self.walk = Some(Walk::new(chunk, &self.rig.config)),
                Some(Item::Error(error)) => {
                    if let Some(partition) = error.context().partition {
                        self.next[partition as usize] = Next::Nothing;
                    }
                }
                Some(Item::Notice(_)) => {}
                None => return,
            }
        }
    }

    /// Metadata tells the truth, and the application begins anew: all of the present topic comes.
    fn heal(&mut self) {
        self.tell();
        while !self.open.is_empty() {
            self.answer(false);
        }
        for partition in 0..2 {
            self.take(&Step::Resume(partition));
        }
        self.read(10_000);
        for partition in 0..2 {
            self.take(&Step::Seek(partition, 0));
        }
        for _ in 0..200 {
            self.take(&Step::Fetch);
            self.take(&Step::Answer);
            self.read(100);
            if self.rig.lanes().is_empty() && self.rig.machine.poll_timeout().is_some() {
                self.rig.next_timer();
            }
        }
        for partition in 0..2 {
            let end = self.ends[partition];
            let all = if end == 0 { Next::At(0) } else { Next::Of(self.id, end) };
            assert_eq!(self.next[partition], all, "partition {partition}");
        }
    }
}

proptest! {
    #[test]
    fn case_d1_what_is_read_is_of_the_topic_that_it_says(version in 12i16..14, steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::new(version);
        steps.iter().for_each(|step| world.take(step));
        world.heal();
    }
}
