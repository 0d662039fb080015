//! The tools that others use as a library: the schema, whose grammar is fuzzed, and what generators share.

#![forbid(unsafe_code)]

pub mod codegen;
pub mod dice;
pub mod generated;
