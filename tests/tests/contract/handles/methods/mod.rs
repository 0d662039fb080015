//! The methods of the handles, which `cargo xtask handles` writes.

#![allow(dead_code, reason = "scenarios use most of them")]

mod client;
mod delivery;
mod reader;
mod writer;
