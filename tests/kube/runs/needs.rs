//! References that a schedule loses between two runs: what users see, and what happens to the run.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::Lab;
use super::kills::fill;
use super::other_executors::{condition, events};
use super::world::{World, in_simulated_time_on};
use crate::support::objects::{backup, cluster, secret};

const NAME: &str = "nightly";

fn runs(world: &World, command: &[&str]) {
    world.lab.stage.kubectl.run(command).succeeds();
}

fn patches(world: &World, kind: &str, name: &str, type_: &str, patch: &Value) {
    let patch = patch.to_string();
    runs(
        world,
        &["patch", kind, name, &format!("--type={type_}"), "-p", &patch],
    );
}

fn switch_sidecar(world: &World, on: bool) {
    let spec = json!({ "spec": { "backRestSidecar": { "enabled": on } } });
    patches(world, "cassandracluster", "c1", "merge", &spec);
}

/// Waits until the condition `Ready` has this status and reason.
async fn until_ready(world: &World, status: &str, reason: &str) -> Value {
    let so = |object: &Value| {
        condition(object, "Ready").is_some_and(|one| one["status"] == status && one["reason"] == reason)
    };
    world.until(&world.backups(), NAME, so).await
}

/// Asserts the number of warnings and of recovery events; a run that is due and waits emits none of its own.
async fn are_told(world: &World, warnings: usize, recoveries: usize) {
    // An event follows the status that it describes.
    sleep(Duration::from_secs(5)).await;
    let published = |reason, type_| {
        let events = events(world, NAME, reason);
        assert!(events.iter().all(|event| event["type"] == type_), "{events:#?}");
        events.len()
    };
    let all = (
        published("NotReady", "Warning"),
        published("Ready", "Normal"),
        published("Waiting", ""),
    );
    assert_eq!(all, (warnings, recoveries, 0));
}

/// Asserts that repeated reconciles write nothing.
async fn rests(world: &World) {
    let acts = world.wire.acts();
    sleep(Duration::from_mins(25)).await;
    assert_eq!(world.wire.acts(), acts);
}

fn message(object: &Value) -> String {
    condition(object, "Ready").unwrap()["message"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn is_stalled(object: &Value) -> bool {
    condition(object, "Stalled").is_some()
}

/// The Secret loses a key, then the cluster is deleted: each loss and each recovery is reported.
async fn each_loss_is_reported_once(world: &World) {
    let kubectl = &world.lab.stage.kubectl;
    until_ready(world, "True", "Scheduled").await;
    are_told(world, 0, 0).await;
    rests(world).await;

    let key = json!([{ "op": "remove", "path": "/data/awssecretaccesskey" }]);
    patches(world, "secret", "s3", "json", &key);
    let lost = until_ready(world, "False", "Refused").await;
    assert!(
        message(&lost).ends_with("[cassgate secret-key-missing]"),
        "{}",
        message(&lost)
    );
    assert!(is_stalled(&lost), "{lost:#}");
    assert_eq!(condition(&lost, "ReferencesResolved").unwrap()["status"], "True");
    are_told(world, 1, 0).await;
    rests(world).await;
    kubectl.apply(&secret()).succeeds();
    assert!(!is_stalled(&until_ready(world, "True", "Scheduled").await));
    are_told(world, 1, 1).await;

    runs(world, &["delete", "cassandracluster", "c1"]);
    let gone = until_ready(world, "False", "ClusterNotFound").await;
    let resolved = condition(&gone, "ReferencesResolved").unwrap();
    assert_eq!(
        (&resolved["status"], &resolved["reason"]),
        (&json!("False"), &json!("ClusterNotFound"))
    );
    are_told(world, 2, 1).await;
    kubectl.apply(&cluster()).succeeds();
    until_ready(world, "True", "Scheduled").await;
    are_told(world, 2, 2).await;
}

/// The sidecar is disabled when the run is due: the run waits without a new event, and begins when the sidecar is
/// back.
async fn the_run_waits_for_the_reported_reference(world: &World) {
    switch_sidecar(world, false);
    let off = until_ready(world, "False", "Refused").await;
    assert!(
        message(&off).ends_with("[cassgate sidecar-disabled]"),
        "{}",
        message(&off)
    );
    are_told(world, 3, 2).await;
    let slot = off["status"]["nextScheduleTime"].clone();
    let waits =
        |object: &Value| condition(object, "Reconciling").is_some_and(|one| one["reason"] == "Refused");
    world.until(&world.backups(), NAME, waits).await;
    sleep(Duration::from_mins(2)).await;
    are_told(world, 3, 2).await;
    assert_eq!(world.ring.submitted(), []);
    switch_sidecar(world, true);
    let has_run = |object: &Value| object["status"]["condition"]["type"] == "COMPLETED";
    let done = world.until(&world.backups(), NAME, has_run).await;
    assert_eq!(done["status"]["lastScheduleTime"], slot);
    assert_eq!(done["status"]["missedRuns"], Value::Null);
    assert_eq!(
        message(&done),
        format!(
            "the next run is due at {}",
            done["status"]["nextScheduleTime"].as_str().unwrap()
        )
    );
    are_told(world, 3, 2).await;
}

/// The outcome of the last run stays beside the missing reference of the next one.
async fn the_last_outcome_is_kept(world: &World) {
    let before = until_ready(world, "True", "Scheduled").await;
    runs(world, &["delete", "secret", "s3"]);
    let gone = until_ready(world, "False", "SecretNotFound").await;
    are_told(world, 4, 2).await;
    assert_eq!(condition(&gone, "Complete").unwrap()["status"], "True");
    let rest = |object: &Value| {
        let mut status = object["status"].clone();
        status["conditions"].take();
        status
    };
    assert_eq!(rest(&gone), rest(&before));
}

pub(crate) fn missing_references_of_the_next_run_are_reported_once_before_it_is_due() {
    in_simulated_time_on(Lab::still().with_the_executors_rights(), async |mut world| {
        fill(&world);
        let rules = world.rules();
        let schedule = backup(NAME, "entities: k1\nschedule: '@every 150m'");
        world.lab.stage.kubectl.apply(&schedule).succeeds();
        let test = async {
            each_loss_is_reported_once(&world).await;
            the_run_waits_for_the_reported_reference(&world).await;
            the_last_outcome_is_kept(&world).await;
        };
        tokio::select! {
            () = world.while_it_runs(test) => {}
            () = rules => panic!("the caches ended"),
        }
        assert_eq!(world.ring.violations(), Vec::<String>::new());
    });
}
