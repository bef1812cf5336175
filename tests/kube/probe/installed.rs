//! A cassgate behind a Service of a real API server, and what `cassgate probe` prints about it.

use std::{
    net::SocketAddr,
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    gate::{Gate, fresh_directory},
    manifests,
    servers::Crds,
    stage::Stage,
};

/// Maximum number of attempts: the API server needs a moment to use changed webhooks.
pub(super) const ATTEMPTS: usize = 300;

/// A cassgate behind a Service, and the webhooks that call it.
pub(super) struct Installed {
    pub(super) stage: Stage,
    pub(super) gate: Gate,
}

/// The output of a probe.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Output {
    /// Returns the line of one hop, without its name.
    pub(super) fn hop(&self, name: &str) -> &str {
        let line = self.stdout.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {self:#?}"));
        line[name.len()..].trim_start()
    }
}

/// Returns an address of the loopback interface that no other Service of these tests uses.
fn service_address(stage: &Stage) -> String {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let range = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": {"name": "loopback"}, "spec": {"cidrs": ["127.77.0.0/16"]},
    });
    stage
        .servers
        .kubectl
        .apply_server_side(&range.to_string())
        .succeeds();
    format!("127.77.1.{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Installed {
    /// Installs a cassgate that listens on a Service's address, with a certificate for the Service's name.
    pub(super) fn new(flags: &[&str]) -> Self {
        let stage = Stage::new(Crds::Ours);
        let name = format!("--tls-dev-name=cassgate.{}.svc", stage.namespace);
        let installed = Self::with(stage, &[&["--tls=dev", name.as_str()], flags].concat());
        installed.gate.wait_until_ready();
        installed
    }

    /// The same with these certificate flags; it may never become ready.
    pub(super) fn with(stage: Stage, flags: &[&str]) -> Self {
        let address = service_address(&stage);
        let directory = fresh_directory("probe");
        let (listen, tls) = (
            format!("--listen={address}:0"),
            format!("--tls-dir={}", directory.display()),
        );
        let fixed = [
            "run",
            "--admin-listen=127.0.0.1:0",
            "--log-format=json",
            "--shutdown-delay=0s",
            listen.as_str(),
        ];
        let own_files = flags.iter().any(|flag| flag.starts_with("--tls-dir="));
        let arguments: Vec<String> = fixed
            .into_iter()
            .chain((!own_files).then_some(tls.as_str()))
            .chain(flags.iter().copied())
            .map(str::to_owned)
            .collect();
        let kubeconfig = stage.servers.gate_kubeconfig().display().to_string();
        let gate = Gate::start_as(&arguments, &kubeconfig, &directory);
        let installed = Self { stage, gate };
        installed.serve(installed.gate.webhook, true);
        if !own_files {
            installed.register(|_| {});
        }
        installed
    }

    /// Creates the Service with one endpoint. The endpoint's address is never used; loopback is not a valid endpoint
    /// address.
    pub(super) fn serve(&self, at: SocketAddr, ready: bool) {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "cassgate"},
            "spec": {"clusterIP": at.ip().to_string(), "ports": [{"name": "webhook", "port": at.port()}]},
        });
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "cassgate-1", "labels": {"kubernetes.io/service-name": "cassgate"}},
            "addressType": "IPv4", "ports": [{"name": "webhook", "port": 8443}],
            "endpoints": [{"addresses": ["192.0.2.1"], "conditions": {"ready": ready}}],
        });
        let objects = manifests::list(vec![service, slice]);
        self.stage.kubectl.apply_server_side(&objects).succeeds();
    }

    /// Returns the name of the webhook configurations.
    pub(super) fn webhooks(&self) -> String {
        format!("cassgate-{}", self.stage.namespace)
    }

    /// Registers the shipped webhooks for the Service after applying `change`.
    pub(super) fn register(&self, change: impl Fn(&mut Value)) {
        self.register_with(&self.gate.ca_bundle(), change);
    }

    pub(super) fn register_with(&self, ca_bundle: &str, change: impl Fn(&mut Value)) {
        let stage = &self.stage;
        let mut shipped = manifests::base(&stage.kubectl);
        shipped.retain(|object| object["kind"].as_str().unwrap().ends_with("WebhookConfiguration"));
        let narrow =
            json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": [stage.namespace]});
        for configuration in &mut shipped {
            configuration["metadata"]["name"] = json!(self.webhooks());
            for webhook in configuration["webhooks"].as_array_mut().unwrap() {
                let client = &mut webhook["clientConfig"];
                client["caBundle"] = json!(ca_bundle);
                client["service"]["namespace"] = json!(stage.namespace);
                client["service"]["port"] = json!(self.gate.webhook.port());
                let selector = &mut webhook["namespaceSelector"]["matchExpressions"];
                selector.as_array_mut().unwrap().push(narrow.clone());
                change(webhook);
            }
        }
        let objects = manifests::list(shipped);
        stage.servers.kubectl.apply_server_side(&objects).succeeds();
    }

    pub(super) fn probe(&self, more: &[&str]) -> Output {
        probe(
            &self.stage,
            &[
                &[
                    "--webhooks",
                    &self.webhooks(),
                    "--namespace",
                    &self.stage.namespace,
                ],
                more,
            ]
            .concat(),
        )
    }

    /// Probes until the line of this hop begins with `begins`, and returns the whole output.
    pub(super) fn until(&self, hop: &str, begins: &str) -> Output {
        let mut printed = self.probe(&[]);
        for _ in 0..ATTEMPTS {
            if printed.hop(hop).starts_with(begins) {
                return printed;
            }
            thread::sleep(Duration::from_millis(50));
            printed = self.probe(&[]);
        }
        panic!(
            "{hop} never is {begins:?}, but: {printed:#?}\n{}",
            self.gate.log()
        );
    }

    /// Probes until exactly these hops are broken, this one with these words.
    #[track_caller]
    pub(super) fn is_broken(&self, hop: &str, words: &[&str]) -> Output {
        let printed = self.until(hop, "broken");
        for text in words {
            assert!(printed.hop(hop).contains(text), "{text:?} is not in {printed:#?}");
        }
        assert_eq!(printed.code, 1, "{printed:#?}");
        let last = printed.stdout.lines().last().unwrap();
        assert_eq!(
            last,
            format!(
                "The path to cassgate is broken in namespace {}: {hop}.",
                self.stage.namespace
            ),
            "{printed:#?}"
        );
        printed
    }
}

pub(super) fn probe(stage: &Stage, arguments: &[&str]) -> Output {
    probe_as(&stage.servers.admin_kubeconfig().display().to_string(), arguments)
}

pub(super) fn probe_as(kubeconfig: &str, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_cassgate"))
        .arg("probe")
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap();
    Output {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
