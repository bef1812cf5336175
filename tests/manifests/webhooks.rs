//! The webhook configurations ask for what the code answers, where it answers.

use std::time::Duration;

use cassgate::{
    admission,
    api::{CassandraBackup, CassandraRestore, GROUP, VERSION},
    server::harden::REQUEST_DEADLINE,
};
use kube::Resource;
use serde_json::{Value, json};

use crate::{deployment::defaults, kustomize, texts, the};

fn plurals() -> [String; 2] {
    [
        CassandraBackup::plural(&()).into_owned(),
        CassandraRestore::plural(&()).into_owned(),
    ]
}

/// Both configurations' entries.
fn webhooks() -> Vec<Value> {
    let base = kustomize("base");
    ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]
        .iter()
        .flat_map(|kind| {
            let name = &defaults().tls.own.options().unwrap().webhooks;
            the(&base, kind, name)["webhooks"].as_array().unwrap().clone()
        })
        .collect()
}

#[test]
fn each_is_called_where_the_code_answers() {
    let base = kustomize("base");
    let service = &defaults().tls.own.options().unwrap().service;
    let port = &the(&base, "Service", service)["spec"]["ports"][0]["port"];
    let paths = [admission::MUTATE, admission::VALIDATE, admission::VALIDATE];
    let webhooks = webhooks();
    assert_eq!(webhooks.len(), paths.len());
    for (webhook, path) in webhooks.iter().zip(paths) {
        let expected = json!({"service": {
            "name": service, "namespace": "cassgate-system", "path": path, "port": port,
        }});
        assert_eq!(webhook["clientConfig"], expected, "{}", webhook["name"]);
    }
}

#[test]
fn each_asks_for_the_two_kinds_as_the_types_have_them() {
    let kinds = plurals();
    let status = kinds.clone().map(|plural| format!("{plural}/status"));
    let rule = |operations: &[&str], resources: &[String]| {
        json!({
            "apiGroups": [GROUP], "apiVersions": [VERSION], "operations": operations,
            "resources": resources, "scope": "Namespaced",
        })
    };
    let rules: Vec<Value> = webhooks()
        .iter_mut()
        .map(|webhook| webhook["rules"].take())
        .collect();
    let expected = [
        json!([rule(&["CREATE", "UPDATE"], &kinds)]),
        json!([rule(&["CREATE", "UPDATE"], &kinds), rule(&["UPDATE"], &status)]),
        json!([rule(&["DELETE"], &kinds)]),
    ];
    assert_eq!(rules, expected);
}

#[test]
fn only_creations_and_changes_wait_for_a_verdict_and_deletions_hardly() {
    let webhooks = webhooks();
    let stands = |field: &str| -> Vec<String> {
        let stands = webhooks.iter().map(|webhook| webhook[field].to_string());
        stands.collect()
    };
    assert_eq!(
        stands("failurePolicy"),
        [r#""Ignore""#, r#""Fail""#, r#""Ignore""#]
    );
    let seconds = |webhook: &Value| Duration::from_secs(webhook["timeoutSeconds"].as_u64().unwrap());
    let patience: Vec<Duration> = webhooks.iter().map(seconds).collect();
    assert_eq!(patience[..2], [admission::DEFAULT_TIMEOUT; 2]);
    assert!(patience[2] * 5 <= admission::DEFAULT_TIMEOUT, "{patience:?}");
    // Whoever waits gives up before the server does, so that an answer is never cut by us.
    assert!(patience.iter().all(|patience| *patience < REQUEST_DEADLINE));
    for (field, value) in [
        ("sideEffects", json!("None")),
        ("matchPolicy", json!("Equivalent")),
        ("admissionReviewVersions", json!(["v1"])),
    ] {
        assert!(webhooks.iter().all(|webhook| webhook[field] == value), "{field}");
    }
    assert_eq!(webhooks[0]["reinvocationPolicy"], "IfNeeded");
    for webhook in &webhooks {
        let exempt = &webhook["namespaceSelector"]["matchExpressions"][0];
        assert_eq!(exempt["operator"], "NotIn");
        assert_eq!(texts(&exempt["values"]), ["disabled"]);
    }
}

#[test]
fn cert_manager_fills_in_the_authority_of_the_certificate_that_is_served() {
    let objects = kustomize("overlays/cert-manager");
    let name = &defaults().tls.own.options().unwrap().webhooks;
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let annotations = &the(&objects, kind, name)["metadata"]["annotations"];
        assert_eq!(
            annotations["cert-manager.io/inject-ca-from"],
            "cassgate-system/cassgate"
        );
    }
    let served = &the(&objects, "Certificate", "cassgate")["spec"];
    let deployment = the(&objects, "Deployment", "cassgate");
    let mounted = &deployment["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"];
    assert_eq!(served["secretName"], *mounted);
    assert_eq!(served["privateKey"]["rotationPolicy"], "Always");
    // The API server calls by this name.
    let service = &defaults().tls.own.options().unwrap().service;
    assert!(texts(&served["dnsNames"]).contains(&format!("{service}.cassgate-system.svc").as_str()));
    let issuer = the(&objects, "Issuer", served["issuerRef"]["name"].as_str().unwrap());
    let authority = the(&objects, "Certificate", "cassgate-authority");
    assert_eq!(
        issuer["spec"]["ca"]["secretName"],
        authority["spec"]["secretName"]
    );
    assert_eq!(authority["spec"]["isCA"], true);
    let signer = authority["spec"]["issuerRef"]["name"].as_str().unwrap();
    assert_eq!(the(&objects, "Issuer", signer)["spec"], json!({"selfSigned": {}}));
}
