//! Parts of a backup whose sidecar lost the upload: nothing counts as uploaded that is not proven.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::harness::BackupRun;
use super::world::Fault;
use crate::api::ConcurrencyPolicy;
use crate::reconcile::plan::Phase;

const LOST: &str = "c1-dc1-rack1-1: its sidecar does not know the upload any more (it was restarted, or the upload ended \
                    more than an hour ago), so files may be missing in the bucket";

/// Returns a backup to an object store, where a killed upload leaves its manifest.
fn to_object_store() -> BackupRun {
    let mut run = BackupRun::new(2);
    run.object.spec.storage_location = "s3://bucket".to_owned();
    run.world.uploads.early_manifest = true;
    run
}

/// Returns a backup to a directory, where a killed upload leaves its manifest and a file that is cut short.
fn to_directory() -> BackupRun {
    let mut run = BackupRun::new(2);
    run.world.uploads.early_manifest = true;
    run.world.uploads.cuts_files = true;
    run
}

/// Kills the sidecar of node 1 as soon as it uploads.
fn kill_during_upload(run: &mut BackupRun) {
    let sent = run.world.counts().get(&Phase::Backup).copied().unwrap_or(0);
    run.until(|run| run.world.counts().get(&Phase::Backup).copied().unwrap_or(0) >= sent + 2);
    run.world.advance(SignedDuration::from_secs(3));
    run.world.restart(1, 5);
}

fn outcomes(run: &BackupRun) -> Vec<String> {
    let history = run.status().history;
    history.into_iter().map(|run| run.outcome).collect()
}

fn count(run: &BackupRun, phase: Phase) -> usize {
    run.world.counts().get(&phase).copied().unwrap_or(0)
}

#[test]
fn a_listed_manifest_does_not_prove_a_lost_part_and_the_run_begins_again_under_another_tag() {
    let mut run = to_object_store();
    kill_during_upload(&mut run);
    assert!(run.world.nodes[1].uploaded, "the manifest is listed");
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert!(
        (0..2).all(|node| run.world.uploads.is_whole(node)),
        "{:?}",
        run.world.uploads
    );
    assert_eq!(outcomes(&run), ["COMPLETED", "FAILED"]);
    assert_eq!(
        count(&run, Phase::Backup),
        4,
        "every node uploads under the new tag"
    );
    let status = run.status();
    let (new, old) = (&status.history[0].snapshot, &status.history[1].snapshot);
    assert_eq!(status.run.unwrap().restarts, Some(1));
    let events: Vec<_> = run
        .events
        .iter()
        .filter(|event| event.reason.as_str() == "PartUnproven")
        .collect();
    assert_eq!(events.len(), 1);
    assert!(events[0].warning);
    assert_eq!(
        events[0].message,
        format!(
            "Snapshot {old} is not proven: {LOST}; the backup begins again under snapshot {new} (attempt 2 of 4)"
        )
    );
    assert_eq!(run.world.violations, Vec::<String>::new());
}

#[test]
fn a_run_that_cannot_be_proven_four_times_has_failed() {
    let mut run = to_object_store();
    for _ in 0..4 {
        kill_during_upload(&mut run);
    }
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(outcomes(&run), ["FAILED"; 4]);
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "PartUnproven");
    assert_eq!(
        message,
        format!(
            "{LOST}; see why the sidecar is restarted (its log, its memory limit); fix the cause and create the backup \
             again under another name"
        )
    );
    assert_eq!(run.status().common.condition.unwrap().failure_cause.len(), 1);
}

#[test]
fn an_upload_that_its_sidecar_forgot_while_cassgate_was_away_is_not_believed() {
    let mut run = to_object_store();
    run.step();
    run.world.advance(SignedDuration::from_hours(3));
    // The upload completed, and the sidecar does not say so any more.
    run.world.restart(1, 0);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(outcomes(&run), ["COMPLETED", "FAILED"]);
}

