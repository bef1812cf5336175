//! Mode `self` on a real API server: replicas that share an authority and maintain the `caBundle` themselves.
//!
//! Each test has the rights of the shipped overlay, for a Secret and two configurations of its own.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    authority::{Watched, shown},
    deployment::command_line,
    gate::{Gate, fresh_directory},
    load::Load,
    manifests,
    objects::{backup, documents},
    servers::Crds,
    stage::Stage,
    until,
};

/// A namespace, its own Secret, its own two configurations, and the shipped rights on those.
struct Place {
    stage: Stage,
    /// The name of both configurations and of the Role's objects.
    name: String,
}

impl Place {
    fn new() -> Self {
        let stage = Stage::new(Crds::Ours);
        let name = format!("cassgate-{}", stage.namespace);
        let kubectl = &stage.servers.kubectl;
        let mut objects = manifests::overlay(kubectl, "self-managed");
        objects.retain(|object| {
            let name = object["metadata"]["name"].as_str().unwrap();
            ["cassgate-ca", "cassgate-authority", "cassgate-ca-bundle"].contains(&name)
        });
        assert_eq!(objects.len(), 5, "{objects:?}");
        for object in &mut objects {
            let kind = object["kind"].as_str().unwrap().to_owned();
            if kind.starts_with("Cluster") {
                object["metadata"]["name"] = json!(format!("{name}-ca-bundle"));
            } else {
                object["metadata"]["namespace"] = json!(stage.namespace);
            }
            match kind.as_str() {
                "ClusterRole" => object["rules"][0]["resourceNames"] = json!([name]),
                "ClusterRoleBinding" => object["roleRef"]["name"] = json!(format!("{name}-ca-bundle")),
                _ => {}
            }
        }
        kubectl.apply_server_side(&manifests::list(objects)).succeeds();
        Self { stage, name }
    }

    fn start(&self, flags: &[&str]) -> Gate {
        let own = [
            "run".to_owned(),
            "--listen=127.0.0.1:0".to_owned(),
            "--admin-listen=127.0.0.1:0".to_owned(),
            "--tls=self".to_owned(),
            format!("--tls-self-namespace={}", self.stage.namespace),
            format!("--tls-self-webhooks={}", self.name),
            "--tls-self-name=127.0.0.1".to_owned(),
            "--executor=none".to_owned(),
            "--log-format=json".to_owned(),
            "--shutdown-delay=0s".to_owned(),
        ];
        let arguments: Vec<String> = own
            .into_iter()
            .chain(flags.iter().map(ToString::to_string))
            .collect();
        let kubeconfig = self.stage.servers.gate_kubeconfig().display().to_string();
        Gate::start_as(&arguments, &kubeconfig, &fresh_directory("self"))
    }

    /// Registers the shipped configurations without a `caBundle`, as they are before cassgate runs.
    fn register(&self, address: &str) {
        let base = manifests::base(&self.stage.kubectl);
        let mut webhooks = manifests::webhooks_of(base, &[&self.stage.namespace], address);
        for configuration in &mut webhooks {
            // A failed review must fail the request, on the mutating side too.
            configuration["webhooks"][0]["failurePolicy"] = json!("Fail");
        }
        let manifest = manifests::list(webhooks);
        self.stage.servers.kubectl.apply_server_side(&manifest).succeeds();
    }

    fn configuration(&self, kind: &str) -> Value {
        let command = ["get", kind, &self.name, "--show-managed-fields", "--output=json"];
        let answer = self.stage.servers.kubectl.run(&command).succeeds();
        serde_json::from_str(&answer.stdout).unwrap()
    }

