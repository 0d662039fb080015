//! Commits that are late, dropped, refused, or come in a rebalance.

use crate::support::{
    GROUP, committed, connected, coordinator, events, fill, kinds, member, message, messages, ms, number,
    numbers, secs, three_nodes,
};
use kafka_core::{ErrorCode, ErrorKind, Event, Reader};
use kafka_proto::{ApiKey, RequestKind};
use kafka_testkit::broker::Fault;
use kafka_testkit::sim::{SimClient, Simulation};

/// A member that lost its partition commits late: neither what is on the wire nor its handle takes the group back.
#[test]
fn scenario_g5_promise_03_a_commit_that_arrives_after_the_hand_over_takes_nothing_back() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..20).await;
        let machine = sim.machine();
        let mut first = member(&machine.client().connect().await.unwrap()).build().unwrap();
        let old = message(&mut first).await;
        machine.cut_off(secs(60));
        // It leaves, and arrives when the partition is another's.
        assert!(sim.within(ms(100), first.commit([&old])).await.is_none());
        let mut second = member(&client).build().unwrap();
        let read = messages(&mut second, 10).await;
        second.commit(&read).await.unwrap();
        assert_eq!(committed(&sim, 0), Some(10));
        let arrived = sim.requests(ApiKey::OffsetCommit);
        sim.sleep(secs(70)).await;
        assert!(sim.requests(ApiKey::OffsetCommit) > arrived, "it never arrived");
        assert_eq!(committed(&sim, 0), Some(10));

        let stale = first.commit([&old]).await.unwrap_err();
        assert!(matches!(stale.kind(), ErrorKind::StaleCommit), "{stale}");
        assert_eq!(committed(&sim, 0), Some(10));
    });
}

/// Two commits are dropped while the coordinator is looked up: heartbeats go on, and so does the next commit.
#[test]
fn scenario_g7_dropped_commits_do_not_stop_the_group() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..20).await;
        let mut reader = member(&client).build().unwrap();
        let read = messages(&mut reader, 3).await;
        sim.fail_next(ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable, 10);
        sim.fail_next(ApiKey::OffsetCommit, ErrorCode::NotCoordinator, 1);
        assert!(sim.within(ms(300), reader.commit([&read[0]])).await.is_none());
        assert!(sim.polled(1, reader.commit([&read[1]])).await.is_none());
        let beats = sim.requests(ApiKey::Heartbeat);
        assert_eq!(kinds(&events(&sim, &mut reader, secs(60)).await), [""; 0]);
        assert!(sim.requests(ApiKey::Heartbeat) - beats >= 15);
        assert_eq!(committed(&sim, 0), Some(2), "a dropped commit is not taken back");
        reader.commit([&read[2]]).await.unwrap();
        assert_eq!(committed(&sim, 0), Some(3));
    });
}

/// The coordinator says by a commit that it does not know the member: it is told at once, delivers nothing as a zombie, and
/// joins anew.
#[test]
fn scenario_g8_a_member_fenced_by_a_commit_joins_at_once() {
    for error in [ErrorCode::UnknownMemberId, ErrorCode::IllegalGeneration] {
        three_nodes(1).run(move |sim| async move {
            let client = connected(&sim).await;
            fill(&client, 0, 0..100).await;
            let mut reader = member(&client).build().unwrap();
            let read = messages(&mut reader, 5).await;
            sim.fail_next(ApiKey::OffsetCommit, error, 1);
            let failed = reader.commit(&read).await.unwrap_err();
            assert_eq!(failed.code(), Some(error));
            let begun = sim.elapsed();
            let lost = reader.next_event().await.unwrap().unwrap();
            assert!(matches!(lost, Event::Lost { .. }), "{lost:?}");
            let again = reader.next_event().await.unwrap().unwrap();
            assert!(matches!(again, Event::Assigned { .. }), "{again:?}");
            // A new member waits for the session of the one it was, which the broker still knows.
            assert!(sim.elapsed() - begun < secs(12), "{:?}", sim.elapsed() - begun);
            assert_eq!(number(&message(&mut reader).await), 0, "nothing was committed");
        });
    }
}

