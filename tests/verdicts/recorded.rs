//! Recorded behaviour of the real sidecar (Icarus 1.1.3, 2.0.4 and 3.0.0 on Cassandra, and the parsers of Esop 1.1.4 alone),
//! compared with the verdicts of the webhooks.
//!
//! Every value that the sidecar rejects must be denied, and every value that loses data must cause a finding. Values that
//! the sidecar accepts and cassgate denies are listed with the reason.

use cassgate::rules::policy::Policy;
use serde_json::{Value, json};

use crate::case::object_of;
use crate::webhook::{AdmissionRequest, Outcome, send};
use crate::{NAMESPACE, world_of_library};

/// The recorded behaviour of the sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recorded {
    /// It did what the user intended.
    Worked,
    /// It rejected the request or failed with this text, before it changed a table.
    Failed(&'static str),
    /// It ended as COMPLETED, with this damage.
    Harmed(&'static str),
}
use Recorded::{Failed, Harmed, Worked};

/// Values that cassgate denies although the sidecar accepts them, with the reason.
const STRICTER: [(&str, &str); 4] = [
    ("s3://b?x=1", "not a valid name of a bucket; S3 rejects it later"),
    ("s3://user@b", "not a valid name of a bucket; S3 rejects it later"),
    ("s3://bucket ", "the blank becomes part of the bucket's name"),
    ("k1.*", "Esop looks for a table of that name; Cassandra has none"),
];

fn backup(field: &str, value: &Value) -> Outcome {
    let mut spec =
        json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": "t", "secret": "s3"});
    spec[field] = value.clone();
    judged(&json!({"kind": "CassandraBackup", "name": "new", "spec": spec}))
}

fn restore(backup: &str, more: &Value) -> Outcome {
    let mut spec = json!({"cassandraCluster": "c1", "cassandraBackup": backup});
    json_patch::merge(&mut spec, more);
    judged(&json!({"kind": "CassandraRestore", "name": "new", "spec": spec}))
}

fn judged(object: &Value) -> Outcome {
    let world = world_of_library(&[
        "cluster",
        "secret",
        "backup of tables",
        "backup of keyspaces",
        "backup of everything",
    ]);
    let request = AdmissionRequest {
        operation: "CREATE",
        object: object_of(object, NAMESPACE),
        old: Value::Null,
        dry_run: false,
        status_is_subresource: false,
        collection: false,
    };
    send(world, Policy::default(), &request)
}

fn agrees(what: &str, recorded: Recorded, outcome: &Outcome) -> Result<(), String> {
    let denied = !outcome.denied.is_empty();
    let reported = denied || !outcome.warned.is_empty();
    let agrees = match recorded {
        Worked => !denied || STRICTER.iter().any(|(known, _)| *known == what),
        Failed(_) => denied,
        Harmed(_) => reported,
    };
    if agrees {
        Ok(())
    } else {
        Err(format!(
            "{what:?}: the sidecar {recorded:?}, but the verdict is {outcome:#?}"
        ))
    }
}

fn all_agree(results: impl IntoIterator<Item = Result<(), String>>) {
    let wrong: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn storage_locations_are_accepted_as_by_the_sidecar() {
    let form = "is not in form protocol://bucketName/clusterId/datacenterid/nodeId";
    let providers = "Available storage providers: [s3, azure, gcp, file, oracle, minio, ceph]";
    let of_file = "is not in form file:///some/backup/path/clusterId/datacenterId/nodeId";
    let recorded = [
        ("s3://bucket", Worked),
        ("s3://bucket/", Worked),
        ("s3://bucket/a/b/c", Worked),
        ("s3://bucket/a/b/c/", Worked),
        ("s3://Bucket_Name", Worked),
        ("s3://b?x=1", Worked),
        ("s3://user@b", Worked),
        ("s3://bucket ", Worked),
        ("s3://bucket/prefix", Failed(form)),
        ("s3://bucket/a/b", Failed(form)),
        ("s3://bucket//", Failed(form)),
        (
            "s3://",
            Failed("Global storage location s3:// is not in form protocol://bucketName"),
        ),
        ("s3:bucket", Failed(form)),
        ("bucket", Failed(form)),
        ("", Failed("storageLocation has to be specified!")),
        ("s3:///", Harmed("a bucket without a name")),
        ("s3://bucket/p/a/b/c", Harmed("a bucket with a slash in its name")),
        ("s3://bucket/a//c", Harmed("a datacenter without a name")),
        ("s3://bucket/a/b/c//", Harmed("a node without a name")),
        ("S3://b", Failed(providers)),
        (" s3://b", Failed(providers)),
        ("gs://b", Failed(providers)),
        ("https://b", Failed(providers)),
        ("file:///data/test", Failed(of_file)),
        ("file://bucket", Failed(of_file)),
        ("file:///data", Failed(of_file)),
        (
            "file:///a/b/c/d",
            Harmed("the directory in which the sidecar was started"),
        ),
        ("file:///var/backups/bucket/cluster/dc/node", Worked),
    ];
    all_agree(
        recorded.map(|(text, behaviour)| agrees(text, behaviour, &backup("storageLocation", &json!(text)))),
    );
}

#[test]
fn entities_are_parsed_as_by_the_sidecar_and_no_item_is_dropped() {
    let everything = Harmed("an empty list: every keyspace, the system's too");
    let recorded = [
        ("", Worked),
        ("k1", Worked),
        ("k1,k2", Worked),
        ("k1 k2", Worked),
        (" k1 , k2 ", Worked),
        ("k1,,k2,", Worked),
        ("k1,k1", Worked),
        ("k1.t1,k2.t3", Worked),
        ("k1.*", Worked),
        (",", everything),
        (".", everything),
        ("k1.", everything),
        ("k1..t1", everything),
        ("k1.t1.x", everything),
        ("k1.t1;k2.t2", everything),
        (".t1", Harmed("a keyspace without a name")),
        ("k1 . t1", Harmed("the keyspaces k1 and t1")),
        (
            "k1,k2.t1",
            Failed("Entities might be either set only as keyspaces or only as keyspaces with tables!"),
        ),
        (
            "\"K1\"",
            Failed("Some keyspaces to process are not present in Cassandra"),
        ),
    ];
    all_agree(recorded.map(|(text, behaviour)| agrees(text, behaviour, &backup("entities", &json!(text)))));
}

#[test]
fn restores_on_which_the_sidecar_fails_or_loses_data_have_findings() {
    let not_in_manifest = Failed("Keyspace k3 is not in manifest!");
    let emptied = Harmed("k1.t2 had 100 rows, and then none");
    let recorded = [
        ("tables", json!({"entities": "k1.t1"}), Worked),
        ("keyspaces", json!({"entities": "k1.t1"}), Worked),
        ("everything", json!({"entities": "k1.t1"}), Worked),
        ("tables", json!({}), Worked),
        ("keyspaces", json!({"entities": "k3"}), not_in_manifest),
        ("keyspaces", json!({"entities": "k3.t1"}), not_in_manifest),
        ("tables", json!({"entities": "k1"}), emptied),
        (
            "everything",
            json!({}),
            Harmed("all tables that are not in the backup were emptied"),
        ),
        (
            "keyspaces",
            json!({"entities": "k1"}),
            Harmed("a table made after the backup was emptied"),
        ),
        (
            "tables",
            json!({"datacenter": "dc1"}),
            Harmed("the replicas of dc2 were emptied"),
        ),
        (
            "everything",
            json!({"entities": "system_auth.roles"}),
            Harmed("the roles were gone"),
        ),
        (
            "tables",
            json!({"schemaVersion": "7", "exactSchemaVersion": true}),
            Failed("UUID has to be represented by standard 36-char representation"),
        ),
        (
            "tables",
            json!({"concurrentConnection": -1}),
            Failed("no message at all"),
        ),
        (
            "tables",
            json!({"cassandraDirectory": "/var/lib/cassandra/data"}),
            Failed("cassandraDirectory /var/lib/cassandra/data/data does not exist"),
        ),
    ];
    all_agree(
        recorded.map(|(name, more, behaviour)| {
            agrees(&format!("{name} {more}"), behaviour, &restore(name, &more))
        }),
    );
}

#[test]
fn rename_maps_that_the_sidecar_rejects_are_denied() {
    let key = Failed("Invalid 'rename' parameter: rename map contains a value which is one of its key");
    let keyspaces = Failed("you can not use keyspace entities in connection with rename entities");
    let recorded = [
        ("tables", json!("k1.t1"), json!({"k1.t1": "k2.t1"}), Worked),
        ("tables", json!("k1.t1"), json!({"k1.t1": "k1.t2"}), Worked),
        ("tables", json!("k1.t1"), json!({"k1.t1": "k1.t1"}), key),
        (
            "tables",
            json!("k1.t1,k2.t3"),
            json!({"k1.t1": "k2.t3", "k2.t3": "k1.t1"}),
            key,
        ),
        (
            "tables",
            json!("k1.t1,k2.t3"),
            json!({"k1.t1": "k.x", "k2.t3": "k.x"}),
            Failed("Invalid 'rename' parameter: all values in rename map have to be distinct"),
        ),
        ("keyspaces", json!("k1"), json!({"k1.t1": "k1.t2"}), keyspaces),
        (
            "everything",
            json!(""),
            json!({"k1.t1": "k1.t2"}),
            Failed("database entities are empty but renamed entities are not"),
        ),
        (
            "tables",
            json!("k1.t1"),
            json!({"k2.t3": "k2.t1"}),
            Failed("k2.t3 from renamed entity's 'from' part is not in database entities"),
        ),
        (
            "tables",
            json!("k1.t1,k2.t3"),
            json!({"k1.t1": "k2.t3"}),
            Failed("k2.t3 from renamed entity's 'to' part is in database entities"),
        ),
        (
            "tables",
            json!("k1.t1"),
            json!({"k1": "k2"}),
            Failed("from side is not in format {keyspace}.{table}"),
        ),
        (
            "tables",
            json!("k1.t1"),
            json!({"k1.t1": "system_auth.roles"}),
            Harmed("the system's table was emptied"),
        ),
    ];
    all_agree(recorded.map(|(name, entities, rename, behaviour)| {
        let what = format!("{name} {entities} {rename}");
        agrees(
            &what,
            behaviour,
            &restore(name, &json!({"entities": entities, "rename": rename})),
        )
    }));
}
