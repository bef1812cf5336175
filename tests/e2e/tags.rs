//! Snapshot tags with punctuation: the engines of Icarus 1.1.3 and 2.0.4 store and find them.

use cassgate::icarus::RestorePhase;

use crate::node::RingClient;
use crate::support::cql;
use crate::support::ring::{Generation, Ring, RingSettings};

/// Tags that cassgate admits.
const TAGS: [&str; 6] = [
    "nightly-2026-11-30T03:00:00Z",
    "a,b",
    "a%2Fb",
    "a\\b",
    "!\"#$&'()*;<=>?@[]^`{|}~",
    "+a_b.c",
];

async fn every_tag_is_stored_and_found(generation: Generation) {
    let ring = Ring::with(RingSettings {
        size: 1,
        generation,
        ..RingSettings::default()
    });
    let cassandra = ring.address(0);
    cql::create(cassandra, &[("k1", 1)]);
    cql::insert(cassandra, &["k1.t1"], 0..10);
    let client = RingClient::of(&ring).await;
    for tag in TAGS {
        let snapshot = client.tag(tag);
        let failure = client.run(0, &client.backup(0, &snapshot, "k1.t1")).await;
        assert_eq!(failure, None, "backup {tag:?} by {}", generation.icarus());
        for phase in [RestorePhase::Init, RestorePhase::Download, RestorePhase::Cleanup] {
            let failure = client.run(0, &client.restore(0, phase, &snapshot, "k1.t1")).await;
            assert_eq!(failure, None, "{phase:?} of {tag:?} by {}", generation.icarus());
        }
    }
}

#[tokio::test]
async fn the_engine_of_icarus_1_stores_and_finds_every_tag() {
    every_tag_is_stored_and_found(Generation::Icarus1).await;
}

#[tokio::test]
async fn the_engine_of_icarus_2_stores_and_finds_every_tag() {
    every_tag_is_stored_and_found(Generation::Icarus2).await;
}
