//! The kinds of faults.

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A connection breaks.
    Reset,
    /// All connections of a node break.
    ResetNode,
    /// A connection carries nothing any more, and nobody says so.
    HalfOpen,
    /// A node cannot be reached for a while.
    BlackHole,
    /// A node refuses connections for a while.
    Refuse,
    /// A node stops, and comes back.
    Kill,
    /// A partition, or a group's coordinator, moves.
    MoveLeader,
    /// A node takes requests and leaves them lying for a while.
    Mute,
    /// Followers of a partition stop to fetch for a while.
    Stall,
    /// Requests are answered with an error.
    Error,
    /// Requests are executed later.
    Delay,
    /// Requests are lost with their connection.
    CloseBefore,
    /// Answers are lost with their connection.
    CloseAfter,
    /// Clients are asked to pause.
    Throttle,
    /// Requests are never answered.
    NoAnswer,
    /// The client's wall clock jumps, forwards or backwards.
    ClockJump,
    /// Nothing moves for a while but the clocks: a machine that was suspended.
    Freeze,
    /// Followers of a partition fetch, but their leader does not hear of it for a while.
    StallAcks,
    /// What a node writes takes its time.
    SlowDisk,
    /// A node moves to another address, which its name tells after a while.
    Readdress,
    /// No name can be looked up for a while.
    Unresolved,
    /// A node hears of no change for a while, and acts on what it knows.
    Outdate,
    /// A replica that lacks records becomes the leader.
    Unclean,
    /// A node stops, and comes back in another release.
    Upgrade,
    /// The fetch sessions of a node are further than their clients know.
    SkipEpochs,
    /// A member's machine stands still for a while, and nothing else.
    Suspend,
    /// Who asks where a leader epoch ended is answered with an error.
    EpochError,
    /// A leader is replaced while what it appended waits for its followers, and the next one takes nothing for a while.
    Depose,
    /// A node hears of no change for a while, and knows nothing of another that was down then and leads now.
    Estrange,
    /// Batches are appended, but the answer is lost, and when they are sent again their producer is not known any more.
    Forget,
    /// Batches are refused as too large.
    TooLarge,
    /// Nodes tell no topic ids for a while.
    NoTopicIds,
    /// A node tells an older topic id, fewer partitions or older leaders for a while.
    Lagging,
    /// One item of an answer has an error that passes, the others go on.
    BadItem,
    /// A node listens at another address and tells so; where it was something still listens, and leads nothing.
    LeftBehind,
    /// Behind a node's address there is a broker of another cluster for a while.
    Foreign,
    /// A node closes connections on large requests for a while.
    Narrow,
    /// The leader of a group hears of a member of another client, whose subscription ends early.
    ForeignMember,
    /// A topic is deleted, and made anew with another number of partitions after a while.
    Remake,
    /// All nodes tell fewer partitions of a topic than it has, for a while.
    Shrink,
    /// Something between forgets connections that were idle, for a while, and tells nobody.
    Middlebox,
    /// What is before a node closes connections that begin with a version newer than the first, for a while.
    Strict,
}

impl FaultKind {
    /// All of them.
    pub const ALL: &[FaultKind] = &[
        FaultKind::Reset,
        FaultKind::ResetNode,
        FaultKind::HalfOpen,
        FaultKind::BlackHole,
        FaultKind::Refuse,
        FaultKind::Kill,
        FaultKind::MoveLeader,
        FaultKind::Mute,
        FaultKind::Stall,
        FaultKind::Error,
        FaultKind::Delay,
        FaultKind::CloseBefore,
        FaultKind::CloseAfter,
        FaultKind::Throttle,
        FaultKind::NoAnswer,
        FaultKind::ClockJump,
        FaultKind::Freeze,
        FaultKind::StallAcks,
        FaultKind::SlowDisk,
        FaultKind::Readdress,
        FaultKind::Unresolved,
        FaultKind::Outdate,
        FaultKind::Unclean,
        FaultKind::Upgrade,
        FaultKind::SkipEpochs,
        FaultKind::Suspend,
        FaultKind::EpochError,
        FaultKind::Depose,
        FaultKind::Estrange,
        FaultKind::Forget,
        FaultKind::TooLarge,
        FaultKind::NoTopicIds,
        FaultKind::Lagging,
        FaultKind::BadItem,
        FaultKind::LeftBehind,
        FaultKind::Foreign,
        FaultKind::Narrow,
        FaultKind::ForeignMember,
        FaultKind::Remake,
        FaultKind::Shrink,
        FaultKind::Middlebox,
        FaultKind::Strict,
    ];
}
