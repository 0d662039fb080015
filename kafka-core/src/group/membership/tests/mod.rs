//! The machine driven by hand.

mod commits;
mod fake;
mod heartbeats;
mod items;
mod joining;
mod leaving;
mod random;
mod rig;
mod troubles;
mod two_members;
