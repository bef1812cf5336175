//! Requests straight to the webhook, in forms that no API server sends.

use serde_json::{Value, json};

use crate::support::{
    gate::{self, Gate},
    servers::{self, Crds},
};

fn gate() -> std::sync::Arc<Gate> {
    gate::shared(servers::with(Crds::Ours), &["--executor=none"])
}

/// Returns a review of a CREATE in an arbitrary namespace.
pub(crate) fn review(kind: &str, spec: &Value) -> Vec<u8> {
    let object =
        json!({"apiVersion": "db.orange.com/v2", "kind": kind, "metadata": {"name": "x"}, "spec": spec});
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "7b1f", "kind": {"group": "db.orange.com", "version": "v2", "kind": kind},
            "resource": {"group": "db.orange.com", "version": "v2", "resource": "x"},
            "name": "x", "namespace": "default", "operation": "CREATE", "dryRun": false, "object": object,
        },
    })
    .to_string()
    .into_bytes()
}

pub(crate) fn an_invalid_review_gets_400() {
    for (body, says) in [
        ("", "EOF while parsing a value"),
        ("\u{0}\u{1}garbage", "expected value at line 1 column 1"),
        ("[]", "the body is not an AdmissionReview of admission.k8s.io/v1"),
        ("{}", "the AdmissionReview has no request"),
        (r#"{"request":{"operation":"CREATE"}}"#, "has no uid"),
    ] {
        for path in ["/mutate", "/validate"] {
            let reply = gate().post(path, body);
            assert_eq!(reply.status, 400, "{body:?}: {reply:?}");
            let status: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(
                (&status["kind"], &status["reason"], &status["code"]),
                (&json!("Status"), &json!("BadRequest"), &json!(400))
            );
            assert!(
                status["message"].as_str().unwrap().contains(says),
                "{body:?}: {status}"
            );
        }
    }
}

/// The answer comes before the body: a client that sends the body first may find the connection closed.
pub(crate) fn a_body_over_eight_mebibytes_gets_413() {
    let reply = gate().announce("/validate", 8 * 1024 * 1024 + 1);
    assert_eq!(reply.status, 413, "{reply:?}");
    let status: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(status["reason"], "RequestEntityTooLarge");
    assert_eq!(
        status["message"],
        "the body is longer than 8388608 bytes, the most that cassgate reads"
    );
}

pub(crate) fn a_spec_with_wrong_types_is_denied_with_the_path_of_each_field() {
    let spec = json!({"cassandraCluster": 5, "storageLocation": "s3://b", "concurrentConnections": "ten"});
    let reply = gate().post("/validate", review("CassandraBackup", &spec));
    assert_eq!(reply.status, 200, "{reply:?}");
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(answer["response"]["allowed"], false);
    let status = &answer["response"]["status"];
    assert_eq!(
        (&status["code"], &status["reason"]),
        (&json!(422), &json!("Invalid"))
    );
    let fields: Vec<&str> = status["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| cause["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["spec.cassandraCluster", "spec.concurrentConnections"]);
}

pub(crate) fn the_mutating_webhook_never_denies() {
    for spec in [
        json!(null),
        json!([]),
        json!({"cassandraCluster": 5}),
        json!({"entities": "k1,k2.t2"}),
    ] {
        let reply = gate().post("/mutate", review("CassandraRestore", &spec));
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(
            (reply.status, &answer["response"]["allowed"]),
            (200, &json!(true)),
            "{spec}: {answer}"
        );
    }
}

pub(crate) fn an_unknown_kind_passes_with_a_warning() {
    let reply = gate().post("/validate", review("CassandraMagic", &json!({})));
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(answer["response"]["allowed"], true);
    assert_eq!(
        answer["response"]["warnings"],
        json!([
            "kind: db.orange.com/v2 CassandraMagic is not judged by this cassgate [cassgate request-unknown]"
        ])
    );
}

pub(crate) fn only_post_requests_to_the_two_paths_are_answered() {
    assert_eq!(
        gate().post("/", review("CassandraBackup", &json!({}))).status,
        404
    );
}
