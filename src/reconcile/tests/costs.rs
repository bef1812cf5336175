//! The requests to the API server that a run takes, and the round trips before its first request, counted.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::time::sleep;

use super::sidecars::Upload;
use super::world::{BACKUPS, World, backup, now};

/// Runs scheduled backups of one cluster that are due at one instant, and returns that instant, the uploads, and the
/// numbers of reads and writes.
async fn due_at_once(count: usize, nodes: usize) -> (Timestamp, Vec<Upload>, usize, usize) {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", nodes);
    let due = now() + Duration::from_mins(5);
    let due = Timestamp::from_second(due.as_second().div_euclid(60) * 60).unwrap();
    let names: Vec<_> = (0..count).map(|number| format!("due-{number}")).collect();
    for name in &names {
        let mut object = backup(name, "c1");
        object["spec"]["schedule"] = json!(due.strftime("%M %H %d %m *").to_string());
        world.server.put(BACKUPS, object);
    }
    world
        .run(async {
            sleep(Duration::from_mins(3)).await;
            world.server.forget_requests();
            sleep(Duration::from_mins(5)).await;
        })
        .await;
    for name in &names {
        assert_eq!(world.state(BACKUPS, name), "COMPLETED", "{name}");
    }
    let mut uploads = world.sidecars.uploads();
    uploads.sort_by_key(|upload| upload.begun);
    let (reads, writes) = world.server.requests();
    (due, uploads, reads.len(), writes.len())
}

/// At first it took 185 reads and 83 writes.
#[tokio::test(start_paused = true)]
async fn ten_runs_at_once_take_few_requests_and_twice_the_time_of_the_sidecars_at_most() {
    let (due, uploads, reads, writes) = due_at_once(10, 1).await;
    assert_eq!(uploads.len(), 10);
    let overlap = uploads.windows(2).find(|pair| pair[1].begun < pair[0].ends);
    assert!(overlap.is_none(), "{overlap:?}");
    assert!(reads <= 60 && writes <= 41, "{reads} reads, {writes} writes");
    // The time of the model.
    let taken = uploads.last().unwrap().ends.duration_since(due);
    assert!(taken.as_secs() < 20, "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn the_requests_of_a_run_do_not_grow_with_the_ring() {
    let (_, uploads, reads, writes) = due_at_once(1, 200).await;
    assert_eq!(uploads.len(), 200);
    assert!(reads <= 6 && writes <= 5, "{reads} reads, {writes} writes");
}

/// In the model a request to the API server takes 2 ms and one to a sidecar 3 ms, and everything else takes no time.
#[tokio::test(start_paused = true)]
async fn a_one_shot_begins_after_few_round_trips() {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", 3);
    world
        .run(async {
            sleep(Duration::from_secs(5)).await;
            let created = now();
            world.server.put(BACKUPS, backup("shot", "c1"));
            world.until(BACKUPS, "shot", "COMPLETED").await;
            let uploads = world.sidecars.uploads();
            assert_eq!(uploads.len(), 3);
            let waits = uploads.iter().map(|upload| upload.begun.duration_since(created));
            let milliseconds = waits.map(|wait| wait.as_millis()).max().unwrap();
            // Three after each other to the API server and four to a sidecar.
            assert!(milliseconds <= 20, "{milliseconds} ms");
        })
        .await;
}

/// A list that is as new as etcd waits for the watch cache of the API server, and a run under way needs it.
#[tokio::test(start_paused = true)]
async fn the_pods_come_from_the_cache_of_the_api_server_only_before_a_run() {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", 1);
    world.server.put(BACKUPS, backup("shot", "c1"));
    world.run(world.until(BACKUPS, "shot", "COMPLETED")).await;
    let (reads, _) = world.server.requests();
    let lists = reads.iter().filter(|path| path.contains("/pods?"));
    let cached: Vec<_> = lists.map(|path| path.contains("resourceVersion=0")).collect();
    assert_eq!(cached, [true, false], "{reads:?}");
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_changes_while_its_sidecars_are_asked_is_read_again() {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", 1);
    world.server.put(BACKUPS, backup("shot", "c1"));
    world
        .run(async {
            while world.sidecars.uploads().is_empty() {
                sleep(Duration::from_millis(10)).await;
            }
            let mut changed = world.server.get(BACKUPS, "shot");
            changed["metadata"]["labels"] = json!({ "team": "blue" });
            world.server.put(BACKUPS, changed);
            world.until(BACKUPS, "shot", "COMPLETED").await;
        })
        .await;
    let changed = world.server.get(BACKUPS, "shot");
    assert_eq!(changed["metadata"]["labels"]["team"], "blue");
    let failed = world.server.events().into_iter();
    let failed: Vec<_> = failed.filter(|(reason, _)| reason == "ReconcileFailed").collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(world.sidecars.uploads().len(), 1);
}

/// A write of the progress needs no other look at once.
#[tokio::test(start_paused = true)]
async fn a_long_upload_is_looked_at_every_two_seconds() {
    let world = World::new(Duration::from_mins(1));
    world.cluster("c1", 1);
    world.server.put(BACKUPS, backup("shot", "c1"));
    world
        .run(async {
            world.until(BACKUPS, "shot", "COMPLETED").await;
            let (reads, writes) = world.server.requests();
            let looks = reads
                .iter()
                .filter(|path| path.ends_with("/cassandrabackups/shot"));
            let looks = looks.count();
            assert!((20..=34).contains(&looks), "{looks} looks");
            assert!(writes.len() <= 16, "{writes:?}");
        })
        .await;
}