    /// Returns the client that uses the published bundle.
    fn watched(&self) -> Watched<'_> {
        Watched::new(&self.stage.servers.kubectl, &self.name)
    }

    /// Returns the distinct `caBundle` texts.
    fn bundles(&self) -> BTreeSet<String> {
        self.watched().bundles().into_iter().collect()
    }

    fn secret_keys(&self) -> Vec<String> {
        let secret = self.stage.kubectl.get("secret", "cassgate-ca");
        let data = secret["data"].as_object();
        data.into_iter().flatten().map(|(key, _)| key.clone()).collect()
    }

    /// Creates invalid backups as dry runs, and returns kubectl's output if it is not the verdict.
    fn create(&self) -> Result<(), String> {
        let bad: Vec<String> = (0..REVIEWS)
            .map(|number| backup(&format!("probe-{number}"), "entities: k1,k2.t2"))
            .collect();
        let command = ["create", "--dry-run=server", "-f", "-"];
        let answer = self.stage.kubectl.run_with(&command, &documents(&bad));
        // The rule id proves that the webhook was called and its certificate accepted.
        if answer.stderr.matches("[cassgate entities-mixed]").count() == REVIEWS {
            Ok(())
        } else {
            Err(answer.stderr)
        }
    }
}

/// Number of reviews that one kubectl call causes.
const REVIEWS: usize = 20;

pub(crate) fn the_overlays_command_line_starts() {
    let place = Place::new();
    let deployment = manifests::overlay(&place.stage.kubectl, "self-managed")
        .into_iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    let mut arguments = command_line(&deployment);
    arguments.push(format!("--tls-self-namespace={}", place.stage.namespace));
    arguments.push(format!("--tls-self-webhooks={}", place.name));
    place.register("127.0.0.1:9");
    let kubeconfig = place.stage.servers.gate_kubeconfig().display().to_string();
    let gate = Gate::start_as(&arguments, &kubeconfig, &fresh_directory("self"));
    gate.wait_until_ready();
    gate.stop_well().unwrap();
}

pub(crate) fn an_empty_secret_and_two_configurations_are_sufficient() {
    let place = Place::new();
    let gate = place.start(&[]);
    assert_eq!(gate.readyz().status, 503);
    place.register(&gate.webhook.to_string());
    gate.wait_until_ready();
    assert_eq!(place.secret_keys(), ["ca.crt", "ca.key"]);
    assert_eq!(place.bundles().len(), 1, "all of them are the same");
    until("the webhook is called", || place.create().is_ok());
    let metrics = gate.get("/metrics").body;
    for series in [
        "cassgate_tls_authority_not_after_seconds",
        "cassgate_tls_ca_bundle_vouches{webhooks=\"mutating\"} 1",
        "cassgate_tls_ca_bundle_vouches{webhooks=\"validating\"} 1",
    ] {
        assert!(metrics.contains(series), "{series} is not in {metrics}");
    }

    // Only its own field, under a field manager of its own.
    let stored = place.configuration("validatingwebhookconfiguration");
    let managed = stored["metadata"]["managedFields"].as_array().unwrap();
    let ours = managed
        .iter()
        .find(|entry| entry["manager"] == "cassgate-ca-bundle")
        .unwrap();
    let fields = &ours["fieldsV1"]["f:webhooks"]["k:{\"name\":\"validate.cassgate.db.orange.com\"}"];
    assert_eq!(
        fields,
        &json!({".": {}, "f:name": {}, "f:clientConfig": {"f:caBundle": {}}})
    );

    // An upgrade applies the same manifests again.
    let bundles = place.bundles();
    place.register(&gate.webhook.to_string());
    assert_eq!(place.bundles(), bundles);
    gate.stop_well().unwrap();
}

pub(crate) fn two_replicas_share_one_authority() {
    let place = Place::new();
    place.register("127.0.0.1:9");
    let (one, two) = (place.start(&[]), place.start(&[]));
    one.wait_until_ready();
    two.wait_until_ready();
    let bundles = place.bundles();
    assert_eq!(bundles.len(), 1, "all of them are the same");
    let bundle = bundles.first().unwrap();
    assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 1, "{bundle}");
    for gate in [&one, &two] {
        shown(gate.webhook, bundle).unwrap();
    }
    one.stop_well().unwrap();
    two.stop_well().unwrap();
}

