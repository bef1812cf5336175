//! Requests that reach cassgate: the shipped rules and matchConditions, counted by cassgate's own metrics.

use serde_json::json;

use crate::support::{
    kubectl::{Answer, Kubectl},
    objects::{backup, cluster, documents, restore, secret},
    servers::Crds,
    stage::Guarded,
};

/// One namespace whose requests are counted.
struct Counted {
    here: Guarded,
}

impl Counted {
    fn new(crds: Crds) -> Self {
        let here = Guarded::alone(crds, &["--executor=none"]);
        here.kubectl()
            .apply(&documents(&[cluster(), secret()]))
            .succeeds();
        Self { here }
    }

    /// Asserts how often cassgate is called while `act` runs.
    #[track_caller]
    fn calls(&self, expected: u64, act: impl FnOnce(&Kubectl) -> Answer) {
        let before = self.here.gate.reviews();
        let answer = act(self.here.kubectl()).succeeds();
        let calls = self.here.gate.reviews() - before;
        assert_eq!(calls, expected, "{}", answer.transcript());
    }

    #[track_caller]
    fn patch(&self, expected: u64, kind: &str, patch: &serde_json::Value) {
        self.calls(expected, |kubectl| patch_of(kubectl, kind, patch, &[]));
    }

    /// Writes the status where these CRDs keep it.
    #[track_caller]
    fn patch_status(&self, expected: u64, kind: &str, status: &serde_json::Value) {
        let more: &[&str] = match self.here.stage.servers.crds() {
            Crds::Ours => &["--subresource=status"],
            Crds::Casskop => &[],
        };
        self.calls(expected, |kubectl| {
            patch_of(kubectl, kind, &json!({"status": status}), more)
        });
    }
}

fn patch_of(kubectl: &Kubectl, kind: &str, patch: &serde_json::Value, more: &[&str]) -> Answer {
    let patch = patch.to_string();
    let arguments: Vec<&str> = ["patch", kind, "it", "--type=merge", "-p", &patch]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    kubectl.run(&arguments)
}

/// Returns a condition as an executor writes it.
fn condition(state: &str) -> serde_json::Value {
    json!({"condition": {"type": state}})
}

fn only_creations_and_changed_specs_are_reviewed(crds: Crds) {
    let counted = Counted::new(crds);
    counted.calls(2, |kubectl| kubectl.apply(&backup("it", "")));
    counted.calls(0, |kubectl| kubectl.apply(&backup("it", "")));
    counted.calls(0, |kubectl| {
        kubectl.run(&["annotate", "cassandrabackup", "it", "a=b"])
    });
    counted.calls(0, |kubectl| {
        kubectl.run(&["label", "cassandrabackup", "it", "a=b"])
    });
    counted.patch(
        0,
        "cassandrabackup",
        &json!({"metadata": {"finalizers": ["example.com/f"]}}),
    );
    let unscheduled = "kubernetes.io/unschedule-needed";
    for (finalizers, calls) in [
        (json!(["example.com/f", unscheduled]), 0),
        (json!([unscheduled, "example.com/f"]), 0),
        (json!(["example.com/f"]), 1),
    ] {
        counted.patch(
            calls,
            "cassandrabackup",
            &json!({"metadata": {"finalizers": finalizers}}),
        );
    }
    counted.patch(2, "cassandrabackup", &json!({"spec": {"entities": "k1"}}));
    counted.patch(0, "cassandrabackup", &json!({"spec": {"entities": "k1"}}));
    // The validating webhook and the entry for DELETE are in one configuration.
    counted.calls(1, |kubectl| {
        kubectl.run(&["delete", "cassandrabackup", "it", "--wait=false"])
    });
    counted.calls(0, |kubectl| {
        kubectl.run(&["delete", "cassandrabackup", "it", "--wait=false"])
    });
    counted.patch(0, "cassandrabackup", &json!({"spec": {"entities": "k1,k2.t2"}}));
    counted.patch(0, "cassandrabackup", &json!({"metadata": {"finalizers": []}}));
    assert!(!counted.here.kubectl().has("cassandrabackup", "it"));
}

pub(crate) fn only_creations_and_changed_specs_are_reviewed_with_our_crds() {
    only_creations_and_changed_specs_are_reviewed(Crds::Ours);
}

pub(crate) fn only_creations_and_changed_specs_are_reviewed_with_casskops_crds() {
    only_creations_and_changed_specs_are_reviewed(Crds::Casskop);
}

