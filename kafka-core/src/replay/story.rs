//! The time line of a recording: one line for each thing that people look for.

use crate::client::door::{Outcome, Response, What};
use crate::link::{ConnId, RequestId};
use crate::machine::{MachineId, Time};
use kafka_proto::{ApiKey, ResponseKind};
use std::collections::BTreeMap;

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// When requests were handed out that are not answered.
    open: BTreeMap<RequestId, (Time, i16, i16)>,
    kinds: BTreeMap<MachineId, String>,
    counts: BTreeMap<&'static str, u64>,
}

impl Story {
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(what, count)| (*what, *count))
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Returns what there is to tell of an entry.
    pub(super) fn tell(&mut self, now: Time, what: &What, outcome: &Outcome) -> Option<String> {
        match (what, outcome) {
            (What::Action | What::Event, Outcome::Told(told)) => notable(&told.text),
            (What::Transmit(conn), Outcome::Transmit { id, api, version, told }) => {
                self.count("requests");
                self.open.insert(RequestId(*id), (now, *api, *version));
                let name = name(*api);
                Some(format!("{} -> {id} {name} {version}: {}", conn.0, told.text))
            }
            (What::Response { conn, id, response, .. }, _) => {
                self.count("responses");
                Some(self.response(now, *conn, *id, response))
            }
            (What::Accepted(conn), _) => Some(format!("{} is connected", conn.0)),
            (What::Connected { conn, .. }, _) => {
                self.count("connections");
                Some(format!("{} is set up", conn.0))
            }
            (What::Closed { conn, error, unanswered }, _) => {
                for request in unanswered {
                    self.open.remove(&request.id);
                }
                Some(format!("{} is closed: {error}; {} requests are not answered", conn.0, unanswered.len()))
            }
            (What::Refused { id, error, .. }, _) => Some(format!("request {} is refused: {error}", id.0)),
            (What::Add { kind, .. }, Outcome::Told(told)) => {
                self.kinds.insert(MachineId(self.kinds.len() as u32 + 1), kind.to_string());
                Some(format!("a {kind} is made: {}", told.text))
            }
            (What::Command { machine, name, .. }, Outcome::Told(told)) => {
                self.command(*machine, name, &told.text)
            }
            (What::Call { request, .. }, _) => {
                self.count("calls");
                Some(format!("the application calls {}", request.api_key().name()))
            }
            (What::JobDone { number, .. }, _) => Some(format!("job {number} is done")),
            (What::TopicMade { name, .. }, _) => Some(format!("topic {name} is made")),
            (What::TopicDeleted { name, .. }, _) => Some(format!("topic {name} is deleted")),
            (What::Retire, _) => Some("the last handle is dropped".to_owned()),
            (What::Close, _) => Some("the client is closed".to_owned()),
            (what, Outcome::Unfinished) => Some(format!("the program ended during: {}", short(what))),
            _ => None,
        }
    }

    fn response(&mut self, now: Time, conn: ConnId, id: RequestId, response: &Response) -> String {
        let Some((asked, api, version)) = self.open.remove(&id) else {
            return format!("{} <- {}: nobody asked", conn.0, id.0);
        };
        let took = (now - asked).as_secs_f64() * 1000.0;
        let errors = errors(response);
        format!("{} <- {} {} {version} after {took:.3} ms{errors}", conn.0, id.0, name(api))
    }

    /// Of what is asked for all the time, only what came of it is told.
    fn command(&mut self, machine: MachineId, name: &str, reply: &str) -> Option<String> {
        let kind = self.kinds.get(&machine).map_or("machine", String::as_str);
        let (_, short) = name.split_once("::").unwrap_or(("", name));
        let told = reply.strip_prefix("Some(").map_or(reply, |reply| reply.trim_end_matches(')'));
        match short {
            "TakeItem" if told.starts_with("Some(Chunk") => {
                self.count("chunks");
                None
            }
            "TakeItem" if told == "None" => None,
            "Appended" | "Slots" | "LookFor" | "GetStats" | "GetOffsets" | "GetAssignment" | "Pressure" => {
                None
            }
            "TakeItem" => Some(format!("{kind} {}: {told}", machine.0)),
            _ => Some(format!("{kind} {}: {short}: {told}", machine.0)),
        }
    }
}

/// What is told of actions and events.
fn notable(text: &str) -> Option<String> {
    let is_noise = ["Wake", "notify", "garbage"].iter().any(|noise| text.starts_with(noise));
    (!is_noise).then(|| text.to_owned())
}

fn name(api: i16) -> &'static str {
    ApiKey::from_code(api).map_or("?", ApiKey::name)
}

/// The error codes of the responses that have them in one place.
fn errors(response: &Response) -> String {
    let code = match response {
        Response::Fetched(_) => return String::new(),
        Response::Plain(response) => match &**response {
            ResponseKind::JoinGroup(response) => response.error_code,
            ResponseKind::SyncGroup(response) => response.error_code,
            ResponseKind::Heartbeat(response) => response.error_code,
            ResponseKind::LeaveGroup(response) => response.error_code,
            ResponseKind::InitProducerId(response) => response.error_code,
            ResponseKind::Produce(response) => {
                let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
                let failed = partitions.map(|partition| partition.error_code).find(|code| *code != 0);
                failed.unwrap_or_default()
            }
            _ => 0,
        },
    };
    match code {
        0 => String::new(),
        code => format!(": {}", kafka_proto::ErrorCode::from(code).name()),
    }
}

/// What entered, in few words.
pub(super) fn short(what: &What) -> String {
    match what {
        What::Response { conn, id, response: Response::Plain(response), .. } => {
            format!("the {} response to request {} on connection {}", response.api_key().name(), id.0, conn.0)
        }
        What::Response { conn, id, .. } => {
            format!("the Fetch response to request {} on connection {}", id.0, conn.0)
        }
        What::Connected { conn, .. } => format!("connection {} is set up", conn.0),
        What::Add { kind, .. } => format!("a {kind} is made"),
        What::Command { machine, name, .. } => format!("{name} of machine {}", machine.0),
        What::Call { request, .. } => format!("a call of {}", request.api_key().name()),
        What::Transmit(conn) => format!("a request for connection {}", conn.0),
        other => format!("{other:?}"),
    }
}
