//! Changes of a spec, by meaning.
//!
//! Two specs that run in the same way are equal: CassKop's PUT drops empty fields at each restart of its operator
//! (observed at 40f5dfa9: `datacenter`, `entities`, `schedule`, `duration`, `bandwidth`), the mutating webhook fills in
//! defaults, and users reorder lists. The `matchConditions` of the webhooks and the policies know only empty fields, so
//! they pass on every change that this module finds.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::api::Kind;
use crate::domain::bandwidth::Bandwidth;
use crate::domain::cassandra_directory::CassandraDirectory;
use crate::domain::go_duration::GoDuration;
use crate::domain::schema_version::SchemaVersion;
use crate::domain::storage::{Provider, StorageLocation};

use super::defaults::{CASSANDRA_DIRECTORY, CONCURRENT_CONNECTIONS};

/// Returns true if the spec of `new` has another meaning than that of `old`. Both are whole objects.
#[must_use]
pub fn is_changed(kind: Kind, old: &Value, new: &Value) -> bool {
    // Most updates change the spec in every meaning, or not at all.
    let (old, new) = (old.get("spec"), new.get("spec"));
    old != new && old.map(|spec| normalized(kind, spec)) != new.map(|spec| normalized(kind, spec))
}

/// Returns the top-level fields of the spec whose meaning differs, removed fields last. Both are whole objects.
#[must_use]
pub fn changed_fields(kind: Kind, old: &Value, new: &Value) -> Vec<String> {
    let fields = |object: &Value| match object.get("spec").map(|spec| normalized(kind, spec)) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (before, after) = (fields(old), fields(new));
    let removed = before.keys().filter(|field| !after.contains_key(*field));
    let changed = after
        .iter()
        .filter(|(field, value)| before.get(*field) != Some(*value));
    let changed = changed.map(|(field, _)| field);
    changed.chain(removed).cloned().collect()
}

/// Returns a spec with the same meaning, in which empty fields and defaults are absent and every value has one form.
///
/// A value that the rules deny keeps its form. The function is idempotent.
#[must_use]
pub fn normalized(kind: Kind, spec: &Value) -> Value {
    let Value::Object(fields) = spec else {
        return spec.clone();
    };
    let fields = fields.iter().filter_map(|(field, value)| {
        let value = without_empty(value)?;
        let value = match &value {
            Value::String(text) => Value::String(normalized_text(field, text)),
            Value::Array(nodes) if field == "nodes" => normalized_nodes(nodes),
            _ => value,
        };
        (default(kind, field).as_ref() != Some(&value) && !is_zero_connections(field, &value))
            .then(|| (field.clone(), value))
    });
    Value::Object(fields.collect())
}

/// Returns the value without empty texts, lists and maps in it; `None` if nothing is left.
fn without_empty(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then(|| value.clone()),
        // The items keep their places.
        Value::Array(items) => {
            let items = items
                .iter()
                .map(|item| without_empty(item).unwrap_or(Value::Null));
            (items.len() > 0).then(|| items.collect())
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), without_empty(value)?)));
            let fields: Map<String, Value> = fields.collect();
            (!fields.is_empty()).then_some(Value::Object(fields))
        }
        Value::Bool(_) | Value::Number(_) => Some(value.clone()),
    }
}

/// Returns the value that an absent field has.
fn default(kind: Kind, field: &str) -> Option<Value> {
    match (kind, field) {
        (Kind::Backup, "concurrentConnections") | (Kind::Restore, "concurrentConnection") => {
            Some(json!(CONCURRENT_CONNECTIONS))
        }
        (Kind::Backup, "suspend") | (Kind::Restore, "exactSchemaVersion" | "noDeleteTruncates") => {
            Some(json!(false))
        }
        (Kind::Backup, "concurrencyPolicy") => Some(json!("Allow")),
        (Kind::Restore, "cassandraDirectory") => Some(json!(CASSANDRA_DIRECTORY)),
        _ => None,
    }
}

/// Returns true for zero connections, which CassKop does not send and which means the default.
fn is_zero_connections(field: &str, value: &Value) -> bool {
    matches!(field, "concurrentConnection" | "concurrentConnections") && *value == json!(0)
}

/// Returns the one form of a text that is not empty.
fn normalized_text(field: &str, text: &str) -> String {
    let valid = match field {
        "entities" => Some(normalized_entities(text)),
        "duration" => GoDuration::parse(text)
            .ok()
            .map(|duration| format!("{}ns", duration.nanoseconds())),
        "bandwidth" => Bandwidth::parse(text).ok().map(normalized_bandwidth),
        "storageLocation" => StorageLocation::parse(text)
            .ok()
            .map(|location| normalized_location(&location)),
        "cassandraDirectory" => CassandraDirectory::parse(text)
            .ok()
            .map(|directory| directory.shortest()),
        "schemaVersion" => SchemaVersion::parse(text)
            .ok()
            .map(|version| version.as_str().to_owned()),
        _ => None,
    };
    valid.unwrap_or_else(|| text.to_owned())
}

