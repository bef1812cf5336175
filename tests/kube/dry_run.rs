//! `--dry-run=server`: Flux, Argo CD and CI review whole batches of which nothing is stored.

use crate::support::{
    objects::{backup, cluster, documents, restore, secret},
    servers::Crds,
    stage::Guarded,
};

fn batch() -> String {
    documents(&[
        secret(),
        cluster(),
        backup("b1", "entities: k1.t1"),
        restore("r1", "entities: k1.t1"),
    ])
}

pub(crate) fn a_dry_run_of_a_whole_batch_passes_with_warnings() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl().run_with(&["apply", "--dry-run=server", "-f", "-"], &batch()).says_with_warnings(
        "secret/s3 created (server dry run)\n\
         cassandracluster.db.orange.com/c1 created (server dry run)\n\
         cassandrabackup.db.orange.com/b1 created (server dry run)\n\
         cassandrarestore.db.orange.com/r1 created (server dry run)",
        &[
            "spec.cassandraCluster: \"c1\": the backup needs this CassandraCluster, which is not in this \
             namespace yet [cassgate cluster-not-found]",
            "spec.secret: \"s3\": the backup needs this Secret, which is not in this namespace yet \
             [cassgate secret-not-found]",
            "spec.cassandraCluster: \"c1\": the restore needs this CassandraCluster, which is not in this \
             namespace yet [cassgate cluster-not-found]",
            "spec.cassandraBackup: \"b1\": the restore needs this CassandraBackup, which is not in this \
             namespace yet [cassgate backup-not-found]",
        ],
    );
    for (kind, name) in [
        ("cassandracluster", "c1"),
        ("cassandrabackup", "b1"),
        ("cassandrarestore", "r1"),
    ] {
        assert!(!here.kubectl().has(kind, name), "{kind} {name} is stored");
    }
    // Without dry run the backup of the same file exists, and has not run.
    let answer = here.kubectl().apply(&batch());
    assert_eq!(
        answer.stdout,
        "secret/s3 created\ncassandracluster.db.orange.com/c1 created\ncassandrabackup.db.orange.com/b1 created\n"
    );
    answer.refused_with(&["backup b1 has never run", "[cassgate backup-not-restorable]"]);
}

pub(crate) fn a_dry_run_denies_mistakes_that_no_batch_can_correct() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[cluster(), secret()]))
        .succeeds();
    let bad = backup("b1", "schedule: every day");
    here.kubectl().run_with(&["apply", "--dry-run=server", "-f", "-"], &bad).refused(
        "The CassandraBackup \"b1\" is invalid: spec.schedule: Invalid value: \"every day\": expected exactly 5 fields, \
         found 2: [every day]; the backup would never run; write minute hour day-of-month month day-of-week \
         (0 3 * * *), @daily, or @every 6h [cassgate schedule-malformed]",
    );
}

pub(crate) fn a_platform_team_can_be_strict_about_dry_runs() {
    let here = Guarded::new(
        Crds::Ours,
        &["--executor=none", "--missing-references-on-dry-run=deny"],
    );
    here.kubectl()
        .run_with(&["apply", "--dry-run=server", "-f", "-"], &backup("b1", ""))
        .refused_with(&["[cassgate cluster-not-found]", "[cassgate secret-not-found]"]);
}

pub(crate) fn a_dry_run_shows_the_defaults() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[cluster(), secret()]))
        .succeeds();
    let answer = here
        .kubectl()
        .run_with(
            &["apply", "--dry-run=server", "--output=yaml", "-f", "-"],
            &backup("b1", ""),
        )
        .succeeds();
    assert!(
        answer.stdout.contains("\n  concurrentConnections: 10\n"),
        "{}",
        answer.transcript()
    );
}