#[test]
fn a_part_that_was_never_accepted_is_just_sent_again() {
    let mut run = to_object_store();
    run.world.faults = vec![Fault::None, Fault::DropRequest];
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(outcomes(&run), ["COMPLETED"]);
    assert_eq!(count(&run, Phase::Backup), 2);
    // With another container the request may have become an operation that was killed.
    let mut run = to_object_store();
    run.world.faults = vec![Fault::None, Fault::DropResponse];
    run.step();
    run.world.restart(1, 5);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(outcomes(&run), ["COMPLETED", "FAILED"]);
    assert!((0..2).all(|node| run.world.uploads.is_whole(node)));
}

#[test]
fn a_request_whose_outcome_is_unknown_for_hours_may_have_been_an_upload() {
    let lost_for_hours = |fault| {
        let mut run = to_object_store();
        run.world.faults = vec![fault; 2];
        run.step();
        run.world.advance(SignedDuration::from_hours(3));
        run
    };
    // The sidecars are those that should have got the requests, and the bucket has no manifest.
    let mut run = lost_for_hours(Fault::DropRequest);
    run.finish();
    assert_eq!(outcomes(&run), ["COMPLETED"]);
    assert_eq!(count(&run, Phase::Backup), 2);
    assert!((0..2).all(|node| run.world.uploads.is_whole(node)));
    // Another sidecar may have uploaded a part of it.
    let mut run = lost_for_hours(Fault::DropRequest);
    run.world.restart(1, 0);
    run.finish();
    assert_eq!(outcomes(&run), ["COMPLETED", "FAILED"]);
    // The manifest does not prove the upload.
    let mut run = lost_for_hours(Fault::DropResponse);
    run.finish();
    assert_eq!(outcomes(&run), ["COMPLETED", "FAILED"]);
}

#[test]
fn a_part_whose_folder_cannot_be_listed_for_15_minutes_is_not_sent_again() {
    let mut run = to_object_store();
    run.world.faults = vec![Fault::None, Fault::DropRequest];
    run.step();
    run.world.advance(SignedDuration::from_hours(3));
    run.world.unlisted_until = jiff::Timestamp::MAX;
    let begun = run.world.now;
    run.until(|run| !run.status().history.is_empty());
    assert!(run.world.now.duration_since(begun) >= SignedDuration::from_mins(15));
    assert_eq!(outcomes(&run), ["FAILED"]);
}

#[test]
fn the_last_cleanup_of_a_proof_whose_answers_are_lost_is_sent_eight_times() {
    let mut run = BackupRun::new(2);
    kill_during_upload(&mut run);
    run.until(|run| count(run, Phase::Download) == 1);
    run.world.faults = vec![Fault::DropRequest; 1_000];
    let before = run.world.sent;
    run.finish();
    assert_eq!(run.state(), "COMPLETED", "{:?}", run.status());
    assert_eq!(run.world.sent - before, 8);
}

#[test]
fn a_part_in_a_directory_is_proven_by_a_download() {
    let mut run = BackupRun::new(2);
    run.step();
    run.world.advance(SignedDuration::from_mins(30));
    run.world.restart(1, 0);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(outcomes(&run), ["COMPLETED"]);
    assert_eq!(count(&run, Phase::Backup), 2, "nothing is sent again");
    let proof = [Phase::Init, Phase::Download, Phase::Cleanup].map(|phase| count(&run, phase));
    assert_eq!(proof, [1, 1, 2]);
    assert_eq!(run.status().common.nodes[1].unproven, None);
    // A part without a manifest is sent again under the same tag, and then proven.
    let mut run = BackupRun::new(2);
    kill_during_upload(&mut run);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(count(&run, Phase::Backup), 3);
    assert_eq!(count(&run, Phase::Download), 1);
}