/// Returns the items in order, each once. The separators are those of CassKop.
fn normalized_entities(text: &str) -> String {
    let separator = |c: char| c == ',' || c.is_ascii_whitespace();
    let items: BTreeSet<&str> = text.split(separator).filter(|item| !item.is_empty()).collect();
    if items.is_empty() {
        // The rules deny a list of separators.
        return text.to_owned();
    }
    items.into_iter().collect::<Vec<_>>().join(",")
}

/// Returns the limit with the largest unit that needs no fraction.
fn normalized_bandwidth(bandwidth: Bandwidth) -> String {
    let bytes = bandwidth.bytes_per_second();
    let units = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "K")];
    let unit = units
        .into_iter()
        .find(|(factor, _)| bytes.is_multiple_of(*factor));
    let (factor, unit) = unit.unwrap_or((1, ""));
    format!("{}{unit}", bytes / factor)
}

/// Returns the location without what the sidecar replaces: a slash at the end, and the last three segments of a cloud
/// location.
fn normalized_location(location: &StorageLocation) -> String {
    match location.provider() {
        Provider::File => location.as_str().trim_end_matches('/').to_owned(),
        provider => format!("{}://{}", provider.scheme(), location.bucket()),
    }
}

/// Returns the nodes ordered by their host ids, which are in lower case.
fn normalized_nodes(nodes: &[Value]) -> Value {
    let mut nodes = nodes.to_vec();
    for node in &mut nodes {
        if let Some(Value::String(host_id)) = node.get_mut("hostId") {
            host_id.make_ascii_lowercase();
        }
    }
    nodes.sort_by_cached_key(|node| {
        let host_id = node.get("hostId").and_then(Value::as_str);
        host_id.unwrap_or_default().to_owned()
    });
    Value::Array(nodes)
}

#[cfg(test)]
mod tests {
    use super::{changed_fields, is_changed, normalized};
    use crate::api::Kind;
    use serde_json::{Value, json};

    fn changed(kind: Kind, old: &Value, new: &Value) -> Vec<String> {
        let (old, new) = (json!({"spec": old}), json!({"spec": new}));
        let fields = changed_fields(kind, &old, &new);
        assert_eq!(is_changed(kind, &old, &new), !fields.is_empty(), "{old} to {new}");
        fields
    }

    #[test]
    fn specs_of_the_same_meaning_are_equal() {
        for (kind, one, other) in [
            (
                Kind::Backup,
                json!({"datacenter": "", "entities": "", "schedule": "", "duration": "", "bandwidth": "", "secret": "",
                       "timeZone": null, "retention": {}, "nodes": [], "suspend": false}),
                json!({}),
            ),
            (
                Kind::Backup,
                json!({"concurrentConnections": 10}),
                json!({"concurrentConnections": 0}),
            ),
            (Kind::Backup, json!({"concurrentConnections": 0}), json!({})),
            (Kind::Backup, json!({"concurrencyPolicy": "Allow"}), json!({})),
            (
                Kind::Backup,
                json!({"entities": "k2.t, k1.t\tk1.t"}),
                json!({"entities": "k1.t,k2.t"}),
            ),
            (
                Kind::Backup,
                json!({"duration": "90m"}),
                json!({"duration": "1h30m"}),
            ),
            (
                Kind::Backup,
                json!({"bandwidth": "1000 k"}),
                json!({"bandwidth": "1M"}),
            ),
            (
                Kind::Backup,
                json!({"bandwidth": "007"}),
                json!({"bandwidth": "7"}),
            ),
            (
                Kind::Backup,
                json!({"storageLocation": "s3://b/"}),
                json!({"storageLocation": "s3://b"}),
            ),
            (
                Kind::Backup,
                json!({"storageLocation": "s3://b/c/d/n"}),
                json!({"storageLocation": "s3://b"}),
            ),
            (
                Kind::Backup,
                json!({"storageLocation": "file:///a/b/c/d/n/"}),
                json!({"storageLocation": "file:///a/b/c/d/n"}),
            ),
            (
                Kind::Restore,
                json!({"cassandraDirectory": "/var/lib/cassandra/", "concurrentConnection": 10, "exactSchemaVersion": false,
                       "noDeleteTruncates": false, "rename": {}, "entities": "", "schemaVersion": ""}),
                json!({}),
            ),
            (
                Kind::Restore,
                json!({"nodes": [{"hostId": "B", "pod": ""}, {"hostId": "a"}]}),
                json!({"nodes": [{"hostId": "a"}, {"hostId": "b"}]}),
            ),
            (
                Kind::Restore,
                json!({"schemaVersion": "9DA86270-7A5C-4A0B-9E9B-0F6D3F0C2A11"}),
                json!({"schemaVersion": "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11"}),
            ),
        ] {
            assert_eq!(changed(kind, &one, &other), [""; 0], "{one} to {other}");
            assert_eq!(changed(kind, &other, &one), [""; 0], "{other} to {one}");
        }
    }

