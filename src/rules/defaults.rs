//! Fields that the mutating side fills in.
//!
//! Only absent fields are filled; nothing that the user wrote is rewritten, so that no GitOps tool sees a drift. On
//! an update a filled field keeps its stored value: `kubectl replace` of the same file changes nothing.

use serde_json::{Map, Value, json};

use crate::domain::entities::LONGEST_LIST;

use super::facts::StoredBackup;
use super::status::{has_started, is_scheduled};
use crate::api::Kind;

/// The directory of Cassandra in CassKop's pods.
pub const CASSANDRA_DIRECTORY: &str = "/var/lib/cassandra";

/// What Icarus takes when nothing is said, and CassKop documents.
pub const CONCURRENT_CONNECTIONS: i32 = 10;

/// What the defaults of one request rest on.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The stored object, on an update.
    pub old: Option<&'a Value>,
    /// The backup that a restore names, where it is known.
    pub backup: Option<&'a StoredBackup>,
    /// The time, in milliseconds since the epoch: the name of a snapshot that has none.
    pub now_ms: i64,
}

/// Fills what is absent in the spec of `object`, raw as it came. An object without a spec is left alone, and so is
/// an update that changes no field of it.
///
/// Applied twice it changes nothing more.
pub fn fill(kind: Kind, object: &mut Value, origin: Origin<'_>) {
    let stored = origin.old.and_then(|old| old.get("spec"));
    let Some(spec) = object.get_mut("spec") else {
        return;
    };
    if stored == Some(&*spec) {
        return;
    }
    let Value::Object(spec) = spec else { return };
    for (field, value) in candidates(kind, origin) {
        let kept = stored.and_then(|stored| stored.get(field)).cloned();
        if let Some(value) = kept.or(value) {
            spec.entry(field).or_insert(value);
        }
    }
}

/// The fields that we fill, each with its value for an object that has never had one.
fn candidates(kind: Kind, origin: Origin<'_>) -> Vec<(&'static str, Option<Value>)> {
    let created = origin.old.is_none();
    // The spec of what has started stays as it is, so nothing new is added to it.
    let frozen = origin
        .old
        .is_some_and(|old| has_started(old) && !is_scheduled(old));
    let constant = |value: Value| (!frozen).then_some(value);
    match kind {
        Kind::Restore => {
            let inherited = |field: fn(&StoredBackup) -> Option<&String>| {
                origin
                    .backup
                    .filter(|_| created)
                    .and_then(field)
                    // What no rule would let pass is not copied either.
                    .filter(|text| !text.is_empty() && text.len() <= LONGEST_LIST)
                    .map(|text| json!(text))
            };
            vec![
                ("cassandraDirectory", constant(json!(CASSANDRA_DIRECTORY))),
                ("concurrentConnection", constant(json!(CONCURRENT_CONNECTIONS))),
                ("entities", inherited(|backup| backup.spec.entities.as_ref())),
                ("exactSchemaVersion", constant(json!(false))),
                ("noDeleteTruncates", constant(json!(false))),
                ("secret", inherited(|backup| backup.spec.secret.as_ref())),
            ]
        }
        Kind::Backup => vec![
            ("concurrentConnections", constant(json!(CONCURRENT_CONNECTIONS))),
            (
                "snapshotTag",
                constant(json!(format!("autosnap-{}", origin.now_ms))),
            ),
        ],
    }
}

/// Takes the status out of a new object.
pub fn strip_status(object: &mut Value) {
    object
        .as_object_mut()
        .map(|fields: &mut Map<String, Value>| fields.remove("status"));
}

/// Puts the stored status back.
pub fn keep_status(object: &mut Value, old: &Value) {
    if let (Some(fields), Some(status)) = (object.as_object_mut(), old.get("status")) {
        fields.insert("status".to_owned(), status.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, fill};
    use crate::api::CassandraBackupSpec;
    use crate::api::Kind;
    use crate::rules::facts::StoredBackup;
    use serde_json::{Value, json};

    const NEW: Origin<'static> = Origin {
        old: None,
        backup: None,
        now_ms: 1_700_000_000_123,
    };

    fn filled(kind: Kind, mut object: Value, origin: Origin<'_>) -> Value {
        fill(kind, &mut object, origin);
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
    fn a_backup_gets_a_tag_and_connections() {
        let spec = filled(Kind::Backup, json!({"spec": {"cassandraCluster": "c1"}}), NEW);
        let expected = json!({
            "cassandraCluster": "c1", "concurrentConnections": 10, "snapshotTag": "autosnap-1700000000123"
        });
        assert_eq!(spec, expected);
    }

    #[test]
    fn what_the_user_wrote_stays_even_when_it_is_odd() {
        let wrote = json!({"snapshotTag": "", "concurrentConnections": 0, "unknown": {"x": 1}});
        assert_eq!(filled(Kind::Backup, json!({"spec": wrote}), NEW), wrote);
    }

    #[test]
    fn a_restore_says_itself_what_it_will_do() {
        let backup = backup(Some("k1"), Some("s3"));
        let spec = filled(
            Kind::Restore,
            json!({"spec": {}}),
            Origin {
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
    fn a_restore_inherits_nothing_that_the_backup_has_not() {
        let backup = backup(Some(""), None);
        let spec = filled(
            Kind::Restore,
            json!({"spec": {}}),
            Origin {
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
    fn an_update_keeps_what_was_filled_in() {
        let old = json!({"spec": {"a": 1, "snapshotTag": "autosnap-1", "concurrentConnections": 10}});
        let spec = filled(
            Kind::Backup,
            json!({"spec": {"a": 1}}),
            Origin {
                old: Some(&old),
                ..NEW
            },
        );
        assert_eq!(spec, old["spec"], "kubectl replace of the same file");
        let old = json!({"spec": {"entities": "k1", "secret": "s"}});
        let other = backup(Some("k9"), Some("other"));
        let origin = Origin {
            old: Some(&old),
            backup: Some(&other),
            ..NEW
        };
        let spec = filled(Kind::Restore, json!({"spec": {"x": 1}}), origin);
        assert_eq!((&spec["entities"], &spec["secret"]), (&json!("k1"), &json!("s")));
    }

    #[test]
    fn an_update_inherits_nothing_anew() {
        let old = json!({"spec": {"x": 0}});
        let other = backup(Some("k9"), Some("other"));
        let origin = Origin {
            old: Some(&old),
            backup: Some(&other),
            ..NEW
        };
        let spec = filled(Kind::Restore, json!({"spec": {"x": 1}}), origin);
        assert_eq!(spec.get("entities"), None);
    }

    #[test]
    fn a_started_one_shot_and_an_unchanged_spec_get_nothing_new() {
        let old = json!({"spec": {"a": 1}, "status": {"condition": {"type": "COMPLETED"}}});
        for new in [json!({"a": 1}), json!({"a": 2})] {
            let origin = Origin {
                old: Some(&old),
                ..NEW
            };
            assert_eq!(filled(Kind::Backup, json!({"spec": new}), origin), new);
        }
    }

    #[test]
    fn filling_twice_changes_nothing_more() {
        for kind in [Kind::Backup, Kind::Restore] {
            let once = filled(kind, json!({"spec": {}}), NEW);
            let later = Origin { now_ms: 9, ..NEW };
            assert_eq!(filled(kind, json!({"spec": once}), later), once);
        }
    }

    #[test]
    fn what_has_no_spec_is_left_alone() {
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
