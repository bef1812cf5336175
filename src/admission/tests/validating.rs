//! `/validate`: admissions, denials, and the facts that are read for them.

use std::sync::Arc;

use futures::FutureExt;
use serde_json::json;

use super::world::{World, ask, backup_spec, object, ran, restore_spec, review, validated, with};

#[tokio::test]
async fn a_good_backup_is_admitted_without_warnings_and_each_fact_is_read_once() {
    let (response, asked) = validated(
        "CassandraBackup",
        "CREATE",
        &json!({"object": object(&backup_spec())}),
    )
    .await;
    assert_eq!(response, json!({"uid": "u-1", "allowed": true}));
    assert_eq!(asked, ["cluster c1 Cached", "secret s3 Cached"]);
}

/// Without a runtime there is no timer, and a future that is ready at the first poll has not waited.
#[test]
fn facts_from_the_caches_are_judged_without_waiting_and_alike() {
    let world = Arc::new(World {
        known: true,
        ..World::default()
    });
    for (kind, spec) in [
        ("CassandraBackup", backup_spec()),
        ("CassandraRestore", restore_spec()),
    ] {
        let review = review(kind, "CREATE", &json!({"object": object(&spec)}));
        let answer = ask(&world, "/validate?timeout=10s", &review).now_or_never();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let waited = runtime.block_on(validated(kind, "CREATE", &json!({"object": object(&spec)})));
        assert_eq!(answer, Some(waited.0));
    }
}

#[tokio::test]
async fn a_restore_without_a_secret_is_judged_by_the_secret_of_its_backup() {
    for known in [false, true] {
        let world = Arc::new(World {
            known,
            ..World::default()
        });
        let spec = with(restore_spec(), &json!({"secret": null}));
        let review = review("CassandraRestore", "CREATE", &json!({"object": object(&spec)}));
        ask(&world, "/validate", &review).await;
        assert_eq!(
            world.asked(),
            ["cluster c1 Cached", "backup b1 Cached", "secret s3 Cached"]
        );
    }
}

#[tokio::test]
async fn a_denial_has_every_cause_in_the_form_of_kubernetes() {
    let spec = with(
        restore_spec(),
        &json!({"cassandraCluster": "c2", "entities": "k1,k9"}),
    );
    let (response, asked) = validated("CassandraRestore", "CREATE", &json!({"object": object(&spec)})).await;
    insta::assert_json_snapshot!(response);
    let live: Vec<_> = asked
        .iter()
        .filter(|question| question.ends_with("Live"))
        .collect();
    assert_eq!(
        live,
        ["cluster c2 Live", "backup b1 Live", "secret s3 Live"],
        "a denial rests on live reads"
    );
}

#[tokio::test]
async fn a_stale_cache_does_not_deny() {
    let world = Arc::new(World {
        stale_datacenters: Some(vec!["old".into()]),
        ..World::default()
    });
    let review = review(
        "CassandraBackup",
        "CREATE",
        &json!({"object": object(&backup_spec())}),
    );
    assert_eq!(
        ask(&world, "/validate", &review).await,
        json!({"uid": "u-1", "allowed": true})
    );
}

#[tokio::test(start_paused = true)]
async fn a_fact_that_misses_the_deadline_is_unknown_and_does_not_deny() {
    let world = Arc::new(World {
        silent: true,
        ..World::default()
    });
    let review = review(
        "CassandraBackup",
        "CREATE",
        &json!({"object": object(&backup_spec())}),
    );
    let response = ask(&world, "/validate?timeout=2s", &review).await;
    assert_eq!(response["allowed"], true);
    let expected = "spec.cassandraCluster: \"c1\": not checked: the API server did not answer within the \
                    time limit of this request [cassgate cluster-not-found]";
    assert_eq!(response["warnings"][0], expected);
    assert_eq!(
        response["auditAnnotations"],
        json!({"warned": "cluster-not-found,secret-not-found"})
    );
}

