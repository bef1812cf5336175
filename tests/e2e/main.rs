//! Tests on real Cassandra nodes, each with a sidecar on the real engine of Icarus 2.0.4 (one test: of 1.1.3): the requests
//! and answers of the client, and the effects on a node.
//!
//! Run by `make e2e`; not part of `make test`. Each test has its own ring on loopback addresses.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod aws;
mod by_hand;
mod calendar;
mod kills;
#[path = "../kube/support/mod.rs"]
#[allow(dead_code, reason = "the tests on a kube-apiserver use the rest")]
mod kube;
mod lab;
mod losses;
mod node;
mod recovery;
mod runs;
mod support;
mod tags;
