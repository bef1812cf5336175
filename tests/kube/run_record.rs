//! The record of a run in every place where it can be lost: each part, both kinds, both CRDs, the main resource and `/status`.

use serde_json::{Value, json};

use crate::support::{
    kubectl::Answer,
    objects::{backup, cluster, documents, restore, secret},
    servers::Crds,
    stage::Guarded,
};

const KINDS: [(&str, &str, &str); 2] = [
    ("CassandraBackup", "cassandrabackup", "b1"),
    ("CassandraRestore", "cassandrarestore", "r1"),
];

/// Returns a merge patch that loses a part of the record, and the path of that part.
fn losses(state: &str) -> Vec<(Value, &'static str)> {
    let mut losses = vec![
        (Value::Null, "status.condition"),
        (json!({"condition": null}), "status.condition"),
        (json!({"condition": {"type": ""}}), "status.condition"),
        (json!({"coordinatorMember": null}), "status.coordinatorMember"),
        (json!({"coordinatorMember": ""}), "status.coordinatorMember"),
        (json!({"id": null}), "status.id"),
        (json!({"id": ""}), "status.id"),
        (json!({"condition": {"type": "REQUIRED"}}), "status.condition"),
    ];
    if state != "RUNNING" {
        losses.push((json!({"condition": {"type": "RUNNING"}}), "status.condition"));
    }
    losses
}

fn record(state: &str) -> Value {
    json!({"condition": {"type": state}, "coordinatorMember": "c1-dc1-rack1-0", "id": "5b8b1a0c", "progress": "50%"})
}

/// Returns a namespace with a backup and a restore that have not run.
fn with_objects(crds: Crds) -> Guarded {
    let here = Guarded::new(crds, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[
            cluster(),
            secret(),
            backup("done", "entities: k1.t1\nsnapshotTag: done"),
            backup("b1", "entities: k1.t1"),
        ]))
        .succeeds();
    here.has_run("done");
    here.kubectl()
        .apply(&restore("r1", "cassandraBackup: done"))
        .succeeds();
    here
}

/// Merges a status into an object, where these CRDs keep it.
fn patch(here: &Guarded, kind: &str, name: &str, status: &Value) -> Answer {
    let patch = json!({"status": status}).to_string();
    let mut arguments = vec!["patch", kind, name, "--type=merge", "-p", &patch];
    if here.stage.servers.crds() == Crds::Ours {
        arguments.push("--subresource=status");
    }
    here.kubectl().run(&arguments)
}

/// Returns the answer to a denied request.
fn denial(title: &str, name: &str, path: &str, state: &str) -> String {
    format!(
        "{title}.db.orange.com \"{name}\" is forbidden: {path}: Forbidden: this object is {state}, and without that record it \
         would run again; to run it again, create an object with another name"
    )
}

/// Loses each part of the record in each state, and asserts the answers and that the stored status stays.
fn each_loss(here: &Guarded, answered: impl Fn(Answer, &str)) {
    for (title, kind, name) in KINDS {
        for state in ["RUNNING", "FAILED"] {
            patch(here, kind, name, &record(state)).succeeds();
            let stored = here.kubectl().get(kind, name)["status"].clone();
            for (change, path) in losses(state) {
                let answer = patch(here, kind, name, &change);
                answered(answer, &denial(title, name, path, state));
                assert_eq!(
                    here.kubectl().get(kind, name)["status"],
                    stored,
                    "{kind} {state} {change}"
                );
            }
        }
    }
}

pub(crate) fn a_lost_part_of_the_record_is_denied_with_our_crds() {
    let here = with_objects(Crds::Ours);
    each_loss(&here, |answer, denial| {
        answer.refused_with(&[denial, "status-reset]"]);
    });
    // On the main resource the API server keeps the stored status.
    let mut object = here.kubectl().get("cassandrarestore", "r1");
    let stored = object["status"].clone();
    object["status"] = json!({"condition": {"type": "REQUIRED"}});
    here.kubectl()
        .run_with(&["replace", "-f", "-"], &object.to_string())
        .succeeds();
    assert_eq!(here.kubectl().get("cassandrarestore", "r1")["status"], stored);
}