    #[test]
    fn a_change_of_meaning_names_its_fields() {
        for (kind, one, other, field) in [
            (
                Kind::Backup,
                json!({"datacenter": "dc1"}),
                json!({"datacenter": ""}),
                "datacenter",
            ),
            (Kind::Backup, json!({"suspend": true}), json!({}), "suspend"),
            (
                Kind::Backup,
                json!({"concurrentConnections": 1}),
                json!({}),
                "concurrentConnections",
            ),
            (
                Kind::Backup,
                json!({"concurrencyPolicy": "Forbid"}),
                json!({}),
                "concurrencyPolicy",
            ),
            (
                Kind::Backup,
                json!({"entities": "k1"}),
                json!({"entities": "K1"}),
                "entities",
            ),
            (Kind::Backup, json!({"entities": ","}), json!({}), "entities"),
            (
                Kind::Backup,
                json!({"duration": "1h"}),
                json!({"duration": "61m"}),
                "duration",
            ),
            (
                Kind::Backup,
                json!({"duration": "1d"}),
                json!({"duration": "24h"}),
                "duration",
            ),
            (
                Kind::Backup,
                json!({"bandwidth": "1M"}),
                json!({"bandwidth": "1024K"}),
                "bandwidth",
            ),
            (
                Kind::Backup,
                json!({"storageLocation": "s3://b"}),
                json!({"storageLocation": "gcp://b"}),
                "storageLocation",
            ),
            (
                Kind::Backup,
                json!({"snapshotTag": "a"}),
                json!({"snapshotTag": "A"}),
                "snapshotTag",
            ),
            (
                Kind::Backup,
                json!({"retention": {"keepLast": 1}}),
                json!({"retention": {}}),
                "retention",
            ),
            (
                Kind::Restore,
                json!({"noDeleteTruncates": true}),
                json!({}),
                "noDeleteTruncates",
            ),
            (
                Kind::Restore,
                json!({"cassandraDirectory": "/data"}),
                json!({}),
                "cassandraDirectory",
            ),
            (
                Kind::Restore,
                json!({"rename": {"k.a": "k.b"}}),
                json!({"rename": {"k.a": "k.c"}}),
                "rename",
            ),
            (
                Kind::Restore,
                json!({"nodes": [{"hostId": "a", "pod": "p"}]}),
                json!({"nodes": [{"hostId": "a"}]}),
                "nodes",
            ),
            (
                Kind::Restore,
                json!({"unknown": {"x": [1, ""]}}),
                json!({"unknown": {"x": [1]}}),
                "unknown",
            ),
        ] {
            assert_eq!(changed(kind, &one, &other), [field], "{one} to {other}");
            assert_eq!(changed(kind, &other, &one), [field], "{other} to {one}");
        }
    }

    #[test]
    fn a_spec_that_is_not_a_map_differs_from_every_map() {
        let (old, new) = (json!({"spec": {"a": 1}}), json!({"spec": "text"}));
        assert!(is_changed(Kind::Backup, &old, &new) && is_changed(Kind::Backup, &new, &old));
        assert!(is_changed(Kind::Backup, &old, &json!({})));
    }

    #[test]
    fn a_normalized_spec_stays_as_it_is() {
        let spec = json!({"entities": "b a", "duration": "90m", "bandwidth": "20000", "storageLocation": "s3://b/c/d/n",
                          "concurrentConnections": 3, "nodes": [{"hostId": "A", "datacenter": ""}]});
        let once = normalized(Kind::Backup, &spec);
        let expected = json!({"entities": "a,b", "duration": "5400000000000ns", "bandwidth": "20K",
                              "storageLocation": "s3://b", "concurrentConnections": 3, "nodes": [{"hostId": "a"}]});
        assert_eq!(once, expected);
        assert_eq!(normalized(Kind::Backup, &once), once);
    }
}
