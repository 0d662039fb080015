//! The tools that others use as a library: the schema, whose grammar is fuzzed.

pub mod codegen;
