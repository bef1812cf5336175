//! Defaults of the mutating webhook.

use serde_json::json;

use crate::support::{
    objects::{backup, cluster, documents, restore, secret},
    servers::Crds,
    stage::Guarded,
};

fn stocked(crds: Crds) -> Guarded {
    let here = Guarded::new(crds, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[cluster(), secret()]))
        .succeeds();
    here
}

pub(crate) fn the_stored_restore_names_its_entities_and_secret() {
    for crds in [Crds::Ours, Crds::Casskop] {
        let here = stocked(crds);
        here.kubectl()
            .apply(&backup("b1", "entities: k1.t1,k2.t3"))
            .succeeds();
        here.has_run("b1");
        here.kubectl().apply(&restore("r1", "")).succeeds();
        assert_eq!(
            here.kubectl().get("cassandrarestore", "r1")["spec"],
            json!({
                "cassandraBackup": "b1",
                "cassandraCluster": "c1",
                "cassandraDirectory": "/var/lib/cassandra",
                "concurrentConnection": 10,
                "entities": "k1.t1,k2.t3",
                "exactSchemaVersion": false,
                "noDeleteTruncates": false,
                "secret": "s3",
            })
        );
    }
}

/// CassKop's schema requires a tag; ours does not.
pub(crate) fn a_backup_without_a_tag_gets_a_unique_one() {
    let here = stocked(Crds::Ours);
    let untagged = backup("b1", "snapshotTag: -");
    here.kubectl()
        .apply(&untagged)
        .says("cassandrabackup.db.orange.com/b1 created");
    let stored = here.kubectl().get("cassandrabackup", "b1");
    let tag = stored["spec"]["snapshotTag"].as_str().unwrap();
    let milliseconds = tag.strip_prefix("autosnap-").unwrap();
    assert!(
        milliseconds.len() == 13 && milliseconds.parse::<u64>().is_ok(),
        "{tag}"
    );

    here.kubectl()
        .apply(&untagged)
        .says("cassandrabackup.db.orange.com/b1 unchanged");
    here.kubectl()
        .apply(&backup("b1", "snapshotTag: -\nentities: k1"))
        .says("cassandrabackup.db.orange.com/b1 configured");
    here.kubectl()
        .run_with(&["replace", "-f", "-"], &untagged)
        .says("cassandrabackup.db.orange.com/b1 replaced");
    assert_eq!(
        here.kubectl().get("cassandrabackup", "b1")["spec"]["snapshotTag"],
        tag
    );
}

pub(crate) fn a_second_apply_changes_nothing() {
    let here = stocked(Crds::Ours);
    let tables = "snapshotTag: -\nentities: k1.t1";
    let manifest = documents(&[backup("b1", tables), restore("r1", "")]);
    let first = here
        .kubectl()
        .run_with(&["diff", "-f", "-"], &backup("b1", "snapshotTag: -"));
    assert_eq!(first.code, 1, "{}", first.transcript());
    assert!(
        first.stdout.contains("\n+  concurrentConnections: 10\n"),
        "{}",
        first.transcript()
    );
    here.kubectl().apply(&backup("b1", tables)).succeeds();
    here.has_run("b1");
    here.kubectl().apply(&manifest).succeeds();
    here.kubectl().run_with(&["diff", "-f", "-"], &manifest).says("");
}

pub(crate) fn a_second_server_side_apply_changes_nothing() {
    let here = stocked(Crds::Ours);
    let tables = backup("b1", "snapshotTag: -\nentities: k1.t1");
    here.kubectl().apply_server_side(&tables).succeeds();
    here.has_run("b1");
    let manifest = documents(&[tables, restore("r1", "")]);
    here.kubectl().apply_server_side(&manifest).succeeds();
    here.kubectl()
        .run_with(&["diff", "--server-side", "-f", "-"], &manifest)
        .says("");
}

/// A typed round trip would drop unknown fields.
pub(crate) fn unknown_fields_are_kept() {
    let here = stocked(Crds::Ours);
    let annotated = backup("b1", "").replace(
        "  name: b1",
        "  name: b1\n  annotations: {\"example.com/a.b\": \"x/y~z\"}\n  finalizers: [example.com/hold]\n  labels: {team: data}",
    );
    here.kubectl().apply(&annotated).succeeds();
    let metadata = &here.kubectl().get("cassandrabackup", "b1")["metadata"];
    assert_eq!(metadata["annotations"]["example.com/a.b"], "x/y~z");
    assert!(metadata["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].is_string());
    assert_eq!(metadata["finalizers"], json!(["example.com/hold"]));
    assert_eq!(metadata["labels"], json!({"team": "data"}));
}
