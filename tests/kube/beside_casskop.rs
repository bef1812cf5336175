//! The installation of `manifests/base`: CassKop's CRDs, with CassKop as executor.

use serde_json::{Value, json};

use crate::support::{
    kubectl::Kubectl,
    objects::{backup, cluster, documents, restore, secret},
    servers::Crds,
    stage::Guarded,
};

fn stocked() -> Guarded {
    let here = Guarded::new(Crds::Casskop, &["--executor=casskop"]);
    here.kubectl()
        .apply(&documents(&[cluster(), secret()]))
        .succeeds();
    here
}

pub(crate) fn valid_objects_pass_without_warnings() {
    let here = stocked();
    here.kubectl()
        .apply(&backup(
            "good",
            "schedule: \"@midnight\"\nentities: k1.t1,k2.t3\nstorageLocation: s3://good",
        ))
        .says("cassandrabackup.db.orange.com/good created");
    here.has_run("good");
    here.kubectl()
        .apply(&restore(
            "r1",
            "cassandraBackup: good\nentities: k1.t1\nrename: {k1.t1: k1.t2}",
        ))
        .says("cassandrarestore.db.orange.com/r1 created");
}

/// CassKop reports these mistakes in an event and never retries the backup.
pub(crate) fn mistakes_that_casskop_would_drop_silently_are_denied() {
    let here = stocked();
    here.kubectl()
        .apply(&backup("b1", "cassandraCluster: nowhere\nsecret: -\nstorageLocation: s3://given-up"))
        .refused(
            "The CassandraBackup \"b1\" is invalid: \n\
             * spec.cassandraCluster: Not found: \"nowhere\": the backup needs this CassandraCluster, which is not in \
             this namespace; CassKop would give the backup up and never retry it; apply the cluster first (Flux dependsOn, an \
             Argo CD sync wave, a Helm hook or a separate release), or label the namespace \
             cassgate.db.orange.com/missing-references=warn [cassgate cluster-not-found]\n\
             * spec.secret: Required value: s3:// needs credentials, and CassKop takes them only from a Secret: \
             without one it gives the backup up; name a Secret of this namespace [cassgate secret-absent]",
        );
}

/// Performs every write of CassKop during the life of a scheduled backup. None may fail: CassKop ignores some errors.
pub(crate) fn casskop_can_write_everything_when_cluster_and_secret_are_deleted() {
    let here = stocked();
    let kubectl = here.kubectl();
    kubectl
        .apply(&backup("b1", "schedule: \"@daily\"\nstorageLocation: s3://gone"))
        .succeeds();
    kubectl
        .run(&["delete", "cassandracluster/c1", "secret/s3"])
        .succeeds();

    put(kubectl, |object| {
        object["metadata"]["annotations"]["cassandrabackups.db.orange.com/last-applied-configuration"] =
            json!("{}");
        object["metadata"]["finalizers"] = json!(["kubernetes.io/unschedule-needed"]);
        object["status"] = json!({"coordinatorMember": "c1-dc1-rack1-0"});
    });
    for status in [
        json!(null),
        json!({"condition": {"type": "PENDING"}, "id": "op"}),
        json!({"condition": {"type": "RUNNING"}, "progress": "50%"}),
        json!({"condition": {"type": "COMPLETED"}, "progress": "100%"}),
        json!(null),
        json!({"condition": {"type": "RUNNING"}}),
    ] {
        let patch = json!({"status": status}).to_string();
        kubectl
            .run(&["patch", "cassandrabackup", "b1", "--type=merge", "-p", &patch])
            .says("cassandrabackup.db.orange.com/b1 patched");
    }
    kubectl
        .run(&["delete", "cassandrabackup", "b1", "--wait=false"])
        .succeeds();
    put(kubectl, |object| object["metadata"]["finalizers"] = json!([]));
    assert!(!kubectl.has("cassandrabackup", "b1"));
}

/// Reads the whole object, changes it, and writes it back.
fn put(kubectl: &Kubectl, change: impl FnOnce(&mut Value)) {
    let mut object = kubectl.get("cassandrabackup", "b1");
    change(&mut object);
    kubectl
        .run_with(&["replace", "-f", "-"], &object.to_string())
        .says("cassandrabackup.db.orange.com/b1 replaced");
}
