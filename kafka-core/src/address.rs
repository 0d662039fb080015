//! Bootstrap addresses: `host:port`, `[v6]:port`, several separated by commas, of which empty parts are skipped.

use crate::error::{Error, ErrorKind, Result};
use kafka_proto::Str;
use std::fmt;
use std::net::Ipv6Addr;

/// Where a broker may be found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Address {
    /// A name, an IPv4 or an IPv6 literal (without brackets).
    pub host: Str,
    /// The port; 9092 where none was given.
    pub port: u16,
}

const DEFAULT_PORT: u16 = 9092;

impl Address {
    /// Reads a list separated by commas. Parts without anything in them are skipped, such as that behind a comma at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Address`] with the part that could not be understood, or if there is no address in the list.
    pub fn parse_list(list: &str) -> Result<Vec<Self>> {
        let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        let addresses: Vec<Self> = parts.map(Self::parse).collect::<Result<_>>()?;
        if addresses.is_empty() {
            let (address, problem) = (list.to_owned(), "there is no address in it");
            return Err(Error::new(ErrorKind::Address { address, problem }));
        }
        Ok(addresses)
    }

    /// Reads one address.
    ///
    /// # Errors
    /// [`ErrorKind::Address`] with what is wrong with it.
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |problem| Err(Error::new(ErrorKind::Address { address: text.to_owned(), problem }));
        if text.is_empty() {
            return fail("is empty");
        }
        if text.contains("://") {
            return fail("has a scheme; give host:port only");
        }
        let (host, port) = match split(text) {
            Ok(parts) => parts,
            Err(problem) => return fail(problem),
        };
        let port = match port.map(str::parse::<u16>) {
            None => DEFAULT_PORT,
            Some(Ok(0)) => return fail("has port 0"),
            Some(Ok(port)) => port,
            Some(Err(_)) => return fail("has a port that is no number from 1 to 65535"),
        };
        // One dot at the end makes a name absolute; it must not become part of a name to verify.
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.is_empty() {
            return fail("has no host");
        }
        if host.chars().any(|c| c.is_whitespace() || matches!(c, '/' | '@' | '?' | '#')) {
            return fail("has characters that no host name has");
        }
        Ok(Self { host: Str::from(host), port })
    }
}

/// Host and port of `[v6]:port`, `v6`, `host:port` or `host`.
fn split(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("lacks the closing bracket")?;
        host.parse::<Ipv6Addr>().map_err(|_| "has no IPv6 address in its brackets")?;
        return match after {
            "" => Ok((host, None)),
            _ => Ok((host, Some(after.strip_prefix(':').ok_or("has no colon after the bracket")?))),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    match text.split_once(':') {
        None => Ok((text, None)),
        Some((_, port)) if port.contains(':') => {
            Err("has more than one colon; put IPv6 addresses in brackets")
        }
        Some((host, port)) => Ok((host, Some(port))),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenario_n11_reads_what_users_write() {
        for (text, host, port) in [
            ("localhost:9092", "localhost", 9092),
            ("localhost", "localhost", 9092),
            ("[::1]:19092", "::1", 19092),
            ("::1", "::1", 9092),
            ("[2001:db8::1]", "2001:db8::1", 9092),
            ("kafka.example.org.:9093", "kafka.example.org", 9093),
            ("10.0.0.1:1", "10.0.0.1", 1),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((&*address.host, address.port), (host, port), "{text}");
        }
        assert_eq!(Address::parse_list("a:1, b:2").unwrap().len(), 2);
        assert_eq!(Address::parse("[::1]:5").unwrap().to_string(), "[::1]:5");
    }

    #[test]
    fn scenario_n11_names_what_is_wrong() {
        for (text, part) in [
            ("", "empty"),
            ("kafka://a:1", "scheme"),
            ("a:0", "port 0"),
            ("a:65536", "no number"),
            ("a:b", "no number"),
            (":9092", "no host"),
            ("a:1:2", "more than one colon"),
            ("[::1:2", "closing bracket"),
            ("[nonsense]:2", "no IPv6"),
            ("a b:1", "characters"),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn case_c8_empty_parts_of_a_list_are_skipped() {
        for (list, count) in [
            ("a:9092,b:9092,", 2),
            (",a:9092", 1),
            ("a:1,,b:2", 2),
            (" a:1 , , b:2 ,", 2),
            ("a:1,\n  b:2,\n", 2),
            ("[::1]:5,", 1),
        ] {
            assert_eq!(Address::parse_list(list).unwrap().len(), count, "{list:?}");
        }
        for list in ["", ",", " , ", ",,,", "\n"] {
            let error = Address::parse_list(list).unwrap_err();
            assert!(error.to_string().contains("no address"), "{list:?}: {error}");
            assert!(matches!(error.kind(), ErrorKind::Address { .. }));
        }
        // A part that is there must be right.
        assert!(Address::parse_list("a:1,:,b:2").is_err());
        assert!(Address::parse_list("a:1,:9092").is_err());
    }
}
