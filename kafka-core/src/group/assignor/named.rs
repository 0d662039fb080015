//! An assignor beside its name.
//!
//! Invariant: `name` and `Debug` run no code of the application, so they may be called under the client's lock. All other methods
//! call the application's assignor.

use super::{Assignor, Member, Topics};
use crate::snapshot::TopicPartition;
use kafka_proto::{Bytes, Str};
use std::fmt;
use std::sync::Arc;

pub(crate) struct Named {
    name: Str,
    assignor: Arc<dyn Assignor>,
}

impl Named {
    /// Asks the assignor for its name, which must not happen under a lock.
    pub(crate) fn new(assignor: Arc<dyn Assignor>) -> Self {
        Self { name: assignor.name().into(), assignor }
    }
}

impl Assignor for Named {
    fn name(&self) -> &str {
        &self.name
    }

    fn user_data(&self, topics: &[Str]) -> Option<Bytes> {
        self.assignor.user_data(topics)
    }

    fn assign(&self, members: &[Member], topics: &Topics) -> Vec<Vec<TopicPartition>> {
        self.assignor.assign(members, topics)
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
