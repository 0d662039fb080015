//! What a member tells `tracing` of its group.

use crate::group::GroupEvent;
use crate::trace::{GroupTold, Told, Traces};
use kafka_proto::Str;

impl Traces {
    pub(crate) fn group(&mut self, group: &Str, event: &GroupEvent) {
        let told = match event {
            GroupEvent::Assigned { assignment, generation, partitions } => GroupTold::Assigned {
                assignment: *assignment,
                generation: *generation,
                partitions: partitions.len(),
            },
            GroupEvent::AssignedMore { assignment, partitions } => {
                GroupTold::AssignedMore { assignment: *assignment, partitions: partitions.len() }
            }
            GroupEvent::Revoking { assignment, .. } => GroupTold::Revoking { assignment: *assignment },
            GroupEvent::Lost { assignment, error } => {
                GroupTold::Lost { assignment: *assignment, error: error.clone() }
            }
            GroupEvent::Failed(error) => GroupTold::JoinFailed { error: error.clone() },
            GroupEvent::Notice(error) => GroupTold::Notice { error: error.clone() },
            GroupEvent::Committed { .. } | GroupEvent::Left => return,
        };
        self.push(|| Told::Group(group.clone(), told));
    }
}
