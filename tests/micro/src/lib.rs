//! Nothing but benches; the workloads are in kafka-core, behind its feature `workloads`.
