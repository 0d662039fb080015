//! What the targets share: each runs its body under an allocator that counts, see `kafka_testkit::fuzz::memory`.

use kafka_testkit::fuzz::memory::Meter;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The figures of the allocator.
pub const METER: Meter = Meter { reset, peak: || MEMORY.peak_usage() };

fn reset() -> usize {
    MEMORY.reset_peak_usage();
    MEMORY.current_usage()
}

/// A target by the name of its body.
#[macro_export]
macro_rules! measured {
    ($target:literal) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            kafka_testkit::fuzz::memory::measured_target($target, data, $crate::METER)
        });
    };
}
