//! What the process has used, as Linux tells in `/proc`; nothing elsewhere.

use std::fs::read_to_string;
use std::time::Duration;

/// The time on all processors so far.
pub(crate) fn cpu() -> Option<Duration> {
    parse_cpu(&read_to_string("/proc/self/stat").ok()?)
}

/// The most memory the process has had so far, in bytes.
pub(crate) fn peak_memory() -> Option<u64> {
    parse_peak(&read_to_string("/proc/self/status").ok()?)
}

/// The name in brackets may hold anything; utime and stime are the 12th and 13th field after it, in 1/100 s.
fn parse_cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

fn parse_peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::{parse_cpu, parse_peak};
    use std::time::Duration;

    #[test]
    fn proc_is_read() {
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1";
        assert_eq!(parse_cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(parse_peak("VmPeak:\t 9 kB\nVmHWM:\t  2048 kB\n"), Some(2 << 20));
        assert_eq!((parse_cpu("?"), parse_peak("")), (None, None));
    }
}
