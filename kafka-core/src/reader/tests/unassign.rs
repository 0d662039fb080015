//! Some partitions are taken away, and the others stay as they are.

use super::*;

fn gone(rig: &mut Rig, partitions: &[i32]) {
    let partitions: Vec<TopicPartition> = partitions.iter().map(|p| tp(*p)).collect();
    rig.machine.unassign(&partitions);
    rig.check();
}

fn assigned(rig: &Rig) -> Vec<i32> {
    rig.machine.assignment().map(|tp| tp.partition).collect()
}

#[test]
fn the_others_keep_position_pause_and_what_was_fetched() {
    let mut rig = Rig::reading(3, |_| ());
    rig.fetch(1);
    rig.machine.pause(&tp(2)).unwrap();
    rig.brought(1, (0..3).map(|p| data(p, &[Batch::plain(0, 3)])).collect());
    gone(&mut rig, &[0, 7]);
    assert_eq!(assigned(&rig), [1, 2]);
    assert_eq!(rig.machine.take_dropped().len(), 1, "what was fetched of it");
    assert_eq!(rig.machine.position(&tp(1)), Some(3));
    assert!(rig.machine.is_paused(&tp(2)));
    assert_eq!(rig.read_everything(), [0, 1, 2], "of partition 1 alone");
    let plan = rig.fetch(1);
    assert_eq!((listed(&plan), forgotten(&plan)), (vec![(1, 3)], vec![0, 2]));
    rig.machine.resume(&tp(2)).unwrap();
    assert_eq!(rig.read_everything(), [0, 1, 2]);
}

#[test]
fn a_walk_of_it_ends_and_one_of_another_goes_on() {
    for (taken_away, left) in [(0, vec![]), (1, vec![1, 2])] {
        let mut rig = Rig::reading(2, |_| ());
        rig.fetch(1);
        rig.brought(1, vec![data(0, &[Batch::plain(0, 3)])]);
        let mut walk = rig.take_walk();
        assert_eq!(walk.next().unwrap().unwrap().offset(), 0);
        gone(&mut rig, &[taken_away]);
        assert_eq!(offsets(&mut walk), left);
    }
}

#[test]
fn what_was_asked_of_it_before_counts_no_more() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    gone(&mut rig, &[0]);
    rig.machine.assign_more(vec![(tp(0), at(40))]);
    rig.brought(1, (0..2).map(|p| data(p, &[Batch::plain(0, 3)])).collect());
    assert_eq!(rig.read_everything(), [0, 1, 2], "of partition 1");
    assert_eq!(rig.machine.position(&tp(0)), Some(40));
    assert!(rig.ask().is_none(), "it is led as before");
    let plan = rig.fetch(1);
    assert!(listed(&plan).contains(&(0, 40)), "{:?}", listed(&plan));
    assert!(forgotten(&plan).is_empty(), "a broker would take it back after it was named");

    // The same of a question about its position.
    rig.machine.unassign(&[tp(1)]);
    rig.machine.assign_more(vec![(tp(1), Start::Last)]);
    let (old, _) = rig.ask_offsets();
    gone(&mut rig, &[1]);
    rig.machine.assign_more(vec![(tp(1), Start::Last)]);
    let (new, _) = rig.ask_offsets();
    rig.answer_offsets(old, &[(1, 0, 5)]);
    assert_eq!(rig.machine.position(&tp(1)), None);
    rig.answer_offsets(new, &[(1, 0, 9)]);
    assert_eq!(rig.machine.position(&tp(1)), Some(9));
}

#[test]
fn nothing_is_left_of_the_last_one() {
    let mut rig = Rig::reading(2, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![failed(0, ErrorCode::NotLeaderOrFollower), data(1, &[Batch::plain(0, 3)])]);
    gone(&mut rig, &[0, 1]);
    assert!(rig.machine.lanes().is_empty() && rig.machine.poll_timeout().is_none());
    assert!(rig.machine.poll_ended_session().is_some(), "the broker hears that its session is over");
    assert!(!rig.machine.is_readable() && !rig.machine.has_topic("t"));
}

/// A topic that is deleted is not given up before what was fetched of it was delivered, and its end told.
#[test]
fn a_topic_is_owed_until_its_records_and_its_trouble_are_told() {
    let mut rig = Rig::reading(1, |_| ());
    rig.fetch(1);
    rig.brought(1, vec![data(0, &[Batch::plain(0, 3)])]);
    assert!(rig.machine.is_owed("t") && !rig.machine.is_owed("u"));
    let mut walk = rig.take_walk();
    assert!(rig.machine.is_owed("t"), "its records are in hand");
    assert_eq!(offsets(&mut walk).len(), 3);
    assert!(rig.machine.is_owed("t"), "nothing is wrong with it as yet");
    loop {
        assert!(rig.machine.is_owed("t"));
        while rig.machine.lanes().is_empty() {
            rig.next_timer();
            assert!(rig.ask().is_none());
        }
        rig.fetch(1);
        rig.brought(1, vec![failed(0, ErrorCode::UnknownTopicOrPartition)]);
        if rig.machine.is_readable() {
            break;
        }
    }
    assert!(rig.machine.is_owed("t"), "it is not told yet");
    assert_eq!(rig.take_error().code(), Some(ErrorCode::UnknownTopicOrPartition));
    assert!(!rig.machine.is_owed("t"));
}
