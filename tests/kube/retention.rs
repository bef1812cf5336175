//! Retention on a real kube-apiserver with a model of the sidecars: the content of the bucket, and the events.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::runs::{Lab, TIMEOUT};
use crate::support::objects::{backup, restore};

/// Waits for a status that satisfies `fits`.
fn waits_until(lab: &Lab, fits: impl Fn(&Value) -> bool) -> Value {
    let backup = lab.waits_until("cassandrabackup", "weekly", |object| fits(&object["status"]));
    backup["status"].clone()
}

/// Waits for the backup's events, each as `REASON: MESSAGE`. An event follows the status that it describes.
fn waits_for_notes(lab: &Lab, count: usize) -> Vec<String> {
    let begun = Instant::now();
    let notes =
        "jsonpath={range .items[?(@.involvedObject.name==\"weekly\")]}{.reason}: {.message}{\"\\n\"}{end}";
    loop {
        let events = lab.stage.kubectl.run(&["get", "events", "-o", notes]).stdout;
        let published: Vec<_> = events.lines().map(str::to_owned).collect();
        if published.len() >= count {
            return published;
        }
        assert!(begun.elapsed() < TIMEOUT, "{published:#?}");
        thread::sleep(Duration::from_millis(200));
    }
}

fn history(status: &Value) -> Vec<String> {
    let runs = status["history"].as_array().cloned().unwrap_or_default();
    runs.iter()
        .map(|run| run["snapshot"].as_str().unwrap().to_owned())
        .collect()
}

fn annotate(lab: &Lab, annotation: &str) {
    let annotate = ["annotate", "cassandrabackup", "weekly", annotation];
    lab.stage.kubectl.run(&annotate).succeeds();
}

/// Installs a sidecar version that can list and remove; CassKop's default cannot.
fn take_a_newer_sidecar(lab: &Lab) {
    let image = json!({ "spec": { "backRestSidecar": { "image": "icarus:2.0.4" } } }).to_string();
    let patch = ["patch", "cassandracluster", "c1", "--type=merge", "-p", &image];
    lab.stage.kubectl.run(&patch).succeeds();
}

/// Creates three snapshots, and a scheduled backup between two runs with these snapshots as its history.
fn three_runs(lab: &Lab, before: impl FnOnce(&str)) -> [String; 3] {
    let kubectl = &lab.stage.kubectl;
    let tags = ["one", "two", "three"].map(|name| {
        kubectl.apply(&backup(name, "entities: k1")).succeeds();
        let done = lab.waits_for("cassandrabackup", name, "COMPLETED");
        done["status"]["snapshotTag"].as_str().unwrap().to_owned()
    });
    before(&tags[1]);
    let weekly = "schedule: 0 0 1 1 *\nretention: {keepLast: 1}";
    kubectl.apply(&backup("weekly", weekly)).succeeds();
    let past = |tag: &String| json!({ "snapshot": tag, "outcome": "COMPLETED", "completed": "2026-11-22T00:00:00Z" });
    let status = json!({ "status": {
        "condition": { "type": "COMPLETED", "failureCause": [] },
        "clusterName": "ring-A",
        "nodes": [{ "hostId": lab.ring.host(0).as_str() }],
        "timeCompleted": "2026-11-22T00:00:00Z",
        "snapshotTag": tags[2],
        "history": tags.iter().rev().map(past).collect::<Vec<_>>(),
    }});
    let patch = status.to_string();
    let patch = [
        "patch",
        "cassandrabackup",
        "weekly",
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ];
    kubectl.run(&patch).succeeds();
    tags
}

pub(crate) fn old_snapshots_are_removed_unless_a_restore_names_them() {
    let lab = Lab::new();
    lab.ring.write("k1.t1", 0..100);
    take_a_newer_sidecar(&lab);
    lab.reconciled(|| {
        let kubectl = &lab.stage.kubectl;
        // The restore waits for a backup that does not exist, and names the second of three runs.
        let [one, two, three] = three_runs(&lab, |two| {
            let more = format!("cassandraBackup: later\nsnapshot: {two}");
            kubectl.apply(&restore("waits", &more)).succeeds();
        });
        let status = waits_until(&lab, |status| {
            history(status).len() == 2 && status["retention"].is_null()
        });
        assert_eq!(history(&status), [three.clone(), two.clone()]);
        for node in 0..2 {
            let stored = lab.ring.stored(node);
            assert!(!stored.contains(&one), "node {node}: {stored:?}");
            assert!(
                stored.contains(&two) && stored.contains(&three),
                "node {node}: {stored:?}"
            );
        }
        // No restore names the snapshot any more; retention only reports it.
        annotate(&lab, "cassgate.db.orange.com/retention=report");
        kubectl.run(&["delete", "cassandrarestore", "waits"]).succeeds();
        annotate(&lab, "example.com/touched=yes");
        let status = waits_until(&lab, |status| status["retention"]["reported"] == json!([two]));
        assert_eq!(history(&status), [three.clone(), two.clone()]);
        assert!(lab.ring.stored(0).contains(&two));
        annotate(&lab, "cassgate.db.orange.com/retention-");
        let status = waits_until(&lab, |status| {
            history(status).len() == 1 && status["retention"].is_null()
        });
        assert_eq!(history(&status), std::slice::from_ref(&three));
        for node in 0..2 {
            assert_eq!(
                lab.ring.stored(node).into_iter().collect::<Vec<_>>(),
                std::slice::from_ref(&three)
            );
        }
        assert_eq!(lab.ring.violations(), Vec::<String>::new());
        let published = waits_for_notes(&lab, 3);
        for tag in [&one, &two] {
            let removed =
                format!("SnapshotRemoved: Snapshot {tag} expired by spec.retention: it was removed");
            assert!(
                published.iter().any(|note| note.starts_with(&removed)),
                "{removed} in {published:#?}"
            );
        }
        let reported = format!("SnapshotsExpired: 1 snapshot would be removed by spec.retention: {two};");
        assert!(
            published.iter().any(|note| note.starts_with(&reported)),
            "{reported} in {published:#?}"
        );
    });
}
