//! Denials that rest on neighbours: each neighbour is read live first.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::{World, ask, backup_spec, object, ran, restore_spec, review, with};
use crate::rules::facts::{Namespace, Neighbours, Run, StoredRestore};

fn restore(name: &str, state: &str) -> StoredRestore {
    StoredRestore {
        name: name.to_owned(),
        cluster: "c1".into(),
        backup: "b1".into(),
        run: Run::State(state.into()),
        ..StoredRestore::default()
    }
}

/// In the caches restore `r9` is running. A live read returns the state `now`, or fails.
fn world(now: Option<&str>) -> Arc<World> {
    let cached = Arc::new(restore("r9", "RUNNING"));
    Arc::new(World {
        neighbours: Neighbours {
            restores_with_copies: vec![Arc::clone(&cached)],
            users: vec![cached],
            ..Neighbours::default()
        },
        restores: now.map(|state| restore("r9", state)).into_iter().collect(),
        ..World::default()
    })
}

fn create_restore() -> Value {
    review(
        "CassandraRestore",
        "CREATE",
        &json!({"object": object(&restore_spec())}),
    )
}

fn delete_backup() -> Value {
    let change = json!({"oldObject": ran(&backup_spec(), "COMPLETED")});
    review("CassandraBackup", "DELETE", &change)
}

#[tokio::test]
async fn a_neighbour_that_is_still_running_denies() {
    let world = world(Some("RUNNING"));
    let response = ask(&world, "/validate", &create_restore()).await;
    assert_eq!(
        response["auditAnnotations"],
        json!({"denied": "restore-in-progress"})
    );
    let reads = world.asked();
    assert_eq!(reads.last().unwrap(), "restore r9 Live");
    assert_eq!(
        reads.iter().filter(|read| *read == "restore r9 Live").count(),
        1,
        "{reads:?}"
    );
}

#[tokio::test]
async fn a_neighbour_that_has_ended_since_it_was_cached_does_not_deny() {
    for now in [Some("COMPLETED"), Some("FAILED"), None] {
        let response = ask(&world(now), "/validate", &create_restore()).await;
        assert_eq!(response, json!({"uid": "u-1", "allowed": true}), "{now:?}");
        let response = ask(&world(now), "/validate", &delete_backup()).await;
        assert_eq!(response["allowed"], true, "{now:?}");
    }
}

#[tokio::test]
async fn a_neighbour_that_cannot_be_read_only_warns() {
    let mut world = Arc::into_inner(world(Some("RUNNING"))).unwrap();
    world.restores_are_silent = true;
    let world = Arc::new(world);
    let response = ask(&world, "/validate", &create_restore()).await;
    assert_eq!(response["allowed"], true);
    assert_eq!(
        response["auditAnnotations"],
        json!({"warned": "restore-in-progress"})
    );
}

#[tokio::test]
async fn a_backup_in_use_is_kept_unless_its_namespace_is_terminating() {
    let response = ask(&world(Some("RUNNING")), "/validate", &delete_backup()).await;
    assert_eq!(response["status"]["code"], 403);
    assert_eq!(
        response["auditAnnotations"],
        json!({"denied": "backup-in-use", "warned": "casskop-needs-restart"})
    );
    let mut going = Arc::into_inner(world(Some("RUNNING"))).unwrap();
    going.namespace = Namespace {
        terminating: true,
        ..Namespace::default()
    };
    let response = ask(&Arc::new(going), "/validate", &delete_backup()).await;
    assert_eq!(response["allowed"], true);
}

#[tokio::test]
async fn the_location_of_a_backup_cannot_change_while_a_restore_uses_it() {
    let old = object(&backup_spec());
    let moved = with(old.clone(), &json!({"spec": {"storageLocation": "s3://other"}}));
    let change = json!({"object": moved, "oldObject": old});
    let review = review("CassandraBackup", "UPDATE", &change);
    let response = ask(&world(Some("RUNNING")), "/validate", &review).await;
    assert_eq!(
        response["status"]["code"], 403,
        "deleting it and creating it anew is no way out"
    );
    let cause = &response["status"]["details"]["causes"][0];
    assert_eq!(cause["field"], "spec.storageLocation");
    assert!(
        cause["message"]
            .as_str()
            .unwrap()
            .ends_with("[cassgate backup-in-use]")
    );
}

#[tokio::test]
async fn missing_keys_are_shown_only_to_callers_who_may_read_the_secret() {
    let spec = with(backup_spec(), &json!({"secret": "bare"}));
    let change = json!({"object": object(&spec)});
    let review = review("CassandraBackup", "CREATE", &change);
    for (readers, expected) in [
        (vec!["jane"], "Secret bare has no awsaccesskeyid"),
        (
            vec![],
            "Secret bare is not usable for s3://; users who may read it see the reason",
        ),
    ] {
        let world = Arc::new(World {
            secret_readers: readers.into_iter().map(ToOwned::to_owned).collect(),
            ..World::default()
        });
        let response = ask(&world, "/validate", &review).await;
        let message = response["status"]["details"]["causes"][0]["message"]
            .as_str()
            .unwrap();
        assert!(message.contains(expected), "{message}");
        assert!(world.asked().contains(&"access jane bare Live".to_owned()));
    }
}
