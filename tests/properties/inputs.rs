//! Strategies for objects: mostly valid, with invalid values in every field.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::gate::object;
use crate::world::World;

/// One of a few keyspaces, so that lists overlap.
pub(crate) fn keyspace() -> impl Strategy<Value = String> {
    select(vec!["k1", "k2", "k3", "K4", "system"]).prop_map(ToOwned::to_owned)
}

/// One of a few tables.
pub(crate) fn table() -> impl Strategy<Value = String> {
    (keyspace(), 1..4_u8).prop_map(|(keyspace, number)| format!("{keyspace}.t{number}"))
}

/// The items of a valid list: only keyspaces or only tables.
pub(crate) fn items() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![
        btree_set(keyspace(), 1..5).prop_map(|names| names.into_iter().collect()),
        btree_set(table(), 1..6).prop_map(|names| names.into_iter().collect()),
    ]
}

/// The items of a list that may be invalid.
pub(crate) fn any_items() -> impl Strategy<Value = Vec<String>> {
    let odd = select(vec!["k1", "k1.t1", "a.b.c", "\"k\"", ".", "k-1", "é", "k2.t2"]);
    prop_oneof![
        4 => items(),
        1 => vec(odd.prop_map(ToOwned::to_owned), 0..6),
    ]
}

fn entities() -> impl Strategy<Value = Value> {
    any_items().prop_map(|items| json!(items.join(",")))
}

