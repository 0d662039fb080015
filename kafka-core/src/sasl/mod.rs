//! Authentication by SASL: each mechanism as a conversation of bytes, without a connection.

#[cfg(feature = "scram")]
pub mod scram;
