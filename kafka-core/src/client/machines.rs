//! The machines of a client: what happens goes in, and what they want is carried out.
//!
//! Invariants
//! * No machine is named here: the client knows them by [`Machine`] alone.
//! * Only those that something happened to are asked what they want. Nothing here visits all of them but the end of the client
//!   and trouble that may concern any of them.
//! * Of a machine that has ended nothing is left: no timer, no request that was not sent, no lane, no topic.

#[cfg(feature = "record")]
use super::door::What;
use super::entry::{enter, leave};
use super::lanes::Lanes;
use super::metadata::Metadata;
use super::promises::Promises;
use super::requests::Owner;
use super::timers::Timer;
use super::{Action, Client, Event, Garbage, Job, JobDone, Key, Notify};
use crate::config::ClientConfig;
use crate::error::Error;
use crate::link::{ConnId, RequestId, Transmit};
use crate::machine::{
    Built, Command, Cx, LaneKey, Machine, MachineId, MachineInput, Now, OpId, Out, Pace, Promise, Shares,
    Time, World,
};
use crate::snapshot::TopicState;
use kafka_proto::{ApiKey, Str};
use rustc_hash::FxHashMap;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Debug, Default)]
pub(super) struct Machines {
    /// Looked up several times for each batch, and by the thousand: not an ordered map.
    all: FxHashMap<MachineId, Entry>,
    /// Those that may want something, each once.
    dirty: VecDeque<MachineId>,
    pulls: BTreeMap<LaneKey, Pulls>,
    /// Who wants a topic, and how often.
    wanted: BTreeMap<Str, FxHashMap<MachineId, usize>>,
    last: u32,
}

#[derive(Debug)]
struct Entry {
    machine: Box<dyn Machine>,
    is_dirty: bool,
    /// What its timer is set to.
    timeout: Option<Time>,
}

/// Machines with something to build for a lane: each in its turn.
#[derive(Debug, Default)]
struct Pulls {
    queue: VecDeque<MachineId>,
    queued: BTreeSet<MachineId>,
}

impl Pulls {
    fn push(&mut self, id: MachineId) {
        if self.queued.insert(id) {
            self.queue.push_back(id);
        }
    }

    fn pop(&mut self) -> Option<MachineId> {
        let id = self.queue.pop_front()?;
        self.queued.remove(&id);
        Some(id)
    }
}

/// The client, as machines see it.
struct View<'a> {
    metadata: &'a Metadata,
    lanes: &'a Lanes,
    config: &'a ClientConfig,
}

impl World for View<'_> {
    fn topic(&self, name: &str) -> TopicState {
        self.metadata.topic(name, self.config)
    }

    fn lasting_trouble(&self, name: &str) -> Option<Error> {
        self.metadata.lasting_trouble(name, self.config)
    }

    fn oldest(&self, api: ApiKey) -> Option<i16> {
        self.lanes.oldest(api)
    }
}

struct NewPromises<'a> {
    kept: &'a mut Promises<Result<(), Error>>,
    last_id: &'a mut u64,
}

impl Promise for NewPromises<'_> {
    fn promise(&mut self) -> OpId {
        *self.last_id += 1;
        let id = OpId(*self.last_id);
        self.kept.make(id);
        id
    }
}

impl Machines {
    pub(super) fn has(&self, id: MachineId) -> bool {
        self.all.contains_key(&id)
    }

    pub(super) fn any(&self, is_one: impl Fn(&dyn Machine) -> bool) -> bool {
        self.all.values().any(|entry| is_one(entry.machine.as_ref()))
    }

    /// In the order in which they were made.
    pub(super) fn iter(&self) -> impl Iterator<Item = (MachineId, &dyn Machine)> {
        let mut all: Vec<_> = self.all.iter().map(|(id, entry)| (*id, entry.machine.as_ref())).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all.into_iter()
    }

    pub(super) fn pop_dirty(&mut self) -> Option<MachineId> {
        let id = self.dirty.pop_front()?;
        if let Some(entry) = self.all.get_mut(&id) {
            entry.is_dirty = false;
        }
        Some(id)
    }

    /// Takes in a machine that may want something.
    fn insert(&mut self, id: MachineId, machine: Box<dyn Machine>) {
        self.all.insert(id, Entry { machine, is_dirty: true, timeout: None });
        self.dirty.push_back(id);
    }

