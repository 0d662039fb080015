//! Two machines, and what passes on bytes between them.

use kafka_core::ConnectionError;
use kafka_core::sans_io::{
    Action, Address, Client, ClientConfig, ConnId, Event, Input, LinkInbound, LinkOutbound, Now, Time, link,
};
use kafka_proto::Bytes;
use kafka_testkit::broker::{self, ClusterConfig, ClusterState, ConnKey, NodeAddress, NodeId, Outcome};
use std::collections::BTreeMap;
use std::io::IoSlice;
use std::time::Duration;

/// The nodes are told apart by their ports.
const PORTS: [u16; 3] = [9092, 9093, 9094];

/// Both machines, the bytes between them, and the time of both.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) broker: ClusterState,
    wires: BTreeMap<ConnId, Wire>,
    pub(crate) time: Duration,
}

/// One connection.
struct Wire {
    node: NodeId,
    inbound: LinkInbound,
    outbound: LinkOutbound,
    /// What the client has sent and the broker has not taken.
    sent: Vec<u8>,
    /// The broker has a request of it, and takes the next one after its answer.
    is_busy: bool,
}

impl World {
    pub(crate) fn new() -> kafka_core::Result<Self> {
        let bootstrap = Address::parse_list("broker:9092")?;
        let client = Client::new(ClientConfig { bootstrap, ..ClientConfig::default() });
        let node = |(id, port): (NodeId, u16)| NodeAddress { id, host: "broker".into(), port, rack: None };
        let broker = ClusterState::new(ClusterConfig::default(), (0..).zip(PORTS).map(node));
        Ok(Self { client, broker, wires: BTreeMap::new(), time: Duration::ZERO })
    }

    pub(crate) fn now(&self) -> Now {
        Now { time: Time::after_start(self.time), wall_ms: self.broker_now().wall_ms }
    }

    fn broker_now(&self) -> broker::Now {
        broker::Now { mono: self.time, wall_ms: 1_700_000_000_000 + self.time.as_millis() as i64 }
    }

    /// Goes on until there is what was looked for.
    pub(crate) fn until<T>(&mut self, mut look: impl FnMut(&mut Client, Now) -> Option<T>) -> T {
        loop {
            let now = self.now();
            if let Some(found) = look(&mut self.client, now) {
                return found;
            }
            if !self.turn() {
                self.let_time_pass();
            }
        }
    }

    /// Passes on what there is. Returns whether there was anything.
    fn turn(&mut self) -> bool {
        let mut has_moved = false;
        while let Some(action) = self.client.poll_action() {
            has_moved = true;
            self.carry_out(action);
        }
        let wires: Vec<ConnId> = self.wires.keys().copied().collect();
        for conn in wires {
            has_moved |= self.send(conn) | self.serve(conn);
        }
        while let Some((conn, outcome)) = self.broker.poll_answer() {
            has_moved = true;
            self.answer(ConnId(conn.0), outcome);
        }
        while let Some(event) = self.client.poll_event() {
            if let Event::Notify(notify) = event {
                notify.notify();
            }
        }
        has_moved
    }

    fn carry_out(&mut self, action: Action) {
        let now = self.now();
        match action {
            Action::Connect { conn, port, link: config, .. } => {
                let (inbound, outbound) = link(config);
                let node = PORTS.iter().position(|of| *of == port).unwrap_or(0) as NodeId;
                self.wires.insert(conn, Wire { node, inbound, outbound, sent: Vec::new(), is_busy: false });
                self.client.handle_input(now, Input::Accepted(conn));
            }
            Action::Close(conn) => self.end(conn, ConnectionError::ClosedByClient),
            Action::Run(job) => self.client.handle_input(now, Input::JobDone(job.run())),
        }
    }

    /// Requests of the client become bytes on the wire.
    fn send(&mut self, conn: ConnId) -> bool {
        let now = self.now();
        let Some(Wire { outbound, sent, .. }) = self.wires.get_mut(&conn) else { return false };
        while matches!(outbound.poll_setup(), Ok(true)) {
            let Some(transmit) = self.client.poll_transmit(now, conn) else { break };
            let id = transmit.id;
            if let Err(error) = outbound.queue(transmit) {
                self.client.handle_input(now, Input::Refused { conn, id, error });
            }
        }
        let mut slices = [IoSlice::new(&[]); 64];
        let count = outbound.slices(&mut slices);
        let before = sent.len();
        slices[..count].iter().for_each(|slice| sent.extend_from_slice(slice));
        let len = sent.len() - before;
        for id in outbound.written(len) {
            self.client.handle_input(now, Input::Sent { conn, id });
        }
        len > 0
    }

    /// The broker takes the next whole request from the wire.
    fn serve(&mut self, conn: ConnId) -> bool {
        let now = self.broker_now();
        let Some(wire) = self.wires.get_mut(&conn).filter(|wire| !wire.is_busy) else { return false };
        let Some(length) = wire.sent.first_chunk().map(|length| u32::from_be_bytes(*length) as usize) else {
            return false;
        };
        if wire.sent.len() < 4 + length {
            return false;
        }
        let frame: Bytes = wire.sent.drain(..4 + length).skip(4).collect();
        wire.is_busy = true;
        let outcome = self.broker.handle(now, wire.node, ConnKey(conn.0), &frame);
        self.answer(conn, outcome);
        true
    }

    /// What became of a request goes back to the client.
    fn answer(&mut self, conn: ConnId, outcome: Outcome) {
        let Some(wire) = self.wires.get_mut(&conn) else { return };
        wire.is_busy = outcome == Outcome::Later;
        let ended = match outcome {
            Outcome::Answer(segments) => self.receive(conn, &segments.concat()).err(),
            Outcome::NoAnswer | Outcome::Later => None,
            Outcome::Close => Some(wire.inbound.end_of_stream()),
        };
        if let Some(error) = ended {
            self.end(conn, error);
        }
    }

    /// Bytes become responses.
    fn receive(&mut self, conn: ConnId, mut bytes: &[u8]) -> Result<(), ConnectionError> {
        let now = self.now();
        let Some(Wire { inbound, .. }) = self.wires.get_mut(&conn) else { return Ok(()) };
        while !bytes.is_empty() {
            let room = inbound.room();
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            inbound.received(len);
            while let Some(received) = inbound.poll()? {
                if let Some(input) = received.into_input(conn) {
                    self.client.handle_input(now, input);
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, conn: ConnId, error: ConnectionError) {
        let Some(mut wire) = self.wires.remove(&conn) else { return };
        let (now, unanswered) = (self.now(), wire.inbound.finish());
        self.broker.disconnected(ConnKey(conn.0));
        self.client.handle_input(now, Input::Closed { conn, error, unanswered });
    }

    /// Nothing is left to do at this time: on to the next at which either machine has something.
    fn let_time_pass(&mut self) {
        let client = self.client.poll_timeout().map(Time::since_start);
        let next = client.into_iter().chain(self.broker.poll_timeout()).min();
        self.time = self.time.max(next.expect("somebody waits for something"));
        let (now, broker_now) = (self.now(), self.broker_now());
        self.broker.handle_timeout(broker_now);
        self.client.handle_input(now, Input::Timeout);
    }
}
