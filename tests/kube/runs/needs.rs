//! What a schedule needs and loses between two runs: what users see of it, and what becomes of the run.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::Lab;
use super::kills::fill;
use super::rivals::{condition, events};
use super::world::{World, in_made_up_time_on};
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

/// Waits until `Ready` says this.
async fn until_ready(world: &World, status: &str, reason: &str) -> Value {
    let so = |object: &Value| {
        condition(object, "Ready").is_some_and(|one| one["status"] == status && one["reason"] == reason)
    };
    world.until(&world.backups(), NAME, so).await
}

/// How many warnings and how many good tidings there are; a run that is due and waits tells none of its own.
async fn are_told(world: &World, warnings: usize, tidings: usize) {
    // An event comes after the status that it speaks of.
    sleep(Duration::from_secs(5)).await;
    let told = |reason, type_| {
        let events = events(world, NAME, reason);
        assert!(events.iter().all(|event| event["type"] == type_), "{events:#?}");
        events.len()
    };
    let all = (
        told("NotReady", "Warning"),
        told("Ready", "Normal"),
        told("Waiting", ""),
    );
    assert_eq!(all, (warnings, tidings, 0));
}

/// Nothing is written however often it is looked at.
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

/// The Secret loses a key, the cluster goes: each is told, and that it is mended.
async fn each_loss_is_told_once(world: &World) {
    let kubectl = &world.lab.stage.kubectl;
    until_ready(world, "True", "Scheduled").await;
    are_told(world, 0, 0).await;
    rests(world).await;

    let key = json!([{ "op": "remove", "path": "/data/awssecretaccesskey" }]);
    patches(world, "secret", "s3", "json", &key);
    let lost = until_ready(world, "False", "Refused").await;
    assert!(
        message(&lost).ends_with("[secret-key-missing]"),
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

/// The sidecar is off when the run is due: it waits in silence, and begins when the sidecar is back.
async fn the_run_waits_for_what_was_told(world: &World) {
    switch_sidecar(world, false);
    let off = until_ready(world, "False", "Refused").await;
    assert!(message(&off).ends_with("[sidecar-disabled]"), "{}", message(&off));
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

/// What the last run came to stays beside what the next one lacks.
async fn the_last_run_stays(world: &World) {
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

pub(crate) fn what_the_next_run_lacks_is_told_once_before_it_is_due() {
    in_made_up_time_on(Lab::still().with_the_executors_rights(), async |mut world| {
        fill(&world);
        let rules = world.rules();
        let schedule = backup(NAME, "entities: k1\nschedule: '@every 150m'");
        world.lab.stage.kubectl.apply(&schedule).succeeds();
        let test = async {
            each_loss_is_told_once(&world).await;
            the_run_waits_for_what_was_told(&world).await;
            the_last_run_stays(&world).await;
        };
        tokio::select! {
            () = world.while_it_runs(test) => {}
            () = rules => panic!("the caches ended"),
        }
        assert_eq!(world.ring.violations(), Vec::<String>::new());
    });
}