/// CassKop's PUT drops empty fields at each restart, and manifests bring them back.
fn empty_fields_cause_no_call(crds: Crds) {
    let counted = Counted::new(crds);
    for (kind, manifest) in [
        ("cassandrabackup", backup("it", "")),
        ("cassandrarestore", restore("it", "cassandraBackup: it")),
    ] {
        counted.here.kubectl().apply(&manifest).succeeds();
        counted.patch_status(0, kind, &condition("COMPLETED"));
    }
    let of_backup = json!({"duration": "", "bandwidth": "", "schedule": ""});
    let of_restore = json!({"schemaVersion": "", "rename": {}});
    for (kind, spec) in [("cassandrabackup", of_backup), ("cassandrarestore", of_restore)] {
        counted.patch(0, kind, &json!({"spec": spec}));
        let mut dropped = spec.clone();
        for value in dropped.as_object_mut().expect("a map").values_mut() {
            *value = serde_json::Value::Null;
        }
        counted.patch(0, kind, &json!({"spec": dropped}));
    }
    // A value in place of an empty field is a change, and so is the reverse.
    counted.here.kubectl().apply(&backup("waits", "")).succeeds();
    for (value, calls) in [("", 0), ("50M", 2), ("50M", 0), ("", 2)] {
        counted.calls(calls, |kubectl| {
            let patch = json!({"spec": {"bandwidth": value}}).to_string();
            kubectl.run(&["patch", "cassandrabackup", "waits", "--type=merge", "-p", &patch])
        });
    }
}

pub(crate) fn empty_fields_cause_no_call_with_our_crds() {
    empty_fields_cause_no_call(Crds::Ours);
}

pub(crate) fn empty_fields_cause_no_call_with_casskops_crds() {
    empty_fields_cause_no_call(Crds::Casskop);
}

/// CassKop writes status every two seconds: none of its writes may cause a call.
fn writes_of_an_executor_cause_no_call(crds: Crds) {
    let counted = Counted::new(crds);
    for (kind, manifest) in [
        ("cassandrabackup", backup("it", "")),
        ("cassandrarestore", restore("it", "cassandraBackup: it")),
    ] {
        counted.here.kubectl().apply(&manifest).succeeds();
        counted.patch_status(0, kind, &condition("REQUIRED"));
        counted.patch_status(0, kind, &json!({"coordinatorMember": "c1-dc1-rack1-0"}));
        counted.patch_status(0, kind, &condition("RUNNING"));
        counted.patch_status(0, kind, &json!({"progress": "50%"}));
        counted.patch_status(0, kind, &condition("FAILED"));
        counted.patch_status(0, kind, &condition("COMPLETED"));
    }
}

pub(crate) fn writes_of_an_executor_cause_no_call_with_our_crds() {
    writes_of_an_executor_cause_no_call(Crds::Ours);
}

pub(crate) fn writes_of_an_executor_cause_no_call_with_casskops_crds() {
    writes_of_an_executor_cause_no_call(Crds::Casskop);
}

/// CassKop clears the status of a scheduled backup at each run.
fn clearing_the_status_of_a_scheduled_backup_is_admitted(crds: Crds) {
    let counted = Counted::new(crds);
    counted
        .here
        .kubectl()
        .apply(&backup("it", "schedule: \"@daily\""))
        .succeeds();
    counted.patch_status(0, "cassandrabackup", &condition("COMPLETED"));
    counted.patch_status(0, "cassandrabackup", &condition("RUNNING"));
    counted.patch_status(0, "cassandrabackup", &serde_json::Value::Null);
}

pub(crate) fn clearing_the_status_of_a_scheduled_backup_is_admitted_with_our_crds() {
    clearing_the_status_of_a_scheduled_backup_is_admitted(Crds::Ours);
}

pub(crate) fn clearing_the_status_of_a_scheduled_backup_is_admitted_with_casskops_crds() {
    clearing_the_status_of_a_scheduled_backup_is_admitted(Crds::Casskop);
}

pub(crate) fn a_namespace_can_be_exempt() {
    let counted = Counted::new(Crds::Ours);
    let namespace = &counted.here.stage.namespace;
    let exempt = "cassgate.db.orange.com/admission=disabled";
    counted
        .here
        .stage
        .servers
        .kubectl
        .run(&["label", "namespace", namespace, exempt])
        .succeeds();
    // The API server's namespace cache picks up the label after a moment.
    let bad = backup("it", "entities: k1,k2.t2");
    for _ in 0..200 {
        if counted
            .here
            .kubectl()
            .run_with(&["create", "--dry-run=server", "-f", "-"], &bad)
            .code
            == 0
        {
            break;
        }
    }
    counted.calls(0, |kubectl| kubectl.apply(&bad));
}

pub(crate) fn deleting_a_restore_calls_cassgate_only_while_it_is_unfinished() {
    let counted = Counted::new(Crds::Ours);
    counted.here.kubectl().apply(&backup("b1", "")).succeeds();
    counted.here.has_run("b1");
    counted.here.kubectl().apply(&restore("it", "")).succeeds();
    counted.calls(0, |kubectl| {
        kubectl.run(&["delete", "cassandrarestore", "it", "--dry-run=server"])
    });
    counted.patch_status(0, "cassandrarestore", &condition("RUNNING"));
    counted.calls(1, |kubectl| {
        kubectl.run(&["delete", "cassandrarestore", "it", "--dry-run=server"])
    });
    counted.patch_status(0, "cassandrarestore", &condition("COMPLETED"));
    counted.calls(0, |kubectl| {
        kubectl.run(&["delete", "cassandrarestore", "it", "--dry-run=server"])
    });
}