#[tokio::test]
async fn a_dry_run_only_warns_of_absent_references() {
    let spec = with(
        backup_spec(),
        &json!({"cassandraCluster": "later", "secret": "later"}),
    );
    let change = json!({"object": object(&spec), "dryRun": true});
    let (response, _) = validated("CassandraBackup", "CREATE", &change).await;
    assert_eq!(
        (
            response["allowed"].clone(),
            response["warnings"].as_array().unwrap().len()
        ),
        (json!(true), 2)
    );
}

#[tokio::test]
async fn requests_that_are_not_judged_read_no_facts() {
    let bad = object(&json!({"cassandraCluster": "gone", "storageLocation": "nope"}));
    // Deleted before it has run, a restore is judged: tests/corpus/update/spec-of-a-deleted-restore-that-has-not-started.yaml.
    let deleting = with(
        bad.clone(),
        &json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"condition": {"type": "RUNNING"}}}),
    );
    let labelled = with(
        bad.clone(),
        &json!({"metadata": {"labels": {"a": "b"}}, "status": {"progress": "5%"}}),
    );
    let changed = with(deleting.clone(), &json!({"spec": {"storageLocation": "other"}}));
    for (operation, change) in [
        ("DELETE", json!({"oldObject": bad})),
        ("UPDATE", json!({"object": labelled, "oldObject": bad})),
        ("UPDATE", json!({"object": changed, "oldObject": deleting})),
        (
            "UPDATE",
            json!({"object": changed, "oldObject": bad, "subResource": "scale"}),
        ),
        (
            "UPDATE",
            json!({"object": labelled, "oldObject": bad, "subResource": "status"}),
        ),
    ] {
        for kind in ["CassandraBackup", "CassandraRestore"] {
            let (response, asked) = validated(kind, operation, &change).await;
            assert_eq!(
                (response, asked),
                (json!({"uid": "u-1", "allowed": true}), vec![]),
                "{operation} {change}"
            );
        }
    }
}

#[tokio::test]
async fn a_denial_of_the_stored_object_is_lowered_and_a_new_one_is_not() {
    let old = object(&with(backup_spec(), &json!({"entities": "k1,k2.t2"})));
    let corrected = with(old.clone(), &json!({"spec": {"schedule": "@daily"}}));
    let (response, _) = validated(
        "CassandraBackup",
        "UPDATE",
        &json!({"object": corrected, "oldObject": old}),
    )
    .await;
    assert_eq!(response["allowed"], true);
    assert_eq!(
        response["auditAnnotations"],
        json!({"warned": "entities-mixed,casskop-needs-restart"})
    );
    let worse = with(old.clone(), &json!({"spec": {"storageLocation": "gs://x"}}));
    let (response, _) = validated(
        "CassandraBackup",
        "UPDATE",
        &json!({"object": worse, "oldObject": old}),
    )
    .await;
    assert_eq!(response["status"]["code"], 422);
    let annotations = json!({"denied": "storage-provider-unsupported", "warned": "entities-mixed"});
    assert_eq!(response["auditAnnotations"], annotations);
}

#[tokio::test]
async fn a_denied_change_of_a_started_restore_is_forbidden_not_invalid() {
    let old = ran(&restore_spec(), "COMPLETED");
    let new = with(old.clone(), &json!({"spec": {"entities": "k1"}}));
    let (response, _) = validated(
        "CassandraRestore",
        "UPDATE",
        &json!({"object": new, "oldObject": old}),
    )
    .await;
    let status = &response["status"];
    assert_eq!(
        (&status["code"], &status["reason"]),
        (&json!(403), &json!("Forbidden"))
    );
    let message = status["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "CassandraRestore.db.orange.com \"o1\" is forbidden: [spec.entities: Forbidden: this"
        )
    );
    assert!(
        message.contains("[cassgate restore-started]")
            && message.contains("[cassgate entities-wider-than-backup]"),
        "{message}"
    );
}

