//! The examples as they are run: the programs that `cargo test` has built beside this one.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests run programs and stand in for a broker"
)]

use kafka_proto::frame;
use kafka_proto::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use kafka_proto::records::{BatchBuilder, ProducerStamp};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

/// `target/PROFILE/examples/NAME`, as this test is `target/PROFILE/deps/examples-HASH`.
fn example(name: &str) -> Command {
    let this = std::env::current_exe().unwrap();
    let folder: PathBuf = this.parent().and_then(|deps| deps.parent()).unwrap().join("examples");
    Command::new(folder.join(name))
}

fn run(mut command: Command, input: &[u8]) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("`cargo build --examples` first, as `cargo test` does");
    // One that does not like its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn decode(args: &[&str], input: &[u8]) -> Result<String, String> {
    let mut command = example("decode");
    command.args(args);
    let Output { status, stdout, stderr } = run(command, input);
    if status.success() {
        Ok(String::from_utf8(stdout).unwrap())
    } else {
        Err(String::from_utf8(stderr).unwrap())
    }
}

fn api_versions() -> ApiVersionsResponse {
    let api = ApiVersion { api_key: 3, min_version: 0, max_version: 13, ..Default::default() };
    ApiVersionsResponse { api_keys: vec![api], ..Default::default() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x} ")).collect()
}

#[test]
fn decode_shows_what_is_raw_what_is_hexadecimal_and_what_is_framed() {
    let framed = frame::encode_response(7, 0, &api_versions().into()).unwrap().concat();
    // After the length and the correlation id.
    let body = &framed[8..];
    let shown = decode(&["--response", "ApiVersions", "0"], body).unwrap();
    assert!(shown.contains("\"maxVersion\": 13"), "{shown}");
    assert_eq!(decode(&["--response", "ApiVersions", "0"], hex(body).as_bytes()).unwrap(), shown);
    assert_eq!(decode(&["ApiVersionsResponse", "0"], body).unwrap(), shown);
    let with_header = decode(&["--frame", "--response", "ApiVersions", "0"], &framed).unwrap();
    assert!(with_header.contains("\"correlationId\": 7"), "{with_header}");
    assert!(with_header.ends_with(&shown), "{with_header}");
}

#[test]
fn decode_names_what_is_wrong() {
    let cases: [(&[&str], &str); 5] = [
        (&["--response", "Nothing", "0"], "there is no API"),
        (&["Nothing", "0"], "there is no message"),
        (&["--response", "ApiVersions", "99"], "99"),
        (&["--response", "ApiVersions"], "usage"),
        (&["--response", "ApiVersions", "0"], "ApiVersionsResponse v0: error_code"),
    ];
    for (args, expected) in cases {
        let said = decode(args, b"").unwrap_err();
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn dump_batches_lists_batches_and_records() {
    let mut builder = BatchBuilder::new();
    builder.append(1_000, Some(b"key"), Some(b"value"), &[]).unwrap();
    builder.append(1_001, None, None, &[]).unwrap();
    let batch = builder.finish().seal(ProducerStamp::NONE).into_bytes();
    let file = std::env::temp_dir().join(format!("kafka-proto-dump-{}.log", std::process::id()));
    std::fs::write(&file, [&batch[..], &batch[..20]].concat()).unwrap();
    let mut command = example("dump_batches");
    command.arg(&file);
    let shown = run(command, b"").stdout;
    std::fs::remove_file(&file).unwrap();
    let shown = String::from_utf8(shown).unwrap();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("offsets 0-1 magic 2 "), "{shown}");
    assert_eq!(lines[1..3], ["  0 at 1000: key = value", "  1 at 1001: null = null"], "{shown}");
    assert_eq!(lines[3], "20 bytes are left over", "{shown}");
}

#[test]
fn mitm_prints_and_passes_on_what_both_sides_say() {
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = example("mitm");
    command.args(["127.0.0.1:0", &broker.local_addr().unwrap().to_string()]).stdout(Stdio::piped());
    let mut mitm = KilledOnDrop(command.spawn().unwrap());
    let mut lines = BufReader::new(mitm.0.stdout.take().unwrap()).lines();
    let listening = lines.next().unwrap().unwrap();

    let request =
        frame::encode_request(5, Some("me"), 0, &ApiVersionsRequest::default().into()).unwrap().concat();
    let response = frame::encode_response(5, 0, &api_versions().into()).unwrap().concat();
    let (asked, answered) = (request.clone(), response.clone());
    let broker = thread::spawn(move || {
        let mut stream = broker.accept().unwrap().0;
        assert_eq!(read(&mut stream, asked.len()), asked);
        stream.write_all(&answered).unwrap();
        stream.read(&mut [0]).unwrap()
    });
    let mut client = TcpStream::connect(listening.rsplit(' ').next().unwrap()).unwrap();
    client.write_all(&request).unwrap();
    assert_eq!(read(&mut client, response.len()), response);
    assert!(lines.next().unwrap().unwrap().starts_with("-> 5 v0 ApiVersions("));
    assert!(lines.next().unwrap().unwrap().starts_with("<- 5 v0 ApiVersions("));
    drop(client);
    assert_eq!(broker.join().unwrap(), 0, "the broker is told that the client has gone");
}

fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
