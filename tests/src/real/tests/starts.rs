//! Processes, refusals, and starts that fail; Java and Maven are played by shell scripts.

use std::fs;
use std::path::PathBuf;
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

use super::scratch::Scratch;
use super::version;
use crate::real::launch::Plan;
use crate::real::node::{Node, signal};
use crate::real::*;

mod processes {
    use super::*;

    /// A process that names its folder, as brokers do, and does nothing.
    fn idle(node: &Node) -> process::Child {
        fs::create_dir_all(node.dir()).expect("a folder");
        let command = ["sh", "-c", "while :; do sleep 1; done", "idle"].map(Into::into);
        let command = [&command[..], &[node.dir().into()]].concat();
        node.spawn(&command, Stdio::null()).expect("a process")
    }

    fn eventually(what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn are_known_by_pid_and_folder() {
        let scratch = Scratch::new("pid");
        let node = Node::new(scratch.0.join("1"));
        assert_eq!(node.pid(), None);
        let mut child = idle(&node);
        assert_eq!(node.pid(), Some(child.id()));
        // Another process that got the same number is none of ours.
        let other = Node::new(scratch.0.join("2"));
        fs::create_dir_all(other.dir()).expect("a folder");
        fs::write(other.dir().join("pid"), child.id().to_string()).expect("a pid");
        assert_eq!(other.pid(), None);
        signal("KILL", &[child.id()]).expect("a signal");
        eventually("the killed process is known as gone, waited for or not", || node.pid().is_none());
        child.wait().expect("its end");
        // Each is looked at while it is still being made, when it may look like its parent.
        for _ in 0..100 {
            let mut child = node.again().expect("the same process again");
            assert_eq!(node.pid(), Some(child.id()));
            child.kill().and_then(|()| child.wait().map(drop)).expect("its end");
        }
    }

    #[test]
    fn leave_the_end_of_their_log() {
        let scratch = Scratch::new("log");
        let node = Node::new(scratch.0.clone());
        assert!(node.log_tail().starts_with("(no log"));
        let lines: String = (1..=5000).map(|line| format!("line {line}\n")).collect();
        fs::write(node.log(), lines).expect("a log");
        let tail = node.log_tail();
        assert!(tail.starts_with("line 4981\n") && tail.ends_with("line 5000"), "{tail}");
    }

    #[test]
    fn end_with_their_owner() {
        let scratch = Scratch::new("reaper");
        let folder = scratch.0.join("cluster");
        let node = Node::new(folder.join("1"));
        let mut child = idle(&node);
        let reaper = reaper::Reaper::watch(&folder).expect("a reaper");
        assert!(node.pid().is_some());
        drop(reaper); // as if this process had ended: the pipe closes
        child.wait().expect("its end");
        eventually("the folder goes too", || !folder.exists());
    }

    #[test]
    fn outlive_their_owner_once_dismissed() {
        let scratch = Scratch::new("dismiss");
        let node = Node::new(scratch.0.join("cluster/1"));
        let mut child = idle(&node);
        reaper::Reaper::watch(&scratch.0.join("cluster")).expect("a reaper").dismiss();
        assert_eq!(node.pid(), Some(child.id()));
        child.kill().and_then(|()| child.wait().map(drop)).expect("its end");
    }
}

mod refusals {
    use super::*;

    fn refused(builder: Builder) -> LaunchError {
        builder.start().expect_err("a refusal")
    }

    #[test]
    fn come_before_anything_is_fetched() {
        let scratch = Scratch::new("refusals");
        let builder = || scratch.builder().java("/nonexistent/java").maven("/nonexistent/mvn");
        assert!(matches!(refused(builder().version("7")), LaunchError::UnknownVersion { .. }));
        assert!(matches!(refused(builder().version("3.9.99")), LaunchError::UnknownVersion { .. }));
        let old = builder().version("2.8.2").mode(Mode::Kraft);
        assert!(matches!(refused(old), LaunchError::ModeUnavailable { .. }));
        assert!(matches!(refused(builder().version("4.4.0").brokers(2)), LaunchError::BrokerCount(2)));
        for name in ["", "..", "a/b", "a b", &"x".repeat(61)] {
            assert!(
                matches!(refused(builder().version("4.4.0").name(name)), LaunchError::BadName(_)),
                "{name}"
            );
        }
        assert!(matches!(refused(builder().version("4.4.0").port(80)), LaunchError::PortRange(80)));
        assert!(!scratch.0.join("cache").exists());
    }

    #[test]
    fn say_which_program_is_missing() {
        let scratch = Scratch::new("missing");
        let error = refused(scratch.builder().version("4.4.0").java("/nonexistent/java"));
        assert!(matches!(&error, LaunchError::JavaMissing { tried } if tried.contains("/nonexistent/java")));
        assert!(error.to_string().contains("openjdk-17"), "{error}");
        let java = scratch.program("java", "exit 1");
        let error = refused(scratch.builder().version("4.4.0").java(java).maven("/nonexistent/mvn"));
        assert!(matches!(error, LaunchError::MavenMissing { version, .. } if version == Version::NEWEST));
    }

