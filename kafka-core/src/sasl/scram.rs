//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677) as Kafka speaks them (KIP-84).
//!
//! Kafka does no SASLprep and no channel binding: passwords are taken as UTF-8 as they are.
//!
//! Invariants
//! * The server's proof of the password is checked before the exchange counts as done.
//! * Neither password nor keys are in `Debug` output; they are overwritten by nothing, as the standard library has no
//!   way to do so without unsafe code.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use kafka_proto::Bytes;
use sha2::{Digest, Sha256, Sha512};
use std::fmt;

/// Fewer iterations are too few for a password (RFC 7677, section 4).
const MIN_ITERATIONS: u32 = 4096;
/// More would be an attack on the client's time: Kafka's default is 4,096, brokers allow up to 16,384.
const MAX_ITERATIONS: u32 = 1 << 20;

/// The hash of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

/// Who wants in.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name, or a delegation token's id.
    pub username: String,
    /// The password, or the token's HMAC in base64.
    pub password: String,
    /// Whether it is a delegation token (KIP-48).
    pub token: bool,
}

/// An exchange failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// The broker's message is not one of the protocol's.
    #[error("the broker's SCRAM message is malformed: {0}")]
    Malformed(&'static str),
    /// The broker's nonce does not begin with ours: the answer is to another exchange.
    #[error("the broker's SCRAM nonce does not continue ours")]
    Nonce,
    /// The broker wants fewer iterations than are safe, or more than are sane.
    #[error("the broker wants {0} SCRAM iterations; {MIN_ITERATIONS} to {MAX_ITERATIONS} are taken")]
    Iterations(u32),
    /// The broker refused, in its own words (`invalid-proof`, `unknown-user`, ...).
    #[error("the broker refused the SCRAM exchange: {0}")]
    Refused(String),
    /// The broker could not prove that it knows the password: it is not the one it says it is.
    #[error("the broker's SCRAM signature is wrong: it does not know the password")]
    Signature,
}

/// What is computed of a password on the way; the names are the RFC's.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "named by RFC 5802, section 3")]
pub struct Keys {
    pub salted_password: Vec<u8>,
    pub client_key: Vec<u8>,
    pub stored_key: Vec<u8>,
    pub server_key: Vec<u8>,
}

/// The exchange before the broker's first message.
#[derive(Clone, Debug)]
#[must_use = "an exchange has three messages"]
pub struct ClientFirst {
    mechanism: Mechanism,
    credentials: Credentials,
    nonce: String,
    bare: String,
}

/// The exchange before the broker's last message.
#[derive(Clone)]
#[must_use = "the broker's last message is its proof"]
pub struct ClientFinal {
    message: String,
    proof: Vec<u8>,
    server_signature: Vec<u8>,
}

impl ClientFirst {
    /// Begins an exchange. The nonce must be new and hard to guess: printable ASCII without a comma.
    pub fn new(mechanism: Mechanism, credentials: Credentials, nonce: impl Into<String>) -> Self {
        let nonce = nonce.into();
        let extension = if credentials.token { ",tokenauth=true" } else { "" };
        let bare = format!("n={},r={nonce}{extension}", escape(&credentials.username));
        Self { mechanism, credentials, nonce, bare }
    }

    /// The message to send.
    pub fn message(&self) -> Bytes {
        Bytes::from(format!("n,,{}", self.bare))
    }

    /// Reads the broker's first message.
    ///
    /// # Errors
    /// It is not one, belongs to another exchange, or asks for too few or too many iterations.
    pub fn server_first(self, message: &[u8]) -> Result<ClientFinal, ScramError> {
        let text = std::str::from_utf8(message).map_err(|_| ScramError::Malformed("it is no UTF-8"))?;
        let server = ServerFirst::parse(text)?;
        if !server.nonce.starts_with(&self.nonce) || server.nonce.len() == self.nonce.len() {
            return Err(ScramError::Nonce);
        }
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&server.iterations) {
            return Err(ScramError::Iterations(server.iterations));
        }
        let without_proof = format!("c=biws,r={}", server.nonce);
        let auth_message = format!("{},{text},{without_proof}", self.bare);
        let password = self.credentials.password.as_bytes();
        let keys = keys(self.mechanism, password, &server.salt, server.iterations);
        let signature = hmac(self.mechanism, &keys.stored_key, auth_message.as_bytes());
        let proof: Vec<u8> = keys.client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        Ok(ClientFinal {
            message: format!("{without_proof},p={}", STANDARD.encode(&proof)),
            proof,
            server_signature: hmac(self.mechanism, &keys.server_key, auth_message.as_bytes()),
        })
    }
}

impl ClientFinal {
    /// The message to send.
    pub fn message(&self) -> Bytes {
        Bytes::from(self.message.clone())
    }

    /// The proof that goes along with the message.
    pub fn proof(&self) -> &[u8] {
        &self.proof
    }

    /// Reads the broker's last message, after which the exchange is done.
    ///
    /// # Errors
    /// The broker refused, or does not know the password itself.
    pub fn server_final(self, message: &[u8]) -> Result<(), ScramError> {
        let text = std::str::from_utf8(message).map_err(|_| ScramError::Malformed("it is no UTF-8"))?;
        if let Some(error) = text.strip_prefix("e=") {
            return Err(ScramError::Refused(error.to_owned()));
        }
        let signature = text.strip_prefix("v=").and_then(|v| v.split(',').next());
        let signature = signature.ok_or(ScramError::Malformed("it has neither signature nor error"))?;
        let signature =
            STANDARD.decode(signature).map_err(|_| ScramError::Malformed("its signature is no base64"))?;
        if signature != self.server_signature {
            return Err(ScramError::Signature);
        }
        Ok(())
    }
}

