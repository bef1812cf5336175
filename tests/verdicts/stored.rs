//! Objects that the reconciler judges as they are stored, before it runs them.

use std::sync::Arc;

use cassgate::api::Kind;
use cassgate::evaluate::{Judge, StoredJudge};
use serde_json::{Value, json};

use crate::case::object_of;
use crate::{NAMESPACE, policy, world_of_library};

/// Returns the rules that deny a stored object under this executor, in a namespace with the cluster, the Secret and the
/// backups of the library.
fn denied(kind: Kind, object: &Value, executor: &str) -> Vec<String> {
    let world = world_of_library(&["cluster", "secret", "backup of tables"]);
    let judge = StoredJudge {
        facts: Arc::new(world),
        policy: policy(&[format!("--executor={executor}")]),
        now: jiff::Timestamp::now,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let object = object_of(object, NAMESPACE);
    let found = runtime.block_on(judge.judge(kind, &object));
    found
        .denials()
        .map(|finding| finding.rule.id.to_owned())
        .collect()
}

#[test]
fn a_stored_object_of_which_only_the_annotation_is_left_is_denied() {
    let annotations = json!({"cassgate.db.orange.com/requires": "executor"});
    let spec =
        json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": "t", "secret": "s3"});
    let mut backup =
        json!({"kind": "CassandraBackup", "name": "b1", "annotations": annotations, "spec": spec});
    let mut restore = json!({"kind": "CassandraRestore", "name": "r1", "annotations": annotations,
        "spec": {"cassandraCluster": "c1", "cassandraBackup": "tables"}});
    for executor in ["cassgate", "casskop"] {
        assert_eq!(denied(Kind::Backup, &backup, executor), ["executor-required"]);
        assert_eq!(denied(Kind::Restore, &restore, executor), ["executor-required"]);
    }
    backup["spec"]["suspend"] = json!(true);
    assert_eq!(denied(Kind::Backup, &backup, "cassgate"), [""; 0]);
    restore["annotations"] = json!({});
    assert_eq!(denied(Kind::Restore, &restore, "cassgate"), [""; 0]);
}
