//! `spec.nodes` and the backup's own record of its nodes.

use super::changed_ring::{backed_up, entry, pod, refused};
use super::harness::RestoreRun;
use super::world::parts::folder;
use super::world::{Rows, host_id};
use crate::api::{RestoreNode, RunNode};
use crate::reconcile::plan::Phase;

const SCHEMA: &str = "168d568b-d346-3f61-968f-a2716307a6e4";
const OTHER_SCHEMA: &str = "00000000-0000-3000-8000-000000000000";

#[test]
fn an_entry_that_cannot_be_followed_is_named_before_anything_is_sent() {
    let absent = RestoreNode {
        host_id: host_id(1),
        pod: Some("c1-dc1-rack1-9".to_owned()),
    };
    for (nodes, reason, text) in [
        (
            vec![absent],
            "RingChanged",
            format!(
                "spec.nodes gives the part of node {} to pod \"c1-dc1-rack1-9\", which runs no node of the ring that the \
                 restore covers; these are: {} ({}), {} ({})",
                host_id(1),
                pod(0),
                host_id(0),
                pod(1),
                host_id(1)
            ),
        ),
        (
            vec![entry(&host_id(7), Some(1))],
            "NodeNotInBackup",
            format!(
                "spec.nodes names the host id \"{}\", and the backup has no part of such a node; its parts are those of: \
                 {} (then {}), {} (then {})",
                host_id(7),
                host_id(0),
                pod(0),
                host_id(1),
                pod(1)
            ),
        ),
        (
            vec![entry(&host_id(0), Some(1))],
            "RingChanged",
            format!(
                "two parts of the backup would go to {} ({}): those of the nodes {} and {}; name another pod",
                pod(1),
                host_id(1),
                host_id(0),
                host_id(1)
            ),
        ),
        (
            vec![
                entry(&host_id(1), Some(1)),
                entry(&host_id(1).to_uppercase(), Some(0)),
            ],
            "RingChanged",
            format!("spec.nodes names the host id {} twice", host_id(1).to_uppercase()),
        ),
        (
            vec![entry(&host_id(0), None), entry(&host_id(1), None)],
            "RingChanged",
            "spec.nodes leaves every part of the backup out, so the tables would be emptied and not refilled"
                .to_owned(),
        ),
    ] {
        let mut run = backed_up(2);
        run.object.spec.nodes = nodes;
        let (found, message) = refused(&mut run);
        assert_eq!(found, reason, "{message}");
        assert!(message.starts_with(&text), "{message}");
    }
}

#[test]
fn host_ids_are_compared_without_regard_to_case() {
    let mut run = backed_up(2);
    run.world.replace(0, true);
    run.object.spec.nodes = vec![entry(&host_id(0).to_uppercase(), Some(0))];
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.world.nodes[0].imported, [folder(&host_id(0))]);
}

/// Another cluster with the same tokens is filled from the bucket of the first one, of which only a description is left.
fn twin() -> RestoreRun {
    let mut run = RestoreRun::new(3);
    let host = |index: usize| host_id(200 + index);
    let source = run.inputs.source.as_mut().unwrap();
    source.cluster_name = Some("production".to_owned());
    source.nodes = (0..3)
        .map(|index| RunNode {
            host_id: host(index),
            datacenter: Some("east".to_owned()),
            pod: None,
        })
        .collect();
    let part = |index: usize| {
        (
            format!("production/east/{}", host(index)),
            u32::try_from(index).unwrap(),
        )
    };
    run.world.bucket = Some((0..3).map(part).collect());
    run
}

#[test]
fn a_twin_is_filled_from_the_folders_of_the_first_cluster() {
    let mut run = twin();
    run.object.spec.nodes = (0..3)
        .map(|index| entry(&host_id(200 + index), Some(index)))
        .collect();
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.rows(), [Rows::Backup; 3]);
    for (index, node) in run.world.nodes.iter().enumerate() {
        assert_eq!(
            node.imported,
            [format!("production/east/{}", host_id(200 + index))]
        );
    }
    let status = run.status();
    assert_eq!(status.common.cluster_name.as_deref(), Some("lab-A"));
    let node = &status.common.nodes[2];
    assert_eq!(node.source_host_id, Some(host_id(202)));
    assert_eq!(node.source_datacenter.as_deref(), Some("east"));
}

#[test]
fn a_twin_whose_nodes_are_not_named_is_refused_and_a_wrong_pair_touches_no_table() {
    let mut run = twin();
    let (reason, message) = refused(&mut run);
    assert_eq!(reason, "RingChanged");
    let names: Vec<_> = (0..3).map(|index| host_id(200 + index)).collect();
    assert!(
        message.starts_with(&format!(
            "3 of 3 nodes of the backup are not in the ring, and their rows would not come back: {}; if another node has \
             the same tokens, name its pod in spec.nodes",
            names.join(", ")
        )),
        "{message}"
    );
    let mut run = twin();
    let places = [1, 0, 2];
    run.object.spec.nodes = (0..3)
        .map(|index| entry(&host_id(200 + index), Some(places[index])))
        .collect();
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.reason("Failed").unwrap().0, "TokensDiffer");
    assert_eq!(run.rows(), [Rows::Users; 3]);
    assert!(!run.world.counts().contains_key(&Phase::Truncate));
}

/// An earlier version recorded no nodes of a run.
#[test]
fn a_backup_that_does_not_say_which_nodes_it_covers_is_restored_on_every_node_with_a_warning() {
    let mut run = RestoreRun::new(2);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    let event = &run.events[0].message;
    assert!(
        event.ends_with(
            "begins on 2 nodes. The backup does not say which nodes it covers: the part of a node that has left the ring \
             since is not restored."
        ),
        "{event}"
    );
}

