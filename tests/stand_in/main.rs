//! Tests of the stand-in for the sidecars: every loss and every trap that was measured on real Cassandra nodes,
//! replayed on the model.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "a test that cannot go on has failed"
)]

#[path = "../sidecar/stand_in/mod.rs"]
mod stand_in;

mod backups;
mod faults;
mod losses;
mod network;
mod phases;
mod scene;
mod traps;
