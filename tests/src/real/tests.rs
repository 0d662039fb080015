//! What needs neither Java nor Maven.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use scratch::Scratch;

use super::config::{BrokerConfig, stamp, zoo_cfg};
use super::launch::random_id;
use super::version::Artifact;
use super::*;

fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

mod scratch;
mod starts;

mod versions {
    use super::*;

    #[test]
    fn read_as_they_print() {
        for known in Version::KNOWN {
            assert_eq!(version(&known.to_string()), *known);
        }
        assert!(Version::KNOWN.is_sorted());
        assert_eq!(Version::KNOWN.last(), Some(&Version::NEWEST));
        assert!(version("0.10.2.2") < version("0.11.0.0") && version("2.8.2") < version("2.10.0"));
    }

    #[test]
    fn unknown_ones_are_refused() {
        for bad in ["", "4", "4.4", "4.4.0.1", "0.10.2", "0.9.0.1", "5.0.0", "4.4.x", "4.4.-1", "99999.0.0"] {
            let error = bad.parse::<Version>().expect_err(bad).to_string();
            assert!(error.contains(&format!("{bad:?}")) && error.contains("2.8.2"), "{error}");
        }
    }

    #[test]
    fn modes_follow_the_release() {
        let default = |text| version(text).default_mode();
        assert_eq!((default("3.0.2"), default("3.3.2")), (Mode::ZooKeeper, Mode::Kraft));
        assert!(version("3.9.1").allows(Mode::ZooKeeper) && !version("4.0.1").allows(Mode::ZooKeeper));
        assert!(!version("2.8.2").allows(Mode::Kraft));
    }

    #[test]
    fn artifacts_add_what_the_release_lacks() {
        let names = |text| {
            let all = version(text).artifacts();
            all.into_iter().map(|Artifact(_, name, version)| format!("{name}:{version}")).collect::<Vec<_>>()
        };
        assert_eq!(names("4.4.0"), ["kafka_2.13:4.4.0", "slf4j-simple:1.7.36"]);
        assert_eq!(names("2.1.1"), ["kafka_2.12:2.1.1", "slf4j-simple:1.7.36", "zookeeper:3.4.10"]);
        assert_eq!(names("1.0.2"), ["kafka_2.12:1.0.2"]);
        assert_eq!(names("0.10.1.1"), ["kafka_2.11:0.10.1.1", "jaxb-api:2.3.1"]);
    }
}

mod ports {
    use super::*;

    #[test]
    fn of_a_block_are_apart() {
        let ports = Ports::new(19_100).expect("a block");
        let mut all: Vec<u16> = (1..=3).flat_map(|id| [ports.broker(id), ports.controller(id)]).collect();
        all.push(ports.zookeeper());
        all.sort_unstable();
        assert_eq!(all, (19_100..=19_106).collect::<Vec<_>>());
    }

    #[test]
    fn out_of_range_are_refused() {
        for base in [0, 1023, 65_517, u16::MAX] {
            assert!(matches!(Ports::new(base), Err(LaunchError::PortRange(found)) if found == base));
        }
        let last = Ports::new(65_516).expect("the last block");
        assert_eq!(last.zookeeper(), 65_522);
    }

    #[test]
    fn claimed_are_claimed_once() {
        let claim = Ports::claim_any(&[]).expect("a free block");
        assert!(matches!(claim.ports.claim(), Err(LaunchError::PortTaken { .. })));
        let other = Ports::claim_any(&[]).expect("another block");
        assert!(!other.ports.overlaps(claim.ports));
    }

    #[test]
    fn of_clusters_that_are_down_are_left_alone() {
        let claim = Ports::claim_any(&[]).expect("a free block");
        let ports = claim.ports;
        drop(claim);
        // A base in the middle of the block overlaps it as well.
        let described = Ports::new(ports.base() + 7).expect("a block");
        assert!(!Ports::claim_any(&[described]).expect("another block").ports.overlaps(described));
    }