pub(crate) fn a_lost_part_of_the_record_is_put_back_with_casskops_crds() {
    let here = with_objects(Crds::Casskop);
    each_loss(&here, |answer, _| {
        answer
            .succeeds()
            .mentions(&["kept: this object is", "status-reset]"]);
    });
    let mut object = here.kubectl().get("cassandrarestore", "r1");
    let stored = object["status"].clone();
    object["status"]
        .as_object_mut()
        .unwrap()
        .remove("coordinatorMember");
    here.kubectl()
        .run_with(&["replace", "-f", "-"], &object.to_string())
        .succeeds()
        .mentions(&["kept: this object is FAILED", "status-reset]"]);
    assert_eq!(here.kubectl().get("cassandrarestore", "r1")["status"], stored);
}

pub(crate) fn a_lost_part_of_the_record_is_denied_without_the_mutating_webhook() {
    let here = with_objects(Crds::Casskop);
    let configuration = format!("cassgate-{}", here.stage.namespace);
    here.stage
        .servers
        .kubectl
        .run(&["delete", "mutatingwebhookconfiguration", &configuration])
        .succeeds();
    // The API server notices after a moment that the webhook is gone.
    let probe =
        json!({"metadata": {"annotations": {"a": "b"}}, "spec": {"concurrentConnection": null}}).to_string();
    for _ in 0..600 {
        let answer = here.kubectl().run(&[
            "patch",
            "cassandrarestore",
            "r1",
            "--type=merge",
            "--dry-run=server",
            "--output=json",
            "-p",
            &probe,
        ]);
        let patched: Value = serde_json::from_str(&answer.succeeds().stdout).unwrap();
        if patched["spec"].get("concurrentConnection").is_none() {
            break;
        }
    }
    each_loss(&here, |answer, denial| {
        answer.refused_with(&[denial, "status-reset]"]);
    });
}

/// CassKop's writes of a restore and of a one-shot backup, in their order (`cassandrarestore/reconcile.go`,
/// `cassandrabackup/reconcile.go` and `backup.go` at 40f5dfa9).
pub(crate) fn no_write_of_casskop_touches_the_record() {
    let here = with_objects(Crds::Casskop);
    let pod = "c1-dc1-rack1-0";
    let restore = [
        json!({"condition": {"type": "REQUIRED"}, "coordinatorMember": pod}),
        json!({"condition": {"type": "PENDING"}, "id": "5b8b1a0c", "progress": "0%", "timeCreated": "2026-11-22T21:38:38.725Z"}),
        json!({"condition": {"type": "RUNNING"}, "progress": "50%", "timeStarted": "2026-11-22T21:38:39.725Z"}),
        json!({"condition": {"type": "COMPLETED"}, "progress": "100%", "timeCompleted": "2026-11-22T21:39:39.725Z"}),
    ];
    let backup = [
        json!({"coordinatorMember": pod}),
        // The PUT of a backup that is given up, for example because its Secret is missing.
        json!(null),
        json!({"coordinatorMember": "c1-dc1-rack1-1"}),
        json!({"condition": {"type": "PENDING"}, "id": "7d1f3c20", "progress": "0%"}),
        json!({"condition": {"type": "FAILED", "failureCause": [{"source": "10.0.0.1", "message": "m"}]}, "progress": "100%"}),
    ];
    for (kind, name, writes) in [
        ("cassandrarestore", "r1", &restore[..]),
        ("cassandrabackup", "b1", &backup[..]),
    ] {
        let mut expected = Value::Null;
        for status in writes {
            patch(&here, kind, name, status).says(&format!("{kind}.db.orange.com/{name} patched"));
            json_patch::merge(&mut expected, status);
            assert_eq!(
                here.kubectl().get(kind, name)["status"],
                expected,
                "{kind} {status}"
            );
        }
    }
}