    /// Something is about to happen to a machine.
    fn touch(&mut self, id: MachineId) {
        if let Some(entry) = self.all.get_mut(&id).filter(|entry| !entry.is_dirty) {
            entry.is_dirty = true;
            self.dirty.push_back(id);
        }
    }

    /// When a machine wants to be called, if that is news.
    fn news_of_timeout(&mut self, id: MachineId) -> Option<Option<Time>> {
        let entry = self.all.get_mut(&id)?;
        let timeout = entry.machine.poll_timeout();
        (std::mem::replace(&mut entry.timeout, timeout) != timeout).then_some(timeout)
    }

    /// The timer of a machine has rung.
    fn rung(&mut self, id: MachineId) {
        if let Some(entry) = self.all.get_mut(&id) {
            entry.timeout = None;
        }
    }

    /// Whether a lane has something that is built when it is handed out.
    pub(super) fn want_lane(&self, key: LaneKey) -> bool {
        let queue = self.pulls.get(&key).map(|pulls| pulls.queue.iter()).into_iter().flatten();
        queue.filter_map(|id| self.all.get(id)).any(|entry| entry.machine.wants(key))
    }

    fn ids_of<M: Machine>(&self) -> Vec<MachineId> {
        let is_one = |machine: &dyn Machine| (machine as &dyn Any).is::<M>();
        self.iter().filter(|(_, machine)| is_one(*machine)).map(|(id, _)| id).collect()
    }

    fn who_wants(&self, topic: &Str) -> Vec<MachineId> {
        let mut who: Vec<MachineId> =
            self.wanted.get(topic).into_iter().flat_map(|who| who.keys().copied()).collect();
        who.sort_unstable();
        who
    }

    fn want(&mut self, id: MachineId, topic: Str) {
        *self.wanted.entry(topic).or_default().entry(id).or_default() += 1;
    }

    fn unwant(&mut self, id: MachineId, topic: &Str) {
        let Some(who) = self.wanted.get_mut(topic) else { return };
        let Some(count) = who.get_mut(&id) else { return };
        *count -= 1;
        if *count == 0 {
            who.remove(&id);
        }
        if who.is_empty() {
            self.wanted.remove(topic);
        }
    }

    /// The machine is gone: it, and the topics that it wanted.
    fn remove(&mut self, id: MachineId) -> Option<(Box<dyn Machine>, Vec<Str>)> {
        let Entry { machine, is_dirty, .. } = self.all.remove(&id)?;
        if is_dirty {
            self.dirty.retain(|dirty| *dirty != id);
        }
        self.forget_turns_of(id);
        let mut topics = Vec::new();
        self.wanted.retain(|topic, who| {
            let count = who.remove(&id).unwrap_or(0);
            topics.extend(std::iter::repeat_n(topic.clone(), count));
            !who.is_empty()
        });
        Some((machine, topics))
    }

    /// Nor is a lane remembered that nobody waits for.
    fn forget_turns_of(&mut self, id: MachineId) {
        self.pulls.retain(|_, pulls| {
            if pulls.queued.remove(&id) {
                pulls.queue.retain(|queued| *queued != id);
            }
            !pulls.queue.is_empty()
        });
    }
}

impl Client {
    /// Takes in a machine, which is given its number and a seed.
    pub(crate) fn add<M: Machine>(
        &mut self,
        now: Now,
        make: impl FnOnce(Now, MachineId, Pace, u64) -> M,
    ) -> MachineId {
        self.machines.last += 1;
        let id = MachineId(self.machines.last);
        let pace = Pace {
            request_timeout: self.config.request_timeout,
            retry_backoff: self.config.retry_backoff,
            retry_backoff_max: self.config.retry_backoff_max,
            metadata_max_age: self.config.metadata_max_age,
        };
        let machine = make(now, id, pace, self.random.next());
        self.machines.insert(id, Box::new(machine));
        self.settle(now);
        id
    }

    /// Whether a machine has not ended.
    pub(crate) fn has(&self, id: MachineId) -> bool {
        self.machines.has(id)
    }

    /// The machines of a kind.
    pub(crate) fn all<M: Machine>(&self) -> Vec<MachineId> {
        self.machines.ids_of::<M>()
    }

