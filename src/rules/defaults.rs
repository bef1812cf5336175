//! Defaults that the mutating webhook fills in.
//!
//! Only absent fields are filled. Fields of the user are never rewritten, so that GitOps tools see no drift. On an
//! update a filled field keeps its stored value, so that `kubectl replace` with the same file changes nothing.

use serde_json::{Map, Value, json};

use crate::domain::entities::MAX_LIST_LENGTH;

use super::facts::StoredBackup;
use super::spec_change::normalized;
use super::status::{has_started, is_scheduled};
use crate::api::Kind;

/// Cassandra's directory in CassKop's pods.
pub const CASSANDRA_DIRECTORY: &str = "/var/lib/cassandra";

/// The default of Icarus, which CassKop documents too.
pub const CONCURRENT_CONNECTIONS: i32 = 10;

/// The inputs for the defaults of one request.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The stored object; `None` on creation.
    pub old: Option<&'a Value>,
    /// The backup of a restore, if it is known.
    pub backup: Option<&'a StoredBackup>,
    /// The current time in milliseconds since the epoch, for the generated snapshot tag.
    pub now_ms: i64,
}

/// Fills in the absent fields of the spec of `object`.
///
/// Does nothing if the object has no spec, or if an update does not change the spec. The function is idempotent.
pub fn fill(kind: Kind, object: &mut Value, inputs: Inputs<'_>) {
    let Some(spec) = object.get_mut("spec") else {
        return;
    };
    let absent = absent(kind, spec, inputs);
    if let Value::Object(fields) = spec {
        fields.extend(absent.into_iter().map(|(field, value)| (field.to_owned(), value)));
    }
}

/// Returns the fields that are absent from `spec` and have a default, each with its value.
///
/// On a creation only the presence of the fields and the text of `snapshot` matter. On an update both specs are compared.
#[must_use]
pub fn absent(kind: Kind, spec: &Value, inputs: Inputs<'_>) -> Vec<(&'static str, Value)> {
    let stored = inputs.old.and_then(|old| old.get("spec"));
    if stored == Some(spec) || !spec.is_object() {
        return Vec::new();
    }
    // CassKop's PUT drops empty fields: it is no change, and gets no default.
    let is_rewritten = stored.is_some_and(|stored| normalized(kind, stored) == normalized(kind, spec));
    let requested = spec.get("snapshot").and_then(Value::as_str);
    let requested = requested.filter(|requested| !requested.is_empty());
    let candidates = candidates(kind, inputs, requested).into_iter();
    candidates
        .filter(|(field, _)| spec.get(field).is_none())
        .filter_map(|(field, value)| {
            let kept = stored.and_then(|stored| stored.get(field)).cloned();
            Some((field, kept.or_else(|| value.filter(|_| !is_rewritten))?))
        })
        .collect()
}

/// Returns the fields with a default, each with its value for an object that does not have the field yet.
///
/// `requested`: the run that a restore names. The restore inherits the entities of the run that it takes.
fn candidates(kind: Kind, inputs: Inputs<'_>, requested: Option<&str>) -> Vec<(&'static str, Option<Value>)> {
    let created = inputs.old.is_none();
    // The spec of a started one-shot must not change, so no default is added to it.
    let frozen = inputs
        .old
        .is_some_and(|old| has_started(old) && !is_scheduled(old));
    let constant = |value: Value| (!frozen).then_some(value);
    match kind {
        Kind::Restore => {
            let backup = inputs.backup.filter(|_| created);
            let entities = backup.map(|backup| backup.coverage(requested).entities());
            let secret = backup.and_then(|backup| backup.spec.secret.as_deref());
            // A value that the rules would deny is not inherited.
            let inherited = |text: Option<&str>| {
                let text = text.filter(|text| !text.is_empty() && text.len() <= MAX_LIST_LENGTH);
                text.map(|text| json!(text))
            };
            vec![
                ("cassandraDirectory", constant(json!(CASSANDRA_DIRECTORY))),
                ("concurrentConnection", constant(json!(CONCURRENT_CONNECTIONS))),
                ("entities", inherited(entities)),
                ("exactSchemaVersion", constant(json!(false))),
                ("noDeleteTruncates", constant(json!(false))),
                ("secret", inherited(secret)),
            ]
        }
        Kind::Backup => vec![
            ("concurrentConnections", constant(json!(CONCURRENT_CONNECTIONS))),
            (
                "snapshotTag",
                constant(json!(format!("autosnap-{}", inputs.now_ms))),
            ),
        ],
    }
}

/// Removes the status of a new object.
pub fn strip_status(object: &mut Value) {
    object
        .as_object_mut()
        .map(|fields: &mut Map<String, Value>| fields.remove("status"));
}

