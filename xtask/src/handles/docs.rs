//! What a method's documentation says of it where nothing is awaited.

use super::{HANDLES, is_left_out};

/// The section that is about futures.
const OF_FUTURES: &str = "# Cancel safety";

/// Words that say something of futures elsewhere.
const FUTURES: [&str; 3] = ["future", " poll", ".await"];

/// Fits the documentation of a handle's method, a line each, to a blocking handle.
pub(super) fn fit(handle: &str, lines: &[String]) -> Result<Vec<String>, String> {
    let mut fitted = Vec::new();
    let (mut is_code, mut is_of_futures) = (false, false);
    for line in lines {
        let line = line.strip_prefix(' ').unwrap_or(line);
        is_code ^= line.starts_with("```");
        if line.starts_with("# ") && !is_code {
            is_of_futures = line == OF_FUTURES;
        }
        if is_of_futures {
            continue;
        }
        fitted.push(if is_code { fit_code(line) } else { links(handle, line) });
        if let Some(word) =
            FUTURES.iter().find(|word| fitted.last().is_some_and(|line| line.contains(**word)))
        {
            return Err(format!("says `{}` outside of `{OF_FUTURES}`: {line}", word.trim()));
        }
    }
    while fitted.last().is_some_and(String::is_empty) {
        fitted.pop();
    }
    Ok(fitted)
}

/// Fits a line of an example.
fn fit_code(line: &str) -> String {
    let mut line =
        line.replace("kafka_core", "kafka_blocking").replace("async fn", "fn").replace(".await", "");
    for handle in HANDLES {
        line = line.replace(&format!("rt::{handle}"), handle);
    }
    line
}

/// Makes each link lead to the blocking handles, and beyond them to what kafka-core has.
fn links(handle: &str, line: &str) -> String {
    let (mut linked, mut rest) = (String::new(), line);
    while let Some((before, text, after)) = bracketed(rest, '[', ']') {
        let (target, behind) = match bracketed(after, '(', ')') {
            Some(("", target, behind)) => (Some(target), behind),
            _ if text.starts_with('`') => (Some(text.trim_matches('`')), after),
            _ => (None, after),
        };
        linked += &format!("{before}[{text}]");
        linked += &target.map(|target| format!("({})", target_of(handle, target))).unwrap_or_default();
        rest = behind;
    }
    linked + rest
}

/// Splits at the first pair of brackets: before, between and behind it.
fn bracketed(text: &str, open: char, close: char) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once(open)?;
    let (between, behind) = rest.split_once(close)?;
    Some((before, between, behind))
}

fn target_of(handle: &str, target: &str) -> String {
    let target = target.trim_start_matches("super::").trim_start_matches("crate::");
    match target.strip_prefix("Self::") {
        Some(method) if is_left_out(handle, method) => format!("kafka_core::{handle}::{method}"),
        Some(_) => target.to_owned(),
        None if target.starts_with("http") || target.starts_with("std::") => target.to_owned(),
        None => format!("crate::{target}"),
    }
}
