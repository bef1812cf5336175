//! A ring that lost, gained or replaced a node since the backup.

use std::collections::BTreeSet;

use super::backed_up;
use crate::kube::until;
use crate::lab::TABLES;
use crate::support::cql;
use crate::support::ring::{Tokens, even_tokens};

#[test]
fn a_ring_that_shrank_is_restored_only_without_the_lost_part_on_purpose() {
    let mut lab = backed_up(3);
    lab.insert(100..150);
    let lost = lab.host_id(2);
    let tokens = even_tokens(3);
    let lost_keys = cql::owned_keys(lab.ring.address(0), "k1.t1", &tokens[2], &tokens.concat());
    lab.decommission_last_node();

    lab.restore("whole", "nightly", "");
    let (reason, message) = lab.fails("cassandrarestore", "whole");
    assert_eq!(reason, "RingChanged", "{message}");
    for part in [&lost, "c1-dc1-rack1-2", "1 of 3 nodes"] {
        assert!(message.contains(part), "{message}");
    }
    lab.holds(0..150);

    // Gossip remembers the node that left for three days, and the sidecars refuse every phase.
    until("all nodes consider the node that left down", || {
        (0..2).all(|node| {
            let seen = lab.ring.nodetool(node, &["describecluster"]);
            seen.contains("Unreachable: 1")
        })
    });
    let without = format!("  nodes: [{{hostId: {lost}}}]\n");
    lab.confirmed_restore("part", "nightly", "restore-incomplete", &without);
    let message = lab.says("cassandrarestore", "part", "Reconciling", "NodesDown");
    assert!(message.contains("restart"), "{message}");
    lab.restart_ring();
    let part = lab.is("cassandrarestore", "part", "COMPLETED");
    let message = &part["status"]["conditions"].to_string();
    assert!(message.contains("nodetool repair"), "{message}");
    let kept: BTreeSet<u32> = (0..100).filter(|key| !lost_keys.contains(key)).collect();
    assert!((1..100).contains(&kept.len()), "{kept:?}");
    cql::hold(lab.ring.address(0), &["k1.t1", "k1.t2"], &kept);
    // The other replica of each row was on another node.
    lab.hold(&["k2.t1", "k2.t2"], 0..100);
}

#[test]
#[ignore = "takes long: .ci/run leaves it out"]
fn a_younger_node_stops_a_restore_and_a_successor_gets_the_part_that_the_spec_gives_it() {
    let mut lab = backed_up(2);
    lab.insert(100..150);
    lab.add_node(Tokens::Random);
    lab.restore("grown", "nightly", "");
    let (reason, message) = lab.fails("cassandrarestore", "grown");
    assert_eq!(reason, "NodeNotInBackup", "{message}");
    for part in [&lab.host_id(2), &lab.pod(2), "decommission"] {
        assert!(message.contains(part), "{message}");
    }
    lab.holds(0..150);
    lab.decommission_last_node();
    lab.restart_ring();
    lab.restore("shrunk", "nightly", "");
    lab.is("cassandrarestore", "shrunk", "COMPLETED");
    lab.holds(0..100);

    // The node is lost and replaced with its tokens: its rows of k1, which has one replica, are gone.
    let (lost, dead) = (lab.host_id(1), lab.ring.address(1));
    lab.lose_last_node();
    lab.replace_last_node(Tokens::Replaces(dead));
    lab.restore("replaced", "nightly", "");
    let (reason, message) = lab.fails("cassandrarestore", "replaced");
    assert_eq!(reason, "RingChanged", "{message}");
    let pair = serde_json::json!([{ "hostId": lost, "pod": lab.pod(1) }]);
    let proposed = lab.get("cassandrarestore", "replaced")["status"]["proposedNodes"].clone();
    assert_eq!(proposed, pair, "{message}");
    assert!(
        message.contains(&lost) && message.contains(&lab.pod(1)),
        "{message}"
    );
    let given = format!("  nodes: {pair}\n");
    lab.restore("given", "nightly", &given);
    lab.is("cassandrarestore", "given", "COMPLETED");
    lab.holds(0..100);

    // It is lost again, and its successor has other tokens: the proof before any byte names the pair.
    let second = lab.host_id(1);
    lab.lose_last_node();
    until("the ring forgets the node", || {
        lab.ring.try_nodetool(0, &["removenode", &second]).is_ok()
    });
    lab.replace_last_node(Tokens::Random);
    lab.restart_ring();
    let before = cql::keys(lab.ring.address(0), &TABLES);
    lab.restore("other-tokens", "nightly", &given);
    let (reason, message) = lab.fails("cassandrarestore", "other-tokens");
    assert_eq!(reason, "TokensDiffer", "{message}");
    assert!(
        message.contains(&lost) && message.contains(&lab.pod(1)),
        "{message}"
    );
    assert_eq!(cql::keys(lab.ring.address(0), &TABLES), before);
}
