//! The application's assignors run under no lock, whatever is asked of them.

use crate::support::{fill, member, message, secs};
use kafka_core::assignor::{Member, Range, Topics};
use kafka_core::{Assignor, TopicPartition};
use kafka_testkit::sim::{SimClient, Simulation};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;
use std::{fmt, thread};

/// An assignor whose every method needs the client's lock.
#[derive(Default)]
struct Curious {
    client: OnceLock<SimClient>,
    calls: AtomicUsize,
    stuck: AtomicUsize,
}

impl Curious {
    /// Takes the client's lock in another thread, so that a lock that is held fails the test and does not hang it.
    fn use_the_client(&self) {
        let Some(client) = self.client.get().cloned() else { return };
        self.calls.fetch_add(1, Ordering::Relaxed);
        let (done, wait) = mpsc::channel();
        thread::spawn(move || {
            let _ = client.stats();
            let _ = done.send(());
        });
        if wait.recv_timeout(Duration::from_secs(1)).is_err() {
            self.stuck.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Curious {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.use_the_client();
        f.write_str("Curious")
    }
}

impl Assignor for Curious {
    fn name(&self) -> &str {
        self.use_the_client();
        "curious"
    }

    fn assign(&self, members: &[Member], topics: &Topics) -> Vec<Vec<TopicPartition>> {
        self.use_the_client();
        Range.assign(members, topics)
    }
}

async fn curious(sim: Simulation, client: SimClient) {
    let curious = Arc::new(Curious::default());
    let _ = curious.client.set(client.clone());
    fill(&client, 0, 0..1).await;
    let mut reader = member(&client).assignors(vec![curious.clone()]).build().unwrap();
    sim.within(secs(20), message(&mut reader)).await.expect("it never joins");
    let (calls, stuck) = (curious.calls.load(Ordering::Relaxed), curious.stuck.load(Ordering::Relaxed));
    assert!(calls >= 2, "its name, and what goes to whom");
    assert_eq!(stuck, 0, "{stuck} of {calls} calls were made under the client's lock");
}

#[test]
fn an_assignor_is_asked_for_its_name_outside_the_lock() {
    Simulation::builder().nodes(1).topic("t", 1).run(|sim| async move {
        let client = sim.client().connect().await.unwrap();
        curious(sim, client).await;
    });
}

#[test]
fn an_assignor_of_a_recorded_client_is_asked_for_its_name_outside_the_lock() {
    Simulation::builder().nodes(1).topic("t", 1).run(|sim| async move {
        let path = std::env::temp_dir().join(format!("assignors-{}", std::process::id()));
        let client = sim.client().record(&path).connect().await.unwrap();
        curious(sim, client).await;
        std::fs::remove_file(path).unwrap();
    });
}
