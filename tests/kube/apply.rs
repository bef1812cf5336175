//! Answers of `kubectl apply`.

use crate::support::{
    objects::{backup, cluster, cluster_with, documents, restore, secret, secret_with},
    servers::Crds,
    stage::Guarded,
};

fn stocked() -> Guarded {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[cluster(), secret()]))
        .succeeds();
    here
}

pub(crate) fn a_valid_backup_is_created_without_warnings() {
    let here = stocked();
    let every_field = "datacenter: dc1\nschedule: \"@midnight\"\nentities: k1.t1,k2.t3\nbandwidth: 10M";
    here.kubectl()
        .apply(&backup("b1", every_field))
        .says("cassandrabackup.db.orange.com/b1 created");
    here.kubectl()
        .apply(&backup("b1", every_field))
        .says("cassandrabackup.db.orange.com/b1 unchanged");
}

pub(crate) fn a_valid_restore_is_created_without_warnings() {
    let here = stocked();
    here.kubectl()
        .apply(&backup("b1", "entities: k1.t1,k2.t3"))
        .says("cassandrabackup.db.orange.com/b1 created");
    here.has_run("b1");
    here.kubectl()
        .apply(&restore("r1", "entities: k1.t1"))
        .says("cassandrarestore.db.orange.com/r1 created");
}

pub(crate) fn one_mistake_is_reported_in_one_line() {
    let here = stocked();
    here.kubectl().apply(&backup("b1", "datacenter: dc9")).refused(
        "The CassandraBackup \"b1\" is invalid: spec.datacenter: Not found: \"dc9\": cluster c1 has only dc1, dc2, \
         so no pod would take the backup; name one of them, or leave the field out for all [cassgate datacenter-unknown]",
    );
    assert!(!here.kubectl().has("cassandrabackup", "b1"));
}

pub(crate) fn every_mistake_of_a_backup_is_reported_at_once() {
    let here = stocked();
    here.kubectl()
        .apply(&secret_with("half", &["awsaccesskeyid"]))
        .succeeds();
    let bad = "datacenter: dc9\nentities: k1,k2.t3\nschedule: \"0 0 0 * * *\"\nsecret: half";
    here.kubectl().apply(&backup("b1", bad)).refused(
        "The CassandraBackup \"b1\" is invalid: \n\
         * spec.datacenter: Not found: \"dc9\": cluster c1 has only dc1, dc2, so no pod would take the \
         backup; name one of them, or leave the field out for all [cassgate datacenter-unknown]\n\
         * spec.schedule: Invalid value: \"0 0 0 * * *\": expected exactly 5 fields, found 6: [0 0 0 * * *]; the \
         backup would never run; write minute hour day-of-month month day-of-week (0 3 * * *), @daily, or @every 6h \
         [cassgate schedule-malformed]\n\
         * spec.entities: Invalid value: \"k1,k2.t3\": k1 names whole keyspaces and k2.t3 single tables; the \
         sidecar takes one form or the other: write only keyspaces or only keyspace.table [cassgate entities-mixed]\n\
         * spec.secret: Invalid value: \"half\": Secret half has no awssecretaccesskey, which s3:// requires; \
         add the missing keys to the Secret [cassgate secret-key-missing]",
    );
    assert!(!here.kubectl().has("cassandrabackup", "b1"));
}

pub(crate) fn every_mistake_of_a_restore_is_reported_at_once() {
    let here = stocked();
    here.kubectl().apply(&cluster_with("c2", &["dc1"])).succeeds();
    here.kubectl().apply(&backup("b1", "entities: k1.t1")).succeeds();
    here.has_run("b1");
    let bad = "cassandraCluster: c2\nentities: k1 k2\nsecret: nowhere";
    here.kubectl().apply(&restore("r1", bad)).refused(
        "Warning: spec.entities: \"k1,k2\": empties all its tables, also those created since the backup, \
         and may fail if a dropped table left its folder; name the tables [cassgate restore-truncates-keyspace]\n\
         The CassandraRestore \"r1\" is invalid: \n\
         * spec.cassandraCluster: Invalid value: \"c2\": backup b1 is of cluster c1; a sidecar finds only backups of \
         its own cluster; restore into c1 [cassgate cluster-mismatch]\n\
         * spec.entities: Invalid value: \"k1\": backup b1 contains only k1.t1 of it; restoring the keyspace would \
         empty its other tables; name the tables: k1.t1 [cassgate entities-wider-than-backup]\n\
         * spec.entities: Invalid value: \"k2\": is not in backup b1, which contains k1.t1; name a part of that, in \
         the same letter case [cassgate entities-outside-backup]\n\
         * spec.secret: Not found: \"nowhere\": the restore needs this Secret, which is not in this namespace; create \
         the Secret before the restore, or label the namespace cassgate.db.orange.com/missing-references=warn \
         [cassgate secret-not-found]",
    );
    assert!(!here.kubectl().has("cassandrarestore", "r1"));
}

