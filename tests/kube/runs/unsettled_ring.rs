//! Runs that begin when the ring is not settled, or lose a part: what users see of them.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::other_executors::condition;
use super::{Lab, TIMEOUT, history};
use crate::stand_in::{Ring, Torn};
use crate::support::objects::{backup, restore};
use crate::support::pods;
use crate::support::servers::Crds;
use crate::support::stage::Stage;

/// Waits until the condition `Reconciling` of a backup has this reason, and returns its message.
fn waits_with(lab: &Lab, name: &str, reason: &str) -> String {
    let object = lab.waits_until("cassandrabackup", name, |object| {
        condition(object, "Reconciling").is_some_and(|one| one["reason"] == reason)
    });
    condition(&object, "Reconciling").unwrap()["message"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub(crate) fn a_backup_waits_while_two_sidecars_disagree_about_the_ring() {
    let lab = Lab::new();
    lab.ring.write("k1.t1", 0..10);
    lab.ring.set_unseen(0, 1, true);
    lab.reconciled(|| {
        lab.stage
            .kubectl
            .apply(&backup("nightly", "entities: k1"))
            .succeeds();
        let message = waits_with(&lab, "nightly", "RingUnsettled");
        for pod in [0, 1].map(|node| pods::name_in("c1", node)) {
            assert!(message.contains(&pod), "{pod} is not in: {message}");
        }
        assert_eq!(lab.ring.submitted(), [], "nothing is sent to a part of the ring");
        lab.ring.set_unseen(0, 1, false);
        let done = lab.waits_for("cassandrabackup", "nightly", "COMPLETED");
        assert_eq!(done["status"]["nodes"].as_array().unwrap().len(), 2);
    });
}

pub(crate) fn a_backup_waits_for_a_running_pod_outside_the_ring_unless_it_joins() {
    let ring = Ring::new("2.0.4", 2, &[("k1.t1", 1), ("k1.t2", 2)]);
    ring.write("k1.t1", 0..10);
    let joining = ring.begin_join();
    let lab = Lab::of(ring, Stage::new(Crds::Ours)).ticks();
    lab.reconciled(|| {
        let kubectl = &lab.stage.kubectl;
        kubectl.apply(&backup("joining", "entities: k1")).succeeds();
        let done = lab.waits_for("cassandrabackup", "joining", "COMPLETED");
        let of_run: Vec<&Value> = done["status"]["nodes"].as_array().unwrap().iter().collect();
        assert_eq!(of_run.len(), 2, "a node that joins has no rows of its own yet");

        // It has joined, but the sidecars do not know of it yet.
        lab.ring.set_mode(joining, cassgate::icarus::NodeMode::Normal);
        kubectl.apply(&backup("outside", "entities: k1")).succeeds();
        let message = waits_with(&lab, "outside", "RingUnsettled");
        let pod = pods::name_in("c1", joining);
        assert!(message.contains(&pod), "{pod} is not in: {message}");
        lab.ring.set_in_ring(joining, true);
        let done = lab.waits_for("cassandrabackup", "outside", "COMPLETED");
        assert_eq!(done["status"]["nodes"].as_array().unwrap().len(), 3);
    });
}

pub(crate) fn a_part_that_its_sidecar_lost_is_taken_again_under_another_tag_and_restored() {
    let lab = Lab::still();
    lab.ring.write("k1.t1", 0..100);
    lab.ring.write("k1.t2", 0..100);
    lab.ring.upload_manifests_early();
    lab.reconciled(|| {
        let kubectl = &lab.stage.kubectl;
        kubectl.apply(&backup("nightly", "entities: k1")).succeeds();
        lab.waits_until("cassandrabackup", "nightly", |_| lab.ring.submitted().len() == 2);
        // The manifest is stored, and a file is not.
        let mut steps = 0;
        while lab.ring.stored(1).is_empty() {
            assert!(lab.ring.step(1), "no manifest after {steps} steps");
            steps += 1;
        }
        lab.ring.kill_sidecar(1, Torn::Nothing);
        lab.ring.start_sidecar(1);
        lab.report(1);
        let lost = kubectl.get("cassandrabackup", "nightly")["status"]["snapshotTag"].clone();
        let begun = std::time::Instant::now();
        let done = loop {
            lab.ring.tick();
            let object = kubectl.get("cassandrabackup", "nightly");
            match object["status"]["condition"]["type"].as_str() {
                Some("COMPLETED") => break object,
                Some("FAILED") => panic!("{:#}", object["status"]),
                _ => assert!(begun.elapsed() < TIMEOUT, "{:#}", object["status"]),
            }
            thread::sleep(Duration::from_millis(100));
        };
        let outcomes: Vec<(Value, Value)> = history(&done)
            .into_iter()
            .map(|run| (run["outcome"].clone(), run["snapshot"].clone()))
            .collect();
        let again = done["status"]["snapshotTag"].clone();
        assert_ne!(again, lost);
        let newest_first = [(json!("COMPLETED"), again), (json!("FAILED"), lost.clone())];
        assert_eq!(outcomes, newest_first);
        let told = kubectl.run(&[
            "get",
            "events",
            "-o",
            "jsonpath={range .items[?(@.reason=='PartUnproven')]}{.type} {.message}{end}",
        ]);
        for part in ["Warning", &pods::name_in("c1", 1), lost.as_str().unwrap()] {
            assert!(told.stdout.contains(part), "{part} is not in: {}", told.stdout);
        }
    });
    let lab = lab.ticks();
    lab.ring.delete("k1.t1", 0..100);
    lab.reconciled(|| {
        lab.stage
            .kubectl
            .apply(&restore("monday", "cassandraBackup: nightly"))
            .succeeds();
        lab.waits_for("cassandrarestore", "monday", "COMPLETED");
    });
    assert_eq!(lab.ring.rows("k1.t1").len(), 100);
    assert_eq!(lab.ring.violations(), Vec::<String>::new());
}
