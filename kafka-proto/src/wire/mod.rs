//! The primitive types of the protocol.

mod records;

pub use records::Records;
