//! The loop: time, orders, bytes and hints, in this order.
//!
//! What it does not show is how to sleep: `std` cannot wait for several sockets, so it naps where nothing happened. A real one sleeps
//! in `poll` or `epoll` until a socket is ready or `Client::poll_timeout` has come.
// The program has what the core must not have.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use kafka_core::ConnectionError;
use kafka_core::sans_io::{
    Action, Address, Client, ClientConfig, ConnId, Event, Input, LinkConfig, LinkInbound, LinkOutbound, Now,
    Time, link,
};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Bytes of requests that a socket is given ahead of its taking them. What is not handed out can still go elsewhere.
const AHEAD: usize = 256 << 10;

/// The client, its sockets, and the clock.
pub(crate) struct Program {
    pub(crate) client: Client,
    connections: BTreeMap<ConnId, Connection>,
    start: Instant,
}

struct Connection {
    stream: TcpStream,
    inbound: LinkInbound,
    outbound: LinkOutbound,
}

impl Program {
    pub(crate) fn new(address: &str) -> kafka_core::Result<Self> {
        let config = ClientConfig {
            bootstrap: Address::parse_list(address)?,
            client_id: "by-hand".into(),
            seed: RandomState::new().hash_one(0),
            ..ClientConfig::default()
        };
        config.validate()?;
        Ok(Self { client: Client::new(config), connections: BTreeMap::new(), start: Instant::now() })
    }

    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { time: Time::after_start(self.start.elapsed()), wall_ms: wall.as_millis() as i64 }
    }

    /// Goes around until there is what was looked for. Each call of a handle is followed by a turn of the loop, which does what the
    /// client wants because of it.
    pub(crate) fn until<T>(&mut self, mut look: impl FnMut(&mut Client, Now) -> Option<T>) -> T {
        loop {
            let now = self.now();
            if let Some(found) = look(&mut self.client, now) {
                return found;
            }
            if !self.turn() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Waits until the connections are closed, which a client that was closed orders.
    pub(crate) fn close_connections(&mut self) {
        while !self.connections.is_empty() {
            self.turn();
        }
    }

    /// One turn of the loop. Returns whether anything happened.
    fn turn(&mut self) -> bool {
        let now = self.now();
        if self.client.poll_timeout().is_some_and(|at| at <= now.time) {
            self.client.handle_input(now, Input::Timeout);
        }
        let mut has_moved = false;
        while let Some(action) = self.client.poll_action() {
            has_moved = true;
            self.carry_out(now, action);
        }
        let connections: Vec<ConnId> = self.connections.keys().copied().collect();
        for conn in connections {
            match self.exchange(now, conn) {
                Ok(moved) => has_moved |= moved,
                Err(error) => self.end(now, conn, error),
            }
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Notify(notify) => notify.notify(),
                Event::Trace(trace) => trace.emit(),
                // This loop looks everywhere in each turn, so it needs no hint of where to look.
                _ => {}
            }
        }
        has_moved
    }

    fn carry_out(&mut self, now: Now, action: Action) {
        match action {
            Action::Connect { conn, host, port, deadline, link } => {
                if let Err(error) = self.connect(now, conn, (&*host, port), deadline, link) {
                    self.end(now, conn, error.into());
                }
            }
            Action::Close(conn) => self.end(now, conn, ConnectionError::ClosedByClient),
            Action::Run(job) => self.client.handle_input(now, Input::JobDone(job.run())),
        }
    }

    /// `std` knows no connecting without waiting: what it takes, the loop stands still.
    fn connect(
        &mut self,
        now: Now,
        conn: ConnId,
        to: (&str, u16),
        deadline: Time,
        config: LinkConfig,
    ) -> io::Result<()> {
        let address = to.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
        let timeout = deadline.duration_since(now.time).max(Duration::from_millis(1));
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let (inbound, outbound) = link(config);
        self.connections.insert(conn, Connection { stream, inbound, outbound });
        self.client.handle_input(now, Input::Accepted(conn));
        Ok(())
    }

    /// Moves what can be moved between a socket, its link and the client. Returns whether anything was.
    fn exchange(&mut self, now: Now, conn: ConnId) -> Result<bool, ConnectionError> {
        let Some(connection) = self.connections.get_mut(&conn) else { return Ok(false) };
        let Connection { stream, inbound, outbound } = connection;
        // Requests become bytes, once the setup is over.
        while outbound.poll_setup()? && outbound.pending_bytes() < AHEAD {
            let Some(transmit) = self.client.poll_transmit(now, conn) else { break };
            let id = transmit.id;
            if let Err(error) = outbound.queue(transmit) {
                self.client.handle_input(now, Input::Refused { conn, id, error });
            }
        }
        let mut slices = [IoSlice::new(&[]); 64];
        let count = outbound.slices(&mut slices);
        let written = if count > 0 { ready(stream.write_vectored(&slices[..count]), inbound)? } else { None };
        for id in outbound.written(written.unwrap_or(0)) {
            self.client.handle_input(now, Input::Sent { conn, id });
        }
        // Bytes become responses.
        let read = ready(stream.read(inbound.room()), inbound)?;
        match read {
            Some(0) => return Err(inbound.end_of_stream()),
            Some(len) => inbound.received(len),
            None => {}
        }
        while let Some(received) = inbound.poll()? {
            if let Some(input) = received.into_input(conn) {
                self.client.handle_input(now, input);
            }
        }
        Ok(written.is_some() || read.is_some())
    }

    /// A connection has ended, or was never made.
    fn end(&mut self, now: Now, conn: ConnId, error: ConnectionError) {
        let mut ended = self.connections.remove(&conn);
        let unanswered = ended.as_mut().map(|ended| ended.inbound.finish()).unwrap_or_default();
        self.client.handle_input(now, Input::Closed { conn, error, unanswered });
    }
}

/// `None` where the socket would block.
fn ready(moved: io::Result<usize>, inbound: &LinkInbound) -> Result<Option<usize>, ConnectionError> {
    match moved {
        Ok(len) => Ok(Some(len)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(inbound.broken(error)),
    }
}
