//! Does to a client what was done to one.

use super::{Came, What};
use crate::client::door::{Outcome, Response};
use crate::client::{Action, CallSpec, Client, Event, Input, Job, JobDone, no_code};
use crate::error::Error;
use crate::machine::{MachineId, Now, OpId, Replayed};
use crate::reading::ReaderSpec;
use crate::sans_io::{READER, WRITER, add_reader, add_writer};
use crate::tape::{Hidden, Tape, read, stand_in};
use crate::writer::WriterConfig;
use crate::{reading, writer};
use kafka_proto::{Bytes, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A kind of machine that a handle adds.
struct Kind {
    /// Its name in a recording.
    name: &'static str,
    /// Adds a machine with the settings that were recorded. Returns `None` where they are not understood.
    add: fn(&mut Client, Now, &[u8]) -> Option<MachineId>,
    commands: &'static [(&'static str, Replayed)],
}

/// All kinds. A new machine adds its entry here.
const KINDS: [Kind; 2] = [
    Kind {
        name: WRITER,
        add: |client, now, spec| Some(add_writer(client, now, WriterConfig::of_note(spec)?).0),
        commands: writer::COMMANDS,
    },
    Kind {
        name: READER,
        add: |client, now, spec| Some(add_reader(client, now, ReaderSpec::of_note(spec)?).0),
        commands: reading::COMMANDS,
    },
];

/// A client, and what its program would hold.
#[derive(Debug)]
pub(super) struct Stage {
    client: Client,
    tape: Tape,
    /// Records are as they were.
    is_whole: bool,
    /// Jobs that were ordered and are not done.
    jobs: BTreeMap<u64, Job>,
}

impl Stage {
    pub(super) fn new(client: Client, tape: Tape, is_whole: bool) -> Self {
        Self { client, tape, is_whole, jobs: BTreeMap::new() }
    }

    /// Lets something enter that saw these values through side doors.
    ///
    /// # Errors
    /// It cannot be: the recording is of another program, or the client has gone another way before.
    pub(super) fn act(&mut self, now: Now, what: What, seen: Vec<Bytes>) -> Result<Came, String> {
        self.tape.play(seen);
        let outcome = self.enter(now, what);
        let unseen = self.tape.played();
        Ok(Came { outcome: outcome?, unseen, deadline: self.client.poll_timeout() })
    }

    fn enter(&mut self, now: Now, what: What) -> Result<Outcome, String> {
        let client = &mut self.client;
        match what {
            What::Transmit(conn) => {
                let transmit = client.poll_transmit(now, conn);
                return Ok(Outcome::of_transmit(transmit.as_ref()));
            }
            What::Action => return Ok(self.action()),
            What::Event => return Ok(self.event()),
            What::Add { kind, spec } => return self.add(now, &kind, &spec),
            What::Command { machine, name, args } => return self.command(now, machine, &name, &args),
            What::Call { target, request, timeout } => {
                let id =
                    client.begin_call(now, CallSpec { target, request: *request, timeout, code: no_code });
                return Ok(Outcome::of(&id));
            }
            What::Alarm(at) => return Ok(Outcome::of(&client.set_alarm(at))),
            What::Take(id) => {
                let taken = client.take_any(id);
                return Ok(taken.map_or(Outcome::Nothing, |taken| Outcome::of(&taken)));
            }
            What::Backoff(attempt) => return Ok(Outcome::of(&client.backoff(attempt))),
            What::CancelCall(id) => client.cancel_call(id),
            What::Forget(id) => self.forget(id),
            What::RefreshMetadata => client.refresh_metadata(),
            What::TopicMade { name, id } => client.topic_made(now, &name, id.map(Uuid)),
            What::TopicDeleted { name, id } => client.topic_deleted(now, &name, Uuid(id)),
            What::WantTopic(name) => client.want_topic(now, &name),
            What::UnwantTopic(name) => client.unwant_topic(&name),
            What::WantPartition(partition) => client.want_partition(now, &partition),
            What::UnwantPartition(partition) => client.unwant_partition(&partition),
            What::Retire => client.retire(now),
            What::Close => client.close(now),
            input => {
                let input = self.input(input)?;
                self.client.handle_input(now, input);
            }
        }
        Ok(Outcome::Nothing)
    }

    fn input(&mut self, what: What) -> Result<Input, String> {
        Ok(match what {
            What::Accepted(conn) => Input::Accepted(conn),
            What::Connected { conn, versions } => Input::Connected { conn, versions: Arc::new(versions) },
            What::Response { conn, id, response, throttle } => {
                let response = self.with_records(response)?.into_answered();
                Input::Response { conn, id, response, throttle }
            }
            What::Sent { conn, id } => Input::Sent { conn, id },
            What::Refused { conn, id, error } => Input::Refused { conn, id, error },
            What::Closed { conn, error, unanswered } => Input::Closed { conn, error, unanswered },
            What::JobDone { number, done } => {
                let job = self.jobs.remove(&number).ok_or("no such job was ordered")?;
                let Job { machine, number, work } = job;
                let done = work.redo(&done).ok_or("the job was another one")?;
                Input::JobDone(JobDone { machine, number, done })
            }
            What::RoomAgain(machine) => Input::RoomAgain(machine),
            _ => Input::Timeout,
        })
    }

    /// Puts records of the same length in the place of those that were hidden.
    fn with_records(&self, mut response: Response) -> Result<Response, String> {
        if let (Response::Fetched(fetched), false) = (&mut response, self.is_whole) {
            let restore = |bytes: &Bytes| stand_in(read::<Hidden>(bytes)?.len as usize);
            fetched.change_records(restore).ok_or("records that cannot be")?;
        }
        Ok(response)
    }

    fn action(&mut self) -> Outcome {
        let Some(action) = self.client.poll_action() else { return Outcome::Nothing };
        let outcome = Outcome::of_action(&action);
        if let Action::Run(job) = action {
            self.jobs.insert(job.number, job);
        }
        outcome
    }

    fn event(&mut self) -> Outcome {
        let mut events = std::iter::from_fn(|| self.client.poll_event());
        let event = events.find(|event| !matches!(event, Event::Trace(_)));
        event.and_then(|event| Outcome::of_event(&event)).unwrap_or(Outcome::Nothing)
    }

    fn add(&mut self, now: Now, kind: &str, spec: &[u8]) -> Result<Outcome, String> {
        let known =
            KINDS.iter().find(|known| known.name == kind).ok_or_else(|| format!("there is no {kind}"))?;
        let unknown = || format!("a {kind} with settings that are not known");
        let id = (known.add)(&mut self.client, now, spec).ok_or_else(unknown)?;
        Ok(Outcome::of(&id))
    }

    fn command(&mut self, now: Now, id: MachineId, name: &str, args: &[u8]) -> Result<Outcome, String> {
        let mut all = KINDS.iter().flat_map(|kind| kind.commands);
        let (_, command) =
            all.find(|(known, _)| *known == name).ok_or_else(|| format!("there is no command {name}"))?;
        self.client.replay(now, id, *command, args).ok_or_else(|| format!("{name} with other arguments"))
    }

    fn forget(&mut self, id: OpId) {
        use crate::client::{Outcome, Rung};
        <Result<(), Error> as Outcome>::give_up(&mut self.client, id);
        Rung::give_up(&mut self.client, id);
    }
}
