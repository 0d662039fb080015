//! What the cluster remembers, one machine a file. Nothing here knows of requests and answers.

pub(crate) mod batch;
pub(crate) mod compaction;
pub(crate) mod convert;
pub(crate) mod elections;
pub(crate) mod groups;
pub(crate) mod inspect;
pub(crate) mod log;
pub(crate) mod producers;
pub(crate) mod sessions;
pub(crate) mod topic_config;
pub(crate) mod topics;