    /// Does to a machine what its application wants; `None` where it has ended.
    pub(crate) fn command<C: Command>(&mut self, now: Now, id: MachineId, command: C) -> Option<C::Reply> {
        enter!(self, Some(now), {
            What::Command { machine: id, name: C::NAME.into(), args: command.args().into() }
        });
        let reply = self.run(now, id, |machine, cx| {
            let machine = (machine as &mut dyn Any).downcast_mut::<C::Machine>()?;
            Some(command.run(machine, cx))
        });
        leave!(self, &reply);
        reply
    }

    /// Runs `act` on a machine, and carries out what it wants because of it.
    pub(super) fn run<T>(
        &mut self,
        now: Now,
        id: MachineId,
        act: impl FnOnce(&mut dyn Machine, &mut Cx<'_>) -> Option<T>,
    ) -> Option<T> {
        let reply = self.with_machine(now, id, act)?;
        self.settle(now);
        reply
    }

    fn with_machine<T>(
        &mut self,
        now: Now,
        id: MachineId,
        f: impl FnOnce(&mut dyn Machine, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        self.machines.touch(id);
        self.look_at(now, id, f)
    }

    fn look_at<T>(
        &mut self,
        now: Now,
        id: MachineId,
        f: impl FnOnce(&mut dyn Machine, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        let Self { machines, metadata, lanes, config, committed, last_id, .. } = self;
        let Entry { machine, .. } = machines.all.get_mut(&id)?;
        let world = View { metadata, lanes, config };
        let mut promises = NewPromises { kept: committed, last_id };
        let mut cx = Cx { now, cluster: metadata.cluster(), world: &world, promises: &mut promises };
        Some(f(machine.as_mut(), &mut cx))
    }

    // ---- what goes in ----

    pub(super) fn give(&mut self, now: Now, id: MachineId, input: MachineInput) {
        let _ = self.with_machine(now, id, |machine, cx| machine.handle(cx, input));
    }

    /// As [`give`](Self::give), and carries out at once what the machine wants: of many, each is looked at once.
    pub(super) fn give_and_pump(&mut self, now: Now, id: MachineId, input: MachineInput) {
        let _ = self.look_at(now, id, |machine, cx| machine.handle(cx, input));
        self.pump(now, id);
    }

    /// To each machine that it may concern.
    pub(super) fn give_all(
        &mut self,
        now: Now,
        concerns: impl Fn(&dyn Machine) -> bool,
        input: impl Fn() -> MachineInput,
    ) {
        let concerned = self.machines.iter().filter(|(_, machine)| concerns(*machine));
        let concerned: Vec<MachineId> = concerned.map(|(id, _)| id).collect();
        concerned.into_iter().for_each(|id| self.give(now, id, input()));
    }

    pub(super) fn tell_who_wants(&mut self, now: Now, topic: &Str) {
        for id in self.machines.who_wants(topic) {
            self.give(now, id, MachineInput::TopicChanged(topic.clone()));
        }
    }

    /// The time has come that a machine waited for.
    pub(super) fn machine_timeout(&mut self, now: Now, id: MachineId) {
        self.machines.rung(id);
        self.give(now, id, MachineInput::Timeout);
    }

    pub(super) fn job_done(&mut self, now: Now, done: JobDone) {
        self.give(now, done.machine, MachineInput::WorkDone(done.done));
    }

    // ---- what comes out ----

    /// Carries out all that a machine wants.
    pub(super) fn pump(&mut self, now: Now, id: MachineId) {
        while let Some(out) = self.look_at(now, id, |machine, cx| machine.poll(cx)).flatten() {
            self.carry_out(now, id, out);
        }
        if let Some(timeout) = self.machines.news_of_timeout(id) {
            self.timers.set_option(Timer::Machine(id), timeout);
        }
    }

    fn carry_out(&mut self, now: Now, id: MachineId, out: Out) {
        match out {
            Out::Ask(ask) => self.ask(now.time, Owner::Ask(id, ask.tag), ask),
            Out::Tell(ask) => self.tell(now, ask),
            Out::Pull(key) => {
                self.machines.pulls.entry(key).or_default().push(id);
                self.kick(now.time, key);
            }
            Out::Hint(hint) => self.hint(now, hint),
            Out::Want(topic) => {
                self.metadata.want(&topic);
                self.machines.want(id, topic);
            }
            Out::Unwant(topic) => {
                self.metadata.unwant(&topic);
                self.machines.unwant(id, &topic);
            }
            Out::Work(work) => {
                self.jobs += 1;
                self.outputs.order(Action::Run(Job { machine: id, number: self.jobs, work }));
            }
            Out::Wake => self.announce(Event::Wake(Key::Machine(id))),
            Out::Alert(alert) => self.announce(Event::Notify(Notify(alert))),
            Out::Done(op, result) => self.keep(op, result),
            Out::Trace(trace) => self.announce(Event::Trace(trace)),
            Out::Degraded(error) => self.announce_degraded(error),
            Out::Garbage(garbage) => self.announce(Event::Garbage(Garbage(garbage))),
            Out::End => self.end_machine(now, id),
        }
    }

    fn end_machine(&mut self, now: Now, id: MachineId) {
        let Some((machine, topics)) = self.machines.remove(id) else { return };
        topics.iter().for_each(|topic| self.metadata.unwant(topic));
        self.timers.stop(&Timer::Machine(id));
        self.cancel_requests(|owner| matches!(owner, Owner::Ask(of, _) if *of == id));
        self.drop_lanes(now, |lane| lane.owner() == Some(id));
        self.announce(Event::Garbage(Garbage(Box::new(machine))));
        self.announce(Event::Wake(Key::Machine(id)));
        self.announce(Event::Wake(Key::AnyMachine));
    }

    /// The next request that is built for a lane: by the machine whose turn it is, and by those behind it that can join.
    pub(super) fn next_built(&mut self, now: Now, key: LaneKey, conn: ConnId) -> Option<Transmit> {
        let versions = self.lanes.get(key)?.versions()?.clone();
        let turns = self.machines.pulls.get(&key)?.queue.len();
        for turns in (0..turns).rev() {
            let machine = self.machines.pulls.get_mut(&key)?.pop()?;
            let id = RequestId(self.next_id());
            let built =
                self.take_turn(now, key, machine, |machine, cx| machine.build(cx, id, key, &versions));
            let Some(mut built) = built.flatten() else { continue };
            let owner = self.let_others_join(now, id, key, machine, turns, &mut built);
            let Built { version, payload, timeout, .. } = built;
            self.book(now.time, id, owner, key, conn, payload.api(), timeout);
            return Some(Transmit { id, version, payload });
        }
        None
    }

    /// Machines that wait behind the one that has built a request add to it what they have.
    fn let_others_join(
        &mut self,
        now: Now,
        id: RequestId,
        key: LaneKey,
        first: MachineId,
        turns: usize,
        built: &mut Built,
    ) -> Owner {
        let mut shares = Shares::new(built.version, first);
        for _ in 0..turns {
            if !built.has_room {
                break;
            }
            let Some(machine) = self.machines.pulls.get_mut(&key).and_then(Pulls::pop) else { break };
            shares.begin_turn(machine);
            self.take_turn(now, key, machine, |machine, cx| machine.join(cx, id, key, built, &mut shares));
        }
        match shares.is_of_several() {
            true => Owner::Shared(Box::new(shares)),
            false => Owner::Built(first),
        }
    }

    /// It is a machine's turn at a lane; behind the others again where it has more.
    fn take_turn<T>(
        &mut self,
        now: Now,
        key: LaneKey,
        id: MachineId,
        turn: impl FnOnce(&mut dyn Machine, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        let (result, wants_more) = self.look_at(now, id, |machine, cx| {
            let result = turn(machine, cx);
            (result, machine.wants(key))
        })?;
        if wants_more {
            self.machines.pulls.entry(key).or_default().push(id);
        }
        self.pump(now, id);
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Lane, Peer};

    #[test]
    fn nothing_is_left_of_the_lanes_that_a_machine_waited_for() {
        let mut machines = Machines::default();
        let (one, two) = (MachineId(1), MachineId(2));
        let key = |lane| LaneKey { peer: Peer::Node(1), lane };
        [one, two].into_iter().for_each(|id| machines.pulls.entry(key(Lane::Produce)).or_default().push(id));
        machines.pulls.entry(key(Lane::Fetch(one))).or_default();
        machines.forget_turns_of(one);
        let left: Vec<_> = machines.pulls.iter().map(|(key, pulls)| (key.lane, pulls.queue.len())).collect();
        assert_eq!(left, [(Lane::Produce, 1)]);
    }
}
