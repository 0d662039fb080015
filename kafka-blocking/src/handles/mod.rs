//! What users hold: the core's handles, waited for.

mod client;
mod reader;
mod writer;

pub use client::{Client, ClientBuilder, builder, builder_from_properties, connect};
pub use reader::{Reader, Records};
pub use writer::{Delivery, Writer};
