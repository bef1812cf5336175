//! Limits: large objects, and reads without a turn.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::rules::facts::NO_TURN;

use super::world::{
    World, admission, ask, backup_spec, object, patch_of, post, ran, restore_spec, review, validated, with,
};

fn many_nodes() -> Value {
    let node = json!({"hostId": "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11", "datacenter": "dc1"});
    Value::Array(vec![node; 3_000])
}

fn causes(response: &Value) -> Vec<String> {
    let causes = response["status"]["details"]["causes"].as_array().unwrap();
    causes
        .iter()
        .map(|cause| {
            format!(
                "{}: {}",
                cause["field"].as_str().unwrap(),
                cause["message"].as_str().unwrap()
            )
        })
        .collect()
}

const TOO_MANY: &str = "spec.nodes: the spec has 9010 values, and at most 8192 are read, and this is its longest field; name keyspaces instead of their tables, leave out what the \
                        object does not need, or spread the work over several objects [cassgate spec-malformed]";

#[tokio::test]
async fn a_spec_that_is_too_large_is_denied_once_on_creation_and_update() {
    let large = with(backup_spec(), &json!({"nodes": many_nodes()}));
    for change in [
        json!({"object": object(&large)}),
        json!({"object": object(&large), "oldObject": object(&backup_spec())}),
        json!({"object": ran(&large, "COMPLETED"), "oldObject": ran(&backup_spec(), "COMPLETED")}),
        json!({"object": object(&with(large.clone(), &json!({"entities": "k1"}))), "oldObject": object(&large)}),
    ] {
        let operation = if change.get("oldObject").is_some() {
            "UPDATE"
        } else {
            "CREATE"
        };
        let (response, _) = validated("CassandraBackup", operation, &change).await;
        assert_eq!(causes(&response), [TOO_MANY], "{operation}");
        let world = Arc::new(World::default());
        let response = ask(&world, "/mutate", &review("CassandraBackup", operation, &change)).await;
        assert_eq!(response, json!({"uid": "u-1", "allowed": true}));
    }
}

#[tokio::test]
async fn an_object_with_a_stored_spec_that_is_too_large_can_be_corrected_labelled_and_deleted() {
    let large = with(backup_spec(), &json!({"nodes": many_nodes()}));
    for (operation, change) in [
        (
            "UPDATE",
            json!({"object": object(&large), "oldObject": object(&large)}),
        ),
        (
            "UPDATE",
            json!({"object": object(&backup_spec()), "oldObject": object(&large)}),
        ),
        ("DELETE", json!({"oldObject": object(&large)})),
    ] {
        let (response, _) = validated("CassandraBackup", operation, &change).await;
        assert_eq!(response["allowed"], true, "{operation} {response}");
    }
    // The schedule is known: CassKop clears the status of a scheduled backup at each run.
    let change = json!({"object": object(&large), "oldObject": ran(&large, "COMPLETED")});
    let (response, _) = validated("CassandraBackup", "UPDATE", &change).await;
    assert_eq!(response["allowed"], true, "{response}");
}

