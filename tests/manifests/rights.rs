//! The permissions, object by object. tests/kube shows that they are sufficient: cassgate has no others there.

use cassgate::{
    api::{CassandraBackup, CassandraRestore, GROUP},
    kubernetes::SECRETS_ROLE,
    supervisor::AUTHORITY_LABEL,
};
use kube::{CustomResourceExt, Resource};
use serde_json::{Value, json};

use crate::{OVERLAYS, deployment::defaults, find, kustomize, strings};

/// Returns every rule of every role of an overlay.
fn rules(overlay: &str) -> Vec<Value> {
    kustomize(&format!("overlays/{overlay}"))
        .iter()
        .filter(|object| object["kind"].as_str().unwrap().ends_with("Role"))
        .flat_map(|role| role["rules"].as_array().unwrap().clone())
        .collect()
}

#[test]
fn no_role_has_a_wildcard_and_each_is_bound_to_the_service_account() {
    for overlay in OVERLAYS {
        for rule in rules(overlay) {
            for part in ["apiGroups", "resources", "verbs"] {
                assert!(!strings(&rule[part]).contains(&"*"), "{overlay}: {rule}");
            }
        }
        let objects = kustomize(&format!("overlays/{overlay}"));
        let bindings = objects
            .iter()
            .filter(|object| object["kind"].as_str().unwrap().ends_with("Binding"));
        for binding in bindings {
            let account =
                json!([{"kind": "ServiceAccount", "name": "cassgate", "namespace": "cassgate-system"}]);
            assert_eq!(binding["subjects"], account, "{overlay}");
            let role = &binding["roleRef"];
            find(
                &objects,
                role["kind"].as_str().unwrap(),
                role["name"].as_str().unwrap(),
            );
        }
    }
}

#[test]
fn secrets_are_read_by_get_only_and_written_by_name_only() {
    for overlay in OVERLAYS {
        let about_secrets: Vec<Value> = rules(overlay)
            .into_iter()
            .filter(|rule| strings(&rule["resources"]).contains(&"secrets"))
            .collect();
        let read = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]});
        let own = json!({
            "apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "update"],
            "resourceNames": [defaults().tls.self_signed.options().unwrap().secret],
        });
        let expected = if overlay == "self-managed" {
            vec![own, read]
        } else {
            vec![read]
        };
        assert_eq!(about_secrets, expected, "{overlay}");
    }
}

#[test]
fn the_secret_of_the_authority_has_the_label_that_permits_writing() {
    let objects = kustomize("overlays/self-managed");
    let secret = find(
        &objects,
        "Secret",
        &defaults().tls.self_signed.options().unwrap().secret,
    );
    let (label, value) = AUTHORITY_LABEL;
    assert_eq!(secret["metadata"]["labels"][label], value);
    assert_eq!(secret["data"], Value::Null, "the overlay must not contain a key");
}

#[test]
fn with_secrets_by_namespace_the_cluster_wide_binding_is_gone_and_a_namespace_can_be_bound() {
    let objects = kustomize("overlays/namespaced-secrets");
    find(&objects, "ClusterRole", SECRETS_ROLE);
    assert!(
        objects
            .iter()
            .all(|object| object["roleRef"]["name"] != SECRETS_ROLE)
    );
    let binding = &kustomize("components/namespaced-secrets/binding")[0];
    assert_eq!(binding["kind"], "RoleBinding");
    assert_eq!(binding["metadata"]["name"], SECRETS_ROLE);
    assert_eq!(
        binding["metadata"]["namespace"],
        Value::Null,
        "it is for the namespace in which it is applied"
    );
    assert_eq!(binding["roleRef"]["name"], SECRETS_ROLE);
}

#[test]
fn the_executor_writes_status_events_metadata_and_one_lease() {
    let objects = kustomize("overlays/executor");
    let kinds = [
        CassandraBackup::plural(&()).into_owned(),
        CassandraRestore::plural(&()).into_owned(),
    ];
    let sub = |name: &str| kinds.clone().map(|plural| format!("{plural}/{name}"));
    let definitions = [CassandraBackup::crd_name(), CassandraRestore::crd_name()];
    let expected = json!([
        {"apiGroups": [GROUP], "resources": sub("status"), "verbs": ["patch"]},
        {"apiGroups": [GROUP], "resources": kinds, "verbs": ["patch"]},
        {"apiGroups": [GROUP], "resources": sub("finalizers"), "verbs": ["update"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
        {
            "apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"],
            "resourceNames": definitions, "verbs": ["get"],
        },
    ]);
    assert_eq!(
        find(&objects, "ClusterRole", "cassgate-executor")["rules"],
        expected
    );
    let leases = json!([
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["cassgate"],
            "verbs": ["get", "patch"],
        },
    ]);
    let role = find(&objects, "Role", "cassgate-executor");
    assert_eq!(role["rules"], leases);
    assert_eq!(role["metadata"]["namespace"], "cassgate-system");
}

#[test]
fn our_crds_are_part_of_the_executor_only() {
    for overlay in OVERLAYS {
        let crds: Vec<String> = kustomize(&format!("overlays/{overlay}"))
            .iter()
            .filter(|object| object["kind"] == "CustomResourceDefinition")
            .map(|crd| crd["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        let ours = vec![
            CassandraBackup::crd_name().to_owned(),
            CassandraRestore::crd_name().to_owned(),
        ];
        assert_eq!(
            crds,
            if overlay == "executor" { ours } else { vec![] },
            "{overlay}"
        );
    }
}