/// A commit fails because the group rebalances: reading goes on after it.
#[test]
fn scenario_g10_reading_goes_on_after_a_commit_that_failed_in_a_rebalance() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..20).await;
        let mut reader = member(&client).build().unwrap();
        let read = messages(&mut reader, 5).await;
        sim.fail_next(ApiKey::OffsetCommit, ErrorCode::RebalanceInProgress, 1);
        let failed = reader.commit(&read).await.unwrap_err();
        assert_eq!(failed.code(), Some(ErrorCode::RebalanceInProgress));
        let after = events(&sim, &mut reader, secs(5)).await;
        assert_eq!(kinds(&after)[..2], ["revoking", "assigned"]);
        assert_eq!(numbers(&after), (0..20).collect::<Vec<_>>());
    });
}

/// The group rebalances and all connections break in the same step: what was handled is committed, and nothing comes twice.
#[test]
fn scenario_c22_a_rebalance_and_a_disconnect_in_the_same_step() {
    for automatic in [false, true] {
        three_nodes(1).run(move |sim| async move {
            let client = connected(&sim).await;
            fill(&client, 0, 0..20).await;
            let mut first = member(&client).auto_commit_interval(secs(3600)).build().unwrap();
            let mut handled = Vec::new();
            for _ in 0..7 {
                handled.push(match automatic {
                    true => first.read().await.unwrap().unwrap(),
                    false => message(&mut first).await,
                });
            }
            let mut second = member(&client).build().unwrap();
            if automatic {
                // The call that gives the partition up commits by itself; what is in hand is not handled.
                sim.sleep(secs(4)).await;
                (0..3).for_each(|node| sim.reset(node));
                sim.spawn(async move { while first.fetch().await.is_ok() {} });
            } else {
                while !matches!(first.next_event().await.unwrap().unwrap(), Event::Revoking { .. }) {}
                (0..3).for_each(|node| sim.reset(node));
                first.commit(&handled).await.unwrap();
                sim.spawn(async move { while first.fetch().await.is_ok() {} });
            }
            // One of the two gets the partition.
            sim.spawn(async move { while second.fetch().await.is_ok() {} });
            sim.sleep(secs(20)).await;
            assert_eq!(committed(&sim, 0), Some(if automatic { 6 } else { 7 }), "{automatic}");
        });
    }
}

/// Whatever fails: the group's offset is never beyond what the application came back from.
#[test]
fn promise_03_what_is_committed_was_handled() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..200).await;
        let mut reader = member(&client).auto_commit_interval(ms(50)).build().unwrap();
        let (mut handled, mut highest) = (0, 0);
        for step in 0..400 {
            match step % 37 {
                5 => sim.fail_next(ApiKey::OffsetCommit, ErrorCode::CoordinatorLoadInProgress, 2),
                15 => sim.fault(ApiKey::OffsetCommit, 1, Fault::CloseAfter),
                25 => sim.reset(coordinator(&sim)),
                35 => sim.fail_next(ApiKey::Heartbeat, ErrorCode::IllegalGeneration, 1),
                _ => {}
            }
            let Some(message) = sim.within(ms(500), reader.read()).await else { continue };
            let at = number(&message.unwrap().unwrap());
            // The one before it was handled; an assignment that was lost begins again where the group is.
            handled = handled.max(at);
            sim.sleep(ms(20)).await;
            let now = committed(&sim, 0).unwrap_or(0);
            assert!(now <= handled, "{now} is committed, {handled} is handled");
            assert!(now >= highest, "{now} after {highest}");
            highest = now;
        }
        assert!(highest > 100, "{highest}");
        reader.close(secs(10)).await.into_result().unwrap();
    });
}

