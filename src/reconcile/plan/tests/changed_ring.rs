//! Restores into a ring that is not the one of the backup.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::MAX_RECONCILES;
use super::harness::RestoreRun;
use super::world::parts::folder;
use super::world::{Rows, host_id};
use crate::api::{RestoreNode, RunNode};
use crate::reconcile::plan::Phase;

pub(super) fn pod(index: usize) -> String {
    format!("c1-dc1-rack1-{index}")
}

/// Returns an entry of `spec.nodes`; without `place`, the part is left out.
pub(super) fn entry(host_id: &str, place: Option<usize>) -> RestoreNode {
    RestoreNode {
        host_id: host_id.to_owned(),
        pod: place.map(pod),
    }
}

/// Returns a restore of a backup of `nodes` nodes, taken just now.
pub(super) fn backed_up(nodes: usize) -> RestoreRun {
    let mut run = RestoreRun::new(nodes);
    run.world.back_up();
    let part = |index: usize| RunNode {
        host_id: host_id(index),
        datacenter: Some("dc1".to_owned()),
        pod: Some(pod(index)),
    };
    run.inputs.source.as_mut().unwrap().nodes = (0..nodes).map(part).collect();
    run
}

/// Finishes a restore that must end before it sends anything. Returns reason and message.
pub(super) fn refused(run: &mut RestoreRun) -> (String, String) {
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.world.arrived, [], "nothing was sent");
    assert!(run.rows().iter().all(|rows| *rows == Rows::Users));
    assert_eq!(run.event_reasons(), ["RestoreFailed"]);
    assert_eq!(run.object.metadata.finalizers, None);
    run.reason("Failed").unwrap()
}

/// Returns another restore of the same backup into the same ring.
pub(super) fn again(before: RestoreRun) -> RestoreRun {
    let mut run = RestoreRun::new(0);
    run.world = before.world;
    run.inputs = before.inputs;
    run
}

/// Returns the folders of the parts that each node of the ring has imported.
fn imported(run: &RestoreRun) -> Vec<Vec<String>> {
    let members = run.world.ring_members();
    members.map(|node| node.imported.clone()).collect()
}

#[test]
fn a_node_of_the_backup_that_left_the_ring_ends_the_restore_before_anything_is_sent() {
    let mut run = backed_up(3);
    run.world.leave(2);
    let (reason, message) = refused(&mut run);
    assert_eq!(reason, "RingChanged");
    assert_eq!(
        message,
        format!(
            "1 of 3 nodes of the backup is not in the ring, and its rows would not come back: {} (then {}); if another \
             node has the same tokens, name its pod in spec.nodes of a new restore (hostId: the one of the backup, pod: \
             the one of today); an entry without pod leaves the part out, which needs the confirmation \
             restore-incomplete; no table was touched; fix the cause and create the restore again under another name",
            host_id(2),
            pod(2)
        )
    );
    assert_eq!(run.status().proposed_nodes, []);
    assert_eq!(run.status().source.unwrap().nodes.len(), 3);
}

#[test]
fn a_part_that_is_left_out_on_purpose_is_reported_at_the_begin_and_at_the_end() {
    let mut run = backed_up(3);
    run.world.leave(2);
    run.object.spec.nodes = vec![entry(&host_id(2), None)];
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.rows()[..2], [Rows::Backup; 2]);
    let warning = format!(
        "the restore leaves out the parts of the nodes {} (then {}): rows whose replicas were all there are lost, and in a keyspace \
         with one replica also those of a node of the ring that gets no part; run \
         nodetool repair on every node",
        host_id(2),
        pod(2)
    );
    let (_, message) = run.reason("Complete").unwrap();
    assert_eq!(message, format!("the rows of 2 nodes are restored; {warning}"));
    assert_eq!(
        run.event_reasons(),
        ["RestoreInitiated", "RestoreCompleted", "RestoreIncomplete"]
    );
    assert!(
        run.events[0].message.contains(&warning),
        "{}",
        run.events[0].message
    );
    let last = &run.events[2];
    assert!(last.warning);
    assert_eq!(
        last.message,
        format!("Restore of backup nightly into cluster c1: {warning}.")
    );
}

