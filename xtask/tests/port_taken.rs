//! `xtask broker` on a port that is taken.
#![cfg(feature = "tools")]

use std::net::TcpListener;
use std::process::Command;

#[test]
fn a_port_that_is_taken_is_named_and_ends_with_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let broker = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["broker", "--port", &port.to_string()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&broker.stderr);
    assert_eq!(broker.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("cannot listen on port {port}")), "{told}");
    assert!(told.contains("in use"), "the reason of the system is missing: {told}");
}