pub(crate) fn one_bad_object_does_not_stop_the_others_of_a_file() {
    let here = stocked();
    let answer = here.kubectl().apply(&documents(&[
        backup("b1", ""),
        backup("b2", "schedule: every day"),
        backup("b3", ""),
    ]));
    assert_eq!(
        answer.stdout,
        "cassandrabackup.db.orange.com/b1 created\ncassandrabackup.db.orange.com/b3 created\n"
    );
    answer.refused(
        "The CassandraBackup \"b2\" is invalid: spec.schedule: Invalid value: \"every day\": expected exactly 5 fields, \
         found 2: [every day]; the backup would never run; write minute hour day-of-month month day-of-week \
         (0 3 * * *), @daily, or @every 6h [cassgate schedule-malformed]",
    );
}

pub(crate) fn every_way_to_write_gets_the_same_answer() {
    let here = stocked();
    here.kubectl().apply(&backup("b1", "")).succeeds();
    let bad = backup("b1", "entities: k1,k2.t3");
    let expected = here
        .kubectl()
        .apply(&bad)
        .refused_with(&["[cassgate entities-mixed]"])
        .stderr;
    let patch = r#"{"spec":{"entities":"k1,k2.t3"}}"#;
    for arguments in [
        &["apply", "--server-side", "--force-conflicts", "-f", "-"][..],
        &["apply", "--dry-run=server", "-f", "-"],
        &["replace", "-f", "-"],
        &["patch", "cassandrabackup", "b1", "--type=merge", "-p", patch],
    ] {
        let answer = here.kubectl().run_with(arguments, &bad);
        assert_eq!(answer.stderr, expected, "{}", answer.transcript());
    }
    let answer = here.kubectl().run_with(&["diff", "-f", "-"], &bad);
    assert_eq!(
        (answer.code, &answer.stderr),
        (2, &expected),
        "{}",
        answer.transcript()
    );
}

/// Details about a Secret go only to users who may read it; the verdict is the same for all.
pub(crate) fn a_user_who_may_read_no_secret_gets_the_same_verdict_and_no_details() {
    let here = stocked();
    let namespace = &here.stage.namespace;
    let kubectl = here.kubectl();
    let verbs = "--verb=get,create,patch";
    kubectl
        .run(&[
            "create",
            "role",
            "author",
            verbs,
            "--resource=cassandrabackups.db.orange.com",
        ])
        .succeeds();
    kubectl
        .run(&[
            "create",
            "rolebinding",
            "author",
            "--role=author",
            "--user=backup-author",
        ])
        .succeeds();
    let author = here.stage.servers.backup_author().in_namespace(namespace);
    kubectl
        .apply(&secret_with("half", &["awsaccesskeyid"]))
        .succeeds();
    author
        .run(&["get", "secret", "half"])
        .refused_with(&["cannot get resource \"secrets\""]);
    author.apply(&backup("b1", "secret: half")).refused(
        "The CassandraBackup \"b1\" is invalid: spec.secret: Invalid value: \"half\": Secret half is not usable for \
         s3://; users who may read it see the reason [cassgate secret-key-missing]",
    );
    here.kubectl().apply(&backup("b1", "secret: half")).refused(
        "The CassandraBackup \"b1\" is invalid: spec.secret: Invalid value: \"half\": Secret half has no \
         awssecretaccesskey, which s3:// requires; add the missing keys to the Secret [cassgate secret-key-missing]",
    );
    author
        .apply(&backup("b1", ""))
        .says("cassandrabackup.db.orange.com/b1 created");
}

pub(crate) fn an_object_with_generate_name_is_judged() {
    let here = stocked();
    let generated = backup("b1", "").replace("  name: b1", "  generateName: nightly-");
    let answer = here
        .kubectl()
        .run_with(&["create", "-f", "-"], &generated)
        .succeeds();
    assert!(
        answer
            .stdout
            .starts_with("cassandrabackup.db.orange.com/nightly-"),
        "{}",
        answer.transcript()
    );
    let bad = generated.replace("s3://bucket", "gs://bucket");
    here.kubectl()
        .run_with(&["create", "-f", "-"], &bad)
        .refused_with(&[
            "spec.storageLocation: Unsupported value: \"gs://bucket\"",
            "[cassgate storage-provider-unsupported]",
        ]);
}
