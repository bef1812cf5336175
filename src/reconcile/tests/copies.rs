//! The copies of emptied tables, which the last `CLEANUP` of a restore deletes for every restore of the cluster.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{BACKUPS, RESTORES, World, backup, now};
use crate::domain::phase::RestorePhase;

fn restore(name: &str) -> Value {
    json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraRestore",
        "metadata": {
            "name": name, "namespace": "team", "uid": name, "generation": 1,
            "creationTimestamp": now().strftime("%FT%TZ").to_string(),
        },
        "spec": { "cassandraCluster": "c1", "cassandraBackup": "done" },
    })
}

/// Runs a restore, beside another one that failed after it emptied tables and that no watch has reported. Returns true for
/// each `CLEANUP` that kept the copies.
async fn cleanups(unseen: bool) -> Vec<bool> {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", 2);
    let mut done = backup("done", "c1");
    done["status"] = json!({
        "condition": { "type": "COMPLETED" }, "coordinatorMember": "c1-dc1-rack1-0", "id": "5b8b1a0c",
        "snapshotTag": "done-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776",
    });
    world.server.put(BACKUPS, done);
    world
        .run(async {
            world.server.put(RESTORES, restore("monday"));
            world.until(RESTORES, "monday", "RUNNING").await;
            if unseen {
                let mut failed = restore("sunday");
                failed["status"] = json!({
                    "condition": { "type": "FAILED" }, "coordinatorMember": "c1-dc1-rack1-0", "phase": "CLEANUP",
                    "truncation": { "state": "EMPTIED" },
                });
                world.server.put_unseen(RESTORES, failed);
            }
            world.until(RESTORES, "monday", "COMPLETED").await;
        })
        .await;
    let phases = world.sidecars.phases().into_iter();
    phases
        .filter(|(phase, _)| *phase == RestorePhase::Cleanup)
        .map(|(_, keeps)| keeps)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_last_cleanup_keeps_the_copies_of_a_restore_that_only_a_live_read_shows() {
    assert_eq!(cleanups(false).await, [false; 2], "nothing needs the copies");
    assert_eq!(cleanups(true).await, [true; 2]);
}
