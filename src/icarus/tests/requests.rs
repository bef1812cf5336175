use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde_json::json;

use crate::domain::bandwidth::Bandwidth;
use crate::domain::entities::{Entities, Table};
use crate::domain::go_duration::GoDuration;
use crate::domain::rename::Rename;
use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::schema_version::SchemaVersion;
use crate::domain::snapshot_tag::SnapshotTag;
use crate::icarus::{
    ListPurpose, ListRequest, OperationRequest, RemoveBackupRequest, RestorePhase, SchemaChoice,
    SecretReference, Snapshot, Strategy,
};

use super::{HOST, TAG, backup, restore, store};

#[test]
fn a_backup_has_the_fields_that_every_version_needs() {
    assert_eq!(
        OperationRequest::Backup(backup()).to_json(),
        json!({
            "type": "backup",
            "storageLocation": format!("s3://bkt/lab-A/dc1/{HOST}"),
            "k8sNamespace": "ns1",
            "k8sSecretName": "sec",
            "snapshotTag": TAG,
            "entities": "k1,k2",
            "cassandraDirectory": "/var/lib/cassandra/",
            "dataDirs": ["/var/lib/cassandra/data"],
            "uploadClusterTopology": false,
            "globalRequest": false,
            "timeout": 720,
        })
    );
}

#[test]
fn limits_have_the_forms_that_icarus_reads() {
    let mut backup = backup();
    backup.bandwidth = Some(Bandwidth::parse("100M").unwrap());
    backup.concurrent_connections = NonZeroU32::new(5);
    backup.entities = Entities::Everything;
    for (duration, seconds) in [("15m", 900), ("1500ms", 2), ("1ns", 1), ("-1h", 1)] {
        backup.duration = Some(GoDuration::parse(duration).unwrap());
        let body = OperationRequest::Backup(backup.clone()).to_json();
        assert_eq!(body["duration"], json!({"value": seconds, "unit": "SECONDS"}));
        assert_eq!(body["bandwidth"], json!({"value": 100_000_000, "unit": "BPS"}));
        assert_eq!(body["concurrentConnections"], 5);
        assert_eq!(body.get("entities"), None, "no entities means everything");
    }
}

#[test]
fn the_requests_of_a_restore_differ_only_in_the_phase() {
    for phase in RestorePhase::ALL {
        assert_eq!(
            OperationRequest::Restore(restore(phase)).to_json(),
            json!({
                "type": "restore",
                "storageLocation": format!("s3://bkt/lab-A/dc1/{HOST}"),
                "k8sSecretName": "",
                "snapshotTag": TAG,
                "exactSchemaVersion": false,
                "entities": "k1.t1",
                "cassandraDirectory": "/var/lib/cassandra/",
                "dataDirs": ["/var/lib/cassandra/data"],
                "restorationStrategyType": "HARDLINKS",
                "restorationPhase": phase.as_str(),
                "import": {"type": "import", "sourceDir": "/var/lib/cassandra/cassgate-restore-6f2b-1"},
                "noDeleteTruncates": true,
                "globalRequest": false,
                "timeout": 720,
            })
        );
        assert_eq!(RestorePhase::parse(phase.as_str()), Some(phase));
    }
    assert_eq!(RestorePhase::parse("CLUSTER_HEALTHCHECK"), None);
}

#[test]
fn a_restore_can_rename_import_and_select_the_newest_snapshot() {
    let mut restore = restore(RestorePhase::Import);
    restore.rename = Rename::parse(&BTreeMap::from([("k1.t1".into(), "k2.t2".into())])).unwrap();
    restore.strategy = Strategy::Import;
    let schema = "168d568b-d346-3f61-968f-a2716307a6e4";
    for (choice, exact, version) in [
        (SchemaChoice::Any, false, json!(null)),
        (SchemaChoice::Current, true, json!(null)),
        (
            SchemaChoice::Exactly(SchemaVersion::parse(schema).unwrap()),
            true,
            json!(schema),
        ),
    ] {
        restore.snapshot = Snapshot::Newest {
            tag: SnapshotTag::parse("nightly").unwrap(),
            schema: choice,
        };
        let body = OperationRequest::Restore(restore.clone()).to_json();
        assert_eq!(body["rename"], json!({"k1.t1": "k2.t2"}));
        assert_eq!(body["restorationStrategyType"], "IMPORT");
        assert_eq!(
            (&body["snapshotTag"], &body["exactSchemaVersion"]),
            (&json!("nightly"), &json!(exact))
        );
        assert_eq!(body.get("schemaVersion").cloned().unwrap_or_default(), version);
    }
}

#[test]
fn requests_without_a_directory_have_no_directory_fields() {
    assert_eq!(
        OperationRequest::Refresh(Table::parse("k1.t1").unwrap()).to_json(),
        json!({"type": "refresh", "keyspace": "k1", "table": "t1"})
    );
    let share = format!("s3://bkt/lab-A/dc1/{HOST}");
    assert_eq!(
        OperationRequest::List(ListRequest {
            store: store(None),
            purpose: ListPurpose::Measurement,
        })
        .to_json(),
        json!({
            "type": "list", "storageLocation": share, "k8sSecretName": "", "toRequest": true,
            "cacheDir": format!("/tmp/cassgate-manifests-measurement-{HOST}"),
        })
    );
    let cache = format!("/tmp/cassgate-manifests-removal-{HOST}");
    let list = OperationRequest::List(ListRequest {
        store: store(None),
        purpose: ListPurpose::Removal,
    });
    assert_eq!(
        list.to_json()["cacheDir"],
        cache,
        "the removal reads what the listing downloaded"
    );
    assert_eq!(
        OperationRequest::RemoveBackup(RemoveBackupRequest {
            store: store(Some(("ns1", "sec"))),
            snapshot: ResolvedTag::parse(TAG).unwrap(),
        })
        .to_json(),
        json!({
            "type": "remove-backup", "storageLocation": share, "k8sNamespace": "ns1", "k8sSecretName": "sec",
            "backupName": TAG, "cacheDir": cache,
        })
    );
}

#[test]
fn a_secret_reference_has_names_that_kubernetes_accepts() {
    assert!(SecretReference::new("ns1", "sec").is_some());
    assert_eq!(SecretReference::new("ns1", ""), None);
    assert_eq!(SecretReference::new("ns/1", "sec"), None);
}
