//! What the client tells `tracing` of leaders.

use crate::snapshot::Topic;
use crate::trace::{Told, Traces};

impl Traces {
    /// Of each partition whose leader or its epoch is another than before; `old` is the topic before, if it was known.
    pub(crate) fn leaders(&mut self, old: Option<&Topic>, new: &Topic) {
        if !cfg!(feature = "tracing") {
            return;
        }
        for (index, partition) in (0..).zip(&new.partitions) {
            let before = old.and_then(|old| old.partitions.get(index));
            let moved = before
                .is_some_and(|b| (b.leader, b.leader_epoch) != (partition.leader, partition.leader_epoch));
            if moved {
                self.push(|| Told::LeaderMoved {
                    topic: new.name.clone(),
                    partition: index as i32,
                    leader: partition.leader.unwrap_or(-1),
                    leader_epoch: partition.leader_epoch.unwrap_or(-1),
                });
            }
        }
    }
}