/// Copies the stored status of `old` into `object`.
pub fn keep_status(object: &mut Value, old: &Value) {
    if let (Some(fields), Some(status)) = (object.as_object_mut(), old.get("status")) {
        fields.insert("status".to_owned(), status.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::{Inputs, fill};
    use crate::api::CassandraBackupSpec;
    use crate::api::Kind;
    use std::sync::Arc;

    use crate::rules::facts::{PastSnapshot, RecordedRun, StoredBackup};
    use serde_json::{Value, json};

    const NEW: Inputs<'static> = Inputs {
        old: None,
        backup: None,
        now_ms: 1_700_000_000_123,
    };

    fn filled(kind: Kind, mut object: Value, inputs: Inputs<'_>) -> Value {
        fill(kind, &mut object, inputs);
        object["spec"].take()
    }

    fn backup(entities: Option<&str>, secret: Option<&str>) -> StoredBackup {
        let spec = CassandraBackupSpec {
            entities: entities.map(Into::into),
            secret: secret.map(Into::into),
            ..CassandraBackupSpec::default()
        };
        StoredBackup {
            name: "b1".into(),
            spec,
            ..StoredBackup::default()
        }
    }

    #[test]
    fn a_backup_gets_a_snapshot_tag_and_connections() {
        let spec = filled(Kind::Backup, json!({"spec": {"cassandraCluster": "c1"}}), NEW);
        let expected = json!({
            "cassandraCluster": "c1", "concurrentConnections": 10, "snapshotTag": "autosnap-1700000000123"
        });
        assert_eq!(spec, expected);
    }

    #[test]
    fn fields_of_the_user_stay_even_if_they_are_invalid() {
        let spec = json!({"snapshotTag": "", "concurrentConnections": 0, "unknown": {"x": 1}});
        assert_eq!(filled(Kind::Backup, json!({"spec": spec}), NEW), spec);
    }

    #[test]
    fn a_restore_inherits_entities_and_secret_of_its_backup() {
        let backup = backup(Some("k1"), Some("s3"));
        let spec = filled(
            Kind::Restore,
            json!({"spec": {}}),
            Inputs {
                backup: Some(&backup),
                ..NEW
            },
        );
        let expected = json!({
            "cassandraDirectory": "/var/lib/cassandra", "concurrentConnection": 10, "entities": "k1",
            "exactSchemaVersion": false, "noDeleteTruncates": false, "secret": "s3"
        });
        assert_eq!(spec, expected);
    }

    #[test]
    fn a_restore_inherits_the_entities_of_its_run() {
        let mut backup = backup(Some("k9"), None);
        let run = |name: &str, entities: &str| PastSnapshot {
            name: name.into(),
            good: true,
            record: Some(Arc::new(RecordedRun {
                entities: entities.into(),
                ..RecordedRun::default()
            })),
            ..PastSnapshot::default()
        };
        backup.history = vec![
            run("c", ""),
            run("b", "k1.t1"),
            PastSnapshot {
                record: None,
                ..run("a", "")
            },
        ];
        for (snapshot, inherited) in [
            (json!("b"), Some(json!("k1.t1"))),
            (json!("c"), None),
            (json!("a"), Some(json!("k9"))),
            (json!(""), None),
            (Value::Null, None),
        ] {
            let inputs = Inputs {
                backup: Some(&backup),
                ..NEW
            };
            let spec = filled(Kind::Restore, json!({"spec": {"snapshot": snapshot}}), inputs);
            assert_eq!(spec.get("entities"), inherited.as_ref(), "{snapshot}");
        }
    }

    #[test]
    fn a_restore_inherits_no_empty_or_absent_fields() {
        let backup = backup(Some(""), None);
        let spec = filled(
            Kind::Restore,
            json!({"spec": {}}),
            Inputs {
                backup: Some(&backup),
                ..NEW
            },
        );
        assert_eq!(
            (spec.get("entities"), spec.get("secret"), spec.get("datacenter")),
            (None, None, None)
        );
    }

    #[test]
    fn an_update_keeps_the_filled_fields() {
        let old = json!({"spec": {"a": 1, "snapshotTag": "autosnap-1", "concurrentConnections": 10}});
        let spec = filled(
            Kind::Backup,
            json!({"spec": {"a": 1}}),
            Inputs {
                old: Some(&old),
                ..NEW
            },
        );
        assert_eq!(spec, old["spec"], "kubectl replace of the same file");
        let old = json!({"spec": {"entities": "k1", "secret": "s"}});
        let other = backup(Some("k9"), Some("other"));
        let inputs = Inputs {
            old: Some(&old),
            backup: Some(&other),
            ..NEW
        };
        let spec = filled(Kind::Restore, json!({"spec": {"x": 1}}), inputs);
        assert_eq!((&spec["entities"], &spec["secret"]), (&json!("k1"), &json!("s")));
    }

    #[test]
    fn an_update_inherits_nothing_from_the_backup() {
        let old = json!({"spec": {"x": 0}});
        let other = backup(Some("k9"), Some("other"));
        let inputs = Inputs {
            old: Some(&old),
            backup: Some(&other),
            ..NEW
        };
        let spec = filled(Kind::Restore, json!({"spec": {"x": 1}}), inputs);
        assert_eq!(spec.get("entities"), None);
    }

    #[test]
    fn a_started_one_shot_and_an_unchanged_spec_get_no_defaults() {
        let old = json!({"spec": {"a": 1}, "status": {"condition": {"type": "COMPLETED"}}});
        for new in [json!({"a": 1}), json!({"a": 2})] {
            let inputs = Inputs {
                old: Some(&old),
                ..NEW
            };
            assert_eq!(filled(Kind::Backup, json!({"spec": new}), inputs), new);
        }
    }

    #[test]
    fn filling_twice_equals_filling_once() {
        for kind in [Kind::Backup, Kind::Restore] {
            let once = filled(kind, json!({"spec": {}}), NEW);
            let later = Inputs { now_ms: 9, ..NEW };
            assert_eq!(filled(kind, json!({"spec": once}), later), once);
        }
    }

    #[test]
    fn an_object_without_a_spec_is_not_changed() {
        for object in [
            json!({}),
            json!({"spec": null}),
            json!({"spec": "text"}),
            json!([]),
        ] {
            let mut same = object.clone();
            fill(Kind::Backup, &mut same, NEW);
            assert_eq!(same, object);
        }
    }
}
