//! Wires between clients and the nodes of the cluster: bytes that take their time, in pieces of any size.
//!
//! A connection is served as a real broker does: one request at a time, answers in order. What a node is asked while it is
//! cut off arrives later; what a dead connection carries never arrives.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kafka_proto::{ApiKey, Bytes, frame};

use super::chance::Chance;
use super::conduct::Refusal;
use super::executor::Due;
use super::guise::Guise;
use super::names::Names;
use super::runtime::{ClientId, Machine, World, broker_now};
use super::script::{Script, altered};
use super::trace::digest;
use super::watch::Watch;
use crate::broker::{ClusterState, ConnKey, NodeId, Outcome, Prepared, prepare};

/// What a socket takes before the other side has read it.
const WINDOW: usize = 256 << 10;

/// How good the wires are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quality {
    pub(crate) latency: (Duration, Duration),
    /// How often of a thousand a read, a write or an answer comes in pieces.
    pub(crate) pieces: u64,
    /// How fast each direction of a connection is.
    pub(crate) bytes_per_ms: u64,
}

impl Quality {
    fn time_for(&self, bytes: usize) -> Duration {
        Duration::from_micros((bytes as u64).saturating_mul(1000) / self.bytes_per_ms.max(1))
    }
}

/// Something that reaches an end of a connection.
#[derive(Debug)]
pub(crate) enum NetEvent {
    /// Bytes for the broker.
    Up(u64, Bytes),
    /// The client has closed its end.
    Fin(u64),
    /// Bytes for the client.
    Down(u64, Bytes),
    /// The broker has closed its end.
    Close(u64),
    /// Something between has answered with a reset.
    Reset(u64),
}

#[derive(Debug, Default)]
struct Conn {
    node: NodeId,
    /// Where the client is.
    machine: Machine,
    client: ClientId,
    guise: Guise,
    /// What has arrived at the broker and was not looked at.
    inbox: Vec<u8>,
    sent: Sent,
    /// A request is at work.
    busy: bool,
    /// The API and version of the last request.
    asked: Option<(ApiKey, i16)>,
    closing: bool,
    /// The request on which it closes.
    refused: Option<Refusal>,
    /// The client has closed its end; what it asked before is still done.
    finished: bool,
    readable: VecDeque<Bytes>,
    /// What reading ends with: the end of the stream, or a reset.
    end: Option<End>,
    client_left: bool,
    /// Bytes that the client wrote and that have not arrived.
    flying: usize,
    /// Nothing arrives any more, and nobody says so.
    dead: bool,
    last_up: Duration,
    last_down: Duration,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// When the client wrote what it wrote.
#[derive(Debug, Default)]
struct Sent {
    /// Pieces that have not been taken whole: where each ends, in bytes from the beginning, and its time.
    pieces: VecDeque<(u64, Duration)>,
    written: u64,
    taken: u64,
}

impl Sent {
    /// What was written and not taken.
    fn left(&self) -> usize {
        usize::try_from(self.written - self.taken).unwrap_or(usize::MAX)
    }

    fn wrote(&mut self, now: Duration, bytes: usize) {
        self.written += bytes as u64;
        self.pieces.push_back((self.written, now));
    }

    /// So many bytes go to the broker: when the first of them was written.
    fn take(&mut self, bytes: usize) -> Duration {
        while self.pieces.front().is_some_and(|(end, _)| *end <= self.taken) {
            self.pieces.pop_front();
        }
        self.taken += bytes as u64;
        self.pieces.front().map_or(Duration::ZERO, |(_, at)| *at)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Eof,
    Reset,
}

/// What forgets connections that nothing has passed over for a while, and tells nobody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Middlebox {
    pub(crate) idle: Duration,
    pub(crate) until: Duration,
    /// What comes over a forgotten connection is answered with a reset, else with nothing.
    pub(crate) resets: bool,
}

/// An offset commit that was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Commit {
    InTime,
    /// The client had given its connection up: nothing keeps a broker from executing what it has of that.
    Late,
}