#[test]
fn a_node_that_is_younger_than_the_backup_ends_the_restore_until_it_is_decommissioned() {
    let mut run = backed_up(2);
    run.world.join();
    let (reason, message) = refused(&mut run);
    assert_eq!(reason, "NodeNotInBackup");
    assert_eq!(
        message,
        format!(
            "the backup has no part for nodes of the ring, which are younger than the backup or were left out of it: {} \
             ({}); decommission them and restore again, or, if one replaced a node of the backup, name its pod in \
             spec.nodes of a new restore; an entry with its own hostId and no pod leaves it without rows, which needs the \
             confirmation restore-incomplete; no table was touched; fix the cause and create the restore again under \
             another name",
            pod(2),
            host_id(100)
        )
    );
    let mut run = again(run);
    run.world.leave(2);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.rows()[..2], [Rows::Backup; 2]);
    assert_eq!(imported(&run), [[folder(&host_id(0))], [folder(&host_id(1))]]);
}

#[test]
fn a_replaced_node_with_the_same_tokens_receives_the_part_as_proposed() {
    let mut run = backed_up(3);
    run.world.replace(1, true);
    let (reason, message) = refused(&mut run);
    assert_eq!(reason, "RingChanged");
    let proposal = format!(
        "write into spec.nodes of a new restore what status.proposedNodes says: {{hostId: {}, pod: {}}}; ",
        host_id(1),
        pod(1)
    );
    assert!(message.contains(&proposal), "{message}");
    let proposed = run.status().proposed_nodes;
    assert_eq!(proposed, [entry(&host_id(1), Some(1))]);
    let mut run = again(run);
    run.object.spec.nodes = proposed;
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.rows(), [Rows::Backup; 3]);
    assert_eq!(imported(&run)[1], [folder(&host_id(1))]);
    let node = &run.status().common.nodes[1];
    assert_eq!(node.host_id, host_id(100));
    assert_eq!(node.source_host_id, Some(host_id(1)));
    assert_eq!(node.source_datacenter, None);
    assert_eq!(
        run.reason("Complete").unwrap().1,
        "the rows of 3 nodes are restored"
    );
}

#[test]
fn a_replaced_node_with_other_tokens_ends_the_restore_before_any_table_is_touched() {
    let mut run = backed_up(3);
    run.world.replace(1, false);
    run.object.spec.nodes = vec![entry(&host_id(1), Some(1))];
    run.finish();
    assert_eq!(run.state(), "FAILED");
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "TokensDiffer");
    assert!(
        message.contains(&host_id(1)) && message.contains(&pod(1)),
        "{message}"
    );
    assert_eq!(run.rows(), [Rows::Users; 3]);
    assert!(!run.world.counts().contains_key(&Phase::Truncate));
    assert!(
        run.world.nodes.iter().all(|node| node.imported.is_empty()),
        "{:?}",
        run.world.arrived
    );
}

#[test]
fn a_replacement_with_other_tokens_takes_no_part_when_the_old_part_is_left_out() {
    let mut run = backed_up(3);
    run.world.replace(1, false);
    run.object.spec.nodes = vec![entry(&host_id(1), None)];
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    let none = Vec::<String>::new();
    assert_eq!(
        imported(&run),
        [vec![folder(&host_id(0))], none, vec![folder(&host_id(2))]]
    );
    assert_eq!(run.status().common.nodes.len(), 2);
    assert_eq!(run.world.violations, Vec::<String>::new());
}

