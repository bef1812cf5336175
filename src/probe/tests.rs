//! Paths that are hard to break on a real API server.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::Status;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, from_value, json};

use super::observation::{DryRun, Lookup};
use super::*;

/// Returns the observation of a good path, which tests then change.
fn good_path() -> Observation {
    let authority = CertificateParams::default()
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap();
    let bundle = STANDARD.encode(authority.pem());
    let webhook = |name: &str, operations: &[&str], policy: &str| {
        json!({
            "name": name, "failurePolicy": policy, "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://127.0.0.1:1/validate", "caBundle": bundle},
            "rules": [{
                "apiGroups": ["db.orange.com"], "apiVersions": ["v2"], "operations": operations,
                "resources": ["cassandrabackups", "cassandrarestores"], "scope": "Namespaced",
            }],
        })
    };
    let both = &["CREATE", "UPDATE"];
    Observation {
        namespace: "prod".to_owned(),
        configuration_name: "cassgate".to_owned(),
        namespace_object: Lookup::Found(Namespace::default()),
        mutating: Lookup::Found(
            from_value(json!({"webhooks": [webhook("default.cassgate.db.orange.com", both, "Ignore")]}))
                .unwrap(),
        ),
        validating: Lookup::Found(
            from_value(json!({"webhooks": [webhook("validate.cassgate.db.orange.com", both, "Fail")]}))
                .unwrap(),
        ),
        services: BTreeMap::new(),
        bad: denied(&["schedule-malformed"]),
        good: DryRun::Accepted(json!({"spec": {"concurrentConnections": 10}})),
    }
}

fn denied(rules: &[&str]) -> DryRun {
    denied_with(rules.iter().map(|rule| format!("no [cassgate {rule}]")))
}

fn denied_with(messages: impl Iterator<Item = String>) -> DryRun {
    let causes: Vec<Value> = messages
        .map(|message| json!({"field": "spec", "message": message}))
        .collect();
    let status = json!({
        "status": "Failure", "code": 422, "reason": "Invalid", "details": {"causes": causes},
        "message": "admission webhook \"validate.cassgate.db.orange.com\" denied the request: no",
    });
    DryRun::Rejected(from_value(status).unwrap())
}

fn rejected(code: u16, text: &str) -> DryRun {
    DryRun::Rejected(Status::failure(text, "Whatever").with_code(code).boxed())
}

