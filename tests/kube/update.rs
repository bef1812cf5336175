//! Updates of stored objects.

/// The mistake in the backup that was stored before cassgate came.
const OLD_MISTAKE: &str = "spec.entities: \"k1,k2.t3\": k1 names whole keyspaces and k2.t3 single tables; \
     the sidecar takes one form or the other: write only keyspaces or only keyspace.table [cassgate entities-mixed]";

use crate::support::{
    gate,
    objects::{backup, cluster, documents, restore, secret},
    servers::Crds,
    stage::{Guarded, Stage},
};

/// A namespace in which an invalid backup `old` was stored before cassgate came.
fn with_an_old_mistake() -> Guarded {
    let stage = Stage::new(Crds::Ours);
    stage
        .kubectl
        .apply(&documents(&[
            cluster(),
            secret(),
            backup("old", "entities: k1,k2.t3"),
        ]))
        .succeeds();
    let gate = gate::shared(stage.servers, &["--executor=none"]);
    stage.register(&gate);
    Guarded { stage, gate }
}

fn patch(here: &Guarded, kind: &str, name: &str, patch: &str) -> crate::support::kubectl::Answer {
    here.kubectl()
        .run(&["patch", kind, name, "--type=merge", "-p", patch])
}

pub(crate) fn an_old_mistake_is_a_warning_while_another_field_changes() {
    let here = with_an_old_mistake();
    patch(&here, "cassandrabackup", "old", r#"{"spec":{"bandwidth":"10M"}}"#)
        .says_with_warnings("cassandrabackup.db.orange.com/old patched", &[OLD_MISTAKE]);
}

pub(crate) fn a_new_mistake_is_denied_beside_an_old_one() {
    let here = with_an_old_mistake();
    patch(&here, "cassandrabackup", "old", r#"{"spec":{"datacenter":"dc9"}}"#).refused(&format!(
        "Warning: {OLD_MISTAKE}\nThe CassandraBackup \"old\" is invalid: spec.datacenter: Not found: \"dc9\": cluster c1 \
         has only dc1, dc2, so no pod would take the backup; name one of them, or leave the field out for all \
         [cassgate datacenter-unknown]"
    ));
}

pub(crate) fn an_old_mistake_may_not_change_into_another() {
    let here = with_an_old_mistake();
    patch(
        &here,
        "cassandrabackup",
        "old",
        r#"{"spec":{"entities":"k1,k3.t3"}}"#,
    )
    .refused_with(&["[cassgate entities-mixed]"]);
}

pub(crate) fn an_old_mistake_can_be_corrected() {
    let here = with_an_old_mistake();
    patch(
        &here,
        "cassandrabackup",
        "old",
        r#"{"spec":{"entities":"k1,k2"}}"#,
    )
    .says("cassandrabackup.db.orange.com/old patched");
}

pub(crate) fn a_backup_outlives_its_cluster_and_can_still_be_changed() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[
            cluster(),
            secret(),
            backup("b1", "schedule: \"@daily\""),
        ]))
        .succeeds();
    here.kubectl()
        .run(&["delete", "cassandracluster", "c1"])
        .succeeds();
    patch(
        &here,
        "cassandrabackup",
        "b1",
        r#"{"spec":{"schedule":"@weekly"}}"#,
    )
    .mentions(&[
        "Warning: spec.cassandraCluster: \"c1\": ",
        "[cassgate cluster-not-found]\n",
    ])
    .succeeds();
}

pub(crate) fn a_one_shot_that_has_started_keeps_its_spec() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[cluster(), secret(), backup("b1", "")]))
        .succeeds();
    here.says("cassandrabackup", "b1", "COMPLETED");
    here.kubectl().apply(&backup("b1", "entities: k1")).refused_with(&[
        "Error from server (Forbidden): error when applying patch:",
        "admission webhook \"validate.cassgate.db.orange.com\" denied the request: CassandraBackup.db.orange.com \"b1\" \
         is forbidden: spec.entities: Forbidden: this backup is COMPLETED and runs only once, so a changed spec has no \
         effect; create a backup with another name (deleting and re-creating this one would run it again) \
         [cassgate backup-started]",
    ]);
    patch(
        &here,
        "cassandrabackup",
        "b1",
        r#"{"metadata":{"labels":{"team":"data"}}}"#,
    )
    .says("cassandrabackup.db.orange.com/b1 patched");
}

pub(crate) fn a_scheduled_backup_may_change_between_its_runs() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[
            cluster(),
            secret(),
            backup("b1", "schedule: \"@daily\""),
        ]))
        .succeeds();
    here.says("cassandrabackup", "b1", "COMPLETED");
    here.kubectl()
        .apply(&backup("b1", "schedule: \"@daily\"\nentities: k1"))
        .says("cassandrabackup.db.orange.com/b1 configured");
}

pub(crate) fn forcing_an_edit_of_a_finished_restore_does_not_run_it_again() {
    for crds in [Crds::Ours, Crds::Casskop] {
        let here = Guarded::new(crds, &["--executor=none"]);
        here.kubectl()
            .apply(&documents(&[
                cluster(),
                secret(),
                backup("b1", "entities: k1.t1,k2.t2"),
            ]))
            .succeeds();
        here.has_run("b1");
        here.kubectl().apply(&restore("r1", "entities: k1.t1")).succeeds();
        here.says("cassandrarestore", "r1", "COMPLETED");
        let uid = here.kubectl().get("cassandrarestore", "r1")["metadata"]["uid"].clone();
        let edited = restore("r1", "entities: k2.t2");
        here.kubectl()
            .run_with(&["apply", "--force", "-f", "-"], &edited)
            .refused_with(&["Error from server (Forbidden): ", "[cassgate restore-started]"]);
        let stored = here.kubectl().get("cassandrarestore", "r1");
        assert_eq!(stored["metadata"]["uid"], uid);
        assert_eq!(stored["spec"]["entities"], "k1.t1");
        assert_eq!(stored["status"]["condition"]["type"], "COMPLETED");
    }
}
