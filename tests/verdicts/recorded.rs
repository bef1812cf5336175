//! What the real sidecar did with each of these (Icarus 1.1.3, 2.0.4 and 3.0.0 on Cassandra, and the parsers of Esop
//! 1.1.4 by themselves), against what the gate says before it happens.
//!
//! Nothing that the sidecar refuses or that loses data may pass in silence. What it takes and we refuse is named, with
//! the reason.

use cassgate::rules::policy::Policy;
use serde_json::{Map, Value, json};

use crate::NAMESPACE;
use crate::case::{library, object_of};
use crate::webhook::{Asked, Outcome, ask};
use crate::world::World;

/// What was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    /// It did what was meant.
    Worked,
    /// It refused or failed, before any table was touched, with this text.
    Failed(&'static str),
    /// It said COMPLETED, and this was wrong.
    Harmed(&'static str),
}
use Did::{Failed, Harmed, Worked};

/// What we refuse although the sidecar did as it was told.
const NARROWER: [(&str, &str); 4] = [
    ("s3://b?x=1", "no bucket has such a name; S3 refuses it later"),
    ("s3://user@b", "no bucket has such a name; S3 refuses it later"),
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
    let library = library();
    let given = [
        "cluster",
        "secret",
        "backup of tables",
        "backup of keyspaces",
        "backup of everything",
    ];
    let world = World {
        objects: given
            .iter()
            .map(|name| object_of(&library[*name], NAMESPACE))
            .collect(),
        labels: Map::new(),
        reads_secrets: true,
    };
    let asked = Asked {
        operation: "CREATE",
        object: object_of(object, NAMESPACE),
        old: Value::Null,
        dry_run: false,
        status_apart: false,
    };
    ask(world, Policy::default(), &asked)
}

fn agrees(what: &str, did: Did, outcome: &Outcome) -> Result<(), String> {
    let refused = !outcome.denied.is_empty();
    let told = refused || !outcome.warned.is_empty();
    let right = match did {
        Worked => !refused || NARROWER.iter().any(|(known, _)| *known == what),
        Failed(_) => refused,
        Harmed(_) => told,
    };
    if right {
        Ok(())
    } else {
        Err(format!("{what:?}: the sidecar {did:?}, and we said {outcome:#?}"))
    }
}

fn all_agree(results: impl IntoIterator<Item = Result<(), String>>) {
    let wrong: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn storage_locations_are_taken_as_the_sidecar_takes_them() {
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
    all_agree(recorded.map(|(text, did)| agrees(text, did, &backup("storageLocation", &json!(text)))));
}

#[test]
fn entities_are_read_as_the_sidecar_reads_them_and_nothing_is_dropped() {
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
    all_agree(recorded.map(|(text, did)| agrees(text, did, &backup("entities", &json!(text)))));
}

#[test]
fn restores_are_refused_or_told_where_the_sidecar_fails_or_loses_data() {
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
        recorded.map(|(name, more, did)| agrees(&format!("{name} {more}"), did, &restore(name, &more))),
    );
}

#[test]
fn renamings_are_refused_where_the_sidecar_refuses_them() {
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
    all_agree(recorded.map(|(name, entities, rename, did)| {
        let what = format!("{name} {entities} {rename}");
        agrees(
            &what,
            did,
            &restore(name, &json!({"entities": entities, "rename": rename})),
        )
    }));
}
