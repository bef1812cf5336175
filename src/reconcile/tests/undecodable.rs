//! Objects that cannot be decoded beside others that run.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::world::{BACKUPS, RESTORES, World, backup};

/// Returns a restore that cannot be decoded, because a number stands where a text belongs.
fn undecodable_restore(name: &str, cluster: &str, state: &str) -> Value {
    json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraRestore",
        "metadata": { "name": name, "namespace": "team", "uid": name, "creationTimestamp": "2028-01-01T00:00:00Z" },
        "spec": { "cassandraCluster": cluster, "cassandraBackup": 7 },
        "status": { "condition": { "type": state } },
    })
}

#[tokio::test(start_paused = true)]
async fn one_object_that_cannot_be_decoded_stops_no_other_run() {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", 1);
    world.server.put(BACKUPS, backup("listed", "c1"));
    let mut undecodable = backup("bad", "c1");
    undecodable["spec"]["storageLocation"] = json!({ "bucket": "b" });
    world.server.put(BACKUPS, undecodable);
    world
        .server
        .put(RESTORES, undecodable_restore("over", "c1", "FAILED"));
    world
        .run(async {
            world.until(BACKUPS, "listed", "COMPLETED").await;
            world.server.put(BACKUPS, backup("watched", "c1"));
            world.until(BACKUPS, "watched", "COMPLETED").await;
            assert_eq!(world.state(BACKUPS, "bad"), "");

            // One that was decoded becomes undecodable, and is corrected.
            let mut broken = world.server.get(BACKUPS, "watched");
            broken["status"]["condition"]["type"] = json!(5);
            world.server.put(BACKUPS, broken);
            world.server.put(BACKUPS, backup("bad", "c1"));
            sleep(Duration::from_secs(1)).await;
            assert_eq!(world.sidecars.uploads().len(), 2, "watched may be running");
            world.server.delete(BACKUPS, "watched");
            world.until(BACKUPS, "bad", "COMPLETED").await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_restore_that_may_be_running_keeps_its_cluster_and_no_other() {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", 1);
    world.cluster("c2", 1);
    world
        .server
        .put(RESTORES, undecodable_restore("monday", "c1", "RUNNING"));
    world.server.put(BACKUPS, backup("same", "c1"));
    world.server.put(BACKUPS, backup("other", "c2"));
    world
        .run(async {
            world.until(BACKUPS, "other", "COMPLETED").await;
            sleep(Duration::from_secs(30)).await;
            assert_eq!(world.sidecars.uploads().len(), 1);
            let status = world.server.get(BACKUPS, "same")["status"].to_string();
            let reason = "restore monday of cluster c1 cannot be decoded and may be running; correct it: to delete it does not \
                          end it (cassgate's log has the error)";
            assert!(status.contains(reason), "{status}");
            world.server.put(RESTORES, undecodable_restore("monday", "c1", "COMPLETED"));
            world.until(BACKUPS, "same", "COMPLETED").await;
        })
        .await;
}

/// The restore may have emptied tables of any cluster, so it counts as one that did.
#[tokio::test(start_paused = true)]
async fn an_undecodable_restore_without_a_readable_cluster_keeps_every_cluster_of_its_namespace() {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", 1);
    let mut restore = undecodable_restore("monday", "c1", "RUNNING");
    restore["spec"]["cassandraCluster"] = json!(5);
    world.server.put(RESTORES, restore);
    world.server.put(BACKUPS, backup("nightly", "c1"));
    world
        .run(async {
            sleep(Duration::from_mins(1)).await;
            assert_eq!(world.sidecars.uploads().len(), 0);
            let status = world.server.get(BACKUPS, "nightly")["status"].to_string();
            let reason = "restore monday cannot be decoded, and neither can the name of its cluster, so it may be running on any \
                          cluster of the namespace; correct it: to delete it does not end it (cassgate's log has the error)";
            assert!(status.contains(reason), "{status}");
            world.server.delete(RESTORES, "monday");
            world.until(BACKUPS, "nightly", "COMPLETED").await;
        })
        .await;
}
