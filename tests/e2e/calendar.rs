//! A scheduled backup, from its first run until after its deletion.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::support::ring::Pace;

/// Longer than every interval in this test: a run that has not begun by then does not begin.
const LONGEST_INTERVAL: Duration = Duration::from_secs(25);

/// Returns the snapshots of the finished runs, newest first; all of them completed.
fn runs(status: &Value) -> Vec<String> {
    let history = status["history"].as_array().cloned().unwrap_or_default();
    let snapshot = |run: &Value| {
        assert_eq!(run["outcome"], "COMPLETED", "{status:#}");
        run["snapshot"].as_str().unwrap().to_owned()
    };
    history.iter().map(snapshot).collect()
}

fn waits(lab: &Lab, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    lab.waits("cassandrabackup", "nightly", what, holds)["status"].clone()
}

fn edit(lab: &Lab, patch: &Value) {
    let patch = patch.to_string();
    let command = [
        "patch",
        "cassandrabackup",
        "nightly",
        "--type=merge",
        "-p",
        &patch,
    ];
    lab.stage.kubectl.run(&command).succeeds();
}

/// Suspends the backup, waits until no run is in progress and none is due, and returns its status.
fn suspend(lab: &Lab) -> Value {
    edit(lab, &json!({ "spec": { "suspend": true } }));
    waits(lab, "suspended", |status| {
        status["nextScheduleTime"].is_null() && status["condition"]["type"] == "COMPLETED"
    })
}

/// Asserts that the store holds exactly these snapshots, each with one manifest per node.
fn are_stored(lab: &Lab, snapshots: &[String]) {
    let stored = lab.ring.stored();
    let expected = snapshots.iter().map(|snapshot| (snapshot.clone(), 2)).collect();
    assert_eq!(stored, expected);
}

#[test]
fn a_schedule_is_edited_suspended_resumed_pruned_restored_and_deleted() {
    let lab = Lab::new(Pace::Quick);
    lab.backup("nightly", "  entities: k1,k2\n  schedule: '@every 15s'\n");
    // CassKop leaves this on every scheduled backup.
    edit(
        &lab,
        &json!({ "metadata": { "finalizers": ["kubernetes.io/unschedule-needed"] } }),
    );
    waits(&lab, "run once", |status| !runs(status).is_empty());

    let rests = suspend(&lab);
    lab.insert(100..150);
    thread::sleep(LONGEST_INTERVAL);
    assert_eq!(lab.get("cassandrabackup", "nightly")["status"], rests);
    let first = runs(&rests);
    are_stored(&lab, &first);

    // The second run ends with the settings that it began with.
    edit(&lab, &json!({ "spec": { "suspend": false } }));
    waits(&lab, "running again", |status| {
        status["condition"]["type"] == "RUNNING"
    });
    edit(
        &lab,
        &json!({ "spec": { "schedule": "@every 20s", "snapshotTag": "weekly" } }),
    );
    let status = waits(&lab, "run twice", |status| runs(status).len() > first.len());
    let second = runs(&status)[0].clone();
    assert!(second.starts_with("nightly-"), "{status:#}");
    lab.insert(150..160);
    let status = waits(&lab, "run under another tag", |status| {
        runs(status)[0].starts_with("weekly-")
    });
    assert_eq!(status["schedule"], "@every 20s");

    trimmed_to(&lab, &second);
    lab.restore("monday", "nightly", &format!("  snapshot: {second}\n"));
    edit(&lab, &json!({ "spec": { "suspend": false } }));
    lab.is("cassandrarestore", "monday", "COMPLETED");
    lab.holds(0..150);

    waits(&lab, "armed", |status| !status["nextScheduleTime"].is_null());
    let delete = ["delete", "cassandrabackup", "nightly", "--timeout=2m"];
    lab.stage.kubectl.run(&delete).succeeds();
    let left = lab.ring.stored();
    thread::sleep(LONGEST_INTERVAL);
    assert_eq!(lab.ring.stored(), left);
}

/// Lets retention remove everything older than this run, and nothing else.
fn trimmed_to(lab: &Lab, oldest: &str) {
    let before = runs(&suspend(lab));
    let kept = before.iter().position(|run| run == oldest).unwrap() + 1;
    let (stay, go) = before.split_at(kept);
    assert!(!go.is_empty(), "{before:?}");
    edit(lab, &json!({ "spec": { "retention": { "keepLast": kept } } }));
    let status = waits(lab, "trimmed", |status| {
        runs(status).len() == kept && status["retention"].is_null()
    });
    assert_eq!(runs(&status), stay);
    are_stored(lab, stay);
    let events = lab.stage.kubectl.run(&["get", "events", "-o", "json"]).stdout;
    for run in go {
        let reported = format!("Snapshot {run} expired by spec.retention");
        assert!(events.contains(&reported), "{reported} in {events}");
    }
}