    #[test]
    fn pass_on_what_maven_said() {
        let scratch = Scratch::new("maven-fails");
        let java = scratch.program("java", "exit 1");
        let maven = scratch.program("mvn", "echo '[INFO] chat'; echo '[ERROR] no such artifact'; exit 1");
        match refused(scratch.builder().version("4.4.0").java(java).maven(maven)) {
            LaunchError::MavenFailed { output, .. } => assert_eq!(output, "[ERROR] no such artifact"),
            other => panic!("{other:?}"),
        }
        // Nothing is left that would pass for the jars.
        assert!(!scratch.cache().jars_dir(Version::NEWEST).exists());
    }

    #[test]
    fn tell_distributions_from_other_folders() {
        let scratch = Scratch::new("home");
        let error = refused(scratch.builder().home(&scratch.0));
        assert!(matches!(error, LaunchError::BadHome { .. }));
        let home = scratch.home(&["kafka_2.13-3.8.1.jar", "zookeeper-3.8.4.jar"]);
        let error = refused(scratch.builder().home(&home).version("4.4.0"));
        assert!(matches!(error, LaunchError::HomeVersion { found, .. } if found == version("3.8.1")));
        // A release that is not in the table, but at hand.
        assert_eq!(scratch.builder().home(&home).release().expect("a release"), version("3.8.1"));
        // The variable is a suggestion: it does not keep other releases from being started.
        let mut suggested = scratch.builder();
        suggested.env_home = Some(home);
        assert_eq!(suggested.release().expect("a release"), version("3.8.1"));
        assert_eq!(suggested.version("2.8.2").release().expect("a release"), version("2.8.2"));
    }

    #[test]
    fn tell_an_old_java_from_a_broken_start() {
        let scratch = Scratch::new("java");
        let home = scratch.home(&["kafka_2.13-4.4.0.jar"]);
        let start = |script| refused(scratch.builder().home(&home).java(scratch.program("java", script)));
        let error = start("echo java.lang.UnsupportedClassVersionError: kafka/Kafka >&2; exit 1");
        assert!(matches!(error, LaunchError::JavaTooOld { .. }), "{error}");
        let error = start("echo out of luck >&2; exit 1");
        assert!(matches!(&error, LaunchError::Died { log, .. } if log == "out of luck"), "{error}");
    }

    #[test]
    fn leave_nothing_behind() {
        let scratch = Scratch::new("nothing-left");
        let home = scratch.home(&["kafka_2.12-2.8.2.jar"]);
        let java = scratch.program("java", "echo no ZooKeeper today; exit 3");
        match refused(scratch.builder().home(home).java(java)) {
            LaunchError::Died { process, log } => {
                assert_eq!((process.as_str(), log.as_str()), ("zookeeper", "no ZooKeeper today"));
            }
            other => panic!("{other:?}"),
        }
        let left = |dir: &str| fs::read_dir(scratch.0.join("cache").join(dir)).map_or(0, Iterator::count);
        assert_eq!((left("run"), left("tmp")), (0, 0));
    }

    #[test]
    fn guard_a_name_in_use() {
        let scratch = Scratch::new("name");
        let cache = scratch.cache();
        let folder = cache.cluster_dir("mine");
        fs::create_dir_all(&folder).expect("a folder");
        // Somebody is just starting it: there is an owner, and no broker yet.
        let _reaper = reaper::Reaper::watch(&folder).expect("a reaper");
        let jvm = java::Jvm {
            java: scratch.program("java", "exit 1"),
            jars: Vec::new(),
            log4j: PathBuf::new(),
            heap_mib: 64,
            archive: java::Archive::None,
        };
        let plan = Plan {
            cache: &cache,
            name: "mine".to_owned(),
            version: Version::NEWEST,
            mode: Mode::Kraft,
            brokers: 1,
            port: None,
            jvm: &jvm,
            template: None,
            properties: &[],
            features: &[],
            timeout: Duration::from_secs(1),
        };
        assert!(matches!(plan.launch(), Err(LaunchError::NameTaken { name }) if name == "mine"));
        assert!(folder.exists());
    }
}

mod steering {
    use super::*;

    #[test]
    fn names_brokers_that_are_not_there() {
        let text = "version=4.4.0\nmode=kraft\nbrokers=3\nport=19100\n";
        let info = ClusterInfo::parse("c", "/nonexistent".into(), text).expect("a description");
        let cluster = RealCluster::new(info, "java".into(), None, Duration::from_secs(1));
        for id in [0, 4] {
            assert!(matches!(cluster.kill(id), Err(LaunchError::NoSuchBroker { brokers: 3, .. })));
            assert!(matches!(cluster.restart(id), Err(LaunchError::NoSuchBroker { brokers: 3, .. })));
        }
        assert!(matches!(cluster.kill(2), Err(LaunchError::BrokerNotRunning(2))));
    }
}
