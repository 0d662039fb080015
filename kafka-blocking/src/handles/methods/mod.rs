//! The methods of the handles, which `cargo xtask handles` writes: those of kafka-core's handles, without `async`.

#![allow(rustdoc::redundant_explicit_links, reason = "links do not depend on what a file imports")]

mod client;
mod delivery;
mod reader;
mod writer;
