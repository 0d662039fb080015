//! FindCoordinator's list.

use super::*;
use crate::machine::OpId;
use kafka_proto::messages::find_coordinator::{Coordinator, FindCoordinatorResponse};

struct Group {
    course: Course,
    refused: Option<Time>,
    asked: u32,
}

struct Finder {
    version: i16,
    noise: Noise,
    groups: Vec<Group>,
    /// The ports that were asked for each group, by the API.
    served: Vec<u16>,
}

impl Finder {
    fn answer(&mut self, now: Time, port: u16, request: &RequestKind) -> ResponseKind {
        match request {
            RequestKind::FindCoordinator(request) => self.find(now, &request.coordinator_keys[0]),
            RequestKind::Metadata(_) => {
                self.served.push(port);
                MetadataResponse { brokers: brokers(), ..Default::default() }.into()
            }
            other => panic!("{other:?}"),
        }
    }

    fn find(&mut self, now: Time, key: &Str) -> ResponseKind {
        let at: usize = key[1..].parse().unwrap();
        let group = &mut self.groups[at];
        group.asked += 1;
        if let Some(refused) = group.refused.take() {
            assert!(now >= refused + SHORTEST, "{key} again after {:?}", now - refused);
        }
        let mut said = group.course.next();
        if self.version < 4 && said == Said::Nothing {
            said = Said::Error(ErrorCode::CoordinatorNotAvailable);
        }
        let code = match said {
            Said::Good => 0,
            Said::Error(code) => code.code(),
            Said::Nothing => 15,
        };
        if said != Said::Good {
            group.refused = Some(now);
        }
        let item = |key: &str, node_id: i32, error_code| Coordinator {
            key: key.into(),
            node_id,
            host: "broker".into(),
            port: if node_id < 0 { -1 } else { 9000 + node_id },
            error_code,
            ..Default::default()
        };
        let item = if code == 0 { item(key, 2, 0) } else { item(key, -1, code) };
        if self.version < 4 {
            let Coordinator { node_id, host, port, error_code, .. } = item;
            let response = FindCoordinatorResponse { node_id, host, port, error_code, ..Default::default() };
            return carried(response, self.version);
        }
        let mut coordinators = if said == Said::Nothing { Vec::new() } else { vec![item] };
        if let Some(code) = self.noise.foreign {
            let stranger = |key: &str| Coordinator {
                key: key.into(),
                node_id: 3,
                host: "elsewhere".into(),
                port: 1,
                error_code: code,
                ..Default::default()
            };
            coordinators.extend([stranger("nobody's"), stranger("")]);
        }
        self.noise.stir(&mut coordinators);
        carried(FindCoordinatorResponse { coordinators, ..Default::default() }, self.version)
    }
}

fn check_coordinators(version: i16, groups: Vec<Option<Bad>>, noise: Noise) {
    let mut net = Net::connected();
    let group = |bad| Group { course: Course::new(bad), refused: None, asked: 0 };
    let groups: Vec<Group> = groups.into_iter().map(group).collect();
    let count = groups.len();
    let finder = Rc::new(RefCell::new(Finder { version, noise, groups, served: Vec::new() }));
    let at_broker = finder.clone();
    net.script = Some(Box::new(move |now, port, request| at_broker.borrow_mut().answer(now, port, request)));
    let begin = net.now.time;
    let target = |at: usize| Target::Coordinator(CoordinatorKind::Group, format!("g{at}").into());
    let calls: Vec<OpId> = (0..count).map(|at| net.call_of(target(at), RUN)).collect();
    let mut results: BTreeMap<usize, (Duration, Result<(), Error>)> = BTreeMap::new();
    for steps in 0.. {
        assert!(steps < 500, "a tight loop");
        for (at, call) in calls.iter().enumerate() {
            if let Some(result) = net.client.take_call(*call) {
                results.insert(at, (net.now.time - begin, result.map(|_| ())));
            }
        }
        if results.len() == count || !net.step(begin + RUN + LONGEST) {
            break;
        }
    }
    let finder = finder.borrow();
    assert!(finder.served.iter().all(|port| *port == 9002), "{:?}", finder.served);
    assert_eq!(net.client.cluster().nodes[&3].host, "broker", "nobody asked for it");
    for (at, group) in finder.groups.iter().enumerate() {
        let text = format!("g{at} {:?}", group.course.bad);
        let (after, result) = results.get(&at).unwrap_or_else(|| panic!("{text}: no outcome"));
        assert!(group.asked <= 40, "{text}: asked {} times", group.asked);
        let Some(bad) = group.course.bad else {
            assert!(result.is_ok() && after.is_zero(), "{text}: {result:?} after {after:?}");
            continue;
        };
        let code = bad.code.unwrap_or(ErrorCode::CoordinatorNotAvailable);
        if code.is_retriable() && !bad.is_lasting() {
            assert!(result.is_ok() && *after <= LONGEST * bad.answers, "{text}: {result:?} after {after:?}");
            continue;
        }
        let error = result.as_ref().unwrap_err();
        assert_eq!(error.code(), Some(code), "{text}: {error}");
        if !code.is_retriable() {
            let context = error.context();
            assert_eq!(context.api, Some(ApiKey::FindCoordinator), "{text}: {error}");
            assert_eq!(context.group.as_deref(), Some(&*format!("g{at}")), "{text}: {error}");
            assert!(after.is_zero(), "{text}: after {after:?}");
        }
    }
}

