//! Coordinators that move, load, and die.

use crate::support::{
    committed, connected, coordinator, events, fill, kinds, member, messages, ms, numbers, secs, three_nodes,
};
use kafka_core::ErrorCode;
use kafka_proto::ApiKey;

/// The coordinator moves or loads in any step: tried again, never told, and no partition is lost.
#[test]
fn scenario_g16_a_coordinator_that_moves_is_never_told() {
    let apis = [
        ApiKey::FindCoordinator,
        ApiKey::JoinGroup,
        ApiKey::SyncGroup,
        ApiKey::OffsetFetch,
        ApiKey::Heartbeat,
        ApiKey::OffsetCommit,
    ];
    let errors =
        [ErrorCode::NotCoordinator, ErrorCode::CoordinatorNotAvailable, ErrorCode::CoordinatorLoadInProgress];
    for (api, error) in apis.into_iter().flat_map(|api| errors.map(|error| (api, error))) {
        three_nodes(1).run(move |sim| async move {
            let client = connected(&sim).await;
            fill(&client, 0, 0..10).await;
            sim.fail_next(api, error, 2);
            let mut reader = member(&client).build().unwrap();
            let read = messages(&mut reader, 10).await;
            reader.commit(&read).await.unwrap();
            let quiet = events(&sim, &mut reader, secs(12)).await;
            assert_eq!(kinds(&quiet), [""; 0], "{api:?} {error:?}");
            assert_eq!(sim.with(|cluster, _| cluster.faults_left()), 0, "{api:?} {error:?}");
            fill(&client, 0, 10..20).await;
            let read = messages(&mut reader, 10).await;
            reader.commit(&read).await.unwrap();
            assert_eq!(committed(&sim, 0), Some(20));
        });
    }
}

/// The coordinator dies for good: another is found within the session, and goes on with the same members.
#[test]
fn scenario_g17_a_coordinator_that_dies_for_good_is_replaced() {
    three_nodes(2).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..10).await;
        let mut reader = member(&client).build().unwrap();
        let read = messages(&mut reader, 10).await;
        let dead = coordinator(&sim);
        sim.kill(dead);
        reader.commit(&read).await.unwrap();
        fill(&client, 1, 10..20).await;
        let seen = events(&sim, &mut reader, secs(60)).await;
        assert_eq!((kinds(&seen), numbers(&seen)), (vec![], (10..20).collect()), "{seen:?}");
        assert_ne!(coordinator(&sim), dead);
        assert_eq!(committed(&sim, 0), Some(10));
    });
}

/// The coordinator goes silent while the others elect a new one: its connection is given up and the group goes on.
#[test]
fn scenario_g17_a_coordinator_that_goes_silent_is_given_up() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..10).await;
        let mut reader = member(&client).build().unwrap();
        let read = messages(&mut reader, 10).await;
        let silent = coordinator(&sim);
        sim.cut_off(silent, secs(600));
        sim.move_leader("__consumer_offsets", 3, (silent + 1) % 3);
        sim.move_leader("t", 0, (silent + 1) % 3);
        let begun = sim.elapsed();
        reader.commit(&read).await.unwrap();
        assert!(sim.elapsed() - begun < secs(45), "{:?}", sim.elapsed() - begun);
        sim.sleep(ms(1)).await;
        assert_eq!(committed(&sim, 0), Some(10));
    });
}
