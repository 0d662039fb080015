//! JoinGroup's members and LeaveGroup's.

use super::*;

proptest! {
    #[test]
    fn case_m5_a_member_that_cannot_be_read_costs_itself_only(
        version in version(ApiKey::JoinGroup), blobs in vec(any::<u8>(), 0..6), noise in noise(), count in 1usize..8,
    ) {
        check_members(version, &blobs, &noise, count);
    }

    #[test]
    fn case_m5_members_that_others_leave_with_are_not_ours(
        version in version(ApiKey::LeaveGroup), top in prop_oneof![Just(ErrorCode::None), code()],
        ours in proptest::option::of(prop_oneof![Just(ErrorCode::None), code()]), noise in noise(),
    ) {
        check_leaving(version, top, ours, &noise);
    }
}

/// A member's blob by a drawn number, and whether it can be read.
fn member_blob(drawn: u8) -> (Bytes, bool) {
    let whole = |version| {
        let topics = vec![Str::from("t")];
        Subscription { topics, ..Subscription::default() }.encode_as(version)
    };
    match drawn % 8 {
        0..=3 => (whole(i16::from(drawn % 4)), true),
        4 => (Bytes::new(), false),
        5 => (whole(0).slice(..usize::from(drawn) % 8), false),
        6 => (Bytes::from(vec![drawn; 9]), false),
        _ => (Bytes::from_static(&[0, 0, 0xff, 0xff, 0xff, 0xff]), false),
    }
}

fn check_members(version: i16, blobs: &[u8], noise: &Noise, count: usize) {
    let mut rig = Rig::with(GroupConfig::new("g"));
    add(&mut rig.cluster, 0, count, true);
    rig.subscribe(&["t"]);
    let member = |(at, drawn): (usize, &u8)| JoinGroupResponseMember {
        member_id: format!("o{at}").into(),
        metadata: member_blob(*drawn).0,
        ..Default::default()
    };
    let mut members: Vec<JoinGroupResponseMember> = blobs.iter().enumerate().map(member).collect();
    members.push(JoinGroupResponseMember {
        member_id: "m".into(),
        metadata: subscription(&["t"]),
        ..Default::default()
    });
    noise.stir(&mut members);
    let response = JoinGroupResponse {
        generation_id: 1,
        protocol_name: Some("range".into()),
        leader: "m".into(),
        member_id: "m".into(),
        members,
        ..Default::default()
    };
    rig.answer(carried(response, version));
    let request = rig.asked::<SyncGroupRequest>(ApiKey::SyncGroup);
    let mut shared = BTreeSet::new();
    for one in &request.assignments {
        let partitions = Assignment::decode(&one.assignment).unwrap().partitions;
        let at: Option<usize> = one.member_id.strip_prefix('o').map(|at| at.parse().unwrap());
        let is_readable = at.is_none_or(|at| member_blob(blobs[at]).1);
        assert!(is_readable || partitions.is_empty(), "{}", one.member_id);
        partitions.into_iter().for_each(|tp| assert!(shared.insert(tp), "given twice"));
    }
    assert_eq!(request.assignments.len(), blobs.len() + 1, "each member has a share");
    assert_eq!(shared.len(), count, "each partition is somebody's");
    let told: Vec<String> = rig
        .events()
        .iter()
        .map(|event| match event {
            GroupEvent::Notice(error) => error.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    let unreadable: Vec<usize> = (0..blobs.len()).filter(|at| !member_blob(blobs[*at]).1).collect();
    assert_eq!(told.len(), unreadable.len(), "{told:?}");
    for at in unreadable {
        assert!(told.iter().any(|text| text.contains(&format!("member o{at} ")) && text.contains("group g")));
    }
}

// ---- leaving ----

fn check_leaving(version: i16, top: ErrorCode, ours: Option<ErrorCode>, noise: &Noise) {
    let mut rig = Rig::stable();
    let begin = rig.now;
    rig.leave();
    let mut members = Vec::new();
    if version >= 3 {
        let member =
            |id: &str, error_code| MemberResponse { member_id: id.into(), error_code, ..Default::default() };
        members.extend(ours.map(|code| member("m", code.code())));
        members.extend(noise.foreign.map(|code| member("another", code)));
        members.extend(noise.foreign.map(|code| member("", code)));
        noise.stir(&mut members);
    }
    let is_tried_again =
        [Some(top), ours.filter(|_| version >= 3)].iter().flatten().any(|code| code.is_retriable());
    let mut asked = 0;
    let left = loop {
        if rig.events().contains(&GroupEvent::Left) {
            break rig.now - begin;
        }
        if rig.keys().contains(&ApiKey::LeaveGroup) {
            asked += 1;
            let response =
                LeaveGroupResponse { error_code: top.code(), members: members.clone(), ..Default::default() };
            rig.answer(carried(response, version));
            continue;
        }
        rig.sleep(50 * MS);
    };
    if is_tried_again {
        assert!(left >= GRACE && (2..60).contains(&asked), "{asked} requests in {left:?}");
    } else {
        assert_eq!((left, asked), (Duration::ZERO, 1));
    }
    assert!(left <= GRACE + SECOND);
}
