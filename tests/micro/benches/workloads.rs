//! Each workload of kafka-core, timed by criterion. `xtask instructions` counts the same ones.

use criterion::{Criterion, criterion_group, criterion_main};
use kafka_core::internal::ALL;

fn workloads(criterion: &mut Criterion) {
    for workload in ALL {
        let mut run = (workload.prepare)();
        criterion.bench_function(workload.name, |bencher| bencher.iter(&mut run));
    }
}

criterion_group!(benches, workloads);
criterion_main!(benches);
