//! Use cases: a backup, and restores of everything, of a part, and under another name.

use crate::lab::Lab;
use crate::support::ring::Pace;
use crate::support::s3::S3;

#[test]
fn all_rows_a_subset_and_a_renamed_table_are_restored() {
    let lab = Lab::new(Pace::Quick);
    lab.backup("nightly", "  entities: k1,k2\n");
    let done = lab.is("cassandrabackup", "nightly", "COMPLETED");
    assert_eq!(done["status"]["nodes"].as_array().unwrap().len(), 2);

    lab.insert(100..150);
    lab.restore("whole", "nightly", "");
    lab.is("cassandrarestore", "whole", "COMPLETED");
    lab.holds(0..100);

    lab.insert(100..150);
    lab.backup("tables", "  entities: k1.t1,k1.t2,k2.t1\n");
    lab.is("cassandrabackup", "tables", "COMPLETED");
    lab.insert(150..160);
    lab.restore("part", "tables", "  entities: k1.t1\n");
    lab.is("cassandrarestore", "part", "COMPLETED");
    lab.hold(&["k1.t1"], 0..150);
    lab.hold(&["k1.t2", "k2.t1", "k2.t2"], 0..160);

    lab.restore(
        "renamed",
        "tables",
        "  entities: k1.t2\n  rename: {k1.t2: k2.t2}\n",
    );
    lab.is("cassandrarestore", "renamed", "COMPLETED");
    lab.hold(&["k2.t2"], 0..150);
    lab.hold(&["k1.t2"], 0..160);
}

#[test]
fn rows_are_restored_from_s3_with_a_secret_and_from_the_older_of_two_runs() {
    let lab = Lab::new(Pace::Quick);
    let s3 = S3::start();
    let in_bucket = format!(
        "  storageLocation: {}\n  snapshotTag: nightly\n  entities: k1,k2\n  secret: s3\n",
        S3::LOCATION
    );
    lab.apply("CassandraBackup", "sunday", &in_bucket);
    lab.waits("cassandrabackup", "sunday", "waiting", |status| {
        let conditions = status["conditions"].as_array();
        conditions.is_some_and(|all| all.iter().any(|one| one["reason"] == "SecretNotFound"))
    });
    assert_eq!(s3.stored("manifests"), 0);
    lab.stage
        .kubectl
        .apply(
            &serde_json::json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s3" }, "stringData": s3.secret,
            })
            .to_string(),
        )
        .succeeds();
    let sunday = lab.is("cassandrabackup", "sunday", "COMPLETED");
    let older = sunday["status"]["snapshotTag"].as_str().unwrap();
    assert_eq!(
        s3.stored(&format!("manifests/{older}.json")),
        2,
        "one of each node"
    );

    lab.insert(100..150);
    lab.apply("CassandraBackup", "monday", &in_bucket);
    lab.is("cassandrabackup", "monday", "COMPLETED");
    lab.insert(150..160);

    // A backup object that describes a bucket which another cluster filled.
    lab.apply(
        "CassandraBackup",
        "bucket",
        &format!("{in_bucket}  suspend: true\n"),
    );
    lab.restore("newest", "bucket", "");
    lab.is("cassandrarestore", "newest", "COMPLETED");
    lab.holds(0..150);
    lab.restore("older", "bucket", &format!("  snapshot: {older}\n"));
    lab.is("cassandrarestore", "older", "COMPLETED");
    lab.holds(0..100);
    for value in [&s3.secret["awsaccesskeyid"], &s3.secret["awssecretaccesskey"]] {
        assert!(!lab.gate.log().contains(value.as_str()), "{}", lab.gate.log());
    }
}