fn texts(texts: &[&'static str]) -> BoxedStrategy<Value> {
    select(texts.to_vec()).prop_map(|text| json!(text)).boxed()
}

/// Any JSON value.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(".{0,8}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A random subset of the fields, each with its own value.
fn fields(candidates: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Map<String, Value>> {
    let each = candidates.into_iter().map(|(name, value)| {
        option::of(value)
            .prop_map(move |value| value.map(|value| (name.to_owned(), value)))
            .boxed()
    });
    let each: Vec<_> = each.collect();
    each.prop_map(|fields| fields.into_iter().flatten().collect())
        .boxed()
}

/// A list of nodes with host ids that may be malformed and may occur twice, and another field that may be malformed.
fn nodes(field: &'static str, values: &[&'static str]) -> BoxedStrategy<Value> {
    let host_ids = select(vec![
        "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11",
        "3c1f5f4e-2b7d-4f5e-8a6c-1d2e3f405162",
        "n1",
        "",
    ]);
    let node = (host_ids, select(values.to_vec()))
        .prop_map(move |(host_id, value)| json!({"hostId": host_id, field: value}));
    vec(node, 0..4).prop_map(Value::from).boxed()
}

/// A spec of a backup.
pub(crate) fn backup_spec() -> impl Strategy<Value = Value> {
    let optional = fields(vec![
        ("bandwidth", texts(&["50M", "0", "x", ""])),
        ("clusterName", texts(&["shop", "a b", ""])),
        (
            "concurrentConnections",
            prop_oneof![Just(json!(10)), Just(json!(0)), Just(json!(-1))].boxed(),
        ),
        ("datacenter", texts(&["dc1", "dc2", "dc9", ""])),
        ("duration", texts(&["1h", "1d", "", "-1s"])),
        ("entities", entities().boxed()),
        (
            "schedule",
            texts(&["@daily", "30 2 * * *", "* * * * *", "0 0 30 2 *", "x", ""]),
        ),
        ("nodes", nodes("datacenter", &["dc1", "a/b", ""])),
        ("secret", texts(&["s3", "half", "none", "No Name", ""])),
        ("snapshotTag", texts(&["nightly", "tables", "a b", "", "-x"])),
        ("suspend", any::<bool>().prop_map(Value::from).boxed()),
        ("timeZone", texts(&["Europe/Berlin", "Nowhere", ""])),
        ("unknownField", any_value().boxed()),
    ]);
    let clusters = texts(&["c1", "c1", "c1", "c2", "none", "No Name", ""]);
    let locations = texts(&[
        "s3://bk",
        "s3://bk",
        "s3://bk",
        "file:///d/bk/c/d/n",
        "gs://bk",
        "s3://a/b",
        "",
    ]);
    (optional, clusters, locations).prop_map(|(mut spec, cluster, location)| {
        spec.insert("cassandraCluster".to_owned(), cluster);
        spec.insert("storageLocation".to_owned(), location);
        Value::Object(spec)
    })
}

/// A spec of a restore.
pub(crate) fn restore_spec() -> impl Strategy<Value = Value> {
    let rename = btree_map(table(), table(), 0..3).prop_map(|map| json!(map));
    let optional = fields(vec![
        (
            "cassandraDirectory",
            texts(&["/var/lib/cassandra", "/var/lib/cassandra/data", "x", ""]),
        ),
        (
            "concurrentConnection",
            prop_oneof![Just(json!(10)), Just(json!(0)), Just(json!(-1))].boxed(),
        ),
        ("datacenter", texts(&["dc1", "dc9", ""])),
        ("entities", entities().boxed()),
        ("exactSchemaVersion", any::<bool>().prop_map(Value::from).boxed()),
        (
            "nodes",
            nodes(
                "pod",
                &["c1-dc1-rack1-0", "c1-dc2-rack1-0", "c2-dc1-rack1-0", "C1"],
            ),
        ),
        ("noDeleteTruncates", any::<bool>().prop_map(Value::from).boxed()),
        ("rename", rename.boxed()),
        (
            "schemaVersion",
            texts(&["168d568b-d346-3f61-968f-a2716307a6e4", "1", ""]),
        ),
        ("secret", texts(&["s3", "half", "none", ""])),
        ("snapshot", texts(&["tables-1", ""])),
        ("unknownField", any_value().boxed()),
    ]);
    let clusters = texts(&["c1", "c1", "c1", "c2", "none"]);
    let backups = texts(&["tables", "keyspaces", "everything", "failed", "none", "No Name"]);
    (optional, clusters, backups).prop_map(|(mut spec, cluster, backup)| {
        spec.insert("cassandraCluster".to_owned(), cluster);
        spec.insert("cassandraBackup".to_owned(), backup);
        Value::Object(spec)
    })
}

/// A new object of either kind.
pub(crate) fn any_object() -> impl Strategy<Value = Value> {
    prop_oneof![
        backup_spec().prop_map(|spec| object("CassandraBackup", "b1", &spec)),
        restore_spec().prop_map(|spec| object("CassandraRestore", "r1", &spec)),
    ]
}

/// A cluster of two datacenters, two Secrets, and backups of each sort.
pub(crate) fn world() -> World {
    let backup = |name: &str, entities: Option<&str>, state: &str| {
        let spec = json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": name, "secret": "s3",
                          "entities": entities});
        let mut backup = object("CassandraBackup", name, &spec);
        backup["status"] = json!({"condition": {"type": state}});
        backup
    };
    let secret = |name: &str, keys: &[&str]| {
        let data: Map<String, Value> = keys
            .iter()
            .map(|key| ((*key).to_owned(), json!("eu-west-1")))
            .collect();
        json!({"kind": "Secret", "metadata": {"name": name, "namespace": "prod"}, "stringData": data})
    };
    let racks = json!([{"name": "rack1"}]);
    let topology = json!({"dc": [{"name": "dc1", "rack": racks}, {"name": "dc2", "rack": racks}]});
    World {
        objects: vec![
            object("CassandraCluster", "c1", &json!({"topology": topology})),
            secret("s3", &["awsaccesskeyid", "awssecretaccesskey", "awsregion"]),
            secret("half", &["awsaccesskeyid"]),
            backup("tables", Some("k1.t1,k2.t3"), "COMPLETED"),
            backup("keyspaces", Some("k1,k2"), "COMPLETED"),
            backup("everything", None, "COMPLETED"),
            backup("failed", Some("k1"), "FAILED"),
        ],
        ..World::default()
    }
}
