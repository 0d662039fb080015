//! The brokers' part: what they answer, by what is drawn for each partition.

use super::*;

impl World {
    // ---- questions about positions ----

    pub(super) fn ask(&mut self) -> bool {
        let Some(ask) = self.rig.ask() else { return false };
        // A position may be checked before it is fetched from.
        let is_aside = self.of == Of::Records;
        let version = if is_aside { 4 } else { self.version };
        let answer = fit(ask.request, version).map(|request| match request {
            RequestKind::ListOffsets(request) => self.offsets(&request),
            RequestKind::OffsetForLeaderEpoch(request) => self.epochs(request.topics),
            other => panic!("{other:?}"),
        });
        self.rig.answer(ask.tag, answer.map(|answer| carried(answer, version)));
        true
    }

    fn offsets(&mut self, request: &ListOffsetsRequest) -> ResponseKind {
        let version = self.version;
        let partition = |index, code, offset| listed_offset(version, index, code, offset);
        let mut topics = Vec::new();
        for asked in &request.topics {
            let mut partitions = Vec::new();
            for p in &asked.partitions {
                let at = self.find(&asked.name, Uuid::ZERO, p.partition_index);
                match self.say(at) {
                    Said::Good => partitions.push(partition(p.partition_index, 0, 0)),
                    Said::Error(code) => partitions.push(partition(p.partition_index, code.code(), -1)),
                    Said::Nothing => {}
                }
            }
            partitions.extend(self.noise.foreign.map(|code| partition(77, code, 9)));
            self.noise.stir(&mut partitions);
            topics.push(ListOffsetsTopicResponse {
                name: asked.name.clone(),
                partitions,
                ..Default::default()
            });
        }
        if let Some(code) = self.noise.foreign {
            let stranger = |name: &str| ListOffsetsTopicResponse {
                name: name.into(),
                partitions: vec![partition(0, code, 9)],
                ..Default::default()
            };
            topics.extend([stranger("nobody's"), stranger("")]);
        }
        self.noise.stir(&mut topics);
        ListOffsetsResponse { topics, ..Default::default() }.into()
    }

    fn epochs(
        &mut self,
        asked: Vec<kafka_proto::messages::offset_for_leader_epoch::OffsetForLeaderTopic>,
    ) -> ResponseKind {
        let is_old = self.version == 0;
        let partition = |partition, error_code, leader_epoch, end_offset| EpochEndOffset {
            partition,
            error_code,
            leader_epoch: if is_old { -1 } else { leader_epoch },
            end_offset,
            ..Default::default()
        };
        let mut topics = Vec::new();
        for asked in asked {
            let mut partitions = Vec::new();
            for p in &asked.partitions {
                let at = self.find(&asked.topic, Uuid::ZERO, p.partition);
                match if self.of == Of::Records { Said::Good } else { self.say(at) } {
                    Said::Good => {
                        partitions.push(partition(p.partition, 0, 4, END));
                    }
                    Said::Error(code) => partitions.push(partition(p.partition, code.code(), -1, -1)),
                    Said::Nothing => {}
                }
            }
            partitions.extend(self.noise.foreign.map(|code| partition(77, code, 4, 1)));
            self.noise.stir(&mut partitions);
            topics.push(OffsetForLeaderTopicResult { topic: asked.topic, partitions, ..Default::default() });
        }
        if let Some(code) = self.noise.foreign {
            let stranger = |name: &str| OffsetForLeaderTopicResult {
                topic: name.into(),
                partitions: vec![partition(0, code, 4, 1)],
                ..Default::default()
            };
            topics.extend([stranger("nobody's"), stranger("")]);
        }
        self.noise.stir(&mut topics);
        OffsetForLeaderEpochResponse { topics, ..Default::default() }.into()
    }

    // ---- records ----

    pub(super) fn fetch(&mut self) -> bool {
        let Some((broker, lane)) = self.rig.lanes().first().copied() else { return false };
        let version = self.rig.version;
        let plan = self.rig.machine.poll_fetch(self.rig.now, broker, lane, version);
        // There may be a question about a position first.
        let Some(plan) = plan else { return self.rig.ask_again() };
        if self.of != Of::Records {
            for at in self.asked_by(&plan.request) {
                let now = self.now();
                self.places[at.0].done.get_or_insert(now);
            }
        }
        let until = self.now() + Duration::from_millis(plan.request.max_wait_ms as u64);
        let refusal = self.remember(broker, lane, &plan.request);
        self.parked.insert((broker, lane), (until, plan, refusal));
        if self.of == Of::Records {
            self.serve(broker, lane, false);
        }
        true
    }

    fn asked_by(&self, request: &FetchRequest) -> Asked {
        let of = |(topic, id, p): (&Str, Uuid, &FetchPartition)| {
            (self.find(topic, id, p.partition), p.fetch_offset)
        };
        let asked =
            request.topics.iter().flat_map(|t| t.partitions.iter().map(|p| (&t.topic, t.topic_id, p)));
        asked.map(of).collect()
    }

