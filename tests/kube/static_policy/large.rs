//! Hostile sizes, and the rule that the policy applies to each.

use serde_json::{Map, Value, json};

/// The kind, the fields of the spec, and the rule; `None` if it is admitted.
type Large = (&'static str, Value, Option<&'static str>);

/// Returns every hostile size.
pub(super) fn large() -> Vec<Large> {
    backups().into_iter().chain(restores()).collect()
}

/// Returns a mebibyte of repetitions.
fn long(piece: &str) -> String {
    piece.repeat((1 << 20) / piece.len())
}

fn backups() -> Vec<Large> {
    let backup = "CassandraBackup";
    vec![
        (
            backup,
            json!({"entities": long("k1,")}),
            Some("entities-malformed"),
        ),
        (backup, json!({"entities": long("é")}), Some("entities-malformed")),
        (backup, json!({"entities": "k1,".repeat(10_922)}), None),
        (
            backup,
            json!({"entities": format!("{}k.", "a.b,".repeat(8_000))}),
            Some("entities-malformed"),
        ),
        (
            backup,
            json!({"entities": format!("{}k", "a.b,".repeat(8_000))}),
            Some("entities-mixed"),
        ),
        (
            backup,
            json!({"snapshotTag": long("t")}),
            Some("snapshot-tag-malformed"),
        ),
        (
            backup,
            json!({"cassandraCluster": long("a.")}),
            Some("cluster-not-found"),
        ),
        (backup, json!({"secret": long("a.")}), Some("secret-not-found")),
        (
            backup,
            json!({"storageLocation": format!("s3://{}", "b".repeat(30_000))}),
            None,
        ),
        (
            backup,
            json!({"storageLocation": format!("s3://{}", "/".repeat(30_000))}),
            Some("storage-location-malformed"),
        ),
        (
            backup,
            json!({"storageLocation": format!("s3://{}", long("/"))}),
            None,
        ),
        (
            backup,
            json!({"bandwidth": "x".repeat(4_096)}),
            Some("bandwidth-malformed"),
        ),
        (backup, json!({"bandwidth": long("0")}), None),
        (backup, json!({"duration": "1h".repeat(2_000)}), None),
        (
            backup,
            json!({"duration": "1x".repeat(2_000)}),
            Some("duration-malformed"),
        ),
        (backup, json!({"duration": long("1")}), None),
    ]
}

fn pairs(count: usize, from: &str, into: &str) -> Value {
    let pairs = (0..count).map(|n| (format!("{from}.t{n}"), json!(format!("{into}.t{n}"))));
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn restores() -> Vec<Large> {
    let restore = "CassandraRestore";
    let all: Vec<String> = (0..1600).map(|n| format!("k1.t{n}")).collect();
    vec![
        (
            restore,
            json!({"schemaVersion": long("a")}),
            Some("schema-version-malformed"),
        ),
        (
            restore,
            json!({"cassandraDirectory": long("/a")}),
            Some("cassandra-directory-malformed"),
        ),
        (
            restore,
            json!({"entities": "k1.t1", "rename": pairs(10_000, "k1", "k2")}),
            Some("rename-malformed"),
        ),
        (
            restore,
            json!({"rename": pairs(1_001, "k1", "k2")}),
            Some("rename-malformed"),
        ),
        (restore, json!({"rename": pairs(1_000, "k1", "k2")}), None),
        (
            restore,
            json!({"rename": pairs(1_000, "k1", "k1")}),
            Some("rename-self"),
        ),
        (
            restore,
            json!({"rename": pairs(100, "k1", "system"), "entities": all.join(",")}),
            Some("rename-system"),
        ),
        (
            restore,
            json!({"rename": pairs(100, "k1", "k2"), "entities": all.join(",")}),
            None,
        ),
        (
            restore,
            json!({"rename": pairs(100, "k3", "k2"), "entities": all.join(",")}),
            Some("rename-source-outside-entities"),
        ),
        (
            restore,
            json!({"rename": pairs(100, "k1", "k2"), "entities": all.join(",").replacen("k1.t1", "k2.t99", 1)}),
            Some("rename-source-outside-entities"),
        ),
        (restore, json!({"rename": {"k1.t1": long("x")}}), None),
    ]
}
