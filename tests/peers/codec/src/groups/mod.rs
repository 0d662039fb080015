//! The workloads, each a group of cases that do the same work. Every case is validated before it gets into its group;
//! a peer that fails is left out, and said so.

mod messages;
mod records;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::data::{self, batch::CODECS};
use crate::harness::{Case, Group, Run};
use crate::peers;

/// Who is not measured, or with a reservation, and why.
#[derive(Default)]
pub struct Skipped(Vec<(String, String, String)>);

impl Skipped {
    fn add(&mut self, group: &str, peer: &str, why: impl Into<String>) {
        self.0.push((group.into(), peer.into(), why.into()));
    }

    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(group, peer, why)| format!("{group}: {peer}: {why}"))
    }
}

/// The shapes of records: name, bytes of the value, headers.
const SHAPES: [(&str, usize, usize); 4] =
    [("100 B", 100, 0), ("100 B, 1 header", 100, 1), ("10 B", 10, 0), ("1 KiB", 1024, 0)];

/// The groups whose names contain `only`.
pub fn groups(only: &str, skipped: &mut Skipped) -> Vec<Group> {
    let peers = peers::all();
    let mut out = vec![];
    let mut add = |name: &str, make: &mut dyn FnMut(&str) -> Group| {
        if name.contains(only) {
            out.push(make(name));
        }
    };
    for (shape, len, headers) in SHAPES {
        let recs = data::records(1000, len, headers, 42);
        add(&format!("decode {shape}"), &mut |n| {
            records::decode(n, &peers, &recs, data::batch::Codec::None, skipped)
        });
    }
    for (shape, len, headers) in SHAPES {
        let recs = data::records(1000, len, headers, 42);
        add(&format!("encode {shape}"), &mut |n| {
            records::encode(n, &peers, &recs, data::batch::Codec::None, skipped)
        });
    }
    let json = data::json_records(1000, 5);
    for codec in CODECS {
        let name = format!("decode 100 B JSON, {}", format!("{codec:?}").to_lowercase());
        add(&name, &mut |n| records::decode(n, &peers, &json, codec, skipped));
    }
    for codec in CODECS {
        let name = format!("encode 100 B JSON, {}", format!("{codec:?}").to_lowercase());
        add(&name, &mut |n| records::encode(n, &peers, &json, codec, skipped));
    }
    add("decode Metadata, newest", &mut |n| messages::metadata_decode(n, &peers, None, skipped));
    add("decode Metadata, v4", &mut |n| messages::metadata_decode(n, &peers, Some(4), skipped));
    add("encode Metadata, newest", &mut |n| messages::metadata_encode(n, &peers, skipped));
    add("decode Fetch, lazy", &mut |n| messages::fetch(n, &peers, false, skipped));
    add("decode Fetch, all records", &mut |n| messages::fetch(n, &peers, true, skipped));
    add("encode Produce from records", &mut |n| messages::produce(n, &peers, skipped));
    add("decode 100,000 Heartbeats", &mut |n| messages::heartbeat_decode(n, &peers, skipped));
    add("encode 100,000 Heartbeats", &mut |n| messages::heartbeat_encode(n, &peers, skipped));
    out
}

fn case(name: &str, note: impl Into<String>, run: Run) -> Case {
    Case { name: name.into(), note: note.into(), run }
}

/// Makes a panic of a peer an error.
fn guard<T>(f: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
        Err(format!("panics: {}", text.unwrap_or_default().chars().take(140).collect::<String>()))
    })
}
