//! Builders of clients, writers and readers: one style, `build()` checks and names what is wrong.

mod client;
mod reader;
mod writer;

pub use client::ClientBuilder;
pub use reader::ReaderBuilder;
pub use writer::WriterBuilder;
