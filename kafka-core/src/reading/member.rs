//! A reader as a member of its group: what the group tells, and what that means for what is fetched.

use super::Reading;
use super::item::ReaderItem;
use super::tag::Tag;
use crate::group::{AssignorAnswer, AssignorCall, CommittedOffset, GroupEvent};
use crate::machine::{Ask, Cx, Done, Out, Work};
use crate::reader::Start;
use crate::snapshot::TopicPartition;

/// A question to the application's assignors.
impl Work for AssignorCall {
    fn run(self: Box<Self>) -> Box<dyn Done> {
        Box::new((*self).run())
    }

    #[cfg(feature = "record")]
    fn redo(self: Box<Self>, note: &[u8]) -> Option<Box<dyn Done>> {
        AssignorAnswer::of_note(note).map(|answer| Box::new(answer) as _)
    }
}

impl Done for AssignorAnswer {
    #[cfg(feature = "record")]
    fn note(&self) -> Vec<u8> {
        AssignorAnswer::note(self)
    }
}

impl Reading {
    pub(super) fn pump_member(&mut self, cx: &mut Cx<'_>) {
        let Some(member) = &mut self.member else { return };
        let asks = std::iter::from_fn(|| member.poll_ask(cx.now, cx.cluster));
        self.outs.extend(asks.map(|ask| Out::Ask(Ask { tag: Tag::Member(ask.tag).into(), ..ask })));
        let events: Vec<GroupEvent> = std::iter::from_fn(|| member.poll_event()).collect();
        self.outs.extend(std::iter::from_fn(|| member.poll_hint()).map(Out::Hint));
        let call = member.poll_call(cx.now, cx.cluster);
        self.outs.extend(call.map(|call| Out::Work(Box::new(call))));
        events.into_iter().for_each(|event| self.group_event(cx, event));
    }

    pub(super) fn group_event(&mut self, cx: &mut Cx<'_>, event: GroupEvent) {
        let without = self.from.start();
        if let Some(group) = self.from.group() {
            self.traces.group(&group.group_id, &event);
        }
        let item = match event {
            GroupEvent::Assigned { assignment, partitions, .. } => {
                let (names, starts) = starts(partitions, without);
                self.fetcher.assign(assignment, starts);
                ReaderItem::Assigned { assignment, partitions: names }
            }
            GroupEvent::AssignedMore { assignment, partitions } => {
                let (names, starts) = starts(partitions, without);
                self.fetcher.assign_more(starts);
                ReaderItem::Assigned { assignment, partitions: names }
            }
            GroupEvent::Revoking { assignment, deadline } => {
                let partitions = self.fetcher.assignment().cloned().collect();
                ReaderItem::Revoking { assignment, partitions, deadline }
            }
            GroupEvent::Lost { assignment, error } => {
                let partitions = self.fetcher.assignment().cloned().collect();
                self.fetcher.unassign_all();
                ReaderItem::Lost { assignment, partitions, error }
            }
            GroupEvent::Committed { id, result } => return self.committed(cx, id, result),
            GroupEvent::Failed(error) => ReaderItem::Error(error),
            GroupEvent::Notice(error) => ReaderItem::Notice(error),
            GroupEvent::Left => return self.end(),
        };
        self.push_item(item);
    }
}

/// Partitions, and where reading of each begins.
fn starts(
    restored: Vec<(TopicPartition, Option<CommittedOffset>)>,
    without: Start,
) -> (Vec<TopicPartition>, Vec<(TopicPartition, Start)>) {
    let at = |c: CommittedOffset| Start::At {
        offset: c.offset,
        leader_epoch: Some(c.leader_epoch).filter(|epoch| *epoch >= 0),
    };
    let names = restored.iter().map(|(tp, _)| tp.clone()).collect();
    (names, restored.into_iter().map(|(tp, committed)| (tp, committed.map_or(without, at))).collect())
}