/// What was handled is committed within the interval, however slow the application is and whatever it calls.
#[test]
fn case_f6_a_slow_handler_commits_within_the_interval() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..100).await;
        let mut reader = member(&client).auto_commit_interval(secs(5)).build().unwrap();
        for at in 0..40 {
            assert_eq!(number(&reader.read().await.unwrap().unwrap()), at);
            sim.sleep(secs(1)).await;
            let now = committed(&sim, 0).unwrap_or(0);
            assert!((at - 6..=at).contains(&now), "{now} is committed, {at} is handled");
        }
    });
}

#[test]
fn case_f6_marks_are_committed_without_another_call() {
    three_nodes(2).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..10).await;
        fill(&client, 1, 0..10).await;
        let mut reader = member(&client).auto_commit_interval(secs(5)).build().unwrap();
        let read = messages(&mut reader, 20).await;
        let of = |partition: i32, at: usize| {
            let mut of = read.iter().filter(move |m| m.partition == partition);
            of.nth(at).unwrap().clone()
        };
        reader.mark([&of(0, 3)]).unwrap();
        sim.sleep(secs(3)).await;
        reader.mark([&of(0, 6), &of(1, 1)]).unwrap();
        assert_eq!([0, 1].map(|p| committed(&sim, p)), [None; 2], "not at once");
        sim.sleep(ms(2100)).await;
        assert_eq!([0, 1].map(|p| committed(&sim, p)), [Some(7), Some(2)]);
        // The next interval begins with the next mark.
        sim.sleep(secs(20)).await;
        reader.mark([&of(1, 9)]).unwrap();
        sim.sleep(ms(4900)).await;
        assert_eq!(committed(&sim, 1), Some(2));
        sim.sleep(ms(200)).await;
        assert_eq!(committed(&sim, 1), Some(10));
    });
}

/// The message in the application's hands is not handled, however long it is there; and what was handled is, although the
/// application asks for nothing more.
#[test]
fn case_f6_what_is_in_hand_is_never_committed() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..10).await;
        sim.record(ApiKey::OffsetCommit);
        let mut reader = member(&client).auto_commit_interval(secs(5)).build().unwrap();
        for _ in 0..3 {
            reader.read().await.unwrap().unwrap();
        }
        sim.sleep(secs(60)).await;
        assert_eq!(committed(&sim, 0), Some(2));
        assert_eq!(sim.recorded(ApiKey::OffsetCommit).len(), 1, "nothing is committed twice");
        // A call that is given up asked for the next message all the same.
        drop(reader.read());
        assert!(sim.within(ms(0), reader.read()).await.is_some());
        sim.sleep(secs(6)).await;
        assert_eq!(committed(&sim, 0), Some(3));
        drop(reader);
        sim.sleep(secs(6)).await;
        assert_eq!(committed(&sim, 0), Some(3), "what was in hand at the end comes again");
    });
}

/// An assignment that is lost while the application is busy takes its marks along.
#[test]
fn case_f6_marks_do_not_outlive_their_assignment() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..20).await;
        let mut reader = member(&client).auto_commit_interval(secs(5)).build().unwrap();
        for _ in 0..11 {
            reader.read().await.unwrap().unwrap();
        }
        sim.fail_next(ApiKey::Heartbeat, ErrorCode::UnknownMemberId, 1);
        sim.sleep(secs(4)).await;
        assert_eq!(committed(&sim, 0), None);
        sim.sleep(secs(10)).await;
        assert_eq!(committed(&sim, 0), None, "the assignment was lost before they were due");
        let again = reader.read().await.unwrap().unwrap();
        assert_eq!(number(&again), 0);
    });
}

