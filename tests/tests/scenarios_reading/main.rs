//! Real bugs of mature clients, each as a test that would meet it here: what is read, positions, groups.
//!
//! `scenario_c...` are of consumers, `scenario_g...` of groups; `promise_NN_...` is what every user of a reader may count on.
//! All run the production code on a virtual cluster and clock; scenarios that a single machine of the client shows are unit
//! tests of kafka-core under the same names.

mod assignors;
mod commits;
mod coordinators;
mod flow;
mod members;
mod names;
mod positions;
mod sessions;
mod support;
mod truncation;