    #[test]
    fn taken_by_others_are_named() {
        let squatter = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let taken = squatter.local_addr().expect("its address").port();
        let ports = Ports::new(taken - 6).expect("a block around it");
        match ports.claim() {
            // Others may have ports of the block too.
            Err(LaunchError::PortTaken { port }) => {
                assert!((ports.base()..ports.base() + 20).contains(&port))
            }
            other => panic!("{other:?}"),
        }
    }
}

mod configuration {
    use super::*;

    fn properties(text: &str, brokers: u16, id: u16, extra: &[(String, String)]) -> Vec<String> {
        let version = version(text);
        let mode = version.default_mode();
        let ports = Ports::new(19_100).expect("a block");
        let config = BrokerConfig { version, mode, brokers, ports, id, data: Path::new("/d"), extra };
        config.properties().lines().map(str::to_owned).collect()
    }

    fn has(lines: &[String], line: &str) -> bool {
        lines.iter().any(|found| found == line)
    }

    #[test]
    fn of_kraft_names_all_voters() {
        let lines = properties("4.4.0", 3, 2, &[]);
        for line in [
            "process.roles=broker,controller",
            "node.id=2",
            "controller.quorum.voters=1@127.0.0.1:19103,2@127.0.0.1:19104,3@127.0.0.1:19105",
            "listeners=PLAINTEXT://127.0.0.1:19101,CONTROLLER://127.0.0.1:19104",
            "advertised.listeners=PLAINTEXT://127.0.0.1:19101",
            "broker.session.timeout.ms=2000",
            "offsets.topic.replication.factor=3",
            "transaction.state.log.min.isr=2",
            "min.insync.replicas=2",
            "auto.create.topics.enable=false",
            "log.dirs=/d",
        ] {
            assert!(has(&lines, line), "{line} is missing in {lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.starts_with("zookeeper") || line.starts_with("broker.id")));
    }

    #[test]
    fn of_old_brokers_points_to_zookeeper() {
        let lines = properties("2.8.2", 3, 3, &[]);
        for line in
            ["broker.id=3", "zookeeper.connect=127.0.0.1:19106", "listeners=PLAINTEXT://127.0.0.1:19102"]
        {
            assert!(has(&lines, line), "{line} is missing in {lines:#?}");
        }
        // They would refuse writes to topics of one replica.
        assert!(has(&lines, "min.insync.replicas=1"));
        assert!(!lines.iter().any(|line| line.contains("CONTROLLER")));
    }

    #[test]
    fn allows_one_broker_alone() {
        let lines = properties("4.4.0", 1, 1, &[]);
        assert!(has(&lines, "min.insync.replicas=1") && has(&lines, "transaction.state.log.min.isr=1"));
    }

    #[test]
    fn makes_topics_on_demand_only_where_nothing_else_can() {
        assert!(has(&properties("0.10.0.1", 1, 1, &[]), "auto.create.topics.enable=true"));
        assert!(has(&properties("0.10.1.1", 1, 1, &[]), "auto.create.topics.enable=false"));
    }

    #[test]
    fn ends_with_the_users_own_lines() {
        let extra = [("num.io.threads".to_owned(), "9".to_owned())];
        let lines = properties("4.4.0", 1, 1, &extra);
        assert_eq!(lines.last().map(String::as_str), Some("num.io.threads=9"));
    }

    #[test]
    fn of_zookeeper_listens_on_loopback() {
        let text = zoo_cfg(Path::new("/d"), Ports::new(19_100).expect("a block"));
        assert!(
            text.contains("clientPort=19106\nclientPortAddress=127.0.0.1\n") && text.contains("dataDir=/d\n")
        );
    }

    #[test]
    fn of_a_copied_log_folder_gets_its_own_identity() {
        let meta = "#\n#Mon Jan 01\nversion=1\ndirectory.id=old\nnode.id=1\ncluster.id=old\n";
        let stamped = stamp(meta, 3, "C", "D");
        assert_eq!(stamped, "#\n#Mon Jan 01\nversion=1\ndirectory.id=D\nnode.id=3\ncluster.id=C\n");
    }

    #[test]
    fn ids_differ_and_have_kafkas_length() {
        let (one, two) = (random_id(22), random_id(22));
        assert!(one != two && one.len() == 22 && one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}

mod probing {
    use super::*;

    /// A Metadata v1 response of two brokers, the second without a rack, and what follows them.
    const ANSWER: &[u8] = b"\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\x01h\0\0\x23\x84\0\x01r\0\0\0\x02\0\x01h\0\0\x23\x85\xff\xff\0\0\0\x01\0\0\0\0";

    #[test]
    fn reads_the_brokers() {
        assert_eq!(probe::listed(ANSWER), Some(vec![1, 2]));
    }

    #[test]
    fn refuses_what_is_cut_off_or_not_for_us() {
        for length in 0..35 {
            assert_eq!(probe::listed(&ANSWER[..length]), None, "{length} bytes");
        }
        assert_eq!(probe::listed(b"\0\0\0\x02\0\0\0\0"), None, "another correlation id");
        assert_eq!(probe::listed(b"\0\0\0\x01\x7f\xff\xff\xff"), None, "more brokers than bytes");
    }

    /// Serves one connection: what was asked, after `length` bytes of it were read.
    fn serve(length: usize, answer: Vec<u8>) -> (std::net::SocketAddr, std::thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut asked = vec![0; length];
            stream.read_exact(&mut asked).expect("a request");
            stream.write_all(&answer).expect("an answer");
            asked
        });
        (address, server)
    }

    #[test]
    fn asks_in_one_frame_and_reads_one() {
        let frame = [&(ANSWER.len() as u32).to_be_bytes(), ANSWER].concat();
        let (address, server) = serve(18, frame);
        assert_eq!(probe::brokers(address).expect("an answer"), [1, 2]);
        let asked = server.join().expect("the server");
        assert_eq!(asked[..8], [0, 0, 0, 14, 0, 3, 0, 1], "14 bytes of Metadata v1");
    }

    #[test]
    fn allocates_no_absurd_length() {
        let (address, _server) = serve(18, b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
        let error = probe::brokers(address).expect_err("not Kafka");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    }

    #[test]
    fn finds_a_registration_in_zookeepers_dump() {
        let dump = b"Sessions with Ephemerals (1):\n0x1:\n\t/controller\n\t/brokers/ids/12\n".to_vec();
        let (address, _server) = serve(4, dump.clone());
        assert!(probe::registered(address, 12).expect("a dump"));
        let (address, _server) = serve(4, dump);
        assert!(!probe::registered(address, 1).expect("a dump"));
    }
}

mod caches {
    use super::*;

    #[test]
    fn are_found_by_the_variables() {
        let from = |vars: &[(&str, &str)]| {
            let find = |name: &str| vars.iter().find(|(var, _)| *var == name).map(|(_, value)| value.into());
            Cache::from_vars(find)
        };
        let all = [("HOME", "/h"), ("XDG_CACHE_HOME", "/x"), ("KAFKA_CACHE", "/k")];
        assert_eq!(from(&all), Cache::new("/k"));
        assert_eq!(from(&all[..2]), Cache::new("/x/kafka-testkit"));
        assert_eq!(from(&all[..1]), Cache::new("/h/.cache/kafka-testkit"));
    }

    fn info(text: &str) -> Result<ClusterInfo, String> {
        ClusterInfo::parse("c", "/c".into(), text)
    }

    #[test]
    fn describe_clusters_as_they_read_them() {
        let text = "version=2.8.2\nmode=zookeeper\nbrokers=3\nport=19100\n";
        let cluster = info(text).expect("a description");
        assert_eq!(cluster.to_text(), text);
        assert_eq!(cluster.bootstrap(), "127.0.0.1:19100,127.0.0.1:19101,127.0.0.1:19102");
        let processes = cluster.processes();
        let names: Vec<&str> = processes.iter().map(|process| process.name.as_str()).collect();
        assert_eq!(names, ["zookeeper", "broker 1", "broker 2", "broker 3"]);
        assert!(processes.iter().all(|process| process.pid.is_none()));
    }

    #[test]
    fn say_what_is_damaged() {
        for (text, why) in [
            ("", "brokers"),
            ("version=4.4.0\nmode=kraft\nbrokers=9\nport=19100", "brokers"),
            ("version=4.4.0\nmode=raft\nbrokers=1\nport=19100", "raft"),
            ("version=4.4.0\nmode=kraft\nbrokers=1\nport=1", "port"),
            ("version=none\nmode=kraft\nbrokers=1\nport=19100", "none"),
        ] {
            let error = info(text).expect_err(text);
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn list_clusters_and_say_which_there_are() {
        let scratch = Scratch::new("list");
        let cache = scratch.cache();
        assert!(cache.clusters().expect("no clusters").is_empty());
        let error = cache.cluster("a").expect_err("nothing there").to_string();
        assert!(error.contains("there are none"), "{error}");
        for name in ["b", "a"] {
            fs::create_dir_all(cache.cluster_dir(name)).expect("a folder");
            let text = "version=4.4.0\nmode=kraft\nbrokers=1\nport=19100\n";
            fs::write(cache.cluster_dir(name).join("cluster"), text).expect("a description");
        }
        fs::create_dir_all(cache.cluster_dir("half-made")).expect("a folder");
        let names: Vec<_> = cache.clusters().expect("two").into_iter().map(|cluster| cluster.name).collect();
        assert_eq!(names, ["a", "b"]);
        let error = RealCluster::open(&cache, "c").expect_err("no c").to_string();
        assert!(error.contains("a, b"), "{error}");
    }
}

mod fetching {
    use super::*;

    #[test]
    fn reads_mavens_progress() {
        let line = "Downloaded from central: https://host/maven2/a/b/1/b-1.jar (12 kB at 3 kB/s)";
        assert_eq!(jars::downloaded(line), Some("b-1.jar"));
        assert_eq!(jars::downloaded(&format!("[INFO] {line}")), Some("b-1.jar"));
        assert_eq!(jars::downloaded("Downloading from central: https://host/b-1.jar"), None);
        assert_eq!(jars::downloaded("Downloaded from"), None);
    }

    #[test]
    fn lists_jars_in_order_without_the_slow_log() {
        let scratch = Scratch::new("jars");
        let home =
            scratch.home(&["b.jar", "log4j-core-2.25.5.jar", "a.jar", "NOTICE", "log4j-api-2.25.5.jar"]);
        let jars = jars::class_path(&home.join("libs")).expect("jars");
        let names: Vec<_> = jars.iter().map(|jar| jar.file_name().expect("a name")).collect();
        assert_eq!(names, ["a.jar", "b.jar", "log4j-api-2.25.5.jar"]);
    }

    #[test]
    fn keeps_what_maven_brings_and_says_so() {
        let scratch = Scratch::new("maven");
        // Brings one jar to the folder that its last argument names.
        let script = "for arg; do last=$arg; done; dir=${last#-DoutputDirectory=}; mkdir -p \"$dir\"; \
            echo 'Downloaded from central: https://host/kafka.jar (1 kB)'; touch \"$dir/kafka.jar\"";
        let maven = scratch.program("mvn", script);
        let mut steps = Vec::new();
        let mut progress = |step: Progress<'_>| steps.push(format!("{step:?}"));
        let newest = Version::NEWEST;
        let libs = jars::from_maven(&scratch.cache(), newest, Some(&maven), &mut progress).expect("jars");
        assert!(libs.join("kafka.jar").is_file());
        assert!(
            steps.len() == 2 && steps[1].contains("kafka.jar") && steps[1].contains("files: 1"),
            "{steps:?}"
        );
        // They are there now; no Maven is needed.
        let nowhere = Path::new("/nonexistent/mvn");
        jars::from_maven(&scratch.cache(), newest, Some(nowhere), &mut |_| {}).expect("jars kept");
    }
}
