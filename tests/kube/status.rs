//! The status of an object, with our CRDs (a subresource) and with CassKop's (a part of the object).

use serde_json::json;

use crate::support::{
    gate,
    objects::{backup, cluster, documents, restore, secret},
    servers::Crds,
    stage::{Guarded, Stage},
};

/// A namespace with objects that were stored before cassgate came, with specs that it would deny.
fn with_broken_specs(crds: Crds) -> Guarded {
    let stage = Stage::new(crds);
    let broken = documents(&[
        backup("b1", "entities: k1,k2.t2"),
        restore("r1", "entities: \"\\\"k1\\\"\""),
    ]);
    stage.kubectl.apply(&broken).succeeds();
    let gate = gate::shared(stage.servers, &["--executor=none"]);
    stage.register(&gate);
    Guarded { stage, gate }
}

/// An executor can write status without a cluster, a Secret or a valid spec.
fn an_executor_can_write_status_with_any_spec(crds: Crds) {
    let here = with_broken_specs(crds);
    // The restore first: its backup cannot be deleted while it is unfinished.
    for (kind, name) in [("cassandrarestore", "r1"), ("cassandrabackup", "b1")] {
        for state in ["REQUIRED", "RUNNING", "FAILED"] {
            here.says(kind, name, state);
        }
        assert_eq!(
            here.kubectl().get(kind, name)["status"]["condition"]["type"],
            "FAILED"
        );
        let merge = |patch: &str| {
            here.kubectl()
                .run(&["patch", kind, name, "--type=merge", "-p", patch])
        };
        merge(r#"{"metadata":{"finalizers":["kubernetes.io/unschedule-needed"]}}"#)
            .says(&format!("{kind}.db.orange.com/{name} patched"));
        here.kubectl()
            .run(&["delete", kind, name, "--wait=false"])
            .succeeds();
        // CassKop writes the whole object, without its finalizers.
        let mut object = here.kubectl().get(kind, name);
        object["metadata"]["finalizers"] = json!([]);
        here.kubectl()
            .run_with(&["replace", "-f", "-"], &object.to_string())
            .says(&format!("{kind}.db.orange.com/{name} replaced"));
        assert!(!here.kubectl().has(kind, name));
    }
}

pub(crate) fn an_executor_can_write_status_with_any_spec_with_our_crds() {
    an_executor_can_write_status_with_any_spec(Crds::Ours);
}

pub(crate) fn an_executor_can_write_status_with_any_spec_with_casskops_crds() {
    an_executor_can_write_status_with_any_spec(Crds::Casskop);
}

fn with_finished(crds: Crds) -> Guarded {
    let here = Guarded::new(crds, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[
            cluster(),
            secret(),
            backup("b1", "entities: k1.t1"),
        ]))
        .succeeds();
    here.has_run("b1");
    here.kubectl().apply(&restore("r1", "")).succeeds();
    here.says("cassandrarestore", "r1", "COMPLETED");
    here
}

/// Returns a manifest as `kubectl get -o yaml` prints it, to be applied elsewhere.
fn manifest_with_status() -> String {
    format!(
        "{}status:\n  condition:\n    type: COMPLETED\n",
        backup("copied", "snapshotTag: copied")
    )
}

pub(crate) fn a_status_of_a_new_object_is_dropped_with_our_crds() {
    let here = with_finished(Crds::Ours);
    here.kubectl()
        .apply(&manifest_with_status())
        .says("cassandrabackup.db.orange.com/copied created");
    assert_eq!(
        here.kubectl().get("cassandrabackup", "copied")["status"],
        json!(null)
    );
}

pub(crate) fn a_status_of_a_new_object_is_dropped_with_a_warning_with_casskops_crds() {
    let here = with_finished(Crds::Casskop);
    here.kubectl().apply(&manifest_with_status()).says_with_warnings(
        "cassandrabackup.db.orange.com/copied created",
        &["status: removed: a new object has not run yet; leave status out of the manifest [cassgate status-on-create]"],
    );
    assert_eq!(
        here.kubectl().get("cassandrabackup", "copied")["status"],
        json!(null)
    );
}

pub(crate) fn a_wiped_status_is_denied_with_our_crds() {
    let here = with_finished(Crds::Ours);
    for (title, kind, name) in [
        ("CassandraBackup", "cassandrabackup", "b1"),
        ("CassandraRestore", "cassandrarestore", "r1"),
    ] {
        for patch in [
            r#"{"status":null}"#,
            r#"{"status":{"condition":{"type":"RUNNING"}}}"#,
        ] {
            here.kubectl()
                .run(&["patch", kind, name, "--subresource=status", "--type=merge", "-p", patch])
                .refused(&format!(
                    "Error from server (Forbidden): admission webhook \"validate.cassgate.db.orange.com\" denied the \
                     request: {title}.db.orange.com \"{name}\" is forbidden: status.condition: Forbidden: this object is \
                     COMPLETED, and without that record it would run again; to run it again, create an object with \
                     another name [cassgate status-reset]"
                ));
        }
        assert_eq!(
            here.kubectl().get(kind, name)["status"]["condition"]["type"],
            "COMPLETED"
        );
    }
}

pub(crate) fn a_wiped_status_is_restored_with_casskops_crds() {
    let here = with_finished(Crds::Casskop);
    for (kind, name) in [("cassandrabackup", "b1"), ("cassandrarestore", "r1")] {
        for patch in [
            r#"{"status":null}"#,
            r#"{"status":{"condition":{"type":"RUNNING"}}}"#,
        ] {
            here.kubectl().run(&["patch", kind, name, "--type=merge", "-p", patch]).says_with_warnings(
                &format!("{kind}.db.orange.com/{name} patched"),
                &["status: kept: this object is COMPLETED, and without its status it would run again [cassgate status-reset]"],
            );
        }
        assert_eq!(
            here.kubectl().get(kind, name)["status"]["condition"]["type"],
            "COMPLETED"
        );
    }
}

/// `kubectl replace` of the original file has no status.
fn replacing_a_finished_object_by_its_file_keeps_its_status(crds: Crds) {
    let here = with_finished(crds);
    let answer = here
        .kubectl()
        .run_with(&["replace", "-f", "-"], &restore("r1", ""))
        .succeeds();
    assert_eq!(answer.stdout, "cassandrarestore.db.orange.com/r1 replaced\n");
    let stored = here.kubectl().get("cassandrarestore", "r1");
    assert_eq!(stored["status"]["condition"]["type"], "COMPLETED");
    assert_eq!(stored["spec"]["entities"], "k1.t1", "what was filled in is kept");
}

pub(crate) fn replacing_a_finished_object_keeps_its_status_with_our_crds() {
    replacing_a_finished_object_by_its_file_keeps_its_status(Crds::Ours);
}

pub(crate) fn replacing_a_finished_object_keeps_its_status_with_casskops_crds() {
    replacing_a_finished_object_by_its_file_keeps_its_status(Crds::Casskop);
}
