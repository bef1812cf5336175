//! The generated CRDs on a real API server.

use crate::support::{
    objects::{backup, cluster, documents, restore, secret},
    repository,
    servers::{self, Crds},
    stage::{Guarded, Stage},
};

pub(crate) fn our_crds_are_accepted_without_a_warning() {
    let kubectl = &servers::with(Crds::Ours).kubectl;
    let folder = repository().join("manifests/crds").display().to_string();
    for arguments in [
        &["apply", "--server-side", "-k", &folder][..],
        &["apply", "--dry-run=server", "-k", &folder],
    ] {
        let answer = kubectl.run(arguments).succeeds();
        // kubectl itself warns about objects that were created by server-side apply.
        let warnings: Vec<&str> = answer
            .stderr
            .lines()
            .filter(|line| !line.contains("kubectl.kubernetes.io/last-applied-configuration"))
            .collect();
        assert!(warnings.is_empty(), "{}", answer.transcript());
    }
    for name in [
        "cassandrabackups.db.orange.com",
        "cassandrarestores.db.orange.com",
    ] {
        let crd = kubectl.get("crd", name);
        let conditions = crd["status"]["conditions"].as_array().unwrap();
        let state = |kind: &str| {
            conditions
                .iter()
                .find(|c| c["type"] == kind)
                .map(|c| c["status"].clone())
        };
        assert_eq!(state("Established"), Some("True".into()), "{name}");
        assert_eq!(state("NonStructuralSchema"), None, "{name}");
    }
}

pub(crate) fn the_printer_columns_show_state_and_progress() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[cluster(), secret()]))
        .succeeds();
    here.kubectl()
        .apply(&backup("nightly", "datacenter: dc1\nschedule: \"@midnight\""))
        .succeeds();
    let columns = |kind: &str| -> Vec<String> {
        let answer = here.kubectl().run(&["get", kind]).succeeds();
        answer
            .stdout
            .lines()
            .next()
            .unwrap()
            .split("  ")
            .map(|c| c.trim().to_owned())
            .filter(|c| !c.is_empty())
            .collect()
    };
    assert_eq!(
        columns("cassandrabackups"),
        [
            "NAME", "CLUSTER", "SCHEDULE", "STATE", "PROGRESS", "LAST RUN", "AGE"
        ]
    );
    here.has_run("nightly");
    here.kubectl()
        .apply(&restore(
            "monday",
            "cassandraBackup: nightly\nentities: k1.t1\ndatacenter: dc1",
        ))
        .succeeds();
    assert_eq!(
        columns("cassandrarestores"),
        ["NAME", "CLUSTER", "BACKUP", "STATE", "PROGRESS", "AGE"]
    );
    // The category that contains all of CassKop's kinds.
    let all = here
        .kubectl()
        .run(&["get", "cassandra", "--output=name"])
        .succeeds()
        .stdout;
    assert!(all.contains("cassandrabackup.db.orange.com/nightly"), "{all}");
    assert!(all.contains("cassandrarestore.db.orange.com/monday"), "{all}");
}

pub(crate) fn every_object_that_casskops_crds_accept_is_accepted() {
    for crds in [Crds::Ours, Crds::Casskop] {
        let stage = Stage::new(crds);
        let documented = "apiVersion: db.orange.com/v2
kind: CassandraBackup
metadata:
  name: nightly-cassandra-backup
  labels:
    app: cassandra
spec:
  cassandraCluster: test-cluster
  datacenter: dc1
  storageLocation: s3://cassie
  snapshotTag: SnapshotTag2
  secret: cloud-backup-secrets
  schedule: \"@midnight\"
  entities: k1.t1,k2.t3
  duration: 15m
  bandwidth: 10M
  concurrentConnections: 0
";
        let restored = "apiVersion: db.orange.com/v2
kind: CassandraRestore
metadata:
  name: nightly-cassandra-backup
  labels:
    app: cassandra
spec:
  cassandraBackup: nightly-cassandra-backup
  cassandraCluster: test-cluster
  entities: k1.t1
  rename:
    k1.t1: k1.t2
";
        stage
            .kubectl
            .apply(documented)
            .says("cassandrabackup.db.orange.com/nightly-cassandra-backup created");
        stage
            .kubectl
            .apply(restored)
            .says("cassandrarestore.db.orange.com/nightly-cassandra-backup created");
    }
}
