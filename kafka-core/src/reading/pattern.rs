//! A pattern of topic names.

use crate::error::{Error, ErrorKind, Result};
use kafka_proto::Str;
use regex_lite::Regex;
use std::fmt;
use std::str::FromStr;

/// A regular expression that names topics: all those whose **whole** name it matches, as in Java's client.
///
/// The syntax is that of the `regex-lite` crate, which has neither look-around nor back-references and takes linear time. Classes such
/// as `\w` are those of ASCII, as names of topics are.
///
/// Topics that the brokers call internal, such as `__consumer_offsets`, never match.
///
/// Other clients differ: librdkafka takes a name for a pattern if it begins with `^`, and finds it anywhere in the topic's name;
/// franz-go's `ConsumeRegex` finds each of several patterns anywhere as well. `^orders` there is `orders.*` here. What begins with `^`
/// and ends with `$` means the same everywhere.
///
/// ```
/// use kafka_core::Pattern;
///
/// let pattern = Pattern::new("orders-.*")?;
/// assert!(pattern.matches("orders-eu") && !pattern.matches("all-orders-eu"));
/// assert!(Pattern::new("orders-(").is_err());
/// # Ok::<(), kafka_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Pattern {
    text: Str,
    whole: Regex,
}

impl Pattern {
    /// Creates a pattern of this regular expression.
    ///
    /// # Errors
    /// [`ErrorKind::Pattern`] where it cannot be parsed, or would become too large.
    pub fn new(pattern: impl Into<Str>) -> Result<Self> {
        let text = pattern.into();
        // By itself first: it must not close the group around it.
        let whole = Regex::new(&text).and_then(|_| Regex::new(&format!(r"\A(?:{text})\z")));
        match whole {
            Ok(whole) => Ok(Self { text, whole }),
            Err(error) => {
                Err(Error::new(ErrorKind::Pattern { pattern: text.to_string(), problem: error.to_string() }))
            }
        }
    }

    /// Returns the regular expression.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether it matches the whole name of a topic.
    pub fn matches(&self, topic: &str) -> bool {
        self.whole.is_match(topic)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(pattern: &str) -> Result<Self> {
        Self::new(pattern)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_matches_whole_names() {
        for (pattern, matching, other) in [
            ("orders-.*", "orders-eu", "all-orders-eu"),
            ("a|ab", "ab", "abc"),
            ("^orders$", "orders", "orders-eu"),
            ("orders", "orders", "orders-eu"),
            (r"[a-z]+\.v\d", "orders.v1", "orders-v1"),
            ("(?i)orders", "Orders", "order"),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            assert!(pattern.matches(matching) && !pattern.matches(other), "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_an_error() {
        for pattern in ["orders-(", "a)|(b", "*", "[", r"\p{Greek}", "(?=a)", r"(a)\1", "a{99999999}"] {
            let error = Pattern::new(pattern).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Pattern { .. }), "{pattern}: {error}");
        }
        let error = Pattern::new("orders-(").unwrap_err();
        assert_eq!(error.to_string(), "pattern `orders-(`: found open group without closing ')'");
    }

    /// Names of topics are untrusted, and so may patterns be: no pattern takes more than linear time.
    #[test]
    fn a_long_name_is_no_trouble() {
        let pattern = Pattern::new("(a*)*b").unwrap();
        assert!(!pattern.matches(&"a".repeat(100_000)));
    }
}
