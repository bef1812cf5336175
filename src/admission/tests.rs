//! The webhook over HTTP: requests, answers, and the facts that are read for them.

mod limits;
mod mutating;
mod neighbours;
mod validating;
mod world;

use std::sync::Arc;

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::{Request, StatusCode};
use serde_json::json;

use super::ReadBudget;
use world::{World, admission, backup_spec, object, post, review, with};

#[tokio::test]
async fn bytes_that_are_no_review_are_answered_with_400_and_a_status() {
    let world = Arc::new(World::default());
    for path in ["/mutate", "/validate"] {
        for body in [
            b"".to_vec(),
            b"{".to_vec(),
            b"{}".to_vec(),
            vec![0xff; 64],
            vec![b'['; 100_000],
        ] {
            let admission = admission(&world, None);
            let (status, answer) = post(admission.clone(), path, body).await;
            assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!(400)));
            assert_eq!(
                (&answer["kind"], &answer["reason"]),
                (&json!("Status"), &json!("BadRequest"))
            );
            assert!(
                answer["message"].as_str().unwrap().contains("AdmissionReview"),
                "{answer}"
            );
            let counted = r#"verdict="undecodable"} 1"#;
            assert!(admission.metrics.encode().contains(counted));
        }
    }
}

#[tokio::test]
async fn answers_are_bounded_whatever_the_texts_of_a_review_are() {
    let long = json!("x\"\n".repeat(300_000));
    let created = review(
        "CassandraBackup",
        "CREATE",
        &json!({"object": object(&backup_spec())}),
    );
    for field in [
        "/request",
        "/request/uid",
        "/request/name",
        "/request/namespace",
        "/request/operation",
        "/request/userInfo",
        "/request/kind/kind",
        "/request/kind/group",
        "/request/object",
        "/request/object/metadata",
        "/request/object/metadata/name",
        "/request/object/spec",
        "/request/object/spec/entities",
        "/request/object/spec/storageLocation",
        "/request/object/spec/cassandraCluster",
        "/request/object/spec/schedule",
        "/request/object/status",
    ] {
        let mut review = created.clone();
        let (parent, name) = field.rsplit_once('/').unwrap();
        review.pointer_mut(parent).unwrap()[name] = long.clone();
        for path in ["/mutate", "/validate"] {
            let admission = admission(&Arc::new(World::default()), None);
            let (_, answer) = post(admission, path, serde_json::to_vec(&review).unwrap()).await;
            let length = answer.to_string().len();
            assert!(length < 64 * 1024, "{path} {field}: {length} bytes");
        }
    }
}

#[tokio::test]
async fn reads_may_take_sixty_percent_of_the_timeout_in_the_query() {
    let of = async |query: &str| {
        let request = Request::get(format!("/validate{query}")).body(()).unwrap();
        let budget = ReadBudget::from_request_parts(&mut request.into_parts().0, &()).await;
        budget.ok().map(|ReadBudget(budget)| budget)
    };
    for (query, seconds) in [
        ("?timeout=20s", 12),
        ("?timeout=%32%30s", 12),
        ("?x=1&timeout=20s", 12),
        ("?timeout=20s&x=1", 12),
        ("?timeout=31s", 6),
        ("?timeout=20", 6),
        ("?timeout=", 6),
        ("?x=1", 6),
        ("", 6),
    ] {
        assert_eq!(of(query).await, Some(Duration::from_secs(seconds)), "{query}");
    }
    assert_eq!(of("?timeout=20s&timeout=10s").await, None);
}

#[tokio::test]
async fn verdicts_and_findings_are_counted() {
    let world = Arc::new(World::default());
    let admission = admission(&world, None);
    let spec = with(backup_spec(), &json!({"entities": "k1,k2.t2"}));
    let review = review("CassandraBackup", "CREATE", &json!({"object": object(&spec)}));
    post(
        admission.clone(),
        "/validate",
        serde_json::to_vec(&review).unwrap(),
    )
    .await;
    let text = admission.metrics.encode();
    for line in [
        r#"cassgate_admission_reviews_total{kind="backup",operation="create",verdict="denied"} 1"#,
        r#"cassgate_rule_findings_total{rule="entities-mixed",severity="deny"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

proptest::proptest! {
    #[test]
    fn the_webhook_does_not_panic_on_any_bytes(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (status, _) = runtime.block_on(post(admission(&Arc::new(World::default()), None), "/validate", body));
        proptest::prop_assert_eq!(status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn every_cause_ends_with_its_rule_for_any_text(entities in ".{0,60}", location in ".{0,60}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let spec = with(backup_spec(), &json!({"entities": entities, "storageLocation": location}));
        let review = review("CassandraBackup", "CREATE", &json!({"object": object(&spec)}));
        let body = serde_json::to_vec(&review).unwrap();
        let (status, answer) = runtime.block_on(post(admission(&Arc::new(World::default()), None), "/validate", body));
        proptest::prop_assert_eq!(status, StatusCode::OK);
        for cause in answer["response"]["status"]["details"]["causes"].as_array().into_iter().flatten() {
            proptest::prop_assert!(cause["message"].as_str().unwrap().ends_with(']'));
        }
    }
}
