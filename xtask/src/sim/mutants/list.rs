//! The bugs: for each what it does, and the lines of the client that it changes.

/// A bug of the client.
pub(super) struct Bug {
    pub(super) name: &'static str,
    #[cfg_attr(not(mutants), expect(dead_code, reason = "shown by who hunts"))]
    pub(super) does: &'static str,
    #[cfg_attr(mutants, expect(dead_code, reason = "planted by who builds"))]
    pub(super) changes: &'static [Change],
}

/// Lines of a file below `kafka-core/src`, which has them once, and what they are with the bug.
#[cfg_attr(mutants, expect(dead_code, reason = "planted by who builds"))]
pub(super) struct Change {
    pub(super) file: &'static str,
    pub(super) lines: &'static str,
    pub(super) planted: &'static str,
}

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "sequence_not_rewound",
        does: "a batch that is sent again takes the next sequence",
        changes: &[Change {
            file: "writer/outcomes.rs",
            lines: r#"        partition.put_back(pending);
    }

    /// How long"#,
            planted: r#"        if crate::mutants::is_planted("sequence_not_rewound") {
            pending.set_stamp(None);
        }
        partition.put_back(pending);
    }

    /// How long"#,
        }],
    },
    Bug {
        name: "duplicate_ack_of_lost_batch",
        does: "the sequence of a batch that may be written is used again",
        changes: &[Change {
            file: "writer/sequences.rs",
            lines: r#"if used_up {"#,
            planted: r#"if used_up && !crate::mutants::is_planted("duplicate_ack_of_lost_batch") {"#,
        }],
    },
    Bug {
        name: "newer_batch_first",
        does: "a newer batch leaves before one that failed is back in the queue",
        changes: &[Change {
            file: "writer/queue.rs",
            lines: r#"        if let Some(pending) = self.waiting.pop_front() {"#,
            planted: r#"        let overtake = crate::mutants::is_planted("newer_batch_first") && self.slot.has_sealed();
        if !overtake && let Some(pending) = self.waiting.pop_front() {"#,
        }],
    },
    Bug {
        name: "possibly_written_told_as_not",
        does: "what may have been written is told as not written",
        changes: &[Change {
            file: "writer/pending.rs",
            lines: r#"        if self.maybe_written { Fate::PossiblyWritten } else { Fate::NotWritten }
"#,
            planted: r#"        if self.maybe_written && !crate::mutants::is_planted("possibly_written_told_as_not") {
            Fate::PossiblyWritten
        } else {
            Fate::NotWritten
        }
"#,
        }],
    },
    Bug {
        name: "deadline_ignored",
        does: "batches have no delivery timeout",
        changes: &[Change {
            file: "writer/timing.rs",
            lines: r#"if self.timers.expiries.get(index).is_some() {"#,
            planted: r#"if self.timers.expiries.get(index).is_some() || crate::mutants::is_planted("deadline_ignored") {"#,
        }],
    },
    Bug {
        name: "wakeup_lost",
        does: "who waits for room in a full buffer is not woken",
        changes: &[Change {
            file: "writer/memory.rs",
            lines: r#"    pub(crate) fn wake(&self) {
"#,
            planted: r#"    pub(crate) fn wake(&self) {
        if crate::mutants::is_planted("wakeup_lost") {
            return;
        }
"#,
        }],
    },
    Bug {
        name: "rest_of_room_wakes_nobody",
        does: "room that was granted and not needed goes to the next in line, who is not woken",
        changes: &[Change {
            file: "writer/accumulator.rs",
            lines: r#"            self.memory.wake();
"#,
            planted: r#"            if !crate::mutants::is_planted("rest_of_room_wakes_nobody") {
                self.memory.wake();
            }
"#,
        }],
    },
    Bug {
        name: "send_all_overtakes",
        does: "the message of a list that waits for room is overtaken by the next",
        changes: &[Change {
            file: "rt/writer.rs",
            lines: r#"            results.push(self.send_one(&message, &mut missing).await);
"#,
            planted: r#"            if crate::mutants::is_planted("send_all_overtakes")
                && let Some(next) = messages.next()
            {
                results.push(self.send_one(&next, &mut missing).await);
            }
            results.push(self.send_one(&message, &mut missing).await);
"#,
        }],
    },
    Bug {
        name: "send_budget_not_returned",
        does: "a send that is dropped keeps the room it was granted",
        changes: &[Change {
            file: "writer/memory.rs",
            lines: r#"            Some(waiter) => {
                state.give_back"#,
            planted: r#"            Some(_) if crate::mutants::is_planted("send_budget_not_returned") => None,
            Some(waiter) => {
                state.give_back"#,
        }],
    },
    Bug {
        name: "fetch_budget_not_returned",
        does: "the bytes of a fetched frame are never given back",
        changes: &[Change {
            file: "reader/budget.rs",
            lines: r#"    fn drop(&mut self) {
        self.budget.give_back(self.bytes);"#,
            planted: r#"    fn drop(&mut self) {
        if crate::mutants::is_planted("fetch_budget_not_returned") {
            return;
        }
        self.budget.give_back(self.bytes);"#,
        }],
    },
    Bug {
        name: "fetch_starves",
        does: "a fetch waits for room although the application waits and keeps what it has",
        changes: &[Change {
            file: "reader/pressure.rs",
            lines: r#"        if self.may_overdraw() {
            self.brokers.stop"#,
            planted: r#"        if self.may_overdraw() && !crate::mutants::is_planted("fetch_starves") {
            self.brokers.stop"#,
        }],
    },
    Bug {
        name: "flush_forgets_open_batch",
        does: "a flush does not wait for the batch that is open",
        changes: &[Change {
            file: "writer/accumulator.rs",
            lines: r#"        let open = queue.open.as_ref().map(|o| o.tickets.clone());
"#,
            planted: r#"        let open =
            queue.open.as_ref().map(|o| o.tickets.clone()).filter(|_| !crate::mutants::is_planted("flush_forgets_open_batch"));
"#,
        }],
    },
    Bug {
        name: "stale_metadata_trusted",
        does: "a broker that says it is not the leader changes nothing",
        changes: &[Change {
            file: "client/metadata/mod.rs",
            lines: r#"    pub(super) fn hint_stale(&mut self) {
        self.schedule.refresh();"#,
            planted: r#"    pub(super) fn hint_stale(&mut self) {
        if crate::mutants::is_planted("stale_metadata_trusted") {
            return;
        }
        self.schedule.refresh();"#,
        }],
    },
    Bug {
        name: "session_epoch_not_reset",
        does: "a fetch session that was refused goes on",
        changes: &[Change {
            file: "reader/brokers/session.rs",
            lines: r#"            self.restart();
            self.failures += u32::from(is_lost);"#,
            planted: r#"            if !crate::mutants::is_planted("session_epoch_not_reset") {
                self.restart();
            }
            self.failures += u32::from(is_lost);"#,
        }],
    },
    Bug {
        name: "revoked_still_delivered",
        does: "records of a revoked partition go on to be delivered",
        changes: &[Change {
            file: "reader/chunk.rs",
            lines: r#"        self.live.store(false, Ordering::Release);"#,
            planted: r#"        if crate::mutants::is_planted("revoked_still_delivered") {
            return;
        }
        self.live.store(false, Ordering::Release);"#,
        }],
    },
    Bug {
        name: "stale_commit_sent",
        does: "an offset of an earlier assignment is committed under the present one",
        changes: &[Change {
            file: "group/membership/commit.rs",
            lines: r#"        match self.state {
            State::Stable | State::Revoking"#,
            planted: r#"        if crate::mutants::is_planted("stale_commit_sent") && !matches!(self.state, State::Leaving { .. }) {
            return Ok(());
        }
        match self.state {
            State::Stable | State::Revoking"#,
        }],
    },
    Bug {
        name: "commit_without_generation",
        does: "commits do not say of which generation they are",
        changes: &[Change {
            file: "group/membership/commit.rs",
            lines: r#"generation_id_or_member_epoch: self.generation.id(),"#,
            planted: r#"generation_id_or_member_epoch: if crate::mutants::is_planted("commit_without_generation") {
                -1
            } else {
                self.generation.id()
            },"#,
        }],
    },
    Bug {
        name: "commit_covers_unhandled",
        does: "what is fetched counts as handled",
        changes: &[Change {
            file: "rt/reader.rs",
            lines: r#"            self.hand.hand_over(record);
"#,
            planted: r#"            self.hand.hand_over(record);
            if crate::mutants::is_planted("commit_covers_unhandled") {
                self.hand.handled(&mut &*self.handle);
            }
"#,
        }],
    },
    Bug {
        name: "heartbeat_behind_fetch",
        does: "heartbeats take the connection of the long polls",
        changes: &[Change {
            file: "group/membership/requests.rs",
            lines: r#"lane: Lane::Group(self.id),"#,
            planted: r#"lane: if crate::mutants::is_planted("heartbeat_behind_fetch") {
                Lane::Fetch(self.id)
            } else {
                Lane::Group(self.id)
            },"#,
        }],
    },
    Bug {
        name: "coordinator_never_looked_up_again",
        does: "the first coordinator is the coordinator for ever",
        changes: &[
            Change {
                file: "client/coordinators.rs",
                lines: r#"        let coordinator = self.known.get_mut("#,
                planted: r#"        if crate::mutants::is_planted("coordinator_never_looked_up_again") {
            return None;
        }
        let coordinator = self.known.get_mut("#,
            },
            Change {
                file: "client/coordinators.rs",
                lines: r#"        for coordinator in self.known.values_mut().filter(|c| c.broker"#,
                planted: r#"        if crate::mutants::is_planted("coordinator_never_looked_up_again") {
            return;
        }
        for coordinator in self.known.values_mut().filter(|c| c.broker"#,
            },
        ],
    },
    Bug {
        name: "appended_told_as_not",
        does: "a leader that was replaced while it waited for followers counts as not having appended",
        changes: &[Change {
            file: "writer/verdict.rs",
            lines: r#"Verdict::Retry { appended: true, refresh: code.refreshes_metadata() }"#,
            planted: r#"Verdict::Retry { appended: !crate::mutants::is_planted("appended_told_as_not"), refresh: code.refreshes_metadata() }"#,
        }],
    },
    Bug {
        name: "leader_without_address",
        does: "a leader that a lagging broker does not know loses its address",
        changes: &[Change {
            file: "client/metadata/mod.rs",
            lines: r#"        nodes.extend(untold"#,
            planted: r#"        if crate::mutants::is_planted("leader_without_address") {
            return false;
        }
        nodes.extend(untold"#,
        }],
    },
    Bug {
        name: "sent_again_under_next_epoch",
        does: "a batch that a broker may still execute is sent again under another epoch",
        changes: &[Change {
            file: "writer/pending.rs",
            lines: r#"self.stamp.is_some() && self.maybe_written"#,
            planted: r#"self.stamp.is_some() && self.maybe_written && !crate::mutants::is_planted("sent_again_under_next_epoch")"#,
        }],
    },
    Bug {
        name: "stamped_waits_for_unstamped",
        does: "a batch that lost its sequence waits for a newer one that kept its own",
        changes: &[Change {
            file: "writer/identity.rs",
            lines: r#"        if partition.queue.has_in_flight() {"#,
            planted: r#"        // Older than any: whatever has its sequence.
        let waits =
            crate::mutants::is_planted("stamped_waits_for_unstamped") && partition.queue.has_older(u64::MAX);
        if waits || partition.queue.has_in_flight() {"#,
        }],
    },
    Bug {
        name: "lane_not_kicked",
        does: "a connection is not told that a batch is ready for it",
        changes: &[Change {
            file: "writer/effects.rs",
            lines: r#"        if !self.pulled.contains(&broker) {"#,
            planted: r#"        if !self.pulled.contains(&broker) && !crate::mutants::is_planted("lane_not_kicked") {"#,
        }],
    },
    Bug {
        name: "fetch_of_before_seek",
        does: "what was asked before a seek is taken after it",
        changes: &[Change {
            file: "reader/answers.rs",
            lines: r#"let moved = cursor.position() != asked.offset;"#,
            planted: r#"let moved = cursor.position() != asked.offset && !crate::mutants::is_planted("fetch_of_before_seek");"#,
        }],
    },
    Bug {
        name: "paused_still_delivered",
        does: "what was fetched of a partition before its pause is delivered",
        changes: &[Change {
            file: "reader/deliveries.rs",
            lines: r#"let is_ready = has_items && !cursor.is_paused();"#,
            planted: r#"let is_ready = has_items && (!cursor.is_paused() || crate::mutants::is_planted("paused_still_delivered"));"#,
        }],
    },
    Bug {
        name: "reader_not_woken",
        does: "who waits for a message is not woken when one comes",
        changes: &[Change {
            file: "rt/shared.rs",
            lines: r#"                Event::Wake(key) =>"#,
            planted: r#"                Event::Wake(Key::Machine(_)) if crate::mutants::is_planted("reader_not_woken") => {}
                Event::Wake(key) =>"#,
        }],
    },
    Bug {
        name: "zero_id_is_another_topic",
        does: "a broker that tells no topic id tells another topic",
        changes: &[Change {
            file: "client/metadata/beliefs.rs",
            lines: r#"return Some(known);"#,
            planted: r#"return Some(if crate::mutants::is_planted("zero_id_is_another_topic") { Uuid([0xee; 16]) } else { known });"#,
        }],
    },
    Bug {
        name: "one_other_id_believed",
        does: "one answer with another topic id is believed",
        changes: &[Change {
            file: "client/metadata/beliefs.rs",
            lines: r#"            if !is_agreed {
                return None;"#,
            planted: r#"            if !is_agreed && !crate::mutants::is_planted("one_other_id_believed") {
                return None;"#,
        }],
    },
    Bug {
        name: "one_fewer_partitions_believed",
        does: "one answer with fewer partitions is believed",
        changes: &[Change {
            file: "client/metadata/beliefs.rs",
            lines: r#"            if !is_agreed {
                told.extend"#,
            planted: r#"            if !is_agreed && !crate::mutants::is_planted("one_fewer_partitions_believed") {
                told.extend"#,
        }],
    },
    Bug {
        name: "lagging_epoch_believed",
        does: "one answer with an older leader epoch is believed",
        changes: &[Change {
            file: "client/metadata/beliefs.rs",
            lines: r#"            if !is_agreed {
                return (known.clone(), true);"#,
            planted: r#"            if !is_agreed && !crate::mutants::is_planted("lagging_epoch_believed") {
                return (known.clone(), true);"#,
        }],
    },
    Bug {
        name: "partition_comes_back_at_zero",
        does: "a partition that was gone goes on under the epoch that it had",
        changes: &[Change {
            file: "writer/sequences.rs",
            lines: r#"self.needs_bump = former.identity.is_some();"#,
            planted: r#"self.needs_bump = former.identity.is_some() && !crate::mutants::is_planted("partition_comes_back_at_zero");"#,
        }],
    },
    Bug {
        name: "foreign_cluster_trusted",
        does: "a connection goes on although it leads to another cluster",
        changes: &[Change {
            file: "client/answers.rs",
            lines: r#"        let Err(error) = self.metadata.check_cluster(metadata) else {"#,
            planted: r#"        let checked = self.metadata.check_cluster(metadata);
        let is_trusted = *owner == Owner::Proof && crate::mutants::is_planted("foreign_cluster_trusted");
        let Some(error) = checked.err().filter(|_| !is_trusted) else {"#,
        }],
    },
    Bug {
        name: "estranged_forgets",
        does: "a broker of another cluster is asked again at once",
        changes: &[Change {
            file: "client/lane.rs",
            lines: r#"if self.proof == Proof::NotNeeded {"#,
            planted: r#"if self.proof == Proof::NotNeeded || crate::mutants::is_planted("estranged_forgets") {"#,
        }],
    },
    Bug {
        name: "stale_passes_backoff",
        does: "metadata that is out of date is asked for again at once",
        changes: &[Change {
            file: "client/metadata/schedule.rs",
            lines: r#"        self.is_stale && self.attempts == 0"#,
            planted: r#"        let rested = rested || crate::mutants::is_planted("stale_passes_backoff");
        self.is_stale && self.attempts == 0"#,
        }],
    },
    Bug {
        name: "large_requests_sent_again",
        does: "what a broker closed its connection on is sent as large again",
        changes: &[Change {
            file: "writer/limit.rs",
            lines: r#"    (refused / 2).max(1)"#,
            planted: r#"    if crate::mutants::is_planted("large_requests_sent_again") { refused } else { (refused / 2).max(1) }"#,
        }],
    },
    Bug {
        name: "unreadable_member_gets_all",
        does: "a member that cannot be read counts as one that subscribes to all topics",
        changes: &[Change {
            file: "group/membership/members.rs",
            lines: r#"        (members, errors)
"#,
            planted: r#"        let mut members: Vec<Member> = members;
        if crate::mutants::is_planted("unreadable_member_gets_all") {
            let all: BTreeSet<Str> = members.iter().flat_map(|member| member.topics.clone()).collect();
            for member in members.iter_mut().filter(|member| self.ids.contains(&member.id)) {
                member.topics = all.iter().cloned().collect();
            }
        }
        (members, errors)
"#,
        }],
    },
    Bug {
        name: "list_ends_with_unreadable_member",
        does: "the leader reads its members up to the first that it cannot read",
        changes: &[Change {
            file: "group/membership/members.rs",
            lines: r#"        let members = by_id.into_values().map(|wire| self.member(wire, &known, &mut errors)).collect();
"#,
            planted: r#"        let mut members: Vec<Member> =
            by_id.into_values().map(|wire| self.member(wire, &known, &mut errors)).collect();
        if crate::mutants::is_planted("list_ends_with_unreadable_member") {
            let end = members.iter().position(|member| self.ids.contains(&member.id));
            members.truncate(end.unwrap_or(members.len()));
        }
"#,
        }],
    },
    Bug {
        name: "unreadable_member_ends_the_round",
        does: "a leader that cannot read a member begins anew",
        changes: &[Change {
            file: "group/membership/join.rs",
            lines: r#"        self.topics.lead(&members);
"#,
            planted: r#"        let is_unreadable = members.iter().any(|member| member.topics.is_empty());
        if crate::mutants::is_planted("unreadable_member_ends_the_round") && is_unreadable {
            let error = self.error(ApiKey::JoinGroup, ErrorCode::UnknownServerError);
            return self.setback(now, Verdict::Refused, error);
        }
        self.topics.lead(&members);
"#,
        }],
    },
    Bug {
        name: "commit_not_woken",
        does: "who waits for a commit is not woken when it is done",
        changes: &[Change {
            file: "reading/marks.rs",
            lines: r#"self.outs.extend(waiting.into_iter().map("#,
            planted: r#"let waiting = waiting.into_iter().filter(|_| !crate::mutants::is_planted("commit_not_woken"));
        self.outs.extend(waiting.into_iter().map("#,
        }],
    },
    Bug {
        name: "part_of_a_lost_request_forgotten",
        does: "of the writers that share a request only the first hears that it failed",
        changes: &[Change {
            file: "client/answers.rs",
            lines: r#"        for machine in builders {"#,
            planted: r#"        let only = if crate::mutants::is_planted("part_of_a_lost_request_forgotten") { 1 } else { usize::MAX };
        for machine in builders.into_iter().take(only) {"#,
        }],
    },
    Bug {
        name: "pattern_not_resolved_again",
        does: "the topics that match a pattern are looked for at the beginning only",
        changes: &[Change {
            file: "reading/resolver.rs",
            lines: r#"        resolution.step = Step::Due(now + self.pace.metadata_max_age);
"#,
            planted: r#"        let is_planted = crate::mutants::is_planted("pattern_not_resolved_again");
        let age = if is_planted { Duration::from_secs(1 << 20) } else { self.pace.metadata_max_age };
        resolution.step = Step::Due(now + age);
"#,
        }],
    },
    Bug {
        name: "dropped_topic_stays_assigned",
        does: "a topic that is not subscribed to any more is read on",
        changes: &[Change {
            file: "reading/changes.rs",
            lines: r#"                self.fetcher.unassign(&partitions);
"#,
            planted: r#"                if !crate::mutants::is_planted("dropped_topic_stays_assigned") {
                    self.fetcher.unassign(&partitions);
                }
"#,
        }],
    },
    Bug {
        name: "member_keeps_its_topics",
        does: "a member that has partitions does not rejoin with other topics",
        changes: &[Change {
            file: "group/membership/mod.rs",
            lines: r#"            State::Stable if !self.topics.is_current() => self.revoke(now.time, now.time),
"#,
            planted: r#"            State::Stable if crate::mutants::is_planted("member_keeps_its_topics") => {}
            State::Stable if !self.topics.is_current() => self.revoke(now.time, now.time),
"#,
        }],
    },
    Bug {
        name: "taken_back_after_it_was_named",
        does: "a partition that is assigned anew is named to its fetch session and taken back at once",
        changes: &[Change {
            file: "reader/brokers/session.rs",
            lines: r#"        if !forgotten.is_empty() {
"#,
            planted: r#"        if !forgotten.is_empty() && !crate::mutants::is_planted("taken_back_after_it_was_named") {
"#,
        }],
    },
];