#[tokio::test]
async fn a_change_between_specs_that_no_tree_can_hold_is_judged() {
    let text = |entities: &str, number: &str| {
        let spec = with(backup_spec(), &json!({"entities": entities, "x": "NUMBER"})).to_string();
        format!(r#"{{"spec":{}}}"#, spec.replace(r#""NUMBER""#, number))
    };
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for value in ["1e999", r#""\ud800""#, &deep] {
        let body = review(
            "CassandraBackup",
            "UPDATE",
            &json!({"object": "NEW", "oldObject": "OLD"}),
        )
        .to_string();
        let body = body
            .replace(r#""NEW""#, &text("k1,k2.t2", value))
            .replace(r#""OLD""#, &text("k1", value));
        let (status, answer) = post(
            admission(&Arc::new(World::default()), None),
            "/validate",
            body.into_bytes(),
        )
        .await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer["response"]["allowed"], false, "{value} {answer}");
    }
}

#[tokio::test]
async fn only_a_status_of_usual_size_is_put_back_and_the_removal_of_a_larger_one_is_denied() {
    let one_shot = with(backup_spec(), &json!({"schedule": null}));
    for (number, is_restored) in [(100, true), (3_000, false)] {
        let causes = json!({"condition": {"failureCause": vec![json!({"source": "c1-0"}); number]}});
        let old = with(ran(&one_shot, "FAILED"), &json!({ "status": causes }));
        let change = json!({"object": object(&one_shot), "oldObject": old});
        let world = Arc::new(World::default());
        let response = ask(&world, "/mutate", &review("CassandraBackup", "UPDATE", &change)).await;
        if is_restored {
            assert_eq!(
                patch_of(&response),
                json!([{"op": "add", "path": "/status", "value": old["status"]}])
            );
        } else {
            assert_eq!(response, json!({"uid": "u-1", "allowed": true}));
        }
        let (response, _) = validated("CassandraBackup", "UPDATE", &change).await;
        assert_eq!(response["allowed"], false);
        assert!(
            response["status"]["message"]
                .as_str()
                .unwrap()
                .contains("[cassgate status-reset]")
        );
    }
}

#[tokio::test]
async fn a_correction_of_a_stored_spec_that_is_too_large_is_judged_by_the_fields_that_it_changes() {
    let scheduled = with(backup_spec(), &json!({"schedule": "@daily"}));
    let one_shot = with(backup_spec(), &json!({"schedule": null}));
    let large = |spec: Value| with(spec, &json!({"nodes": many_nodes()}));
    let moved = with(restore_spec(), &json!({"cassandraBackup": "b2"}));
    let tables = with(restore_spec(), &json!({"entities": "k2.t3"}));
    for (kind, old, new, expected) in [
        // A scheduled backup that has run may change.
        (
            "CassandraBackup",
            ran(&large(scheduled.clone()), "COMPLETED"),
            ran(&scheduled, "COMPLETED"),
            vec![],
        ),
        (
            "CassandraBackup",
            ran(&large(one_shot.clone()), "COMPLETED"),
            ran(&one_shot, "COMPLETED"),
            vec!["spec.nodes"],
        ),
        (
            "CassandraRestore",
            object(&large(restore_spec())),
            object(&restore_spec()),
            vec![],
        ),
        (
            "CassandraRestore",
            object(&large(restore_spec())),
            object(&moved),
            vec!["spec.cassandraBackup"],
        ),
        (
            "CassandraRestore",
            ran(&large(restore_spec()), "RUNNING"),
            ran(&tables, "RUNNING"),
            vec!["spec.entities", "spec.nodes"],
        ),
    ] {
        let change = json!({"object": new, "oldObject": old});
        let (response, _) = validated(kind, "UPDATE", &change).await;
        let mut fields: Vec<String> = if response["allowed"] == true {
            Vec::new()
        } else {
            let causes = causes(&response).into_iter();
            causes
                .map(|cause| cause.split(':').next().unwrap().to_owned())
                .collect()
        };
        fields.sort();
        assert_eq!(fields, expected, "{kind} {response}");
    }
}

#[tokio::test]
async fn a_restore_whose_reads_have_no_turn_gets_503_and_a_backup_a_warning() {
    let world = Arc::new(World {
        unreadable: Some(NO_TURN),
        ..World::default()
    });
    let started = ran(&restore_spec(), "RUNNING");
    let changed = with(restore_spec(), &json!({"entities": "k1"}));
    for (path, kind, operation, change, expected) in [
        (
            "/validate",
            "CassandraRestore",
            "CREATE",
            json!({"object": object(&restore_spec())}),
            503,
        ),
        (
            "/validate",
            "CassandraRestore",
            "UPDATE",
            json!({"object": object(&changed), "oldObject": object(&restore_spec())}),
            503,
        ),
        (
            "/mutate",
            "CassandraRestore",
            "CREATE",
            json!({"object": object(&with(restore_spec(), &json!({"secret": null})))}),
            503,
        ),
        // These need no read.
        (
            "/mutate",
            "CassandraRestore",
            "CREATE",
            json!({"object": object(&restore_spec())}),
            200,
        ),
        (
            "/validate",
            "CassandraRestore",
            "DELETE",
            json!({"oldObject": started}),
            200,
        ),
        // A denial stands.
        (
            "/validate",
            "CassandraRestore",
            "CREATE",
            json!({"object": object(&json!({"cassandraCluster": 5}))}),
            200,
        ),
        (
            "/validate",
            "CassandraBackup",
            "CREATE",
            json!({"object": object(&backup_spec())}),
            200,
        ),
    ] {
        let admission = admission(&world, None);
        let body = serde_json::to_vec(&review(kind, operation, &change)).unwrap();
        let (status, answer) = post(admission.clone(), path, body).await;
        assert_eq!(
            status,
            StatusCode::from_u16(expected).unwrap(),
            "{path} {kind} {operation} {answer}"
        );
        if expected == 503 {
            assert_eq!(
                (&answer["reason"], &answer["message"]),
                (
                    &json!("ServiceUnavailable"),
                    &json!(
                        "cassgate limits its own reads, and those for this restore had no turn; a restore empties tables, so it \
                         is not admitted without them; apply it again"
                    )
                )
            );
            assert!(admission.metrics.encode().contains(r#"verdict="failed"} 1"#));
        }
    }
    let review = review(
        "CassandraBackup",
        "CREATE",
        &json!({"object": object(&backup_spec())}),
    );
    let response = ask(&world, "/validate", &review).await;
    let warnings = response["warnings"].to_string();
    assert!(
        warnings.contains("cassgate limits its own reads, and this one had no turn"),
        "{warnings}"
    );
}