#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) cluster: ClusterState,
    pub(crate) chance: Chance,
    pub(crate) quality: Quality,
    conns: BTreeMap<u64, Conn>,
    next: u64,
    /// Until then nothing gets through to or from these nodes.
    black: BTreeMap<NodeId, Duration>,
    /// The same of clients' machines.
    black_machines: BTreeMap<u32, Duration>,
    machines: u32,
    /// Nodes that have another name since.
    moves: u32,
    /// Until then these nodes refuse connections, as they do while they are down.
    refusing: BTreeMap<NodeId, Duration>,
    /// Until then a broker of another cluster is where these nodes were.
    foreign: BTreeMap<NodeId, Duration>,
    /// Until then these nodes close connections on Produce requests of more bytes.
    narrow: BTreeMap<NodeId, (usize, Duration)>,
    /// Until then these nodes close connections that begin with a newer version than the first.
    strict: BTreeMap<NodeId, Duration>,
    middlebox: Option<Middlebox>,
    pub(crate) down: Vec<NodeId>,
    pub(crate) watch: Watch,
    pub(crate) script: Script,
    pub(crate) names: Names,
    /// An offset commit was executed since the last look.
    pub(crate) committed: Option<Commit>,
}

impl Network {
    pub(crate) fn new(cluster: ClusterState, chance: Chance, quality: Quality) -> Network {
        Network {
            cluster,
            chance,
            quality,
            conns: BTreeMap::new(),
            next: 0,
            black: BTreeMap::new(),
            black_machines: BTreeMap::new(),
            machines: 0,
            moves: 0,
            refusing: BTreeMap::new(),
            foreign: BTreeMap::new(),
            narrow: BTreeMap::new(),
            strict: BTreeMap::new(),
            middlebox: None,
            down: Vec::new(),
            watch: Watch::default(),
            script: Script::default(),
            names: Names::default(),
            committed: None,
        }
    }

    /// Connections that a client still holds.
    pub(crate) fn open(&self) -> usize {
        self.conns.values().filter(|conn| !conn.client_left).count()
    }

    /// Those to one node.
    pub(crate) fn open_to(&self, node: NodeId) -> Vec<u64> {
        let of_node = |(id, conn): (&u64, &Conn)| (conn.node == node && !conn.client_left).then_some(*id);
        self.conns.iter().filter_map(of_node).collect()
    }

    /// The number of another machine that has clients.
    pub(crate) fn new_machine(&mut self) -> u32 {
        self.machines += 1;
        self.machines
    }

    pub(crate) fn cut_off_machine(&mut self, machine: u32, until: Duration) {
        self.black_machines.insert(machine, until);
    }

    /// Some connection that works, if there is one.
    pub(crate) fn any_conn(&mut self) -> Option<u64> {
        let live: Vec<u64> = self
            .conns
            .iter()
            .filter(|(_, c)| !c.client_left && !c.dead && c.end.is_none())
            .map(|(id, _)| *id)
            .collect();
        self.chance.pick(&live).copied()
    }

    /// Connections that carry nothing any more, and nobody has said so.
    pub(crate) fn dead_conns(&self) -> Vec<u64> {
        self.conns.iter().filter(|(_, conn)| conn.dead).map(|(id, _)| *id).collect()
    }

    pub(crate) fn cut_off(&mut self, node: NodeId, until: Duration) {
        self.black.insert(node, until);
    }

    pub(crate) fn refuse(&mut self, node: NodeId, until: Duration) {
        self.refusing.insert(node, until);
    }

    /// Behind the address that a node tells there is a broker of another cluster.
    pub(crate) fn put_foreign(&mut self, node: NodeId, until: Duration) {
        self.foreign.insert(node, until);
    }

    pub(crate) fn is_foreign(&self, node: NodeId, now: Duration) -> bool {
        self.foreign.get(&node).is_some_and(|until| *until > now)
    }

    /// A node closes connections on Produce requests of more bytes.
    pub(crate) fn narrow(&mut self, node: NodeId, bytes: usize, until: Duration) {
        self.narrow.insert(node, (bytes, until));
    }

    /// Whatever is before a node knows nothing but the first version of what connections begin with.
    pub(crate) fn restrict(&mut self, node: NodeId, until: Duration) {
        self.strict.insert(node, until);
    }

    pub(crate) fn put_middlebox(&mut self, middlebox: Middlebox) {
        self.middlebox = Some(middlebox);
    }

