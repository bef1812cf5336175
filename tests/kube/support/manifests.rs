//! The shipped manifests.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{kubectl::Kubectl, repository};

/// Returns every object of `manifests/base`, as kustomize builds it.
pub(crate) fn base(kubectl: &Kubectl) -> Vec<Value> {
    built(kubectl, "manifests/base")
}

/// Returns every object of an overlay, including the base.
pub(crate) fn overlay(kubectl: &Kubectl, name: &str) -> Vec<Value> {
    built(kubectl, &format!("manifests/overlays/{name}"))
}

fn built(kubectl: &Kubectl, folder: &str) -> Vec<Value> {
    let folder = repository().join(folder);
    let built = kubectl
        .run(&["kustomize", &folder.display().to_string()])
        .succeeds();
    assert_eq!(built.stderr, "", "kustomize has something to say");
    serde_saphyr::from_multiple(&built.stdout).unwrap()
}

/// Returns one manifest with many objects.
#[expect(clippy::needless_pass_by_value, reason = "a list is built from what it takes")]
pub(crate) fn list(items: Vec<Value>) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// Installs the CRDs of this folder, replacing other owners' fields, and waits until the API server serves them.
#[track_caller]
pub(crate) fn install_crds(kubectl: &Kubectl, folder: &str, in_force: impl Fn() -> bool) {
    for kind in ["cassandrabackups", "cassandrarestores"] {
        let file = repository().join(folder).join(format!("{kind}.yaml"));
        let file = file.display().to_string();
        kubectl
            .run(&["apply", "--server-side", "--force-conflicts", "-f", &file])
            .succeeds();
    }
    for _ in 0..600 {
        if in_force() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("the CRDs of {folder} do not come into force");
}

/// Returns the shipped webhook configurations for these namespaces and a cassgate on this machine.
pub(crate) fn webhooks(kubectl: &Kubectl, namespaces: &[&str], address: &str, ca_bundle: &str) -> Vec<Value> {
    let mut configurations = webhooks_of(base(kubectl), namespaces, address);
    for configuration in &mut configurations {
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            webhook["clientConfig"]["caBundle"] = json!(ca_bundle);
        }
    }
    configurations
}

/// Returns the webhook configurations among these objects, without a `caBundle`.
///
/// Only the address, the names and the namespaces differ: rules, conditions and policies are tested as shipped.
pub(crate) fn webhooks_of(mut objects: Vec<Value>, namespaces: &[&str], address: &str) -> Vec<Value> {
    objects.retain(|object| {
        object["kind"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("WebhookConfiguration"))
    });
    for configuration in &mut objects {
        configuration["metadata"]["name"] = json!(format!("cassgate-{}", namespaces.join("-")));
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            let path = webhook["clientConfig"]["service"]["path"]
                .as_str()
                .unwrap()
                .to_owned();
            webhook["clientConfig"] = json!({"url": format!("https://{address}{path}")});
            webhook["namespaceSelector"]["matchExpressions"]
                .as_array_mut()
                .unwrap()
                .push(json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces}));
        }
    }
    objects
}