proptest! {
    #[test]
    fn case_m5_one_bad_key_of_find_coordinator_costs_itself_only(
        version in version(ApiKey::FindCoordinator), groups in items(4), noise in noise(),
    ) {
        check_coordinators(version, groups, noise);
    }
}

fn told_of(coordinators: Vec<Coordinator>) -> FindCoordinatorResponse {
    FindCoordinatorResponse { coordinators, ..Default::default() }
}

fn coordinator(key: &str, node_id: i32, error: ErrorCode) -> Coordinator {
    let error_code = error.code();
    Coordinator {
        key: key.into(),
        node_id,
        host: "broker".into(),
        port: 9000 + node_id,
        error_code,
        ..Default::default()
    }
}

fn find_for(told: Vec<Coordinator>) -> (Option<Result<(), Error>>, Net) {
    let mut net = Net::connected();
    net.coordinator = told_of(told);
    let target = Target::Coordinator(CoordinatorKind::Group, "g".into());
    let call = net.call_of(target, Duration::from_secs(10));
    net.run_for(Duration::from_secs(11));
    (net.client.take_call(call).map(|result| result.map(|_| ())), net)
}

#[test]
fn case_m5_what_is_said_of_another_key_is_not_believed_of_ours() {
    let ours = coordinator("g", 2, ErrorCode::None);
    for other in [
        coordinator("h", 3, ErrorCode::None),
        coordinator("h", 3, ErrorCode::GroupAuthorizationFailed),
        coordinator("", 3, ErrorCode::GroupAuthorizationFailed),
    ] {
        let (result, net) = find_for(vec![other, ours.clone()]);
        assert_eq!((result, net.asked_last()), (Some(Ok(())), 9002));
    }
    let (result, _) = find_for(vec![coordinator("h", 3, ErrorCode::None)]);
    let Some(Err(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.code(), Some(ErrorCode::CoordinatorNotAvailable), "{error}");
}

#[test]
fn case_m5_a_coordinator_that_is_none_is_looked_for_again() {
    let (result, net) = find_for(vec![coordinator("g", -1, ErrorCode::None)]);
    let Some(Err(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.code(), Some(ErrorCode::CoordinatorNotAvailable), "{error}");
    assert!((5..20).contains(&net.log.iter().filter(|(_, api)| *api == ApiKey::FindCoordinator).count()));
}

#[test]
fn case_m5_a_lookup_that_fails_until_the_deadline_says_why() {
    for code in [ErrorCode::CoordinatorLoadInProgress, ErrorCode::NotEnoughReplicas] {
        let (result, _) = find_for(vec![coordinator("g", -1, code)]);
        let Some(Err(error)) = result else { panic!("{result:?}") };
        assert_eq!(error.code(), Some(code), "{error}");
    }
}
