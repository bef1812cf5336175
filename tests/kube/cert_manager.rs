//! Mode `files` with the real cert-manager, which issues and renews certificates. Its cainjector fills the
//! `caBundle`, and the Secret is mounted the way kubelet mounts it.

use std::{path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;

use crate::support::{
    authority::{Watched, shown},
    gate::{Gate, fresh_directory},
    load::Load,
    manifests,
    objects::{backup, cluster, documents, secret},
    process_guard::GuardedProcess,
    repository,
    servers::Crds,
    stage::Stage,
    until,
    volume::Volume,
};

/// A namespace with the objects of the shipped overlay and a running cert-manager.
struct Place {
    stage: Stage,
    name: String,
    _cert_manager: GuardedProcess,
}

impl Place {
    fn new() -> Self {
        let stage = Stage::new(Crds::Ours);
        let name = format!("cassgate-{}", stage.namespace);
        let cert_manager = cert_manager(&stage);
        let mut objects = manifests::overlay(&stage.kubectl, "cert-manager");
        objects.retain(|object| {
            object["apiVersion"]
                .as_str()
                .is_some_and(|version| version.starts_with("cert-manager.io/"))
        });
        assert_eq!(objects.len(), 4, "{objects:?}");
        for object in &mut objects {
            object["metadata"]["namespace"] = json!(stage.namespace);
            if object["metadata"]["name"] == "cassgate" {
                // The webhook is called by address here, not through a Service.
                object["spec"]["ipAddresses"] = json!(["127.0.0.1"]);
            }
        }
        stage
            .servers
            .kubectl
            .apply_server_side(&manifests::list(objects))
            .succeeds();
        Self {
            stage,
            name,
            _cert_manager: cert_manager,
        }
    }

    /// Registers the shipped configurations of the overlay for this namespace, without a `caBundle`.
    fn register(&self, gate: &Gate) {
        let mut webhooks = manifests::webhooks_of(
            manifests::overlay(&self.stage.kubectl, "cert-manager"),
            &[&self.stage.namespace],
            &gate.webhook.to_string(),
        );
        let annotation = "cert-manager.io/inject-ca-from";
        for configuration in &mut webhooks {
            let annotations = &mut configuration["metadata"]["annotations"];
            assert_eq!(annotations[annotation], "cassgate-system/cassgate");
            annotations[annotation] = json!(format!("{}/cassgate", self.stage.namespace));
            // A failed review must fail the request, so that the test notices it.
            configuration["webhooks"][0]["failurePolicy"] = json!("Fail");
        }
        self.stage
            .servers
            .kubectl
            .apply_server_side(&manifests::list(webhooks))
            .succeeds();
    }

    /// Returns the certificate in this Secret.
    fn issued(&self, secret: &str) -> Option<CertificateDer<'static>> {
        let found = self.stage.kubectl.has("secret", secret).then(|| {
            let secret = self.stage.kubectl.get("secret", secret);
            secret["data"]["tls.crt"].as_str().unwrap_or_default().to_owned()
        })?;
        CertificateDer::from_pem_slice(&STANDARD.decode(found).unwrap()).ok()
    }

    /// Renews a certificate as `cmctl renew` does, and waits until the new one is in its Secret.
    fn renew(&self, certificate: &str, secret: &str) {
        let before = self.issued(secret);
        let now = Timestamp::now();
        let condition = json!({
            "type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "renewed by hand",
            "lastTransitionTime": format!("{now:.0}"),
        });
        let patch = json!({"status": {"conditions": [condition]}}).to_string();
        self.stage
            .kubectl
            .run(&[
                "patch",
                "certificate.cert-manager.io",
                certificate,
                "--subresource=status",
                "--type=merge",
                "-p",
                &patch,
            ])
            .succeeds();
        until("it is renewed", || {
            self.issued(secret).is_some_and(|issued| Some(issued) != before)
        });
    }

    fn bundles(&self) -> Vec<String> {
        Watched::new(&self.stage.servers.kubectl, &self.name).bundles()
    }
}