/// `r=nonce,s=salt,i=iterations`, with extensions behind.
struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> ServerFirst<'a> {
    fn parse(text: &'a str) -> Result<Self, ScramError> {
        let mut parts = text.split(',');
        let mut next = |name: &str, problem| {
            parts.next().and_then(|p| p.strip_prefix(name)).ok_or(ScramError::Malformed(problem))
        };
        let nonce = next("r=", "it does not begin with a nonce")?;
        let salt = next("s=", "it has no salt")?;
        let iterations = next("i=", "it has no number of iterations")?;
        let malformed = |problem| move |_| ScramError::Malformed(problem);
        Ok(Self {
            nonce,
            salt: STANDARD.decode(salt).map_err(|_| ScramError::Malformed("its salt is no base64"))?,
            iterations: iterations.parse().map_err(malformed("its number of iterations is none"))?,
        })
    }
}

/// The keys of a password; a broker stores them in place of it.
pub fn keys(mechanism: Mechanism, password: &[u8], salt: &[u8], iterations: u32) -> Keys {
    let salted_password = match mechanism {
        Mechanism::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec(),
        Mechanism::Sha512 => pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec(),
    };
    let client_key = hmac(mechanism, &salted_password, b"Client Key");
    let stored_key = match mechanism {
        Mechanism::Sha256 => Sha256::digest(&client_key).to_vec(),
        Mechanism::Sha512 => Sha512::digest(&client_key).to_vec(),
    };
    let server_key = hmac(mechanism, &salted_password, b"Server Key");
    Keys { salted_password, client_key, stored_key, server_key }
}

fn hmac(mechanism: Mechanism, key: &[u8], data: &[u8]) -> Vec<u8> {
    fn of<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
        // A key of any length will do.
        let Ok(mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
        mac.chain_update(data).finalize().into_bytes().to_vec()
    }
    match mechanism {
        Mechanism::Sha256 => of::<Hmac<Sha256>>(key, data),
        Mechanism::Sha512 => of::<Hmac<Sha512>>(key, data),
    }
}

/// A name must not have what separates the parts of a message.
fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientFinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFinal").finish_non_exhaustive()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn begin() -> ClientFirst {
        let credentials = Credentials { username: "user".into(), password: "pencil".into(), token: false };
        ClientFirst::new(Mechanism::Sha256, credentials, NONCE)
    }

    #[test]
    fn scenario_n9_the_example_of_the_rfc() {
        let first = begin();
        assert_eq!(first.message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let last = first.server_first(SERVER_FIRST.as_bytes()).unwrap();
        // The nonce stands there once, as the server has made it longer.
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(last.message(), format!("c=biws,r={nonce},p={proof}").as_bytes());
        last.server_final(SERVER_FINAL.as_bytes()).unwrap();
    }

    #[test]
    fn scenario_n9_what_separates_is_escaped_and_tokens_say_so() {
        let credentials = Credentials { username: "a=b,c".into(), password: String::new(), token: true };
        let first = ClientFirst::new(Mechanism::Sha512, credentials, "nonce");
        assert_eq!(first.message(), "n,,n=a=3Db=2Cc,r=nonce,tokenauth=true");
    }

    #[test]
    fn scenario_n9_answers_that_are_wrong_are_refused() {
        let first = |text: &str| begin().server_first(text.as_bytes()).unwrap_err();
        assert_eq!(first("r=another,s=AAAA,i=4096"), ScramError::Nonce);
        assert_eq!(first(&format!("r={NONCE},s=AAAA,i=4096")), ScramError::Nonce, "ours alone");
        assert_eq!(first(&format!("r={NONCE}x,s=AAAA,i=1")), ScramError::Iterations(1));
        assert_eq!(first(&format!("r={NONCE}x,s=AAAA,i=4294967295")), ScramError::Iterations(u32::MAX));
        for text in ["", "r=", "s=AAAA", "r=n,s=%,i=1", "r=n,s=AAAA", "r=n,s=AAAA,i=", "r=n,s=AAAA,i=-1"] {
            assert!(matches!(first(text), ScramError::Malformed(_)), "{text}");
        }
        let last = |text: &str| {
            let exchange = begin().server_first(SERVER_FIRST.as_bytes()).unwrap();
            exchange.server_final(text.as_bytes()).unwrap_err()
        };
        assert_eq!(last("e=invalid-proof"), ScramError::Refused("invalid-proof".into()));
        assert_eq!(last("v=AAAA"), ScramError::Signature);
        assert_eq!(last("v="), ScramError::Signature);
        assert!(matches!(last("v=%"), ScramError::Malformed(_)));
        assert!(matches!(last(""), ScramError::Malformed(_)));
    }

    #[test]
    fn secrets_are_not_shown() {
        let first = begin();
        assert!(!format!("{first:?}").contains("pencil"));
        let last = first.server_first(SERVER_FIRST.as_bytes()).unwrap();
        assert_eq!(format!("{last:?}"), "ClientFinal { .. }");
    }
}
