//! An application that asks about the cluster: each call ends by its deadline, and succeeds once all has healed.

use std::time::Duration;

use kafka_core::Start;

use super::chance::Chance;
use super::history::TOPIC;
use super::stage::{SLACK, Stage};

/// No client is made with a longer one.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) async fn ask(stage: Stage, mut chance: Chance) {
    let client = stage.client(&mut chance);
    let mut is_last = false;
    while !is_last {
        is_last = stage.is_healed();
        let partition = chance.below(stage.partitions as u64) as i32;
        let asked = async {
            match chance.below(3) {
                0 => client.topic(TOPIC).await.map(|_| ()),
                1 => client.describe_cluster().await.map(|_| ()),
                _ => client.list_offset(TOPIC, partition, Start::First).await.map(|_| ()),
            }
        };
        let result = stage.by("a call", CALL_TIMEOUT + SLACK, asked).await;
        if let Some(Err(error)) = result {
            let mut history = stage.history();
            history.error(&error);
            if is_last {
                history.violation(format!("I8: a call failed after all had healed: {error}"));
            }
        }
        stage.history().count("calls", 1);
        let rest = chance.millis(0, 8000);
        stage.runtime.sleep(rest).await;
    }
    stage.history().client(&client.stats());
}
