//! `/mutate`: defaults, and changes of the status.

use std::sync::Arc;

use serde_json::json;

use super::world::{World, admission, ask, backup_spec, object, patch_of, post, ran, review, with};

#[tokio::test]
async fn a_patch_is_base64_and_adds_only_absent_fields() {
    let world = Arc::new(World::default());
    let spec =
        json!({"cassandraCluster": "c1", "cassandraBackup": "b1", "noDeleteTruncates": true, "unknown": 1});
    let asked = review("CassandraRestore", "CREATE", &json!({"object": object(&spec)}));
    let response = ask(&world, "/mutate", &asked).await;
    let expected = json!([
        {"op": "add", "path": "/spec/cassandraDirectory", "value": "/var/lib/cassandra"},
        {"op": "add", "path": "/spec/concurrentConnection", "value": 10},
        {"op": "add", "path": "/spec/entities", "value": "k1.t1,k2.t3"},
        {"op": "add", "path": "/spec/exactSchemaVersion", "value": false},
        {"op": "add", "path": "/spec/secret", "value": "s3"},
    ]);
    assert_eq!(patch_of(&response), expected);
    assert_eq!(
        (&response["allowed"], response.get("warnings")),
        (&json!(true), None)
    );
    assert_eq!(world.asked(), ["backup b1 Cached"]);
}

#[tokio::test]
async fn mutation_admits_every_object_and_leaves_malformed_ones_unchanged() {
    let world = Arc::new(World::default());
    for change in [
        json!({"object": object(&json!({"cassandraCluster": 5}))}),
        json!({"object": object(&json!("text"))}),
        json!({"object": {}}),
        json!({}),
        json!({"kind": {"kind": "Other"}, "object": object(&json!({}))}),
    ] {
        let response = ask(&world, "/mutate", &review("CassandraBackup", "CREATE", &change)).await;
        assert_eq!(response, json!({"uid": "u-1", "allowed": true}), "{change}");
    }
}

#[tokio::test]
async fn a_status_is_removed_on_create_and_restored_when_an_update_removes_it() {
    let world = Arc::new(World::default());
    let created = review(
        "CassandraBackup",
        "CREATE",
        &json!({"object": ran(&backup_spec(), "COMPLETED")}),
    );
    let response = ask(&world, "/mutate", &created).await;
    assert_eq!(patch_of(&response), json!([{"op": "remove", "path": "/status"}]));
    let dropped = "status: removed: a new object has not run yet; leave status out of the manifest \
                   [cassgate status-on-create]";
    assert_eq!(response["warnings"], json!([dropped]));
    let one_shot = with(backup_spec(), &json!({"schedule": null}));
    let change = json!({"object": object(&one_shot), "oldObject": ran(&one_shot, "COMPLETED")});
    let replaced = review("CassandraBackup", "UPDATE", &change);
    let response = ask(&world, "/mutate", &replaced).await;
    let expected = json!([{"op": "add", "path": "/status", "value": {"condition": {"type": "COMPLETED"}}}]);
    assert_eq!(patch_of(&response), expected);
    assert!(
        response["warnings"][0]
            .as_str()
            .unwrap()
            .ends_with("[cassgate status-reset]")
    );
    for review in [created, replaced] {
        let body = serde_json::to_vec(&review).unwrap();
        let (_, answer) = post(admission(&world, Some(true)), "/mutate", body).await;
        assert_eq!(
            answer["response"],
            json!({"uid": "u-1", "allowed": true}),
            "the API server does it itself"
        );
    }
}
