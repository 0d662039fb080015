//! Counters, gauges and latencies that a user can read.

use std::time::Duration;

/// Of a client, since its beginning. Counters only grow; gauges are of the moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Connections begun (counter).
    pub connects: u64,
    /// Connections that could not be made, or broke (counter).
    pub connection_failures: u64,
    /// Requests handed out to a connection (counter).
    pub requests: u64,
    /// Responses received (counter).
    pub responses: u64,
    /// Calls asked again (counter).
    pub retries: u64,
    /// Responses that asked for silence (counter).
    pub throttled: u64,
    /// Times no known broker was left, so that the bootstrap addresses were asked (counter).
    pub rebootstraps: u64,
    /// Connections that are up (gauge).
    pub connections: u64,
    /// Requests that wait for their response (gauge).
    pub requests_in_flight: u64,
    /// From asking for a request to its response.
    pub latency: Histogram,
}

/// How often a duration fell into each power of two of microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; 32],
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = duration.as_micros().max(1);
        let bucket = (127 - micros.leading_zeros() as usize).min(31);
        self.buckets[bucket] += 1;
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The smallest power of two (of microseconds) below which this share of the durations lies; `None` where there are none.
    /// `share` is between 0 and 1.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return Some(Duration::from_micros(2 << bucket));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_bound_what_was_recorded() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for ms in 1..=100 {
            histogram.record(Duration::from_millis(ms));
        }
        assert_eq!(histogram.count(), 100);
        let median = histogram.quantile(0.5).unwrap();
        assert!(median >= Duration::from_millis(50) && median <= Duration::from_millis(100), "{median:?}");
        assert!(histogram.quantile(1.0).unwrap() >= Duration::from_millis(100));
    }
}
