//! The shipped manifests on a real API server.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    gate::{Gate, fresh_directory},
    manifests,
    servers::{self, Crds},
    tls::make_pair,
};

pub(crate) fn the_base_is_accepted_without_a_warning() {
    let kubectl = &servers::with(Crds::Ours).kubectl;
    let objects = manifests::base(kubectl);
    let kinds: Vec<&str> = objects
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "Namespace",
            "ServiceAccount",
            "ClusterRole",
            "ClusterRole",
            "ClusterRoleBinding",
            "ClusterRoleBinding",
            "Service",
            "Deployment",
            "PodDisruptionBudget",
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ]
    );
    // The namespace exists and enforces the restricted profile: a pod that needs more would be told here.
    let manifest = manifests::list(objects);
    let answer = kubectl
        .run_with(
            &["apply", "--server-side", "--dry-run=server", "-f", "-"],
            &manifest,
        )
        .succeeds();
    assert_eq!(answer.stderr, "");
    assert_eq!(answer.stdout.lines().count(), 11, "{}", answer.told());
}

pub(crate) fn the_role_can_read_what_verdicts_need_and_nothing_else() {
    let kubectl = &servers::with(Crds::Ours).kubectl;
    let rules: Vec<_> = manifests::base(kubectl)
        .into_iter()
        .filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Role")))
        .map(|mut role| role["rules"].take())
        .collect();
    let kinds = ["cassandraclusters", "cassandrabackups", "cassandrarestores"];
    let expected = [
        json!([
            {"apiGroups": ["db.orange.com"], "resources": kinds, "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
        ]),
        json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]),
    ];
    assert_eq!(rules, expected);
}

pub(crate) fn the_overlay_self_managed_is_accepted_without_a_warning() {
    let kubectl = &servers::with(Crds::Ours).kubectl;
    let objects = manifests::overlay(kubectl, "self-managed");
    let base = manifests::base(kubectl);
    assert_eq!(objects.len(), base.len() + 5);
    let deployment = objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"], Value::Null);
    assert_eq!(pod["containers"][0]["volumeMounts"], Value::Null);
    let answer = kubectl
        .run_with(
            &["apply", "--server-side", "--dry-run=server", "-f", "-"],
            &manifests::list(objects),
        )
        .succeeds();
    assert_eq!(answer.stderr, "");
}

pub(crate) fn the_overlay_self_managed_gives_rights_on_three_objects_by_name() {
    let kubectl = &servers::with(Crds::Ours).kubectl;
    let shipped = manifests::base(kubectl);
    let added: Vec<Value> = manifests::overlay(kubectl, "self-managed")
        .into_iter()
        .filter(|object| object["kind"].as_str().unwrap().ends_with("Role"))
        .filter(|object| {
            shipped
                .iter()
                .all(|base| base["metadata"]["name"] != object["metadata"]["name"])
        })
        .map(|mut role| role["rules"].take())
        .collect();
    let webhooks = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];
    let expected = [
        json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["cassgate-ca"], "verbs": ["get", "update"]}]),
        json!([{
            "apiGroups": ["admissionregistration.k8s.io"], "resources": webhooks,
            "resourceNames": ["cassgate"], "verbs": ["get", "patch"],
        }]),
    ];
    assert_eq!(added, expected);
}

/// Secret as a file, and the rest of the command line as it stands there.
pub(crate) fn the_deployment_runs() {
    let servers = servers::with(Crds::Casskop);
    let deployment = manifests::base(&servers.kubectl)
        .into_iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let tls = fresh_directory("mounted");
    make_pair(&tls);
    let replace = |argument: &Value| {
        let argument = argument.as_str().unwrap();
        argument
            .replace("0.0.0.0:8443", "127.0.0.1:0")
            .replace("0.0.0.0:8080", "127.0.0.1:0")
            .replace(
                pod["containers"][0]["volumeMounts"][0]["mountPath"]
                    .as_str()
                    .unwrap(),
                &tls.display().to_string(),
            )
    };
    let arguments: Vec<String> = pod["containers"][0]["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(replace)
        .collect();
    let kubeconfig = servers.gate_kubeconfig().display().to_string();
    let mut gate = Gate::start_as(&arguments, &kubeconfig, &tls);
    gate.wait_until_ready();
    for probe in ["livenessProbe", "readinessProbe"] {
        let path = pod["containers"][0][probe]["httpGet"]["path"].as_str().unwrap();
        assert_eq!(gate.get(path).status, 200, "{probe}");
    }
    assert_eq!(gate.stop().code(), Some(0), "{}", gate.log());
}

/// An upgrade is `kubectl apply` of the next base: it must not take the CA away.
pub(crate) fn a_ca_that_was_patched_in_survives_the_next_apply() {
    let kubectl = &servers::with(Crds::Ours).kubectl;
    let mut shipped = manifests::webhooks(kubectl, &["nowhere"], "127.0.0.1:9", "");
    for configuration in &mut shipped {
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            webhook["clientConfig"]
                .as_object_mut()
                .unwrap()
                .remove("caBundle");
        }
    }
    let manifest = manifests::list(shipped);
    kubectl.apply_server_side(&manifest).succeeds();
    let authority = STANDARD.encode(fs::read_to_string(make_pair(&fresh_directory("ca"))).unwrap());
    let patch =
        json!([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": authority}]).to_string();
    let name = "cassgate-nowhere";
    kubectl
        .run(&[
            "patch",
            "validatingwebhookconfiguration",
            name,
            "--type=json",
            "-p",
            &patch,
        ])
        .succeeds();
    kubectl.apply_server_side(&manifest).succeeds();
    let stored = kubectl.get("validatingwebhookconfiguration", name);
    assert_eq!(stored["webhooks"][0]["clientConfig"]["caBundle"], authority);
}