/// Starts cert-manager, built from its Go module, for this API server.
fn cert_manager(stage: &Stage) -> GuardedProcess {
    let script = repository().join("tests/servers/build.sh");
    let built = Command::new(&script).arg("cert-manager").output().unwrap();
    assert!(
        built.status.success(),
        "there is no cert-manager to test with:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let folder = String::from_utf8(built.stdout).unwrap();
    let folder = Path::new(folder.trim());
    let kubectl = &stage.servers.kubectl;
    let crds = folder.join("crds").display().to_string();
    kubectl.run(&["apply", "--server-side", "-f", &crds]).succeeds();
    kubectl
        .run(&[
            "wait",
            "--for=condition=Established",
            "crd",
            "--all",
            "--timeout=60s",
        ])
        .succeeds();
    let kubeconfig = stage.servers.admin_kubeconfig().display().to_string();
    let program = folder.join("cert-manager").display().to_string();
    GuardedProcess::start(&program, &["-kubeconfig".to_owned(), kubeconfig], &[])
}

pub(crate) fn ten_renewals_by_cert_manager_under_load_lose_no_review() {
    let place = Place::new();
    let Stage { servers, kubectl, .. } = &place.stage;
    let volume = Volume::mount(servers, &place.stage.namespace, "cassgate-tls");
    let gate = gate(&place, &volume);
    place.register(&gate);
    until("the caBundle is injected", || {
        place.bundles().iter().all(|bundle| !bundle.is_empty())
    });

    // The first kubectl apply gets an answer.
    until("the webhook is called", || {
        let bad = kubectl.run_with(
            &["create", "--dry-run=server", "-f", "-"],
            &backup("bad", "entities: k1,k2.t2"),
        );
        bad.stderr.contains("[cassgate entities-mixed]")
    });
    kubectl
        .apply(&documents(&[cluster(), secret(), backup("good", "")]))
        .succeeds();
    assert!(kubectl.has("cassandrabackup", "good"));

    let load = Load::start(&place.stage, &place.name, &[gate.webhook]);
    load.goes_on_for(200);
    for renewal in 1..=10 {
        match renewal {
            // The authority keeps its key, as the overlay renews it.
            4 => place.renew("cassgate-authority", "cassgate-authority"),
            // The authority gets a new key, as the overlay's comment describes.
            7 => {
                let before = place.issued("cassgate-authority");
                kubectl
                    .run(&["delete", "secret", "cassgate-authority"])
                    .succeeds();
                until("there is a new authority", || {
                    place
                        .issued("cassgate-authority")
                        .is_some_and(|issued| Some(issued) != before)
                });
            }
            _ => {}
        }
        place.renew("cassgate", "cassgate-tls");
        let issued = place.issued("cassgate-tls");
        until("it is served", || {
            let bundle = place.bundles().concat();
            shown(gate.webhook, &bundle).unwrap().first() == issued.as_ref()
        });
        load.goes_on_for(100);
    }
    let (reviews, failed) = load.stop();
    println!("{reviews} reviews through ten renewals, {} failed", failed.len());
    assert_eq!(failed, Vec::<String>::new(), "{}", gate.log());
    assert!(reviews >= 10 * 200, "{reviews}");
    let swapped = r#"cassgate_tls_reloads_total{outcome="swapped"} 10"#;
    let metrics = gate.get("/metrics").body;
    assert!(metrics.lines().any(|line| line == swapped), "{metrics}");
    // The bundle holds both authorities, so certificates of the former one stay valid.
    for bundle in place.bundles() {
        assert!(bundle.matches("BEGIN CERTIFICATE").count() >= 2, "{bundle}");
    }
    gate.stop_well().unwrap();
}

fn gate(place: &Place, volume: &Volume) -> Gate {
    let arguments = [
        "run",
        "--listen=127.0.0.1:0",
        "--admin-listen=127.0.0.1:0",
        "--tls=files",
        &format!("--tls-dir={}", volume.path().display()),
        "--tls-reload-interval=1s",
        "--executor=none",
        "--log-format=json",
        "--shutdown-delay=0s",
    ];
    let kubeconfig = place.stage.servers.gate_kubeconfig().display().to_string();
    let gate = Gate::start_as(
        &arguments.map(ToString::to_string),
        &kubeconfig,
        &fresh_directory("gate"),
    );
    gate.wait_until_ready();
    gate
}
