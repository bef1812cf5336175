//! The webhook configurations match the paths, kinds and timeouts of the code.

use std::time::Duration;

use cassgate::{
    admission,
    api::{CassandraBackup, CassandraRestore, GROUP, VERSION},
    server::harden::REQUEST_TIMEOUT,
};
use kube::Resource;
use serde_json::{Value, json};

use crate::{deployment::defaults, find, kustomize, strings};

fn plurals() -> [String; 2] {
    [
        CassandraBackup::plural(&()).into_owned(),
        CassandraRestore::plural(&()).into_owned(),
    ]
}

/// Returns the webhooks of both configurations.
fn webhooks() -> Vec<Value> {
    let base = kustomize("base");
    ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]
        .iter()
        .flat_map(|kind| {
            let name = &defaults().tls.self_signed.options().unwrap().webhooks;
            find(&base, kind, name)["webhooks"].as_array().unwrap().clone()
        })
        .collect()
}

#[test]
fn every_webhook_has_the_path_of_its_handler() {
    let base = kustomize("base");
    let service = &defaults().tls.self_signed.options().unwrap().service;
    let port = &find(&base, "Service", service)["spec"]["ports"][0]["port"];
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
fn every_webhook_selects_the_kinds_and_versions_of_the_types() {
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
        json!([
            rule(&["DELETE"], &kinds),
            rule(&["UPDATE"], &["cassandrabackups".to_owned()]),
        ]),
    ];
    assert_eq!(rules, expected);
}

#[test]
fn creations_and_changes_need_a_verdict_and_deletions_time_out_early() {
    let webhooks = webhooks();
    let values = |field: &str| -> Vec<String> {
        let values = webhooks.iter().map(|webhook| webhook[field].to_string());
        values.collect()
    };
    assert_eq!(
        values("failurePolicy"),
        [r#""Ignore""#, r#""Fail""#, r#""Ignore""#]
    );
    let seconds = |webhook: &Value| Duration::from_secs(webhook["timeoutSeconds"].as_u64().unwrap());
    let timeouts: Vec<Duration> = webhooks.iter().map(seconds).collect();
    assert_eq!(timeouts[..2], [admission::DEFAULT_TIMEOUT; 2]);
    assert!(timeouts[2] * 5 <= admission::DEFAULT_TIMEOUT, "{timeouts:?}");
    // The API server gives up before cassgate does, so cassgate never cuts off an answer.
    assert!(timeouts.iter().all(|timeout| *timeout < REQUEST_TIMEOUT));
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
        assert_eq!(strings(&exempt["values"]), ["disabled"]);
    }
}

#[test]
fn cert_manager_injects_the_authority_of_the_served_certificate() {
    let objects = kustomize("overlays/cert-manager");
    let name = &defaults().tls.self_signed.options().unwrap().webhooks;
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let annotations = &find(&objects, kind, name)["metadata"]["annotations"];
        assert_eq!(
            annotations["cert-manager.io/inject-ca-from"],
            "cassgate-system/cassgate"
        );
    }
    let served = &find(&objects, "Certificate", "cassgate")["spec"];
    let deployment = find(&objects, "Deployment", "cassgate");
    let mounted = &deployment["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"];
    assert_eq!(served["secretName"], *mounted);
    assert_eq!(served["privateKey"]["rotationPolicy"], "Always");
    // The API server calls by this name.
    let service = &defaults().tls.self_signed.options().unwrap().service;
    assert!(strings(&served["dnsNames"]).contains(&format!("{service}.cassgate-system.svc").as_str()));
    let issuer = find(&objects, "Issuer", served["issuerRef"]["name"].as_str().unwrap());
    let authority = find(&objects, "Certificate", "cassgate-authority");
    assert_eq!(
        issuer["spec"]["ca"]["secretName"],
        authority["spec"]["secretName"]
    );
    assert_eq!(authority["spec"]["isCA"], true);
    let signer = authority["spec"]["issuerRef"]["name"].as_str().unwrap();
    assert_eq!(
        find(&objects, "Issuer", signer)["spec"],
        json!({"selfSigned": {}})
    );
}
