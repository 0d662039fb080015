//! Serves an embedded cluster on loopback with plain threads: one accepting for each node, one for each
//! connection, one for the cluster's deadlines.
//!
//! A connection's thread reads a request, has it decoded and checked outside of the lock, takes the lock to
//! have it done, and writes the answer; meanwhile it reads nothing, as Kafka mutes a channel. An answer that
//! comes later is put into the connection's mailbox by whoever caused it.
//!
//! What holds here: the one lock is never held while anything is read, written or awaited; when
//! [`Front::stop`] returns, all threads have ended.

mod connection;
mod idle;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::broker::{ClusterState, ConnKey, NodeId, Now, Outcome};

/// The running threads and what they share.
#[derive(Debug)]
pub(crate) struct Front {
    shared: Arc<Shared>,
    timer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// An earlier deadline than the timer knows of, or the end.
    timer: Condvar,
    started: Instant,
}

#[derive(Debug)]
struct State {
    cluster: ClusterState,
    slots: BTreeMap<ConnKey, Slot>,
    nodes: BTreeMap<NodeId, NodeFront>,
    connections: Vec<JoinHandle<()>>,
    next_conn: u64,
    /// What the timer sleeps until.
    armed: Option<Duration>,
    stopping: bool,
}

/// A connection, as others see it.
#[derive(Debug)]
struct Slot {
    node: NodeId,
    stream: TcpStream,
    mailbox: Sender<Outcome>,
}

/// The listening side of a node.
#[derive(Debug)]
struct NodeFront {
    address: SocketAddr,
    /// `None` while the node is down.
    acceptor: Option<JoinHandle<()>>,
    listening: bool,
    kept: Option<KeptPort>,
}

/// A connection to the own port, both its ends: no other socket is given the port while it lasts. So nobody is met at the
/// address of a node that is down.
#[derive(Debug)]
struct KeptPort {
    _ends: [TcpStream; 2],
}