    /// A node listens elsewhere and tells so, while something still listens where it was, that leads nothing.
    pub(crate) fn leave_behind(&mut self, node: NodeId) {
        self.moves += 1;
        let host = format!("m{}", self.moves);
        let _ = self.cluster.rename(node, &host);
        self.names.leave_behind(node, host);
        for conn in self.conns.values_mut().filter(|conn| conn.node == node) {
            conn.guise = Guise::Former;
        }
    }

    /// Connections that do not lead to their nodes.
    pub(crate) fn led_astray(&self) -> Vec<u64> {
        self.conns.iter().filter(|(_, conn)| conn.guise != Guise::Node).map(|(id, _)| *id).collect()
    }

    pub(crate) fn half_open(&mut self, conn: u64) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.dead = true;
        }
    }

    /// Black holes and refusals end, all names are right, and nobody else is where a node should be.
    pub(crate) fn heal(&mut self) {
        self.names.heal();
        self.script.end();
        self.foreign.clear();
        self.narrow.clear();
        self.strict.clear();
        self.middlebox = None;
        self.black.clear();
        self.black_machines.clear();
        self.refusing.clear();
    }

    fn latency(&mut self) -> Duration {
        self.chance.between(self.quality.latency.0, self.quality.latency.1)
    }

    /// When something that is sent now gets through.
    fn earliest(&self, now: Duration, node: NodeId, machine: u32) -> Duration {
        let node = self.black.get(&node).copied().unwrap_or_default();
        now.max(node).max(self.black_machines.get(&machine).copied().unwrap_or_default())
    }

    /// How much of `len` bytes goes at once: at least one, where there is one.
    fn piece(&mut self, len: usize) -> usize {
        if len > 1 && self.chance.per_mille(self.quality.pieces) { 1 + self.chance.index(len) } else { len }
    }
}

/// What the world does with its wires.
pub(crate) trait Wires {
    fn connect_arrival(&mut self, node: NodeId, machine: u32) -> Duration;
    fn accept(&mut self, node: NodeId, by: (Machine, ClientId), guise: Guise) -> io::Result<u64>;
    fn poll_read(&mut self, conn: u64, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;
    fn poll_write(&mut self, conn: u64, cx: &Context<'_>, buffers: &[IoSlice<'_>])
    -> Poll<io::Result<usize>>;
    fn client_left(&mut self, conn: u64);
    fn happen(&mut self, event: NetEvent);
    fn settle(&mut self);
    fn reset(&mut self, conn: u64);
    fn reset_node(&mut self, node: NodeId);
}

impl Wires for World {
    fn connect_arrival(&mut self, node: NodeId, machine: u32) -> Duration {
        self.net.earliest(self.now, node, machine) + self.net.latency() * 2
    }