#[test]
fn an_entry_decides_about_its_part_even_if_the_nodes_of_the_run_are_unknown() {
    let mut run = backed_up(3);
    run.inputs.source.as_mut().unwrap().nodes.clear();
    run.world.replace(1, true);
    run.world.replace(2, false);
    run.object.spec.nodes = vec![
        entry(&host_id(1), Some(1)),
        entry(&host_id(2), None),
        entry(&host_id(101), None),
    ];
    run.finish();
    assert_eq!(run.state(), "COMPLETED", "{:?}", run.status());
    assert_eq!(run.world.nodes[0].imported, [folder(&host_id(0))]);
    assert_eq!(run.world.nodes[1].imported, [folder(&host_id(1))]);
    assert_eq!(run.world.nodes[2].imported, Vec::<String>::new());
}

#[test]
fn a_ring_with_a_datacenter_that_the_backup_does_not_cover_is_told_apart_from_a_younger_node() {
    let mut run = backed_up(2);
    let source = run.inputs.source.as_mut().unwrap();
    source.datacenter = Some("east".to_owned());
    source.nodes.clear();
    source.nodes.push(RunNode {
        host_id: host_id(9),
        datacenter: Some("east".to_owned()),
        pod: None,
    });
    // The part is left out so that only the nodes of the ring are in question.
    run.object.spec.datacenter = Some("dc1".to_owned());
    let (reason, message) = refused(&mut run);
    assert_eq!(reason, "NodeNotInBackup");
    assert!(
        message.starts_with(&format!(
            "the backup covers only datacenter east, and has no part for nodes of the ring in another one: {} ({}), {} \
             ({}); set spec.datacenter to east",
            pod(0),
            host_id(0),
            pod(1),
            host_id(1)
        )),
        "{message}"
    );
}

#[test]
fn the_share_of_the_missing_parts_is_told_where_their_sizes_are_known() {
    let mut run = backed_up(3);
    run.inputs.part_sizes = (0..3).map(|index| (host_id(index), 1000)).collect();
    run.world.leave(0);
    let (_, message) = refused(&mut run);
    assert!(
        message.starts_with(
            "1 of 3 nodes of the backup (with 1000 of its 3000 bytes, 33%) is not in the ring, and its rows"
        ),
        "{message}"
    );
}

/// A condition keeps the first 1024 characters of a message.
#[test]
fn the_message_about_a_large_ring_keeps_its_remedy() {
    let mut run = backed_up(60);
    for index in 1..60 {
        run.world.replace(index, true);
    }
    let (_, message) = refused(&mut run);
    assert!(
        message.starts_with("59 of 60 nodes of the backup are not in the ring"),
        "{message}"
    );
    assert!(message.contains(" and 56 more; if the node"), "{message}");
    assert!(
        message.ends_with("create the restore again under another name"),
        "{message}"
    );
    assert_eq!(run.status().proposed_nodes.len(), 59);
}

#[test]
fn an_exact_schema_version_is_compared_with_the_one_in_the_name_of_the_snapshot() {
    for (named, matches) in [(None, true), (Some(SCHEMA), true), (Some(OTHER_SCHEMA), false)] {
        let mut run = backed_up(2);
        run.object.spec.exact_schema_version = Some(true);
        run.object.spec.schema_version = named.map(str::to_uppercase);
        if matches {
            run.finish();
            assert_eq!(run.state(), "COMPLETED", "{named:?}");
            continue;
        }
        let (reason, message) = refused(&mut run);
        assert_eq!(reason, "SchemaMismatch");
        assert!(
            message.starts_with(&format!(
                "snapshot nightly-{SCHEMA}-1795383523776 was taken with the schema version {SCHEMA}, and \
                 spec.schemaVersion is {OTHER_SCHEMA}, which spec.exactSchemaVersion requires; name a snapshot of that \
                 version in spec.snapshot of a new restore, or leave spec.exactSchemaVersion out; no table was touched"
            )),
            "{message}"
        );
    }
}

#[test]
fn without_a_named_schema_version_the_one_of_the_ring_is_required() {
    let mut run = backed_up(2);
    run.object.spec.exact_schema_version = Some(true);
    let source = run.inputs.source.as_mut().unwrap();
    source.snapshot_tag = Some(format!("nightly-{OTHER_SCHEMA}-1795383523776"));
    let (reason, message) = refused(&mut run);
    assert_eq!(reason, "SchemaMismatch");
    assert!(
        message.contains(&format!("{OTHER_SCHEMA}, and the ring has {SCHEMA}")),
        "{message}"
    );
    // Without the flag the schema version does not matter.
    let mut run = backed_up(2);
    let source = run.inputs.source.as_mut().unwrap();
    source.snapshot_tag = Some(format!("nightly-{OTHER_SCHEMA}-1795383523776"));
    run.object.spec.schema_version = Some(SCHEMA.to_owned());
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
}

/// Rows of a range whose replicas are all on nodes without a part would be lost without a word.
#[test]
fn a_part_that_is_left_out_makes_room_for_one_node_without_a_part_and_no_more() {
    let mut run = backed_up(3);
    run.world.leave(0);
    run.world.join();
    run.world.join();
    run.object.spec.nodes = vec![entry(&host_id(0), None)];
    let (reason, message) = refused(&mut run);
    assert_eq!(reason, "NodeNotInBackup", "{message}");
    for joined in [100, 101] {
        assert!(message.contains(&host_id(joined)), "{message}");
    }
    run = backed_up(3);
    run.world.leave(0);
    run.world.join();
    run.world.join();
    run.object.spec.nodes = vec![entry(&host_id(0), None), entry(&host_id(101), None)];
    run.finish();
    assert_eq!(run.state(), "COMPLETED", "a node that is named needs no room");
}
