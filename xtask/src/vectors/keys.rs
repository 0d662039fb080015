//! The partitions of keys, and SCRAM exchanges.

use kafka_core::internal::scram::{ClientFirst, Credentials, Mechanism, keys};
use kafka_core::internal::{murmur2, murmur2_partition};
use serde_json::Value;

use super::{hex_member, member};

pub(super) fn check_placement(vector: &Value) -> Result<(), String> {
    let key = hex_member(vector, "keyHex")?;
    let hash = member(vector, "murmur2", Value::as_i64)?;
    same("murmur2", i64::from(murmur2(&key)), hash)?;
    for (count, partition) in member(vector, "partition", Value::as_object)? {
        let count: i32 = count.parse().map_err(|_| format!("`{count}` is no number of partitions"))?;
        let partition = partition.as_i64().ok_or("a partition is no number")?;
        same(&format!("of {count} partitions"), i64::from(murmur2_partition(&key, count)), partition)?;
    }
    Ok(())
}

pub(super) fn check_scram(vector: &Value) -> Result<(), String> {
    let text = |name: &str| member(vector, name, Value::as_str);
    let mechanism = match text("mechanism")? {
        "SCRAM-SHA-256" => Mechanism::Sha256,
        "SCRAM-SHA-512" => Mechanism::Sha512,
        other => return Err(format!("the mechanism `{other}` is unknown")),
    };
    let (username, password) = (text("username")?.to_owned(), text("password")?.to_owned());
    let token = member(vector, "tokenAuth", Value::as_bool)?;

    let iterations = member(vector, "iterations", |v| v.as_u64().and_then(|n| u32::try_from(n).ok()))?;
    let made = keys(mechanism, password.as_bytes(), &hex_member(vector, "saltHex")?, iterations);
    same("salted password", made.salted_password, hex_member(vector, "saltedPasswordHex")?)?;
    same("client key", made.client_key, hex_member(vector, "clientKeyHex")?)?;
    same("stored key", made.stored_key, hex_member(vector, "storedKeyHex")?)?;
    same("server key", made.server_key, hex_member(vector, "serverKeyHex")?)?;

    let first = ClientFirst::new(mechanism, Credentials { username, password, token }, text("clientNonce")?);
    same("first message", &first.message()[..], text("clientFirst")?.as_bytes())?;
    let last = first.server_first(text("serverFirst")?.as_bytes()).map_err(|e| e.to_string())?;
    same("final message", &last.message()[..], text("clientFinal")?.as_bytes())?;
    same("proof", last.proof(), &hex_member(vector, "clientProofHex")?)?;
    last.server_final(text("serverFinal")?.as_bytes()).map_err(|e| e.to_string())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, theirs: T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: {ours:?} and not {theirs:?}")) }
}
