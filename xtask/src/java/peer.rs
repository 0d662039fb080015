//! The Java processes that answer.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use kafka_testkit::real::RealCluster;

use super::Kind;

/// The newest release.
const NEWEST: &str = "4.4.0";
/// The last one that has the versions which 4.0 took away.
const OLDER: &str = "3.9.1";
/// What a release answers that has no such version.
pub(super) const UNSUPPORTED: &str = "unsupported";

/// One for each program and release.
pub(super) struct Peers {
    messages: Peer,
    older: Peer,
    records: Peer,
}

impl Peers {
    /// Starts them.
    ///
    /// # Errors
    /// Why they cannot be had: no Java, no Maven, no jars.
    pub(super) fn start() -> Result<Self, String> {
        let (newest, older) = (class_path(NEWEST)?, class_path(OLDER)?);
        Ok(Self {
            messages: Peer::start("ReadMessages.java", &newest)?,
            older: Peer::start("ReadMessages.java", &older)?,
            records: Peer::start("ReadRecords.java", &newest)?,
        })
    }

    /// The answers, in the order of the questions.
    pub(super) fn ask(&mut self, kind: Kind, questions: &[Vec<u8>]) -> io::Result<Vec<String>> {
        match kind {
            Kind::Blobs => self.messages.ask(questions),
            Kind::Batches | Kind::Payloads => self.records.ask(questions),
            Kind::Responses => self.ask_both(questions),
        }
    }

    /// What the newest release does not know, the older one is asked.
    fn ask_both(&mut self, questions: &[Vec<u8>]) -> io::Result<Vec<String>> {
        let mut answers = self.messages.ask(questions)?;
        let open = answers.iter_mut().zip(questions).filter(|(answer, _)| *answer == UNSUPPORTED);
        let (places, questions): (Vec<_>, Vec<_>) =
            open.map(|(place, question)| (place, question.clone())).unzip();
        for (place, answer) in places.into_iter().zip(self.older.ask(&questions)?) {
            *place = answer;
        }
        Ok(answers)
    }
}

/// The jars of a release, which Maven brings once.
fn class_path(version: &str) -> Result<OsString, String> {
    let jars = RealCluster::builder().version(version).jars().map_err(|error| error.to_string())?;
    env::join_paths(jars).map_err(|error| error.to_string())
}

fn java() -> PathBuf {
    env::var_os("JAVA_HOME").map_or_else(|| "java".into(), |home| Path::new(&home).join("bin/java"))
}

/// A process that is asked on stdin and answers on stdout. It ends when it is dropped.
struct Peer {
    child: Child,
    stdin: BufWriter<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Peer {
    fn start(program: &str, class_path: &OsString) -> Result<Self, String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/java").join(program);
        let mut child = Command::new(java())
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-cp"])
            .arg(class_path)
            .arg(source)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} cannot be run: {error}", java().display()))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{program} has no pipes"));
        };
        let mut peer = Self { child, stdin: BufWriter::new(stdin), stdout: BufReader::new(stdout) };
        // An empty subscription, or codec and format without bytes: whatever is answered, it works.
        peer.ask(&[vec![1, 1, 2]]).map_err(|error| format!("{program} does not answer: {error}"))?;
        Ok(peer)
    }

    fn ask(&mut self, questions: &[Vec<u8>]) -> io::Result<Vec<String>> {
        let Self { stdin, stdout, .. } = self;
        thread::scope(|scope| {
            let asked = scope.spawn(move || {
                for question in questions {
                    stdin.write_all(&(question.len() as u32).to_be_bytes())?;
                    stdin.write_all(question)?;
                }
                stdin.flush()
            });
            let answers = questions.iter().map(|_| answer(stdout)).collect();
            asked.join().map_err(|_| io::Error::other("the writing thread ended"))??;
            answers
        })
    }
}

fn answer(stdout: &mut impl Read) -> io::Result<String> {
    let mut len = [0; 4];
    stdout.read_exact(&mut len)?;
    let mut text = Vec::new();
    stdout.take(u32::from_be_bytes(len).into()).read_to_end(&mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