/// A run that is `PARTIAL` has no part of a node that was not in the ring.
#[test]
fn a_node_without_a_part_is_left_alone_if_the_restore_names_it_without_a_pod() {
    let mut run = backed_up(3);
    run.inputs.source.as_mut().unwrap().nodes.remove(1);
    let (reason, _) = refused(&mut run);
    assert_eq!(reason, "NodeNotInBackup");
    let mut run = again(run);
    run.object.spec.nodes = vec![entry(&host_id(1), None)];
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.world.nodes[1].imported, Vec::<String>::new());
    assert_eq!(run.rows()[0], Rows::Backup);
    let (_, message) = run.reason("Complete").unwrap();
    assert!(
        message.contains(&format!("leaves out the parts of the nodes {}", host_id(1))),
        "{message}"
    );
    assert!(run.event_reasons().contains(&"RestoreIncomplete"));
}

/// The ring is compared again with the same rules after the downloads.
#[test]
fn a_ring_that_changes_during_the_download_ends_the_restore_before_any_table_is_touched() {
    type Change = fn(&mut RestoreRun);
    let leave: Change = |run| run.world.leave(2);
    let join: Change = |run| run.world.join();
    let replace: Change = |run| run.world.replace(2, true);
    for (change, reason, text) in [
        (
            leave,
            "RingChanged",
            "1 of 3 nodes of the backup is not in the ring",
        ),
        (
            join,
            "NodeNotInBackup",
            "the backup has no part for nodes of the ring",
        ),
        (
            replace,
            "RingChanged",
            "1 of 3 nodes of the backup is not in the ring",
        ),
    ] {
        let mut run = backed_up(3);
        run.until(|run| run.world.counts().get(&Phase::Download) == Some(&3));
        // Every file is there before the ring changes.
        run.world.advance(jiff::SignedDuration::from_secs(20));
        change(&mut run);
        run.finish();
        assert_eq!(run.state(), "FAILED", "{text}");
        let (found, message) = run.reason("Failed").unwrap();
        assert_eq!(found, reason, "{message}");
        assert!(message.starts_with(text), "{message}");
        assert!(!run.world.counts().contains_key(&Phase::Truncate), "{text}");
    }
}

/// The request of a node whose operation failed is sent again, and a node that left the ring gets none.
#[test]
fn a_node_that_fails_its_download_and_leaves_the_ring_ends_the_restore() {
    let mut run = backed_up(3);
    run.world.failing = Some((Phase::Download, "Access Denied", 1));
    run.until(|run| run.world.counts().get(&Phase::Download) == Some(&3));
    run.world.leave(0);
    run.finish();
    assert_eq!(run.state(), "FAILED");
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "RingChanged");
    assert!(
        message.starts_with("1 of 3 nodes of the backup is not in the ring"),
        "{message}"
    );
}

/// The sidecar in the pod answers, and has forgotten the operation of the former node.
#[test]
fn a_node_that_is_replaced_in_each_phase_before_the_tables_are_emptied_ends_the_restore() {
    for phase in ["INIT", "DOWNLOAD"] {
        let mut run = backed_up(2);
        run.until(|run| run.phase() == phase);
        run.world.replace(1, true);
        run.finish();
        assert_eq!(run.state(), "FAILED", "{phase}");
        let (reason, message) = run.reason("Failed").unwrap();
        assert_eq!(reason, "RingChanged");
        assert!(
            message.starts_with("1 of 2 nodes of the backup is not in the ring"),
            "{message}"
        );
        assert_eq!(run.status().proposed_nodes, [entry(&host_id(1), Some(1))]);
    }
}

/// A change of the ring.
#[derive(Debug, Clone, Copy)]
enum Change {
    Join,
    Leave(usize),
    Replace(usize, bool),
}

/// The way in which `spec.nodes` is written.
#[derive(Debug, Clone)]
enum Listed {
    /// Not at all.
    Nothing,
    /// As a first restore, which is refused, proposes it.
    AsProposed,
    /// Every part whose node is not in the ring is left out.
    MissingLeftOut,
    /// At random: parts and pods by number; a part without a pod is left out.
    AtRandom(Vec<(usize, Option<usize>)>),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => Just(Change::Join),
        2 => (0_usize..4).prop_map(Change::Leave),
        3 => (0_usize..4, any::<bool>()).prop_map(|(place, keeps)| Change::Replace(place, keeps)),
    ]
}

