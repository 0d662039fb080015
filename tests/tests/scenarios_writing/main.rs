//! Real bugs of mature clients, each as a test that would meet it here: what is written, connections, the ends of things.
//!
//! `scenario_p...` are of producers, `scenario_n...` of connections, metadata and time, `scenario_l...` of lifecycle and
//! cancellation; `promise_NN_...` is what every user of the writer may count on. All run the production code on a virtual
//! cluster and clock; scenarios that a single machine of the client shows are unit tests of kafka-core under the same names.

mod black_holes;
mod closing;
mod connections;
mod fates;
mod foreign;
mod futures;
mod metadata;
mod retries;
mod sharing;
mod support;
mod waiting;