/// Certificates of twenty seconds and authorities of sixty, under continuous load, with a replica killed and another
/// one started in each rotation.
pub(crate) fn authorities_rotate_under_load_while_replicas_are_killed() {
    let short = ["--tls-self-leaf-lifetime=20s", "--tls-self-ca-lifetime=60s"];
    let place = Place::new();
    let one = place.start(&short);
    place.register(&one.webhook.to_string());
    let mut two = place.start(&short);
    one.wait_until_ready();
    two.wait_until_ready();
    until("the webhook is called", || place.create().is_ok());

    let load = Load::start(&place.stage, &place.name, &[one.webhook, two.webhook]);
    let seen = rotate_twice(&place, &load, &one, &mut two, &short);
    let (reviews, failed) = load.stop();
    println!(
        "{reviews} reviews, {} failed; {} certificates; {} handshakes, {} failed",
        failed.len(),
        seen.certificates.len(),
        seen.handshakes,
        seen.refused.len(),
    );
    assert_eq!(failed, Vec::<String>::new(), "{}\n{}", one.log(), two.log());
    assert_eq!(seen.refused, Vec::<String>::new(), "{}\n{}", one.log(), two.log());
    assert!(reviews >= seen.certificates.len() * 100, "{reviews}");
    let expected = [
        vec!["ca.crt", "ca.key"],
        vec!["ca.crt", "ca.key", "next.crt", "next.key"],
        vec!["ca.crt", "ca.key", "previous.crt"],
    ];
    for stage in expected {
        assert!(
            seen.stages.iter().any(|seen| *seen == stage),
            "{stage:?} is not in {:?}",
            seen.stages
        );
    }
    one.stop_well().unwrap();
    two.stop_well().unwrap();
}

/// Observations during two rotations.
#[derive(Default)]
struct Rotated {
    /// Handshakes with each of three bundles, to each of two replicas.
    handshakes: usize,
    refused: Vec<String>,
    /// The contents of the Secret.
    stages: BTreeSet<Vec<String>>,
    /// The served certificates.
    certificates: BTreeSet<Vec<u8>>,
}

/// Performs handshakes with both replicas through two rotations and ten renewals.
fn rotate_twice(place: &Place, load: &Load, one: &Gate, two: &mut Gate, flags: &[&str]) -> Rotated {
    let watched = place.watched();
    let authority = || place.stage.kubectl.get("secret", "cassgate-ca")["data"]["ca.crt"].clone();
    let mut seen = Rotated::default();
    let (mut rotations, mut current, mut killed_in) = (0, authority(), Value::Null);
    // The first certificate of each of the two replicas is not a renewal, nor is that of a started one.
    while rotations < 2 || seen.certificates.len() < 10 + 2 + 2 {
        match watched.check(&[one.webhook, two.webhook]) {
            Ok(served) => seen.certificates.extend(served),
            Err(why) => seen.refused.push(why),
        }
        seen.handshakes += 6;
        let keys = place.secret_keys();
        if keys.contains(&"next.crt".to_owned()) && killed_in != current {
            // In the middle of a rotation the next authority is known and signs nothing yet. Requests in flight on a
            // killed replica are lost, and the certificates are not at fault.
            load.aim_at(&[one.webhook]);
            two.kill();
            *two = place.start(flags);
            two.wait_until_ready();
            load.aim_at(&[one.webhook, two.webhook]);
            killed_in.clone_from(&current);
        }
        seen.stages.insert(keys);
        let now = authority();
        if now != current {
            rotations += 1;
            current = now;
        }
        load.goes_on_for(20);
    }
    seen
}

