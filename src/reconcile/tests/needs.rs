//! The needs of a scheduled backup, which are reported between its runs.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::world::{BACKUPS, World, backup, now};
use crate::rules::catalogue::SECRET_KEY_MISSING;
use crate::rules::finding::{Cause, Finding, Findings};

/// Returns a run that completed at this time.
fn run(time: Timestamp) -> Value {
    let snapshot = format!(
        "yearly-168d568b-d346-3f61-968f-a2716307a6e4-{}",
        time.as_millisecond()
    );
    let text = time.strftime("%FT%TZ").to_string();
    json!({
        "snapshot": snapshot, "outcome": "COMPLETED", "started": text, "completed": text, "storageLocation": "s3://bucket",
    })
}

/// Returns the number of live reads of the backup.
fn looks(world: &World) -> usize {
    let (reads, _) = world.server.requests();
    let of_backup = reads
        .iter()
        .filter(|path| path.ends_with("/cassandrabackups/yearly"));
    of_backup.count()
}

/// The event of the write that reports the needs causes no reconcile, and the next pass over all objects comes up to 50
/// minutes later.
#[tokio::test(start_paused = true)]
async fn a_backup_with_an_expired_snapshot_is_reconciled_at_once_after_a_report_of_its_needs() {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", 1);
    let ago = |minutes: u64| now() - Duration::from_mins(minutes);
    let mut object = backup("yearly", "c1");
    object["metadata"]["creationTimestamp"] = json!(ago(3_000).strftime("%FT%TZ").to_string());
    object["spec"]["schedule"] = json!("0 0 1 1 *");
    object["spec"]["retention"] = json!({ "keepLast": 1, "keepDays": 1 });
    object["status"] = json!({
        "condition": { "type": "COMPLETED" },
        // The older one expires after half an hour.
        "history": [run(ago(60)), run(ago(24 * 60 - 30))],
    });
    world.server.put(BACKUPS, object);
    let message = "Secret \"s3\" has no key awsregion";
    let denial = Finding::deny(&SECRET_KEY_MISSING, "spec.secret", Cause::Invalid, message);
    world.rules.set([denial].into_iter().collect());
    world
        .run(async {
            sleep(Duration::from_mins(31)).await;
            let ready = |world: &World| {
                let conditions = world.server.get(BACKUPS, "yearly")["status"]["conditions"].clone();
                let mut conditions = conditions.as_array().cloned().unwrap_or_default().into_iter();
                conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
            };
            assert!(!ready(&world));
            world.rules.set(Findings::default());
            world.server.forget_requests();
            for _ in 0..11 * 60 {
                if ready(&world) {
                    break;
                }
                sleep(Duration::from_secs(1)).await;
            }
            assert!(ready(&world), "{:#}", world.server.get(BACKUPS, "yearly"));
            sleep(Duration::from_secs(2)).await;
            assert_eq!(looks(&world), 2, "the report, and the look at what expired");
        })
        .await;
}
