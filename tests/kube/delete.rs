//! Deletions.

use crate::support::{
    gate,
    objects::{backup, cluster, documents, restore, secret},
    servers::Crds,
    stage::{Guarded, Stage},
};

pub(crate) fn an_invalid_object_can_be_deleted() {
    let stage = Stage::new(Crds::Ours);
    stage
        .kubectl
        .apply(&documents(&[
            backup("bad", "entities: k1,k2.t2"),
            restore("bad", ""),
        ]))
        .succeeds();
    stage.register(&gate::shared(stage.servers, &["--executor=none"]));
    for kind in ["cassandrabackup", "cassandrarestore"] {
        let answer = stage.kubectl.run(&["delete", kind, "bad"]).succeeds();
        assert_eq!(answer.stderr, "");
        assert!(!stage.kubectl.has(kind, "bad"));
    }
}

pub(crate) fn an_object_can_be_deleted_during_an_outage() {
    let here = Guarded::alone(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[cluster(), secret(), backup("b1", "")]))
        .succeeds();
    let Guarded { stage, gate } = here;
    drop(gate);
    stage.kubectl.run(&["delete", "cassandrabackup", "b1"]).succeeds();
    assert!(!stage.kubectl.has("cassandrabackup", "b1"));
}

pub(crate) fn deleting_a_running_restore_warns_that_it_continues() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[cluster(), secret(), backup("b1", "")]))
        .succeeds();
    here.has_run("b1");
    here.kubectl().apply(&restore("r1", "entities: k1")).succeeds();
    here.says("cassandrarestore", "r1", "RUNNING");
    let answer = here
        .kubectl()
        .run(&["delete", "cassandrarestore", "r1"])
        .succeeds();
    assert_eq!(
        answer.stderr,
        "Warning: status.condition: this restore is RUNNING; deleting it does not stop the sidecars, which \
         continue [cassgate restore-in-progress]\n"
    );
}

/// cassgate must not block the deletion of a namespace. No controller runs here, so the test deletes the objects
/// itself.
pub(crate) fn a_backup_in_use_is_deleted_with_its_namespace() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    let kubectl = here.kubectl();
    kubectl
        .apply(&documents(&[
            cluster(),
            secret(),
            backup("b1", "entities: k1.t1"),
        ]))
        .succeeds();
    here.has_run("b1");
    kubectl.apply(&restore("r1", "")).succeeds();
    let delete = || kubectl.run(&["delete", "cassandrabackup", "b1"]);
    // The cache learns of the restore after a moment.
    let refused = (0..200)
        .map(|_| kubectl.run(&["delete", "cassandrabackup", "b1", "--dry-run=server"]))
        .find(|answer| answer.code != 0);
    refused
        .unwrap()
        .refused_with(&["restore r1 has not ended", "[cassgate backup-in-use]"]);
    kubectl
        .run(&["delete", "namespace", &here.stage.namespace, "--wait=false"])
        .succeeds();
    delete().succeeds();
}
