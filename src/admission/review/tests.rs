use super::{Operation, Review};
use crate::rules::tool::Tool;

#[test]
fn bytes_that_are_no_review_have_an_error_with_the_reason() {
    for (body, error) in [
        (
            "",
            "the body is not an AdmissionReview of admission.k8s.io/v1: EOF while parsing",
        ),
        (
            "[]",
            "the body is not an AdmissionReview of admission.k8s.io/v1: invalid length 0",
        ),
        ("{}", "the AdmissionReview has no request"),
        (r#"{"response":{}}"#, "the AdmissionReview has no request"),
        (
            r#"{"request":{"operation":"CREATE"}}"#,
            "the request of the AdmissionReview has no uid",
        ),
        (
            r#"{"request":{"uid":"u"}}"#,
            "the body is not an AdmissionReview of admission.k8s.io/v1: missing field",
        ),
        (
            r#"{"request":{"uid":"u","operation":"CREATE","object":5}}"#,
            "the body is not an AdmissionReview",
        ),
    ] {
        let text = Review::decode(body.as_bytes()).unwrap_err().to_string();
        assert!(text.starts_with(error), "{body}: {text}");
    }
}

#[test]
fn a_text_that_answers_and_log_lines_repeat_is_bounded() {
    let body = |fields: &str| {
        format!(r#"{{"request":{{"uid":"u","operation":"CREATE",{fields}}}}}"#)
            .replace("LONG", &"é".repeat(513))
    };
    for (field, fields) in [
        ("uid", r#""uid":"LONG""#),
        ("name", r#""name":"LONG""#),
        ("name", r#""object":{"metadata":{"name":"LONG"}}"#),
        ("name", r#""object":{"metadata":{"generateName":"LONG"}}"#),
        ("name", r#""oldObject":{"metadata":{"name":"LONG"}}"#),
        ("namespace", r#""namespace":"LONG""#),
        ("group", r#""kind":{"group":"LONG"}"#),
        ("version", r#""kind":{"version":"LONG"}"#),
        ("kind", r#""kind":{"kind":"LONG"}"#),
        ("subresource", r#""subResource":"LONG""#),
    ] {
        let body = body(fields).replacen(
            r#""uid":"u","#,
            if field == "uid" { "" } else { r#""uid":"u","# },
            1,
        );
        let error = Review::decode(body.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("the {field} of the request has 1026 bytes, and at most 1024 are read")
        );
    }
    assert!(
        Review::decode(
            body(r#""operation":"LONG""#)
                .replacen(r#""operation":"CREATE","#, "", 1)
                .as_bytes()
        )
        .is_ok()
    );
}

#[test]
fn unknown_operations_kinds_and_fields_are_accepted() {
    let body = br#"{"request":{"uid":"u","operation":"INVENT","new":[1],"kind":{"kind":"X"},"userInfo":{}}}"#;
    let review = Review::decode(body).unwrap();
    assert_eq!((review.operation, review.kind.judged()), (Operation::Other, None));
}

#[test]
fn the_metadata_that_rules_read_is_decoded() {
    let body = format!(
        r#"{{"request":{{"uid":"u","operation":"CREATE","namespace":"prod",
            "userInfo":{{"username":"jane","groups":["dev"],"extra":{{"scopes":["a"]}}}},
            "object":{{"metadata":{{"name":"r1","annotations":{{"{}":"a, b","{}":"c","{}":"d","x":"y"}},
            "labels":{{"velero.io/restore-name":"w"}}}}}},"options":{{"fieldManager":"kustomize-controller","dryRun":[]}}}}}}"#,
        crate::api::CONFIRM_ANNOTATION,
        crate::api::ALLOW_ANNOTATION,
        crate::api::REQUIRES_ANNOTATION
    );
    let review = Review::decode(body.as_bytes()).unwrap();
    let meta = &review.object.as_ref().unwrap().meta;
    assert_eq!((meta.namespace.as_str(), meta.name.as_str()), ("prod", "r1"));
    assert_eq!(meta.confirms.as_deref(), Some("a, b"));
    assert_eq!(meta.allows.as_deref(), Some("c"));
    assert_eq!(meta.requires.as_deref(), Some("d"));
    assert_eq!(meta.velero_restore.as_deref(), Some("w"));
    assert_eq!(meta.tool, Some(Tool::Flux));
    let caller = review.caller();
    assert_eq!(
        (caller.username.as_str(), caller.groups.as_slice()),
        ("jane", &["dev".to_owned()][..])
    );
    assert_eq!(caller.extra["scopes"], ["a"]);
}

#[test]
fn texts_with_escapes_are_decoded() {
    let body =
        br#"{"request":{"uid":"u\u0031","operation":"CRE\u0041TE","namespace":"pr\u006fd","name":"b\u002d",
        "kind":{"group":"db.orange.com","version":"v\u0032","kind":"CassandraBackup"},
        "object":{"metadata":{"name":"c\u002d"}}}}"#;
    let review = Review::decode(body).unwrap();
    assert_eq!(
        (&*review.uid, &*review.namespace, &*review.name),
        ("u1", "prod", "b-")
    );
    assert_eq!(review.operation, Operation::Create);
    assert!(review.kind.judged().is_some());
    assert_eq!(review.object.unwrap().meta.name, "c-");
}

#[test]
fn an_object_without_a_name_has_its_generate_name() {
    let body = br#"{"request":{"uid":"u","operation":"CREATE","name":"","object":{"metadata":{"generateName":"b-"}}}}"#;
    assert_eq!(Review::decode(body).unwrap().name, "b-");
}

#[test]
fn an_object_of_a_deleted_collection_has_its_own_name() {
    let body =
        br#"{"request":{"uid":"u","operation":"DELETE","name":"","oldObject":{"metadata":{"name":"b1"}}}}"#;
    assert_eq!(Review::decode(body).unwrap().name, "b1");
}

#[test]
fn a_user_with_more_groups_than_are_read_has_no_name() {
    for (groups, name) in [(2_000, "jane"), (3_000, "")] {
        let groups = vec![r#""g""#; groups].join(",");
        let body = format!(
            r#"{{"request":{{"uid":"u","operation":"CREATE","userInfo":{{"username":"jane","groups":[{groups}]}}}}}}"#
        );
        assert_eq!(Review::decode(body.as_bytes()).unwrap().caller().username, name);
    }
}