    fn accept(
        &mut self,
        node: NodeId,
        (machine, client): (Machine, ClientId),
        guise: Guise,
    ) -> io::Result<u64> {
        let refusing = self.net.refusing.get(&node).is_some_and(|until| *until > self.now);
        if refusing || self.net.down.contains(&node) {
            self.trace.line(self.now, format_args!("node {node} refuses"));
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.net.next += 1;
        let id = self.net.next;
        self.net.conns.insert(id, Conn { node, machine, client, guise, ..Conn::default() });
        self.trace.line(self.now, format_args!("conn {id} to node {node}"));
        Ok(id)
    }

    fn poll_read(&mut self, id: u64, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(conn) = self.net.conns.get_mut(&id) else { return Poll::Ready(Ok(0)) };
        if conn.end == Some(End::Reset) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let there = conn.readable.front().map_or(0, Bytes::len).min(buffer.len());
        if there == 0 {
            if conn.end == Some(End::Eof) {
                return Poll::Ready(Ok(0));
            }
            conn.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let len = self.net.piece(there);
        if let Some(conn) = self.net.conns.get_mut(&id) {
            take_bytes(&mut conn.readable, &mut buffer[..len]);
        }
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, id: u64, cx: &Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Some(conn) = self.net.conns.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if conn.end.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.forget_idle(id);
        let Some(conn) = self.net.conns.get_mut(&id) else { return Poll::Ready(Ok(0)) };
        let room = WINDOW.saturating_sub(conn.flying);
        if room == 0 {
            conn.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let (node, machine) = (conn.node, conn.machine);
        let there: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let len = self.net.piece(there.min(room));
        let bytes = first_bytes(buffers, len);
        let at = self.net.earliest(self.now, node, machine) + self.net.latency();
        let time = self.net.quality.time_for(len);
        if let Some(conn) = self.net.conns.get_mut(&id) {
            conn.flying += len;
            conn.sent.wrote(self.now, len);
            conn.last_up = conn.last_up.max(at) + time;
            if !conn.dead {
                self.timers.set(conn.last_up, Due::Net(NetEvent::Up(id, bytes.into())));
            }
        }
        Poll::Ready(Ok(len))
    }

    fn client_left(&mut self, id: u64) {
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        conn.client_left = true;
        let (node, machine, gone) = (conn.node, conn.machine, conn.end == Some(End::Reset));
        self.trace.line(self.now, format_args!("conn {id} closed by client"));
        if gone {
            self.net.conns.remove(&id);
            return;
        }
        let at = self.net.earliest(self.now, node, machine) + self.net.latency();
        if let Some(conn) = self.net.conns.get_mut(&id) {
            self.timers.set(conn.last_up.max(at), Due::Net(NetEvent::Fin(id)));
        }
    }

    fn happen(&mut self, event: NetEvent) {
        match event {
            NetEvent::Up(id, bytes) => {
                let Some(conn) = self.net.conns.get_mut(&id).filter(|c| !c.dead) else { return };
                conn.flying = conn.flying.saturating_sub(bytes.len());
                conn.writer.take().into_iter().for_each(Waker::wake);
                conn.inbox.extend_from_slice(&bytes);
                self.serve(id);
                self.settle();
            }
            NetEvent::Fin(id) => {
                let Some(conn) = self.net.conns.get_mut(&id) else { return };
                conn.finished = true;
                self.serve(id);
                self.settle();
            }
            NetEvent::Down(id, bytes) => {
                let Some(conn) = self.net.conns.get_mut(&id).filter(|c| !c.dead && c.end.is_none()) else {
                    return;
                };
                conn.readable.push_back(bytes);
                conn.reader.take().into_iter().for_each(Waker::wake);
            }
            NetEvent::Close(id) => {
                let Some(conn) = self.net.conns.get_mut(&id).filter(|c| !c.dead && c.end.is_none()) else {
                    return;
                };
                conn.end = Some(End::Eof);
                // Who has left hears of no end.
                if let Some(refusal) = conn.refused.take().filter(|_| !conn.client_left) {
                    let refusal = refusal.among(conn.sent.left());
                    self.net.watch.too_large((conn.client, conn.node), refusal);
                }
                conn.reader.take().into_iter().chain(conn.writer.take()).for_each(Waker::wake);
            }
            NetEvent::Reset(id) => self.reset(id),
        }
    }

    /// Brings answers on their way; a connection that got one goes on with its next request.
    fn settle(&mut self) {
        while let Some((key, outcome)) = self.net.cluster.poll_answer() {
            self.answer(key.0, outcome);
            self.serve(key.0);
        }
    }

    /// The connection breaks, in both directions and at once.
    fn reset(&mut self, id: u64) {
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        conn.end = Some(End::Reset);
        conn.closing = true;
        conn.inbox.clear();
        conn.reader.take().into_iter().chain(conn.writer.take()).for_each(Waker::wake);
        let left = conn.client_left;
        self.trace.line(self.now, format_args!("conn {id} reset"));
        if left {
            self.net.conns.remove(&id);
        }
        self.net.cluster.disconnected(ConnKey(id));
        self.settle();
    }

    fn reset_node(&mut self, node: NodeId) {
        let of_node = |(id, conn): (&u64, &Conn)| (conn.node == node).then_some(*id);
        let gone: Vec<u64> = self.net.conns.iter().filter_map(of_node).collect();
        gone.into_iter().for_each(|id| self.reset(id));
    }
}

impl World {
    fn serve(&mut self, id: u64) {
        loop {
            let Some(conn) = self.net.conns.get_mut(&id) else { return };
            if conn.busy || conn.closing || self.net.down.contains(&conn.node) {
                return;
            }
            let node = conn.node;
            if !conn.inbox.is_empty()
                && let Some(says) = self.net.script.stranger(node)
            {
                self.send_down(id, says);
                return self.answer(id, Outcome::Close);
            }
            let Some(frame) = take_frame(&mut conn.inbox) else { return self.end_finished(id) };
            conn.busy = true;
            let sent = conn.sent.take(4 + frame.len());
            let prepared = prepare(&frame, self.net.cluster.dialect_of(node));
            self.arrived((id, node), sent, &frame, &prepared);
            let is_refused = self.is_too_large(id, node, frame.len(), &prepared) || self.is_too_new(id, node);
            let outcome = if is_refused { Outcome::Close } else { self.handle(id, node, prepared) };
            self.answer(id, outcome);
        }
    }

    fn is_too_large(&mut self, id: u64, node: NodeId, bytes: usize, prepared: &Prepared) -> bool {
        let is_produce = |conn: &&mut Conn| matches!(conn.asked, Some((ApiKey::Produce, _)));
        let Some(conn) = self.net.conns.get_mut(&id).filter(is_produce) else { return false };
        let limit = self.net.narrow.get(&node);
        let is_refused = limit.is_some_and(|(most, until)| *until > self.now && bytes > *most);
        if is_refused {
            self.net.watch.count("requests that were too large");
            if let Prepared::Request(arrived) = prepared {
                conn.refused = Refusal::of(self.now, &arrived.request);
            }
        }
        is_refused
    }

    fn is_too_new(&mut self, id: u64, node: NodeId) -> bool {
        let asked = self.net.conns.get(&id).and_then(|conn| conn.asked);
        let is_strict = self.net.strict.get(&node).is_some_and(|until| *until > self.now);
        let is_too_new = is_strict && matches!(asked, Some((ApiKey::ApiVersions, 1..)));
        if is_too_new {
            self.net.watch.count("requests that were too new");
        }
        is_too_new
    }

    /// A connection that nothing has passed over for long is gone where a middlebox forgets it.
    fn forget_idle(&mut self, id: u64) {
        let Some(middlebox) = self.net.middlebox.filter(|middlebox| middlebox.until > self.now) else {
            return;
        };
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        let last = conn.last_up.max(conn.last_down);
        if conn.dead || last.is_zero() || self.now < last + middlebox.idle {
            return;
        }
        conn.dead = true;
        self.net.watch.count("connections that were forgotten");
        self.trace.line(self.now, format_args!("conn {id} is forgotten"));
        if middlebox.resets {
            let at = self.now + self.net.latency();
            self.timers.set(at, Due::Net(NetEvent::Reset(id)));
        }
    }

    /// Whoever is at the other end of the connection does what it is asked.
    fn handle(&mut self, id: u64, node: NodeId, prepared: Prepared) -> Outcome {
        let now = broker_now(self.now);
        let Some(conn) = self.net.conns.get_mut(&id) else { return Outcome::Close };
        let asked = conn.asked.map(|(api, _)| api);
        conn.guise = asked.map_or(conn.guise, |api| conn.guise.asked(api));
        match asked.and_then(|api| conn.guise.refuses(api)) {
            None => self.net.cluster.handle_prepared(now, node, ConnKey(id), prepared),
            Some(error) => {
                self.net.watch.count("requests led astray");
                self.net.cluster.refuse_prepared(now, node, ConnKey(id), prepared, error)
            }
        }
    }

    fn end_finished(&mut self, id: u64) {
        if self.net.conns.get(&id).is_some_and(|conn| conn.finished) {
            self.net.conns.remove(&id);
            self.net.cluster.disconnected(ConnKey(id));
        }
    }

    fn arrived(&mut self, (id, node): (u64, NodeId), sent: Duration, frame: &Bytes, prepared: &Prepared) {
        let [code, version] = [0, 2].map(|at| {
            frame.get(at..).and_then(|rest| rest.first_chunk()).map_or(-1, |two| i16::from_be_bytes(*two))
        });
        let api = ApiKey::from_code(code);
        let client = self.net.conns.get(&id).map_or(0, |conn| conn.client);
        self.net.watch.arrived((self.now, sent), (client, id, node), code, prepared);
        self.net.watch.shared_out(&self.net.cluster, client, prepared);
        if let Some(conn) = self.net.conns.get_mut(&id) {
            conn.asked = api.map(|api| (api, version));
        }
        if let Some(api) = api {
            self.net.script.asked(self.now, node, id, api, frame);
        }
        let name = api.map_or("?", ApiKey::name);
        let hash = digest(frame);
        let len = frame.len();
        self.trace.line(self.now, format_args!("node {node} conn {id} gets {name}, {len} bytes {hash:016x}"));
        if self.trace.is_kept() {
            self.trace.detail(format_args!("{prepared:?}"));
        }
    }

    /// Something is done with the request that a connection waits for.
    fn done(&mut self, id: u64, answer: Option<&Bytes>) {
        let Some(conn) = self.net.conns.get(&id) else { return };
        let Some((api, version)) = conn.asked else { return };
        if api == ApiKey::OffsetCommit {
            let commit = if conn.client_left { Commit::Late } else { Commit::InTime };
            self.net.committed = self.net.committed.max(Some(commit));
        }
        if let Some(answer) = answer.filter(|_| self.trace.is_kept())
            && let Ok((_, response)) =
                frame::decode_response(api, version, &answer.slice(4.min(answer.len())..))
        {
            self.trace.detail(format_args!("{response:?}"));
        }
    }

    fn answer(&mut self, id: u64, outcome: Outcome) {
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        match outcome {
            Outcome::Later => {}
            Outcome::NoAnswer => conn.busy = false,
            Outcome::Close => {
                conn.closing = true;
                let (node, machine) = (conn.node, conn.machine);
                self.done(id, None);
                self.trace.line(self.now, format_args!("conn {id} closed by node"));
                let at = self.net.earliest(self.now, node, machine) + self.net.latency();
                if let Some(conn) = self.net.conns.get_mut(&id) {
                    self.timers.set(conn.last_down.max(at), Due::Net(NetEvent::Close(id)));
                }
            }
            Outcome::Answer(segments) => {
                conn.busy = false;
                let (node, asked, guise) = (conn.node, conn.asked, conn.guise);
                let (mut bytes, altered_by) = self.net.script.answered(node, asked, segments.concat().into());
                if let Some(what) = altered_by {
                    let client = self.net.conns.get(&id).map_or(0, |conn| conn.client);
                    self.net.watch.altered(self.now, client, asked.map(|(api, _)| api), what);
                }
                if let (Guise::Foreign, Some((api, version))) = (guise, asked) {
                    self.net.watch.count("answers of another cluster");
                    bytes = altered(api, Guise::pose)(version, bytes);
                }
                let hash = digest(&bytes);
                let len = bytes.len();
                self.trace.line(self.now, format_args!("conn {id} answered, {len} bytes {hash:016x}"));
                self.done(id, Some(&bytes));
                self.send_down(id, bytes);
            }
        }
    }

    fn send_down(&mut self, id: u64, mut bytes: Bytes) {
        self.forget_idle(id);
        while !bytes.is_empty() {
            let at = self.net.conns.get(&id).map(|conn| (conn.node, conn.machine));
            let Some((node, machine)) = at else { return };
            let len = self.net.piece(bytes.len());
            let at = self.net.earliest(self.now, node, machine) + self.net.latency();
            let part = bytes.split_to(len);
            let time = self.net.quality.time_for(len);
            if let Some(conn) = self.net.conns.get_mut(&id) {
                conn.last_down = conn.last_down.max(at) + time;
                self.timers.set(conn.last_down, Due::Net(NetEvent::Down(id, part)));
            }
        }
    }
}

/// Fills `buffer` with the first part, which has as many bytes at least.
fn take_bytes(readable: &mut VecDeque<Bytes>, buffer: &mut [u8]) {
    let Some(first) = readable.front_mut() else { return };
    buffer.copy_from_slice(&first.split_to(buffer.len()));
    if first.is_empty() {
        readable.pop_front();
    }
}

fn first_bytes(buffers: &[IoSlice<'_>], len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    for buffer in buffers {
        bytes.extend_from_slice(&buffer[..buffer.len().min(len - bytes.len())]);
    }
    bytes
}

/// A whole frame without its length.
fn take_frame(inbox: &mut Vec<u8>) -> Option<Bytes> {
    let length = u32::from_be_bytes(*inbox.first_chunk()?) as usize;
    if inbox.len() < 4 + length {
        return None;
    }
    let frame = Bytes::copy_from_slice(&inbox[4..4 + length]);
    inbox.drain(..4 + length);
    Some(frame)
}
