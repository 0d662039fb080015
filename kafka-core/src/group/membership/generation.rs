//! How the coordinator knows the member, as in Java's `AbstractCoordinator.Generation`.
//!
//! Invariants:
//! * Generation id and protocol are those of the last JoinGroup that succeeded. Outside of a generation the id is -1.
//! * The member id outlives generations, until the coordinator does not know it any more.

use kafka_proto::Str;

#[derive(Debug)]
pub(super) struct Generation {
    id: i32,
    /// The assignor that the group agreed on.
    protocol: Str,
    member_id: Str,
}

impl Generation {
    /// A member that the coordinator does not know.
    pub(super) fn none() -> Self {
        Self { id: -1, protocol: Str::default(), member_id: Str::default() }
    }

    pub(super) fn id(&self) -> i32 {
        self.id
    }

    pub(super) fn protocol(&self) -> &Str {
        &self.protocol
    }

    /// Returns the member id; empty where there is none.
    pub(super) fn member_id(&self) -> &Str {
        &self.member_id
    }

    /// Returns whether the coordinator gave this member an id.
    pub(super) fn is_member(&self) -> bool {
        !self.member_id.is_empty()
    }

    /// JoinGroup was answered with this member id.
    pub(super) fn set_member_id(&mut self, id: Str) {
        self.member_id = id;
    }

    pub(super) fn begin(&mut self, id: i32, protocol: Str) {
        (self.id, self.protocol) = (id, protocol);
    }

    /// The member joins anew, with the id that it has.
    pub(super) fn end(&mut self) {
        self.id = -1;
    }

    /// The coordinator does not know the member any more.
    pub(super) fn forget_member(&mut self) {
        self.member_id = Str::default();
    }
}
