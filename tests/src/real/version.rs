//! Kafka releases, and what each of them needs to run on a current Java.

use std::fmt;
use std::str::FromStr;

use super::LaunchError;

/// A release of Apache Kafka: four numbers up to 0.11, three from 1.0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version([u16; 4]);

/// Who keeps the cluster's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The brokers themselves, each of them a controller too. From 3.3 on.
    Kraft,
    /// One ZooKeeper beside them. Up to 3.9.
    ZooKeeper,
}

/// An artifact in a Maven repository: group, name, version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Artifact(pub(super) &'static str, pub(super) String, pub(super) String);

impl Version {
    /// The releases the launcher was tried with, oldest first. Others are started from an unpacked distribution only.
    pub const KNOWN: &'static [Self] = &[
        v(0, 10, 0, 1),
        v(0, 10, 1, 1),
        v(0, 10, 2, 2),
        v(0, 11, 0, 3),
        v(1, 0, 2, 0),
        v(1, 1, 1, 0),
        v(2, 0, 1, 0),
        v(2, 1, 1, 0),
        v(2, 3, 1, 0),
        v(2, 4, 1, 0),
        v(2, 6, 3, 0),
        v(2, 8, 2, 0),
        v(3, 0, 2, 0),
        v(3, 3, 2, 0),
        v(3, 7, 2, 0),
        v(3, 9, 1, 0),
        v(4, 0, 1, 0),
        v(4, 1, 0, 0),
        v(4, 2, 0, 0),
        v(4, 3, 1, 0),
        v(4, 4, 0, 0),
    ];

    /// The newest of [`Version::KNOWN`].
    pub const NEWEST: Self = v(4, 4, 0, 0);

    /// Whether the release can run in this mode.
    pub fn allows(self, mode: Mode) -> bool {
        match mode {
            Mode::Kraft => self >= v(3, 3, 0, 0),
            Mode::ZooKeeper => self < v(4, 0, 0, 0),
        }
    }

    /// KRaft where the release has it in production quality, else ZooKeeper.
    pub fn default_mode(self) -> Mode {
        if self.allows(Mode::Kraft) { Mode::Kraft } else { Mode::ZooKeeper }
    }

    /// Whether clients can create topics (CreateTopics came with 0.10.1); if not, brokers make them on demand.
    pub fn has_create_topics(self) -> bool {
        self >= v(0, 10, 1, 0)
    }

    /// `min.insync.replicas` as the broker's default. Newer brokers cap it by a topic's replicas; older ones would
    /// refuse every `acks=all` write to a topic of one replica if it were two.
    pub(super) fn min_insync_replicas(self, brokers: u16) -> u16 {
        if brokers >= 3 && self >= v(3, 9, 0, 0) { 2 } else { 1 }
    }

    /// The broker and what its own dependencies leave out or get wrong on a current Java.
    pub(super) fn artifacts(self) -> Vec<Artifact> {
        let mut all = vec![Artifact("org.apache.kafka", format!("kafka_{}", self.scala()), self.to_string())];
        if self >= v(1, 1, 0, 0) {
            // Older ones bring a log binding of their own.
            all.push(artifact("org.slf4j", "slf4j-simple", "1.7.36"));
        }
        if self < v(1, 0, 0, 0) {
            // They use a package that left Java with release 11.
            all.push(artifact("javax.xml.bind", "jaxb-api", "2.3.1"));
        }
        if (v(2, 0, 0, 0)..v(2, 4, 0, 0)).contains(&self) {
            // Theirs (3.4.13) parses InetSocketAddress.toString(), which Java 14 changed, and never connects.
            all.push(artifact("org.apache.zookeeper", "zookeeper", "3.4.10"));
        }
        all
    }

    fn scala(self) -> &'static str {
        if self >= v(2, 6, 0, 0) {
            "2.13"
        } else if self >= v(0, 10, 2, 0) {
            "2.12"
        } else {
            "2.11"
        }
    }
}

const fn v(a: u16, b: u16, c: u16, d: u16) -> Version {
    Version([a, b, c, d])
}

fn artifact(group: &'static str, name: &str, version: &str) -> Artifact {
    Artifact(group, name.to_owned(), version.to_owned())
}

impl FromStr for Version {
    type Err = LaunchError;

    fn from_str(text: &str) -> Result<Self, LaunchError> {
        let unknown = || LaunchError::unknown_version(text);
        let parts: Vec<u16> =
            text.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| unknown())?;
        let version = match parts[..] {
            [0, b, c, d] => v(0, b, c, d),
            [a, b, c] if a > 0 => v(a, b, c, 0),
            _ => return Err(unknown()),
        };
        let supported = v(0, 10, 0, 0)..v(5, 0, 0, 0);
        if supported.contains(&version) { Ok(version) } else { Err(unknown()) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a}.{b}.{c}")?;
        if a == 0 { write!(f, ".{d}") } else { Ok(()) }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kraft => "kraft",
            Self::ZooKeeper => "zookeeper",
        })
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "kraft" => Ok(Self::Kraft),
            "zookeeper" => Ok(Self::ZooKeeper),
            other => Err(format!("{other:?} is neither kraft nor zookeeper")),
        }
    }
}