pub(crate) fn a_secret_that_is_emptied_corrupted_or_deleted_loses_no_review() {
    let short = ["--tls-self-leaf-lifetime=60s", "--tls-self-ca-lifetime=1h"];
    let place = Place::new();
    let one = place.start(&short);
    let two = place.start(&short);
    place.register(&one.webhook.to_string());
    one.wait_until_ready();
    two.wait_until_ready();
    until("the webhook is called", || place.create().is_ok());
    let kubectl = &place.stage.kubectl;
    let watched = place.watched();
    let mended = || {
        watched.check(&[one.webhook, two.webhook]).unwrap();
        assert_eq!(place.create(), Ok(()), "{}", one.log());
        place.secret_keys() == ["ca.crt", "ca.key"]
    };
    let certificate = || kubectl.get("secret", "cassgate-ca")["data"]["ca.crt"].clone();
    for patch in [
        json!([{"op": "remove", "path": "/data"}]),
        json!([{"op": "replace", "path": "/data/ca.key", "value": STANDARD.encode("noise")}]),
    ] {
        let before = certificate();
        kubectl
            .run(&[
                "patch",
                "secret",
                "cassgate-ca",
                "--type=json",
                "-p",
                &patch.to_string(),
            ])
            .succeeds();
        until("it is mended", || mended() && certificate() != before);
    }
    kubectl.run(&["delete", "secret", "cassgate-ca"]).succeeds();
    until("it is told", || one.log().contains("Secret does not exist"));
    assert_eq!(place.create(), Ok(()));
    assert_eq!(one.readyz().status, 200, "its certificate is good");
    let empty: Vec<Value> = manifests::overlay(kubectl, "self-managed")
        .into_iter()
        .filter(|object| object["kind"] == "Secret")
        .map(|mut secret| {
            secret["metadata"]["namespace"] = json!(place.stage.namespace);
            secret
        })
        .collect();
    kubectl.apply_server_side(&manifests::list(empty)).succeeds();
    until("it is mended", mended);
    for gate in [one, two] {
        assert!(!gate.log().contains("PRIVATE KEY"));
        gate.stop_well().unwrap();
    }
}

pub(crate) fn a_secret_of_another_owner_is_kept_and_named() {
    let place = Place::new();
    place.register("127.0.0.1:9");
    let kubectl = &place.stage.kubectl;
    kubectl
        .run(&[
            "label",
            "secret",
            "cassgate-ca",
            "cassgate.db.orange.com/authority-",
        ])
        .succeeds();
    let theirs = json!({"data": {"password": STANDARD.encode("x")}}).to_string();
    kubectl
        .run(&["patch", "secret", "cassgate-ca", "-p", &theirs])
        .succeeds();
    let gate = place.start(&[]);
    until("it is told", || {
        gate.readyz().body.contains("so it is left alone")
    });
    assert_eq!(place.secret_keys(), ["password"]);
    gate.stop_well().unwrap();
}

/// The API server rejects a write with an old resource version, which the plan relies on.
pub(crate) fn a_concurrently_changed_configuration_is_not_overwritten() {
    let place = Place::new();
    place.register("127.0.0.1:9");
    let stored = place.configuration("validatingwebhookconfiguration");
    let apply = |version: &Value| {
        let webhook = json!({"name": "validate.cassgate.db.orange.com", "clientConfig": {"caBundle": ""}});
        let applied = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": place.name, "resourceVersion": version}, "webhooks": [webhook],
        });
        let command = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=test",
            "-f",
            "-",
        ];
        place
            .stage
            .servers
            .kubectl
            .run_with(&command, &applied.to_string())
    };
    let version = stored["metadata"]["resourceVersion"].clone();
    place
        .stage
        .servers
        .kubectl
        .run(&[
            "label",
            "validatingwebhookconfiguration",
            &place.name,
            "changed=meanwhile",
        ])
        .succeeds();
    apply(&version).refused_with(&["the object has been modified"]);
    let version =
        place.configuration("validatingwebhookconfiguration")["metadata"]["resourceVersion"].clone();
    apply(&version).succeeds();
}
