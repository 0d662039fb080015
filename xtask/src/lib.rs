//! The tools that others use as a library: the schema, whose grammar is fuzzed.

#![forbid(unsafe_code)]

pub mod codegen;
pub mod dice;
