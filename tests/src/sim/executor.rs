//! Tasks and timers: which ready task goes on is drawn, or the one that was woken first; time jumps only when none is ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::chance::Chance;
use super::network::{NetEvent, Wires};
use super::runtime::{Machine, SimRuntime, Task, broker_now};

/// What happens at a time.
#[derive(Debug)]
pub(crate) enum Due {
    Wake(Waker),
    Net(NetEvent),
    Resume(Machine),
}

/// Events in the order of time, and of being asked for.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeMap<(Duration, u64), Due>,
    next: u64,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Duration, due: Due) -> (Duration, u64) {
        self.next += 1;
        self.due.insert((at, self.next), due);
        (at, self.next)
    }

    pub(crate) fn cancel(&mut self, timer: (Duration, u64)) {
        self.due.remove(&timer);
    }

    /// Tasks that sleep.
    pub(crate) fn wakes(&self) -> usize {
        self.due.values().filter(|due| matches!(due, Due::Wake(_))).count()
    }

    fn next_at(&self) -> Option<Duration> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }
}

/// Tasks that were woken, each once, in the order of their waking.
type Ready = Arc<Mutex<Vec<u64>>>;

struct TaskWaker {
    id: u64,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if !ready.contains(&self.id) {
            ready.push(self.id);
        }
    }
}

/// Why a run was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The virtual time limit.
    Time,
    /// The limit of steps.
    Steps,
}

/// Which of the ready tasks goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Any of them.
    Drawn,
    /// The one that was woken first, as on tokio's current-thread runtime.
    Arrival,
}

pub(crate) struct Executor {
    runtime: SimRuntime,
    chance: Chance,
    pub(crate) order: Order,
    tasks: BTreeMap<u64, (Task, Waker)>,
    next: u64,
    ready: Ready,
    /// Tasks that were woken while their machine was suspended.
    held: BTreeMap<Machine, Vec<Waker>>,
    pub(crate) steps: u64,
    /// Called when no task is ready, before time goes on.
    pub(crate) on_idle: Option<Box<dyn FnMut()>>,
}

impl Executor {
    pub(crate) fn new(runtime: SimRuntime, chance: Chance) -> Executor {
        Executor {
            runtime,
            chance,
            order: Order::Drawn,
            tasks: BTreeMap::new(),
            next: 0,
            ready: Ready::default(),
            held: BTreeMap::new(),
            steps: 0,
            on_idle: None,
        }
    }

    /// Tasks that have not ended.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Drops all tasks, also those that were not begun: they hold the world that holds them.
    pub(crate) fn clear(&mut self) {
        loop {
            self.adopt();
            let tasks = std::mem::take(&mut self.tasks);
            if tasks.is_empty() {
                return;
            }
        }
    }

    /// Runs until `done`, or a limit; after each step `check` may look.
    pub(crate) fn run_until(
        &mut self,
        until: Duration,
        steps: u64,
        mut done: impl FnMut(&Executor) -> bool,
    ) -> Result<(), Stop> {
        let last = self.steps + steps;
        loop {
            self.adopt();
            if done(self) {
                return Ok(());
            }
            if self.steps >= last {
                return Err(Stop::Steps);
            }
            if !self.step() {
                let is_idle = self.next_event().is_none_or(|at| at > self.runtime.elapsed());
                if let Some(look) = self.on_idle.as_mut().filter(|_| is_idle) {
                    look();
                }
                let next = self.next_event();
                if next.is_none_or(|at| at > until) {
                    return Err(Stop::Time);
                }
                self.advance();
            }
        }
    }

    fn adopt(&mut self) {
        let spawned = std::mem::take(&mut self.runtime.world().spawned);
        for task in spawned {
            self.next += 1;
            let waker = Arc::new(TaskWaker { id: self.next, ready: self.ready.clone() });
            waker.wake_by_ref();
            self.tasks.insert(self.next, (task, waker.into()));
        }
    }

    /// Polls one of the ready tasks, or puts it aside where its machine is suspended.
    fn step(&mut self) -> bool {
        let id = {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            if ready.is_empty() {
                return false;
            }
            let at = match self.order {
                Order::Drawn => self.chance.index(ready.len()),
                Order::Arrival => 0,
            };
            ready.remove(at)
        };
        self.steps += 1;
        let Some((task, waker)) = self.tasks.get_mut(&id) else { return true };
        if self.runtime.world().is_suspended(task.machine) {
            self.held.entry(task.machine).or_default().push(waker.clone());
            return true;
        }
        if let Poll::Ready(()) = task.future.as_mut().poll(&mut Context::from_waker(&waker.clone())) {
            // Its parts may call the world when they are dropped.
            drop(self.tasks.remove(&id));
        }
        true
    }

    fn next_event(&self) -> Option<Duration> {
        let world = self.runtime.world();
        let broker = world.net.cluster.poll_timeout();
        world.timers.next_at().into_iter().chain(broker).min()
    }

    fn advance(&mut self) {
        let mut world = self.runtime.world();
        let broker = world.net.cluster.poll_timeout();
        let own = world.timers.next_at();
        let Some(at) = own.into_iter().chain(broker).min() else { return };
        world.now = world.now.max(at);
        self.runtime.set_clock(world.now);
        if broker.is_some_and(|at| at <= world.now) {
            let now = broker_now(world.now);
            world.net.cluster.handle_timeout(now);
            world.settle();
        } else if let Some((_, due)) = world.timers.due.pop_first() {
            match due {
                Due::Wake(waker) => waker.wake(),
                Due::Net(event) => world.happen(event),
                Due::Resume(machine) => {
                    world.resume(machine);
                    self.held.remove(&machine).into_iter().flatten().for_each(Waker::wake);
                }
            }
        }
    }
}
