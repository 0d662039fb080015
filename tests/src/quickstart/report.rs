//! The table at the end.

use super::usage;
use std::fmt::{self, Write};
use std::time::{Duration, Instant};

/// What one phase took.
#[derive(Debug)]
pub(crate) struct Phase {
    name: &'static str,
    begun: Instant,
    cpu: Option<Duration>,
    took: Duration,
    used: Option<Duration>,
}

impl Phase {
    pub(crate) fn begin(name: &'static str) -> Self {
        Self { name, begun: Instant::now(), cpu: usage::cpu(), took: Duration::ZERO, used: None }
    }

    pub(crate) fn end(&mut self) {
        self.took = self.begun.elapsed();
        self.used = self.cpu.and_then(|before| Some(usage::cpu()?.saturating_sub(before)));
    }
}

/// Records a second, MB a second, processor time a record.
pub(crate) fn table(phases: &[Phase], records: u64, bytes: u64) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(out, "{:<8}{:>10}{:>14}{:>10}{:>18}", "", "seconds", "records/s", "MB/s", "CPU µs/record")?;
    for phase in phases {
        let seconds = phase.took.as_secs_f64().max(1e-9);
        let (rate, megabytes) = (records as f64 / seconds, bytes as f64 / seconds / 1e6);
        let cpu = match phase.used {
            Some(used) => format!("{:.2}", used.as_secs_f64() * 1e6 / records as f64),
            None => "?".into(),
        };
        let rate = thousands(rate as u64);
        writeln!(out, "{:<8}{seconds:>10.2}{rate:>14}{megabytes:>10.1}{cpu:>18}", phase.name)?;
    }
    if let Some(peak) = usage::peak_memory() {
        writeln!(out, "peak memory of the process: {} MB", peak / 1_000_000)?;
    }
    Ok(out)
}

pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_set_apart() {
        let shown: Vec<String> = [0, 999, 1_000, 1_234_567].into_iter().map(super::thousands).collect();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