#[test]
fn a_file_that_was_cut_short_fails_the_proof_of_every_attempt_until_it_is_deleted() {
    let mut run = to_directory();
    kill_during_upload(&mut run);
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(outcomes(&run), ["FAILED"; 4]);
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "PartUnproven");
    assert_eq!(
        message,
        "c1-dc1-rack1-1: Unable to download files successfully: data/k1/t1-1/nb-5-big-Data.db; sidecars do not write a \
         file again that exists, even if a killed sidecar cut it short: delete the file that the message names from the \
         node's folder in file:///backups/bucket/c/d/n, then fix the cause and create the backup again under another name"
    );
    // The file is deleted while the run is under way.
    let mut run = to_directory();
    kill_during_upload(&mut run);
    run.until(|run| run.status().history.len() == 1);
    run.world.uploads.cut.clear();
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(outcomes(&run), ["COMPLETED", "FAILED"]);
    assert!((0..2).all(|node| run.world.uploads.is_whole(node)));
}

#[test]
fn the_next_run_in_a_directory_proves_the_node_whose_part_was_interrupted() {
    let mut run = to_directory();
    run.object.spec.schedule = Some("@every 1h".to_owned());
    run.object.metadata.creation_timestamp = Some(Time(run.world.now));
    kill_during_upload(&mut run);
    run.until(|run| run.status().history.len() == 4);
    assert_eq!(run.reason("Failed").unwrap().0, "PartUnproven");
    let downloads = count(&run, Phase::Download);
    run.until(|run| run.status().history.len() == 5);
    assert!(
        count(&run, Phase::Download) > downloads,
        "the node is proven in the next run"
    );
    assert_eq!(outcomes(&run)[0], "FAILED");
    run.world.uploads.cut.clear();
    run.until(|run| outcomes(run)[0] == "COMPLETED");
    let downloads = count(&run, Phase::Download);
    let runs = run.status().history.len();
    run.until(|run| run.status().history.len() > runs);
    assert_eq!(outcomes(&run)[0], "COMPLETED");
    assert_eq!(count(&run, Phase::Download), downloads, "it is proven once");
}

#[test]
fn a_proof_whose_sidecar_dies_or_whose_ring_is_down_is_repeated() {
    let mut run = BackupRun::new(2);
    kill_during_upload(&mut run);
    run.until(|run| count(run, Phase::Download) == 1);
    run.world.advance(SignedDuration::from_secs(2));
    run.world.restart(1, 5);
    let error = "Failure detector of this node reports that 1 node(s) in a cluster are down!";
    run.world.failing = Some((Phase::Init, error, 3));
    run.finish();
    assert_eq!(run.state(), "COMPLETED", "{:?}", run.reason("Failed"));
    assert_eq!(outcomes(&run), ["COMPLETED"]);
}

#[test]
fn a_lost_part_is_not_repeated_for_a_run_that_the_next_one_replaces() {
    let mut run = to_object_store();
    run.object.spec.schedule = Some("@every 1m".to_owned());
    run.object.spec.concurrency_policy = Some(ConcurrencyPolicy::Replace);
    run.object.metadata.creation_timestamp = Some(Time(run.world.now));
    run.until(|run| count(run, Phase::Backup) == 2);
    run.world.restart(1, 90);
    run.until(|run| !run.status().history.is_empty());
    assert_eq!(outcomes(&run), ["CANCELLED"]);
    assert!(run.event_reasons().contains(&"BackupReplaced"));
    assert!(!run.event_reasons().contains(&"PartUnproven"));
}

#[test]
fn a_run_that_cannot_begin_again_fails_after_a_while() {
    let mut run = to_object_store();
    kill_during_upload(&mut run);
    run.until(|run| run.status().common.nodes[1].unproven == Some(true));
    run.world.restart(1, 1_000_000);
    run.finish();
    assert_eq!(run.state(), "FAILED");
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "PartUnproven");
    assert!(
        message.starts_with(&format!(
            "{LOST}; the backup could not begin again for 15 minutes: "
        )),
        "{message}"
    );
}