fn listed() -> impl Strategy<Value = Listed> {
    let random = prop::collection::vec((0_usize..5, prop::option::of(0_usize..5)), 0..4);
    prop_oneof![
        1 => Just(Listed::Nothing),
        3 => Just(Listed::AsProposed),
        3 => Just(Listed::MissingLeftOut),
        3 => random.prop_map(Listed::AtRandom),
    ]
}

fn apply(run: &mut RestoreRun, change: Change) {
    let nodes = run.world.nodes.len();
    match change {
        Change::Join => run.world.join(),
        // One node stays, to be asked.
        Change::Leave(place) if run.world.ring_members().count() > 1 => run.world.leave(place % nodes),
        Change::Leave(_) => {}
        Change::Replace(place, keeps) => run.world.replace(place % nodes, keeps),
    }
}

/// Returns the parts of the backup whose node is not in the ring.
fn missing(run: &RestoreRun) -> Vec<String> {
    let hosts: BTreeSet<_> = run.world.ring_members().map(|node| node.host.clone()).collect();
    let parts = run.inputs.source.as_ref().unwrap().nodes.iter();
    let parts = parts.map(|part| part.host_id.clone());
    parts.filter(|host| !hosts.contains(host)).collect()
}

fn list(mut run: RestoreRun, listed: &Listed) -> RestoreRun {
    match listed {
        Listed::Nothing => {}
        Listed::AsProposed => {
            let mut first = again(run);
            first.step();
            let proposed = first.status().proposed_nodes;
            first.world.arrived.clear();
            run = again(first);
            run.object.spec.nodes = proposed;
        }
        Listed::MissingLeftOut => {
            run.object.spec.nodes = missing(&run).iter().map(|host| entry(host, None)).collect();
        }
        Listed::AtRandom(entries) => {
            let entries = entries.iter().map(|(part, place)| entry(&host_id(*part), *place));
            run.object.spec.nodes = entries.collect();
        }
    }
    run
}

proptest! {
    /// Every part of the backup is imported by exactly one node, with the same tokens, or named as left out. A restore that
    /// does not complete touches no table.
    #[test]
    fn whatever_happens_to_the_ring_no_part_is_missed_in_silence(
        nodes in 1_usize..5,
        before in prop::collection::vec(change(), 0..4),
        during in prop::collection::vec((0_usize..25, change()), 0..2),
        listed in listed(),
    ) {
        let mut run = backed_up(nodes);
        let parts = run.world.bucket.clone().unwrap();
        for change in before {
            apply(&mut run, change);
        }
        let mut run = list(run, &listed);
        for step in 0..MAX_RECONCILES {
            if run.status().common.is_terminal() {
                break;
            }
            for (_, change) in during.iter().filter(|(at, _)| *at == step) {
                // A change after a table was emptied is another matter.
                if run.status().truncation.is_none() {
                    apply(&mut run, *change);
                }
            }
            run.step_and_wait();
        }
        prop_assert!(run.status().common.is_terminal(), "{:?}", run.status());
        prop_assert_eq!(&run.world.violations, &Vec::<String>::new());
        if run.state() != "COMPLETED" {
            prop_assert!(run.rows().iter().all(|rows| *rows == Rows::Users), "{:?}", run.status());
            return Ok(());
        }
        let (_, message) = run.reason("Complete").unwrap();
        let imports: Vec<_> = run.world.ring_members().flat_map(|node| {
            node.imported.iter().map(|part| (part.clone(), node.tokens))
        }).collect();
        for (part, tokens) in &parts {
            let found: Vec<_> = imports.iter().filter(|(imported, _)| imported == part).collect();
            let host = part.rsplit('/').next().unwrap();
            if message.contains(host) {
                prop_assert_eq!(found, Vec::<&(String, u32)>::new(), "{}: {}", part, message);
                prop_assert!(run.event_reasons().contains(&"RestoreIncomplete"));
            } else {
                prop_assert_eq!(found, [&(part.clone(), *tokens)], "{}: {}", part, message);
            }
        }
    }
}