    /// The broker's part of KIP-227; an error where it does not know the session.
    fn remember(&mut self, broker: i32, lane: Lane, request: &FetchRequest) -> Option<ErrorCode> {
        let asked = self.asked_by(request);
        if lane != MAIN || !self.has_sessions || self.rig.version < 7 {
            return None;
        }
        if request.session_epoch == 0 {
            let id = 100 + self.sessions.len() as i32;
            self.sessions.insert(broker, (id, asked));
            return None;
        }
        let forgotten = request.forgotten_topics_data.iter();
        let forgotten: Vec<usize> = forgotten
            .flat_map(|t| t.partitions.iter().map(|p| (t.topic.clone(), t.topic_id, p)))
            .map(|(topic, id, p)| self.find(&topic, id, p))
            .collect();
        let session = self.sessions.get_mut(&broker).filter(|(id, _)| *id == request.session_id);
        let Some((_, of)) = session else { return Some(ErrorCode::FetchSessionIdNotFound) };
        of.retain(|at, _| !forgotten.contains(at));
        of.extend(asked);
        None
    }

    pub(super) fn answer_parked(&mut self) {
        let due = self.parked.iter().filter(|(_, (until, ..))| *until <= self.now());
        let due: Vec<_> = due.map(|(key, _)| *key).collect();
        due.into_iter().for_each(|(broker, lane)| self.serve(broker, lane, true));
    }

    /// Answers a fetch if there is something to say, or its time is over.
    fn serve(&mut self, broker: i32, lane: Lane, is_due: bool) {
        let Some((_, plan, refusal)) = self.parked.get(&(broker, lane)) else { return };
        let (listed, refusal) = (self.asked_by(&plan.request), *refusal);
        let session =
            self.sessions.get(&broker).filter(|_| lane == MAIN && self.has_sessions && self.rig.version >= 7);
        let (id, asked) = session.cloned().unwrap_or((0, listed.clone()));
        let is_incremental = id != 0 && plan.request.session_epoch > 0;
        if let Some(code) = refusal.or_else(|| self.top_error()) {
            self.parked.remove(&(broker, lane));
            // The session is over with it, as the client sees it.
            let response = FetchResponse { error_code: code.code(), ..Default::default() };
            return self.respond_carried(broker, lane, response);
        }
        let says = |(at, offset): (&usize, &i64)| {
            if self.of != Of::Records {
                return false;
            }
            let said = self.places[*at].course.peek();
            matches!(said, Said::Error(_)) || said == Said::Good && *offset < END
        };
        if !is_due && !asked.iter().any(says) {
            return;
        }
        let mut topics: BTreeMap<Str, Vec<PartitionData>> = BTreeMap::new();
        for (at, offset) in &asked {
            let partition = self.places[*at].tp.partition;
            let data = match self.say_record(*at, *offset) {
                Said::Good if *offset < END && self.of == Of::Records => PartitionData {
                    high_watermark: END,
                    last_stable_offset: END,
                    ..data(partition, &[Batch::plain(0, END)])
                },
                Said::Good if is_incremental && !listed.contains_key(at) => continue,
                Said::Good => caught_up(partition, *offset),
                Said::Error(code) => failed(partition, code),
                Said::Nothing => continue,
            };
            topics.entry(self.places[*at].tp.topic.clone()).or_default().push(data);
        }
        self.parked.remove(&(broker, lane));
        let topics = topics.into_iter().collect();
        let response = self.fetch_response(id, topics);
        self.respond_carried(broker, lane, response);
    }

    fn say_record(&mut self, at: usize, offset: i64) -> Said {
        if self.of != Of::Records {
            return Said::Good;
        }
        // Not to be named is nothing to wait for.
        if self.places[at].course.peek() == Said::Nothing {
            self.places[at].asked += 1;
            return self.places[at].course.next();
        }
        if offset >= END { self.places[at].course.next() } else { self.say(at) }
    }

    fn top_error(&mut self) -> Option<ErrorCode> {
        let (code, answers) =
            self.top.as_mut().filter(|(_, answers)| *answers > 0 && self.rig.version >= 7)?;
        *answers -= 1;
        self.whole = self.rig.now.time;
        Some(*code)
    }

    fn fetch_response(&self, session_id: i32, mut topics: Vec<(Str, Vec<PartitionData>)>) -> FetchResponse {
        let version = self.rig.version;
        for (_, partitions) in &mut topics {
            partitions.extend(self.noise.foreign.map(|code| failed(77, ErrorCode::from(code))));
            self.noise.stir(partitions);
        }
        let by_id = |name: &Str| self.rig.cluster.topic(name).map(|t| t.id).unwrap_or_default();
        let topic = |(name, partitions): (Str, Vec<PartitionData>)| FetchableTopicResponse {
            topic_id: if version >= 13 { by_id(&name) } else { Uuid::ZERO },
            topic: if version >= 13 { Str::new() } else { name },
            partitions,
            ..Default::default()
        };
        let mut responses: Vec<FetchableTopicResponse> = topics.into_iter().map(topic).collect();
        if let Some(code) = self.noise.foreign {
            let stranger = |topic: &str, id: u8| FetchableTopicResponse {
                topic: topic.into(),
                topic_id: Uuid([id; 16]),
                partitions: vec![failed(0, ErrorCode::from(code))],
                ..Default::default()
            };
            responses.extend([stranger("nobody's", 9), stranger("", 0)]);
        }
        self.noise.stir(&mut responses);
        FetchResponse { session_id, responses, ..Default::default() }
    }

    fn respond_carried(&mut self, broker: i32, lane: Lane, response: FetchResponse) {
        let ResponseKind::Fetch(response) = carried(response, self.rig.version) else { panic!("a fetch") };
        self.rig.respond(broker, lane, response);
    }
}

impl Rig {
    /// Whether there is something to ask now.
    fn ask_again(&self) -> bool {
        self.machine.poll_timeout().is_some_and(|at| at <= self.now.time)
    }
}
