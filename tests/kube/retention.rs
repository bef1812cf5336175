//! Retention on a real kube-apiserver, with a model of the sidecars: what is left in the bucket, and what is told.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::runs::{Lab, PATIENCE};
use crate::support::objects::{backup, restore};

/// Waits for a status that fits.
fn waits_until(lab: &Lab, fits: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let status = lab.stage.kubectl.get("cassandrabackup", "weekly")["status"].clone();
        if fits(&status) {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "{status:#}");
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

/// Three snapshots, and a scheduled backup between two runs whose history they are.
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

pub(crate) fn old_snapshots_leave_the_bucket_but_for_those_that_a_restore_asks_for() {
    let lab = Lab::new();
    lab.ring.write("k1.t1", 0..100);
    lab.reconciled(|| {
        let kubectl = &lab.stage.kubectl;
        // It waits for a backup that is not there, and asks for the second of three runs.
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
        // Nobody asks for it any more, and it is only told.
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
        assert_eq!(history(&status), [three.clone()]);
        for node in 0..2 {
            assert_eq!(
                lab.ring.stored(node).into_iter().collect::<Vec<_>>(),
                [three.clone()]
            );
        }
        assert_eq!(lab.ring.violations(), Vec::<String>::new());
        let notes = "jsonpath={range .items[*]}{.reason}: {.message}{\"\\n\"}{end}";
        let events = kubectl.run(&["get", "events", "-o", notes]).stdout;
        for tag in [&one, &two] {
            let told = format!("SnapshotRemoved: Snapshot {tag} does not stay by spec.retention");
            assert!(events.contains(&told), "{told} in {events}");
        }
        assert!(
            events.contains("SnapshotsExpired: 1 snapshots would be removed"),
            "{events}"
        );
    });
}