fn hops(observation: &Observation) -> Vec<String> {
    let report = judge(observation, false, Timestamp::UNIX_EPOCH);
    let mut text = String::new();
    report.text(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Returns the line of the server if the bad object got this answer.
fn server(bad: DryRun) -> String {
    hops(&Observation { bad, ..good_path() }).swap_remove(4)
}

#[test]
fn a_path_without_a_service_can_be_good() {
    let lines = hops(&good_path());
    assert_eq!(
        lines[2],
        "service        ok       default.cassgate.db.orange.com is called by URL: https://127.0.0.1:1/validate"
    );
    assert_eq!(lines[5], "The path to cassgate is good in namespace prod.");
}

#[test]
fn each_error_of_the_api_server_is_attributed_to_its_hop() {
    let post =
        "failed to call webhook: Post \"https://cassgate.cassgate-system.svc:443/validate?timeout=10s\"";
    let certificate = "tls: failed to verify certificate: x509:";
    for (words, broken) in [
        (
            format!("{post}: {certificate} certificate signed by unknown authority"),
            "ca",
        ),
        (
            "could not get REST client: unable to load root certificates: unable to parse bytes as PEM block"
                .to_owned(),
            "ca",
        ),
        (
            format!(
                "{post}: {certificate} certificate has expired or is not yet valid: current time X is after Y"
            ),
            "certificate",
        ),
        (
            format!("{post}: {certificate} certificate is valid for a.b, not cassgate.cassgate-system.svc"),
            "certificate",
        ),
        (
            format!("{post}: {certificate} certificate is not valid for any names, but wanted to match x"),
            "certificate",
        ),
        (
            format!(
                "{post}: {certificate} cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs"
            ),
            "certificate",
        ),
        (
            format!("{post}: {certificate} certificate relies on legacy Common Name field, use SANs instead"),
            "certificate",
        ),
        (
            format!("{post}: no endpoints available for service \"cassgate\""),
            "service",
        ),
        (
            format!("{post}: no service port 443 found for service \"cassgate\""),
            "service",
        ),
        (format!("{post}: service \"cassgate\" not found"), "service"),
        (
            format!("{post}: cannot route to service with ClusterIP \"None\""),
            "service",
        ),
        (
            format!("{post}: dial tcp 10.0.0.1:443: connect: connection refused"),
            "server",
        ),
        (format!("{post}: context deadline exceeded"), "server"),
        (format!("{post}: EOF"), "server"),
        (
            format!("{post}: http: server gave HTTP response to HTTPS client"),
            "server",
        ),
        (
            "failed to call webhook: the server could not find the requested resource".to_owned(),
            "server",
        ),
        (
            "received invalid webhook response: webhook response was absent".to_owned(),
            "server",
        ),
    ] {
        let text = format!(
            "Internal error occurred: failed calling webhook \"validate.cassgate.db.orange.com\": {words}"
        );
        let (bad, good) = (rejected(500, &text), rejected(500, &text));
        let lines = hops(&Observation {
            bad,
            good,
            ..good_path()
        });
        assert_eq!(
            lines[5],
            format!("The path to cassgate is broken in namespace prod: {broken}."),
            "{words}: {lines:#?}"
        );
    }
}

#[test]
fn an_expired_authority_is_reported_with_its_end() {
    let mut parameters = CertificateParams::default();
    parameters.not_after = rcgen::date_time_ymd(2024, 2, 1);
    let authority = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let mut observation = good_path();
    let Lookup::Found(validating) = &mut observation.validating else {
        panic!("it was found")
    };
    for webhook in validating.webhooks.iter_mut().flatten() {
        webhook.client_config.ca_bundle = Some(k8s_openapi::ByteString(authority.pem().into_bytes()));
    }
    let text =
        "failed calling webhook \"validate.cassgate.db.orange.com\": failed to call webhook: x509: whatever";
    (observation.bad, observation.good) = (rejected(500, text), rejected(500, text));
    let report = judge(&observation, false, "2024-02-02T00:00:00Z".parse().unwrap());
    let State::Broken { saw, .. } = &report.hops()[1].state else {
        panic!("{report:#?}")
    };
    assert_eq!(
        saw,
        "every authority in the caBundle of validate.cassgate.db.orange.com has expired, the last at 2024-02-01T00:00:00Z"
    );
}

#[test]
fn a_rejection_by_another_webhook_says_nothing_about_cassgate() {
    for (text, line) in [
        (
            "admission webhook \"policy.example\" denied the request: no",
            "another webhook prevents the dry run: admission webhook \"policy.example\" denied the request: no",
        ),
        (
            "Internal error occurred: failed calling webhook \"policy.example\": EOF",
            "another webhook prevents the dry run: Internal error occurred: failed calling webhook \"policy.example\": EOF",
        ),
        (
            "exceeded quota: q, requested: count/cassandrabackups=1",
            "the API server rejects the dry run before it calls the webhooks: exceeded quota: q, requested: count/cassandrabackups=1",
        ),
    ] {
        assert_eq!(
            server(rejected(403, text)),
            format!("server         unknown  {line}")
        );
    }
}

#[test]
fn a_server_that_is_not_cassgate_is_recognized_by_its_verdicts() {
    let line = server(DryRun::Accepted(json!({"spec": {}})));
    assert!(
        line.starts_with("server         broken   the bad object is admitted; "),
        "{line}"
    );
    let unmarked = ["no [schedule-malformed]", "no [other schedule-malformed]"].map(str::to_owned);
    for answer in [denied(&["no-privileged"]), denied_with(unmarked.into_iter())] {
        let line = server(answer);
        assert!(line.contains("but not with a message of cassgate"), "{line}");
    }
    let lines = hops(&Observation {
        good: denied(&["storage-location-malformed"]),
        ..good_path()
    });
    assert!(
        lines[4].starts_with("server         broken   the good object is denied: "),
        "{lines:#?}"
    );
}

#[test]
fn no_text_of_a_server_looks_like_a_line_of_the_report() {
    let line = server(rejected(
        403,
        "no\nserver         ok       everything is fine\u{1b}[0m",
    ));
    assert_eq!(
        line,
        "server         unknown  the API server rejects the dry run before it calls the webhooks: no server         ok       everything is \
         fine [0m"
    );
}
