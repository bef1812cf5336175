//! What is told of paths that a real API server does not break easily.

use base64::{Engine, engine::general_purpose::STANDARD};
use kube::core::Status;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{from_value, json};

use super::*;

/// A path on which everything went well, but for what the test changes.
fn seen() -> Seen {
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
    Seen {
        namespace: "prod".to_owned(),
        webhooks: "cassgate".to_owned(),
        labels: Read::Found(Namespace::default()),
        mutating: Read::Found(
            from_value(json!({"webhooks": [webhook("default.cassgate.db.orange.com", both, "Ignore")]}))
                .unwrap(),
        ),
        validating: Read::Found(
            from_value(json!({"webhooks": [webhook("validate.cassgate.db.orange.com", both, "Fail")]}))
                .unwrap(),
        ),
        services: BTreeMap::new(),
        bad: denied(&["schedule-malformed"]),
        good: Tried::Accepted(json!({"spec": {"concurrentConnections": 10}})),
    }
}

fn denied(rules: &[&str]) -> Tried {
    let causes: Vec<Value> = rules
        .iter()
        .map(|rule| json!({"field": "spec", "message": format!("no [{rule}]")}))
        .collect();
    let status = json!({
        "status": "Failure", "code": 422, "reason": "Invalid", "details": {"causes": causes},
        "message": "admission webhook \"validate.cassgate.db.orange.com\" denied the request: no",
    });
    Tried::Refused(from_value(status).unwrap())
}

fn refused(code: u16, text: &str) -> Tried {
    Tried::Refused(Status::failure(text, "Whatever").with_code(code).boxed())
}

fn hops(seen: &Seen) -> Vec<String> {
    let meant = Meant {
        ignore: false,
        now: Timestamp::UNIX_EPOCH,
    };
    let mut text = String::new();
    judge(seen, meant).text(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The line of the server, when the bad object got this answer.
fn server(bad: Tried) -> String {
    hops(&Seen { bad, ..seen() }).swap_remove(4)
}

#[test]
fn a_path_without_a_service_can_be_good() {
    let lines = hops(&seen());
    assert_eq!(
        lines[2],
        "service        ok       default.cassgate.db.orange.com is called by URL: https://127.0.0.1:1/validate"
    );
    assert_eq!(lines[5], "The path to cassgate is good in namespace prod.");
}

#[test]
fn each_text_of_the_api_server_is_laid_to_its_hop() {
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
        let (bad, good) = (refused(500, &text), refused(500, &text));
        let lines = hops(&Seen { bad, good, ..seen() });
        assert_eq!(
            lines[5],
            format!("The path to cassgate is broken in namespace prod: {broken}."),
            "{words}: {lines:#?}"
        );
    }
}

#[test]
fn an_authority_that_has_expired_is_told_with_its_end() {
    let mut parameters = CertificateParams::default();
    parameters.not_after = rcgen::date_time_ymd(2024, 2, 1);
    let authority = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let mut seen = seen();
    let Read::Found(validating) = &mut seen.validating else {
        panic!("it was found")
    };
    for webhook in validating.webhooks.iter_mut().flatten() {
        webhook.client_config.ca_bundle = Some(k8s_openapi::ByteString(authority.pem().into_bytes()));
    }
    let text =
        "failed calling webhook \"validate.cassgate.db.orange.com\": failed to call webhook: x509: whatever";
    (seen.bad, seen.good) = (refused(500, text), refused(500, text));
    let meant = Meant {
        ignore: false,
        now: "2024-02-02T00:00:00Z".parse().unwrap(),
    };
    let report = judge(&seen, meant);
    let State::Broken { saw, .. } = &report.hops()[1].state else {
        panic!("{report:#?}")
    };
    assert_eq!(
        saw,
        "every authority in the caBundle of validate.cassgate.db.orange.com has expired, the last at 2024-02-01T00:00:00Z"
    );
}

#[test]
fn what_others_refuse_says_nothing_of_cassgate() {
    for (text, told) in [
        (
            "admission webhook \"policy.example\" denied the request: no",
            "another webhook is in the way: admission webhook \"policy.example\" denied the request: no",
        ),
        (
            "Internal error occurred: failed calling webhook \"policy.example\": EOF",
            "another webhook is in the way: Internal error occurred: failed calling webhook \"policy.example\": EOF",
        ),
        (
            "exceeded quota: q, requested: count/cassandrabackups=1",
            "the API server refuses the try before it asks: exceeded quota: q, requested: count/cassandrabackups=1",
        ),
    ] {
        assert_eq!(
            server(refused(403, text)),
            format!("server         unknown  {told}")
        );
    }
}

#[test]
fn a_server_that_is_not_cassgate_is_told_by_what_it_lets_pass_and_refuses() {
    let line = server(Tried::Accepted(json!({"spec": {}})));
    assert!(
        line.starts_with("server         broken   the bad object passes; "),
        "{line}"
    );
    let line = server(denied(&["no-privileged"]));
    assert!(line.contains("in words that are not cassgate's"), "{line}");
    let lines = hops(&Seen {
        good: denied(&["storage-location-malformed"]),
        ..seen()
    });
    assert!(
        lines[4].starts_with("server         broken   the good object is refused: "),
        "{lines:#?}"
    );
}

#[test]
fn nothing_that_a_server_says_looks_like_a_line_of_ours() {
    let line = server(refused(
        403,
        "no\nserver         ok       everything is fine\u{1b}[0m",
    ));
    assert_eq!(
        line,
        "server         unknown  the API server refuses the try before it asks: no server         ok       everything is \
         fine [0m"
    );
}