#[tokio::test]
async fn a_status_is_neither_accepted_on_create_nor_lost_on_update() {
    let (response, _) = validated(
        "CassandraBackup",
        "CREATE",
        &json!({"object": ran(&backup_spec(), "COMPLETED")}),
    )
    .await;
    assert_eq!(
        (
            &response["status"]["code"],
            &response["auditAnnotations"]["denied"]
        ),
        (&json!(422), &json!("status-on-create"))
    );
    let old = ran(&restore_spec(), "COMPLETED");
    for change in [json!({}), json!({"subResource": "status"})] {
        let wiped = with(
            change,
            &json!({"object": object(&restore_spec()), "oldObject": old}),
        );
        let (response, _) = validated("CassandraRestore", "UPDATE", &wiped).await;
        assert_eq!(
            (
                &response["status"]["code"],
                &response["auditAnnotations"]["denied"]
            ),
            (&json!(403), &json!("status-reset"))
        );
    }
}

#[tokio::test]
async fn a_malformed_spec_is_denied_at_each_path() {
    let spec = json!({"cassandraCluster": 5, "concurrentConnections": "ten"});
    let (response, asked) = validated("CassandraBackup", "CREATE", &json!({"object": object(&spec)})).await;
    let causes = response["status"]["details"]["causes"].as_array().unwrap();
    let fields: Vec<_> = causes
        .iter()
        .map(|cause| cause["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        [
            "spec.cassandraCluster",
            "spec.concurrentConnections",
            "spec.storageLocation"
        ]
    );
    assert_eq!((&response["status"]["code"], asked), (&json!(422), vec![]));
}

#[tokio::test]
async fn an_unknown_request_is_admitted_with_a_warning() {
    for (kind, operation, change) in [
        (
            "CassandraCluster",
            "CREATE",
            json!({"object": object(&json!({}))}),
        ),
        ("CassandraBackup", "CONNECT", json!({})),
        (
            "CassandraBackup",
            "CREATE",
            json!({"kind": {"version": "v3"}, "object": object(&json!({}))}),
        ),
        ("CassandraBackup", "CREATE", json!({})),
    ] {
        let (response, _) = validated(kind, operation, &change).await;
        assert_eq!(response["allowed"], true);
        let warning = response["warnings"][0].as_str().unwrap();
        assert!(
            warning.ends_with("is not judged by this cassgate [cassgate request-unknown]"),
            "{warning}"
        );
    }
}

#[tokio::test]
async fn deleting_a_running_restore_warns() {
    let (response, _) = validated(
        "CassandraRestore",
        "DELETE",
        &json!({"oldObject": ran(&restore_spec(), "RUNNING")}),
    )
    .await;
    let expected = "status.condition: this restore is RUNNING; deleting it does not stop the sidecars, \
                    which continue [cassgate restore-in-progress]";
    assert_eq!(
        (&response["allowed"], &response["warnings"]),
        (&json!(true), &json!([expected]))
    );
}

#[tokio::test]
async fn a_suppressed_warning_appears_only_in_the_audit_annotations() {
    let mut new = object(&with(backup_spec(), &json!({"concurrentConnections": 0})));
    let heard = validated("CassandraBackup", "CREATE", &json!({"object": new}))
        .await
        .0;
    assert!(
        heard["warnings"][0]
            .as_str()
            .unwrap()
            .ends_with("[cassgate concurrency-out-of-range]"),
        "{heard}"
    );
    new["metadata"]["annotations"] = json!({crate::api::ALLOW_ANNOTATION: "concurrency-out-of-range"});
    let (silent, _) = validated("CassandraBackup", "CREATE", &json!({"object": new})).await;
    let audit = json!({"suppressed": "concurrency-out-of-range"});
    assert_eq!(
        silent,
        json!({"uid": "u-1", "allowed": true, "auditAnnotations": audit})
    );
}

#[tokio::test]
async fn a_denial_cannot_be_suppressed() {
    let mut new = object(&with(backup_spec(), &json!({"concurrentConnections": -1})));
    new["metadata"]["annotations"] = json!({crate::api::ALLOW_ANNOTATION: "concurrency-out-of-range"});
    let (response, _) = validated("CassandraBackup", "CREATE", &json!({"object": new})).await;
    assert_eq!(response["allowed"], false, "{response}");
}
