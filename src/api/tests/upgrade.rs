//! An upgrade from a version whose runs did not record what they covered, and the way back to it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{earlier, round_trip};
use crate::api::{BackupStatus, CassandraBackup, RestoreStatus, RunNode, TruncationState, crds};

const OLDER: &str = "nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795297123776";
const NEWEST: &str = "nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776";

/// Returns the status of a scheduled backup as the earlier version wrote it: two runs, a removal, a run of `k1.t1`.
fn earlier_backup() -> Value {
    json!({
        "timeCreated": "2026-11-22T21:38:38Z", "timeStarted": "2026-11-22T21:38:40Z",
        "timeCompleted": "2026-11-22T21:38:58Z", "progress": "100%", "id": "d8bbb89e",
        "coordinatorMember": "c1-dc1-rack1-0", "clusterName": "lab-A", "observedGeneration": 3,
        "condition": {
            "type": "COMPLETED", "lastTransitionTime": "Sun, 22 Nov 2026 21:38:58 GMT",
            "failureCause": [{ "source": "c1-dc1-rack1-0", "message": "a" }],
        },
        "conditions": super::conditions(),
        "nodes": [earlier_node()],
        "snapshotTag": NEWEST, "schedule": "0 2 * * *", "missedRuns": 1,
        "lastScheduleTime": "2026-11-22T02:00:00Z", "nextScheduleTime": "2026-11-23T02:00:00Z",
        "run": {
            "cassandraCluster": "c1", "storageLocation": "s3://bucket", "entities": "k1.t1", "secret": "s3",
            "duration": "1h", "bandwidth": "50M", "concurrentConnections": 5,
        },
        "history": [
            {
                "snapshot": NEWEST, "outcome": "COMPLETED", "size": 4096, "storageLocation": "s3://bucket",
                "started": "2026-11-22T21:38:38Z", "completed": "2026-11-22T21:38:58Z",
            },
            { "snapshot": OLDER, "outcome": "COMPLETED", "storageLocation": "s3://bucket" },
        ],
        "retention": {
            "reported": ["a"], "removing": {
                "snapshot": "b", "outcome": "FAILED", "size": 1, "storageLocation": "s3://bucket",
                "started": "2026-11-22T21:38:38Z", "completed": "2026-11-22T21:38:58Z",
            }, "nodes": [earlier_node()],
        },
    })
}

fn earlier_node() -> Value {
    json!({
        "hostId": "6f8b0a1c", "pod": "c1-dc1-rack1-0", "datacenter": "dc1", "phase": "BACKUP",
        "sent": "2026-11-22T21:38:38Z", "attempts": 2, "operation": "d8bbb89e", "pastOperations": ["a"],
        "state": "COMPLETED", "progress": "100%", "message": "m", "silentSince": "2026-11-22T21:38:38Z", "table": "k1.t1",
        "containers": { "cassandra": "c#0", "sidecar": "s#0" },
    })
}

/// Returns the status of a restore as the earlier version wrote it in `IMPORT`.
fn earlier_restore() -> Value {
    let mut status = earlier_backup();
    let fields = status.as_object_mut().unwrap();
    for field in [
        "snapshotTag",
        "schedule",
        "missedRuns",
        "lastScheduleTime",
        "nextScheduleTime",
        "run",
        "history",
        "retention",
    ] {
        fields.remove(field);
    }
    merged(
        status,
        &json!({
            "phase": "IMPORT",
            "source": {
                "backupUid": "7b1d", "storageLocation": "s3://bucket", "snapshotTag": OLDER, "entities": "k1.t1",
                "secret": "s3", "rename": { "k1.t1": "k2.t1" },
            },
            "truncation": { "begun": "2026-11-22T21:38:38Z", "hostId": "6f8b0a1c", "rounds": 1 },
            "givingUp": { "reason": "Deleted", "message": "m", "source": "p", "since": "2026-11-22T21:38:38Z" },
        }),
    )
}