/// Brokers that know no leader epochs: commits say -1, and the group goes on where it was.
#[test]
fn scenario_c16_marks_and_commits_work_without_leader_epochs() {
    for release in ["0.11.0", "1.1", "2.0"] {
        three_nodes(1).kafka_version(release).run(move |sim| async move {
            let client = connected(&sim).await;
            fill(&client, 0, 0..20).await;
            let mut first = member(&client).build().unwrap();
            let read = messages(&mut first, 8).await;
            sim.move_leader("t", 0, (sim.leader("t", 0).unwrap() + 1) % 3);
            first.commit([&read[4]]).await.unwrap();
            assert_eq!(committed(&sim, 0), Some(5), "{release}");
            first.mark([&read[7]]).unwrap();
            first.close(secs(10)).await.into_result().unwrap();
            assert_eq!(committed(&sim, 0), Some(8), "{release}");
            let mut second = member(&client).build().unwrap();
            assert_eq!(number(&message(&mut second).await), 8, "{release}");
        });
    }
}

/// The epoch of a record goes with its commit, so that the next owner notices a truncation.
#[test]
fn promise_04_commits_carry_the_leader_epoch() {
    three_nodes(1).run(|sim| async move {
        let client = connected(&sim).await;
        sim.move_leader("t", 0, (sim.leader("t", 0).unwrap() + 1) % 3);
        fill(&client, 0, 0..5).await;
        sim.record(ApiKey::OffsetCommit);
        let mut reader = member(&client).build().unwrap();
        let read = messages(&mut reader, 3).await;
        reader.commit(&read).await.unwrap();
        let commits = sim.recorded(ApiKey::OffsetCommit);
        let RequestKind::OffsetCommit(request) = commits[0].request() else { panic!() };
        assert_eq!(&*request.group_id, GROUP);
        let partition = &request.topics[0].partitions[0];
        assert_eq!((partition.committed_offset, partition.committed_leader_epoch), (3, 1));
    });
}

/// Workers may end in another order than they began.
#[test]
fn a_mark_of_an_earlier_record_takes_no_later_mark_back() {
    Simulation::builder().nodes(1).topic("t", 1).run(|sim| async move {
        let client = connected(&sim).await;
        fill(&client, 0, 0..10).await;
        let mut reader = member(&client).build().unwrap();
        let records = messages(&mut reader, 10).await;
        reader.mark([&records[9]]).unwrap();
        reader.mark([&records[2]]).unwrap();
        assert!(reader.close(secs(5)).await.is_clean());
        let mut reader = member(&client).build().unwrap();
        let again = sim.within(secs(8), reader.fetch()).await;
        assert!(again.is_none(), "{again:?}");
    });
}

/// A member with a record in hand.
async fn joined(sim: &Simulation, client: &SimClient) -> Reader {
    fill(client, 0, 0..1).await;
    let mut reader = member(client).build().unwrap();
    assert!(sim.within(secs(20), reader.read()).await.unwrap().unwrap().is_some());
    reader
}

#[test]
fn a_reader_that_is_closed_again_waits_and_reports_again() {
    Simulation::builder().nodes(1).topic("t", 1).run(|sim| async move {
        let client = connected(&sim).await;
        let mut reader = joined(&sim, &client).await;
        sim.fault(ApiKey::LeaveGroup, 100, Fault::NoAnswer);
        sim.fault(ApiKey::OffsetCommit, 100, Fault::NoAnswer);
        assert!(sim.polled(1, reader.close(secs(5))).await.is_none());
        assert!(!reader.close(secs(3)).await.is_clean());
        assert!(!reader.close(secs(3)).await.is_clean());
    });
}

#[test]
fn a_client_that_is_closed_again_reports_what_was_not_committed() {
    for is_dropped in [false, true] {
        Simulation::builder().nodes(1).topic("t", 1).run(move |sim| async move {
            let client = connected(&sim).await;
            let mut reader = joined(&sim, &client).await;
            // The record in hand counts as handled now.
            assert!(sim.polled(1, reader.read()).await.is_none());
            sim.fail_next(ApiKey::OffsetCommit, ErrorCode::GroupAuthorizationFailed, 100);
            if is_dropped {
                assert!(sim.polled(1, client.close(secs(5))).await.is_none());
            }
            let report = client.close(secs(5)).await;
            assert!(!report.is_clean(), "{report:?}, the first close was dropped: {is_dropped}");
            drop(reader);
        });
    }
}
