//! Writes of the status that fail.

use std::time::Duration;

use tokio::time::sleep;

use super::world::{BACKUPS, World, backup};

fn count(world: &World, reason: &str) -> usize {
    let events = world.server.events();
    events.iter().filter(|(found, _)| found == reason).count()
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_fails_again_and_again_is_retried_less_often_and_reported() {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", 1);
    world.server.fail_status_writes(0..usize::MAX);
    world.server.put(BACKUPS, backup("shot", "c1"));
    world
        .run(async {
            sleep(Duration::from_mins(9)).await;
            assert_eq!(count(&world, "ReconcileFailed"), 0);
            let early = world.server.status_writes();
            assert!((5..=9).contains(&early), "{early} writes in nine minutes");
            sleep(Duration::from_hours(1)).await;
            let late = world.server.status_writes() - early;
            assert!((11..=13).contains(&late), "{late} writes in an hour");
            let events = world.server.events();
            let (_, note) = events
                .iter()
                .find(|(reason, _)| reason == "ReconcileFailed")
                .unwrap();
            assert!(
                note.starts_with("cassgate has not been able to reconcile this object since ")
                    && note.ends_with(
                        "it is tried again every five minutes, and at once when the object changes"
                    ),
                "{note}"
            );
            assert_eq!(
                world.sidecars.uploads().len(),
                0,
                "nothing is sent before it is recorded"
            );
            world.server.fail_status_writes(0..0);
            world.until(BACKUPS, "shot", "COMPLETED").await;
        })
        .await;
}

/// The plan that follows does not publish them again.
#[tokio::test(start_paused = true)]
async fn the_events_of_a_plan_are_published_although_its_outcome_cannot_be_written() {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", 4);
    world.swap_addresses("c1", [2, 3]);
    world.server.put(BACKUPS, backup("nightly", "c1"));
    // The first write begins the run, and the second has the outcome of the requests that were not sent.
    world.server.fail_status_writes(1..2);
    world
        .run(async {
            sleep(Duration::from_mins(1)).await;
            assert_eq!(count(&world, "BackupInitiated"), 1, "{:?}", world.server.events());
            world.sidecars.gossip();
            world.until(BACKUPS, "nightly", "COMPLETED").await;
        })
        .await;
}
