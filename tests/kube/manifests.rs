//! The shipped manifests on a real API server.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    deployment::command_line,
    gate::{Gate, fresh_directory},
    manifests, repository,
    servers::{self, Crds},
    stage::Stage,
    tls::make_pair,
};

/// The kinds of cert-manager and prometheus-operator, without their schemas.
const FOREIGN_CRDS: &str = include_str!("foreign-crds.yaml");

/// Every overlay that contains the base, with the number of additional objects.
const OVERLAYS: [(&str, isize); 5] = [
    ("cert-manager", 4),
    ("executor", 6),
    ("monitoring", 4),
    ("namespaced-secrets", -1),
    ("self-managed", 5),
];

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
            "NetworkPolicy",
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ]
    );
    // The namespace exists and enforces the restricted profile, so a pod that needs more would cause a warning here.
    let manifest = manifests::list(objects);
    let answer = kubectl
        .run_with(
            &["apply", "--server-side", "--dry-run=server", "-f", "-"],
            &manifest,
        )
        .succeeds();
    assert_eq!(answer.stderr, "");
    assert_eq!(answer.stdout.lines().count(), 12, "{}", answer.transcript());
}

pub(crate) fn the_role_has_exactly_the_rights_that_verdicts_need() {
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
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
        ]),
        json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]),
    ];
    assert_eq!(rules, expected);
}

/// [`FOREIGN_CRDS`] replaces the kinds of other projects that an overlay needs.
pub(crate) fn every_overlay_is_accepted_without_a_warning() {
    let kubectl = &servers::with(Crds::Casskop).kubectl;
    for mut crd in serde_saphyr::from_multiple::<Value>(FOREIGN_CRDS).unwrap() {
        let name = crd["metadata"]["name"].as_str().unwrap().to_owned();
        if !kubectl.has("crd", &name) {
            kubectl
                .apply_server_side(&manifests::list(vec![crd.take()]))
                .succeeds();
        }
        let established = [
            "wait",
            "--for=condition=Established",
            "crd",
            &name,
            "--timeout=60s",
        ];
        kubectl.run(&established).succeeds();
    }
    let base = manifests::base(kubectl).len();
    for (overlay, more) in OVERLAYS {
        let objects = manifests::overlay(kubectl, overlay);
        assert_eq!(objects.len().wrapping_sub(base).cast_signed(), more, "{overlay}");
        let answer = kubectl
            .run_with(
                &["apply", "--server-side", "--dry-run=server", "-f", "-"],
                &manifests::list(objects),
            )
            .succeeds();
        assert_eq!(answer.stderr, "", "{overlay}");
    }
}

/// Objects for a single namespace are applied in that namespace.
pub(crate) fn namespaced_objects_are_accepted_without_a_warning() {
    let stage = Stage::new(Crds::Casskop);
    for folder in [
        "namespaced-secrets/binding",
        "executor/casskop",
        "executor/cassandra",
    ] {
        let folder = repository().join("manifests/components").join(folder);
        let folder = folder.display().to_string();
        let answer = stage
            .kubectl
            .run(&["apply", "--server-side", "-k", &folder])
            .succeeds();
        assert_eq!(answer.stderr, "", "{folder}");
        assert_eq!(answer.stdout.lines().count(), 1, "{}", answer.transcript());
    }
    // CassKop's role is bound as its chart binds it.
    let kubectl = stage.servers.kubectl.in_namespace(&stage.namespace);
    kubectl.run(&["create", "serviceaccount", "casskop"]).succeeds();
    let account = format!("--serviceaccount={}:casskop", stage.namespace);
    kubectl
        .run(&["create", "rolebinding", "casskop", "--role=casskop", &account])
        .succeeds();
    let casskop = format!("--as=system:serviceaccount:{}:casskop", stage.namespace);
    let may = |verb: &str, resource: &str| {
        let answer = kubectl.run(&["auth", "can-i", verb, resource, &casskop]);
        match answer.stdout.trim() {
            "yes" => true,
            "no" => false,
            _ => panic!("{}", answer.transcript()),
        }
    };
    for kind in [
        "cassandrabackups.db.orange.com",
        "cassandrarestores.db.orange.com",
    ] {
        for verb in ["get", "list", "watch"] {
            assert!(may(verb, kind), "{verb} {kind}");
        }
        for verb in ["create", "update", "patch", "delete", "deletecollection"] {
            assert!(!may(verb, kind), "{verb} {kind}");
        }
        let (plural, group) = kind.split_once('.').unwrap();
        assert!(!may("patch", &format!("{plural}.{group}/status")), "{kind}");
    }
    assert!(may("update", "cassandraclusters.db.orange.com"));
    // This namespace allows cassgate to read Secrets, whatever the cluster role allows.
    let cassgate = kubectl.get("rolebinding", "cassgate-secrets");
    assert_eq!(cassgate["subjects"][0]["namespace"], "cassgate-system");
}

/// A tool that compares stored objects with shipped ones finds a difference only in `caBundle`.
pub(crate) fn the_api_server_adds_no_defaults_to_the_webhook_configurations() {
    let kubectl = &servers::with(Crds::Casskop).kubectl;
    let shipped = manifests::webhooks(kubectl, &["filled"], "127.0.0.1:9", "");
    for mut shipped in shipped {
        for webhook in shipped["webhooks"].as_array_mut().unwrap() {
            webhook["clientConfig"]
                .as_object_mut()
                .unwrap()
                .remove("caBundle");
        }
        let command = [
            "apply",
            "--server-side",
            "--dry-run=server",
            "-o",
            "json",
            "-f",
            "-",
        ];
        let answer = kubectl.run_with(&command, &shipped.to_string()).succeeds();
        let stored: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert_eq!(stored["webhooks"], shipped["webhooks"]);
    }
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

/// Runs the container's command line, with the mounted Secret as a folder.
pub(crate) fn the_deployments_command_line_starts() {
    let servers = servers::with(Crds::Casskop);
    let deployment = manifests::base(&servers.kubectl)
        .into_iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let mount = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
    let tls = fresh_directory("mounted");
    make_pair(&tls);
    let arguments: Vec<String> = command_line(&deployment)
        .iter()
        .map(|argument| argument.replace(mount, &tls.display().to_string()))
        .collect();
    let kubeconfig = servers.gate_kubeconfig().display().to_string();
    let mut gate = Gate::start_as(&arguments, &kubeconfig, &tls);
    gate.wait_until_ready();
    for probe in ["livenessProbe", "readinessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        assert_eq!(gate.get(path).status, 200, "{probe}");
    }
    assert_eq!(gate.stop().code(), Some(0), "{}", gate.log());
}

/// An upgrade is `kubectl apply` of the next base: it must not remove the CA.
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