fn merged(mut base: Value, change: &Value) -> Value {
    json_patch::merge(&mut base, change);
    base
}

/// Adds to a status everything that this version writes and the earlier one does not know.
fn with_new_fields(mut status: Value) -> Value {
    let node = json!({
        "sourceHostId": "1b7d0a4e", "sourceDatacenter": "dc2", "bytes": 4096, "files": 7, "unproven": true,
        "failingSince": "2026-11-22T21:38:38Z", "proofError": "e",
    });
    let run = json!({
        "cassandraCluster": "c1", "clusterName": "lab-A", "datacenter": "dc1", "entities": "k1.t1", "entityList": 5,
        "schemaVersion": "168d568b-d346-3f61-968f-a2716307a6e4", "ring": 1, "nodeBytes": [4096], "nodeFiles": [7],
        "removalFailure": { "count": 2, "last": "2026-11-23T00:00:00Z", "message": "c1-dc1-rack1-0: Access Denied" },
    });
    let change = |value: &mut Value, change: &Value| json_patch::merge(value, change);
    change(&mut status["nodes"][0], &node);
    change(
        &mut status,
        &json!({
            "ringUnsettledSince": "2026-11-22T21:38:38Z", "noProgressSince": "2026-11-22T21:38:38Z",
            "waitingSince": "2026-11-22T21:38:38Z", "resumedSince": "2026-11-22T21:38:38Z",
        }),
    );
    if status.get("history").is_some() {
        change(&mut status["history"][0], &run);
        change(
            &mut status["history"][1],
            &merged(run.clone(), &json!({ "outcome": "PARTIAL", "entityList": null })),
        );
        change(&mut status["retention"]["removing"], &run);
        change(
            &mut status["retention"],
            &json!({ "noProgressSince": "2026-11-22T21:38:38Z" }),
        );
        change(&mut status["retention"]["nodes"][0], &node);
        change(
            &mut status,
            &json!({
                "rings": [{ "id": 1, "nodes": [{ "hostId": "6f8b0a1c", "datacenter": "dc1", "pod": "c1-dc1-rack1-0" }] }],
                "entityLists": [{ "id": 5, "entities": "k1.t1" }],
                "run": { "datacenter": "dc1", "leftOut": ["c1-dc1-rack1-1"], "restarts": 1 },
            }),
        );
    } else {
        change(
            &mut status,
            &json!({
                "source": {
                    "clusterName": "lab-A", "datacenter": "dc1",
                    "nodes": [{ "hostId": "6f8b0a1c", "datacenter": "dc1", "pod": "c1-dc1-rack1-0" }],
                },
                "truncation": { "state": "PARTLY_EMPTIED", "failedTables": ["k1.t1"], "sentAgain": true,
                    "otherNodes": ["6f8b0a1d"], "joinedNodes": ["6f8b0a1e"] },
                "clusterGoneSince": "2026-11-22T21:38:38Z",
                "proposedNodes": [{ "hostId": "6f8b0a1c", "pod": "c1-dc1-rack1-0" }],
            }),
        );
    }
    status
}

fn backup(status: &Value) -> CassandraBackup {
    let object = json!({
        "metadata": { "name": "nightly" }, "status": status,
        "spec": { "cassandraCluster": "c1", "storageLocation": "s3://today", "entities": "k9", "schedule": "@daily" },
    });
    serde_json::from_value(object).unwrap()
}

#[test]
fn a_status_of_the_earlier_version_is_read_and_kept_as_it_is() {
    let status: BackupStatus = round_trip(&earlier_backup());
    assert_eq!((status.rings.len(), status.entity_lists.len()), (0, 0));
    let status: RestoreStatus = round_trip(&earlier_restore());
    assert!(status.source.unwrap().nodes.is_empty(), "the nodes are unknown");
    // The fixture has every field of the earlier version.
    let earlier: earlier::BackupStatus = serde_json::from_value(earlier_backup()).unwrap();
    assert_eq!(serde_json::to_value(&earlier).unwrap(), earlier_backup());
    let earlier: earlier::RestoreStatus = serde_json::from_value(earlier_restore()).unwrap();
    assert_eq!(serde_json::to_value(&earlier).unwrap(), earlier_restore());
}