impl Front {
    /// Serves `cluster` on these listeners, one for each node.
    pub(crate) fn start(
        cluster: ClusterState,
        listeners: impl IntoIterator<Item = (NodeId, TcpListener)>,
    ) -> io::Result<Front> {
        let state = State {
            cluster,
            slots: BTreeMap::new(),
            nodes: BTreeMap::new(),
            connections: Vec::new(),
            next_conn: 0,
            armed: None,
            stopping: false,
        };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), timer: Condvar::new(), started: Instant::now() });
        let mut front = Front { shared: shared.clone(), timer: None };
        for (node, listener) in listeners {
            listen(&shared, node, listener)?;
        }
        let timer = thread::Builder::new().name("kafka-timer".to_owned());
        front.timer = Some(timer.spawn(move || shared.run_timer())?);
        Ok(front)
    }

    /// Does something to the cluster, and lets everyone hear of what came of it.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut ClusterState, Now) -> R) -> R {
        self.shared.with(change)
    }

    /// Stops listening for a node and cuts its connections; returns when the port refuses new ones.
    pub(crate) fn close_node(&self, node: NodeId) {
        let mut state = self.shared.lock();
        state.cut_connections(|slot| slot.node == node);
        let Some(front) = state.nodes.get_mut(&node) else { return };
        front.listening = false;
        let (address, acceptor) = (front.address, front.acceptor.take());
        drop(state);
        join_acceptor(address, acceptor);
    }

    /// Listens again for a node that was closed, on the same port.
    pub(crate) fn open_node(&self, node: NodeId) -> io::Result<()> {
        let mut state = self.shared.lock();
        let Some(front) = state.nodes.get_mut(&node).filter(|front| !front.listening) else { return Ok(()) };
        // Not every system lets a port be listened at while it is kept.
        front.kept = None;
        let address = front.address;
        drop(state);
        listen(&self.shared, node, TcpListener::bind(address)?)
    }

    /// Ends all threads.
    fn stop(&mut self) {
        let mut state = self.shared.lock();
        state.stopping = true;
        state.cut_connections(|_| true);
        let mut acceptors = Vec::new();
        for front in state.nodes.values_mut() {
            front.listening = false;
            acceptors.push((front.address, front.acceptor.take()));
        }
        drop(state);
        self.shared.timer.notify_all();
        acceptors.into_iter().for_each(|(address, acceptor)| join_acceptor(address, acceptor));
        let connections = std::mem::take(&mut self.shared.lock().connections);
        for thread in connections.into_iter().chain(self.timer.take()) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl KeptPort {
    fn of(listener: &TcpListener, address: SocketAddr) -> io::Result<Self> {
        let near = TcpStream::connect(address)?;
        let own = near.local_addr()?;
        loop {
            // A client that came first finds its connection closed, as when a broker starts.
            let (far, peer) = listener.accept()?;
            if peer == own {
                return Ok(Self { _ends: [near, far] });
            }
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A thread in `accept` ends only when somebody connects.
fn join_acceptor(address: SocketAddr, acceptor: Option<JoinHandle<()>>) {
    if let Some(acceptor) = acceptor {
        let _ = TcpStream::connect(address);
        let _ = acceptor.join();
    }
}

fn listen(shared: &Arc<Shared>, node: NodeId, listener: TcpListener) -> io::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.local_addr()?.port()));
    let kept = Some(KeptPort::of(&listener, address)?);
    let front = NodeFront { address, acceptor: None, listening: true, kept };
    let mut state = shared.lock();
    state.nodes.insert(node, front);
    let accepting = shared.clone();
    let thread = thread::Builder::new().name(format!("kafka-node-{node}"));
    let thread = thread.spawn(move || accepting.accept(node, &listener))?;
    if let Some(front) = state.nodes.get_mut(&node) {
        front.acceptor = Some(thread);
    }
    Ok(())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.started.elapsed(), wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX) }
    }

    fn with<R>(&self, change: impl FnOnce(&mut ClusterState, Now) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state.cluster, self.now());
        self.deliver(&mut state);
        result
    }

    /// Puts answers into mailboxes, and wakes the timer if it sleeps too long.
    fn deliver(&self, state: &mut State) {
        while let Some((conn, outcome)) = state.cluster.poll_answer() {
            if outcome == Outcome::Close {
                state.cut_connections_of(conn);
            } else if let Some(slot) = state.slots.get(&conn) {
                let _ = slot.mailbox.send(outcome);
            }
        }
        let next = state.cluster.poll_timeout();
        if next.is_some_and(|next| state.armed.is_none_or(|armed| next < armed)) {
            self.timer.notify_one();
        }
    }

    fn run_timer(&self) {
        let mut state = self.lock();
        while !state.stopping {
            let now = self.now();
            let next = state.cluster.poll_timeout();
            if next.is_some_and(|next| next <= now.mono) {
                state.cluster.handle_timeout(now);
                self.deliver(&mut state);
                continue;
            }
            state.armed = next;
            let sleep = next.map_or(Duration::MAX, |next| next.saturating_sub(now.mono));
            let woken = self.timer.wait_timeout(state, sleep).unwrap_or_else(PoisonError::into_inner);
            state = woken.0;
        }
    }

    fn accept(self: &Arc<Self>, node: NodeId, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            let mut state = self.lock();
            if !state.nodes.get(&node).is_some_and(|front| front.listening) {
                return;
            }
            match accepted {
                Ok((stream, _)) => {
                    // Out of threads or descriptors: the client sees a closed connection.
                    let _ = self.connect(&mut state, node, stream);
                }
                Err(_) => {
                    drop(state);
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    fn connect(self: &Arc<Self>, state: &mut State, node: NodeId, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        state.next_conn += 1;
        let conn = ConnKey(state.next_conn);
        let (mailbox, answers) = channel();
        state.slots.insert(conn, Slot { node, stream: stream.try_clone()?, mailbox });
        let shared = self.clone();
        let thread = thread::Builder::new().name(format!("kafka-conn-{}", conn.0));
        let thread = thread.spawn(move || {
            // An error of a connection is the client's; the broker goes on.
            let _ = connection::serve(&shared, node, conn, &stream, &answers);
            shared.disconnected(conn);
        });
        state.connections.retain(|thread| !thread.is_finished());
        state.connections.push(thread?);
        Ok(())
    }

    fn disconnected(&self, conn: ConnKey) {
        let mut state = self.lock();
        state.cut_connections_of(conn);
        state.cluster.disconnected(conn);
    }
}

impl State {
    fn cut_connections(&mut self, mut which: impl FnMut(&Slot) -> bool) {
        self.slots.retain(|_, slot| {
            let cut = which(slot);
            if cut {
                let _ = slot.stream.shutdown(Shutdown::Both);
            }
            !cut
        });
    }

    fn cut_connections_of(&mut self, conn: ConnKey) {
        if let Some(slot) = self.slots.remove(&conn) {
            let _ = slot.stream.shutdown(Shutdown::Both);
        }
    }
}