#[test]
fn of_the_runs_of_the_earlier_version_only_the_last_one_is_known() {
    let backup = backup(&earlier_backup());
    assert_eq!(backup.run_record(OLDER), None);
    let last = backup.run_record(NEWEST).unwrap();
    assert_eq!((last.entities, last.cluster_name), ("k1.t1", Some("lab-A")));
    assert_eq!(last.storage_location, Some("s3://bucket"));
    let node = RunNode {
        host_id: "6f8b0a1c".to_owned(),
        datacenter: Some("dc1".to_owned()),
        pod: Some("c1-dc1-rack1-0".to_owned()),
    };
    assert_eq!(*last.nodes, [node]);
}

#[test]
fn a_truncation_of_the_earlier_version_counts_as_emptied() {
    let status: RestoreStatus = serde_json::from_value(earlier_restore()).unwrap();
    let truncation = status.truncation.unwrap();
    assert_eq!(truncation.state(), TruncationState::Emptied);
    assert!(truncation.may_have_emptied());
}

#[test]
fn the_earlier_version_reads_what_this_one_writes_and_sees_what_it_knows() {
    let new = with_new_fields(earlier_backup());
    let _: BackupStatus = round_trip(&new);
    let seen: earlier::BackupStatus = serde_json::from_value(new.clone()).unwrap();
    let mut expected = earlier_backup();
    expected["history"][1]["outcome"] = json!("PARTIAL");
    assert_eq!(serde_json::to_value(&seen).unwrap(), expected);
    let new = with_new_fields(earlier_restore());
    let _: RestoreStatus = round_trip(&new);
    let seen: earlier::RestoreStatus = serde_json::from_value(new).unwrap();
    assert_eq!(serde_json::to_value(&seen).unwrap(), earlier_restore());
}

#[test]
fn after_a_way_back_and_another_upgrade_the_runs_are_unknown_and_never_wrong() {
    let new = with_new_fields(earlier_backup());
    let before = backup(&new);
    assert_eq!(before.run_record(OLDER).unwrap().entities, "k1.t1");
    let earlier: earlier::BackupStatus = serde_json::from_value(new).unwrap();
    let after = backup(&serde_json::to_value(&earlier).unwrap());
    assert_eq!(after.run_record(OLDER), None);
    let partial = &after.status.as_ref().unwrap().history[1];
    assert!(partial.is_partial() && !partial.is_completed());
}

/// Returns the paths of all fields in a schema of a status.
fn fields_of_schema(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let properties = schema["properties"].as_object().into_iter().flatten();
    for (name, field) in properties {
        let path = format!("{path}.{name}");
        fields_of_schema(field, &path, found);
        fields_of_schema(&field["items"], &path, found);
        found.insert(path);
    }
}

fn fields_of_value(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = format!("{path}.{name}");
                fields_of_value(field, &path, found);
                found.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields_of_value(item, path, found)),
        _ => {}
    }
}

/// The tests above prove nothing about a field that their status lacks.
#[test]
fn the_status_of_these_tests_has_every_field_of_the_crd() {
    let crds = crds();
    let statuses = [
        with_new_fields(earlier_backup()),
        with_new_fields(earlier_restore()),
    ];
    for (crd, status) in crds.iter().zip(statuses) {
        let crd = serde_json::to_value(crd).unwrap();
        let schema = crd
            .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/status")
            .unwrap();
        let (mut expected, mut found) = (BTreeSet::new(), BTreeSet::new());
        fields_of_schema(schema, "status", &mut expected);
        fields_of_value(&status, "status", &mut found);
        assert!(expected.len() > 40, "{expected:?}");
        let missing: Vec<_> = expected.difference(&found).collect();
        assert_eq!(missing, Vec::<&String>::new());
    }
}
