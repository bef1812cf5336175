//! `cassgate probe`: each hop of the path is broken once, on a real Service of a real API server.
//!
//! No kube-proxy is needed: the Services get addresses from a range on the loopback interface, and cassgate listens
//! on the address and port of its Service.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    gate::{Gate, fresh_directory},
    manifests,
    servers::Crds,
    stage::Stage,
    tls::{make_expired_pair, make_pair},
};

/// Maximum number of attempts: the API server needs a moment to use changed webhooks.
const ATTEMPTS: usize = 300;

/// A cassgate behind a Service, and the webhooks that call it.
struct Installed {
    stage: Stage,
    gate: Gate,
}

/// The output of a probe.
#[derive(Debug)]
struct Output {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Output {
    /// Returns the line of one hop, without its name.
    fn hop(&self, name: &str) -> &str {
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
    fn new(flags: &[&str]) -> Self {
        let stage = Stage::new(Crds::Ours);
        let name = format!("--tls-dev-name=cassgate.{}.svc", stage.namespace);
        let installed = Self::with(stage, &[&["--tls=dev", name.as_str()], flags].concat());
        installed.gate.wait_until_ready();
        installed
    }

    /// The same with these certificate flags; it may never become ready.
    fn with(stage: Stage, flags: &[&str]) -> Self {
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
    fn serve(&self, at: SocketAddr, ready: bool) {
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
    fn webhooks(&self) -> String {
        format!("cassgate-{}", self.stage.namespace)
    }

    /// Registers the shipped webhooks for the Service after applying `change`.
    fn register(&self, change: impl Fn(&mut Value)) {
        self.register_with(&self.gate.ca_bundle(), change);
    }

    fn register_with(&self, ca_bundle: &str, change: impl Fn(&mut Value)) {
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

    fn probe(&self, more: &[&str]) -> Output {
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
    fn until(&self, hop: &str, begins: &str) -> Output {
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
    fn is_broken(&self, hop: &str, words: &[&str]) -> Output {
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

fn probe(stage: &Stage, arguments: &[&str]) -> Output {
    probe_as(&stage.servers.admin_kubeconfig().display().to_string(), arguments)
}

fn probe_as(kubeconfig: &str, arguments: &[&str]) -> Output {
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

pub(crate) fn a_good_path_is_reported_hop_by_hop() {
    let here = Installed::new(&[]);
    let printed = here.until("server", "ok");
    let (namespace, port) = (&here.stage.namespace, here.gate.webhook.port());
    let expected = format!(
        "\
configuration  ok       cassgate-{namespace}: default.cassgate.db.orange.com, validate.cassgate.db.orange.com, delete.cassgate.db.orange.com; namespace {namespace} is not exempt
ca             ok       the caBundle verifies the certificate of the server (one authority)
service        ok       Service {namespace}/cassgate, port {port}: 1 ready, 0 not ready
certificate    ok       the API server accepts the certificate of the server
server         ok       validate.cassgate.db.orange.com denies the bad object [schedule-malformed] and admits the good one; default.cassgate.db.orange.com sets concurrentConnections
The path to cassgate is good in namespace {namespace}.
"
    );
    assert_eq!(
        (printed.stdout.as_str(), printed.stderr.as_str(), printed.code),
        (expected.as_str(), "", 0)
    );
    let printed = here.probe(&["--format=json"]);
    let document: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(
        (document["good"].clone(), document["namespace"].clone()),
        (json!(true), json!(namespace))
    );
    assert_eq!(
        document["hops"][2],
        json!({"hop": "service", "state": "ok", "saw": format!("Service {namespace}/cassgate, port {port}: 1 ready, 0 not ready"), "todo": null})
    );
    let stored = here
        .stage
        .kubectl
        .run(&["get", "cassandrabackups", "--output=name"])
        .succeeds();
    assert_eq!(stored.stdout, "", "a probe stores nothing");
}

pub(crate) fn strict_dry_runs_are_not_a_broken_path() {
    let here = Installed::new(&["--missing-references-on-dry-run=deny"]);
    let printed = here.until("server", "ok");
    assert_eq!(printed.code, 0, "{printed:#?}");
    assert!(
        printed
            .hop("server")
            .contains("only for its missing references [cluster-not-found, secret-not-found]"),
        "{printed:#?}"
    );
}

pub(crate) fn absent_or_weakened_configurations_are_reported() {
    let here = Installed::new(&[]);
    here.until("server", "ok");
    let printed = probe(
        &here.stage,
        &["--namespace", &here.stage.namespace, "--webhooks=nobody"],
    );
    assert_eq!(printed.code, 1, "{printed:#?}");
    assert_eq!(
        printed.hop("configuration"),
        "broken   there are no webhook configurations named nobody; apply the manifests again, or name yours with --webhooks"
    );

    here.register(|webhook| webhook["rules"][0]["resources"] = json!(["cassandrabackups"]));
    here.is_broken(
        "configuration",
        &[
            "no rule of the MutatingWebhookConfiguration matches CREATE of cassandrarestores, UPDATE of cassandrarestores",
        ],
    );

    here.register(|webhook| webhook["failurePolicy"] = json!("Ignore"));
    here.is_broken(
        "configuration",
        &[
            "validate.cassgate.db.orange.com has failurePolicy Ignore",
            "--failure-policy=ignore",
        ],
    );
    assert_eq!(here.probe(&["--failure-policy=ignore"]).code, 0);

    here.register(|webhook| webhook["failurePolicy"] = json!("Fail"));
    here.is_broken(
        "configuration",
        &["delete.cassgate.db.orange.com has failurePolicy Fail: without cassgate no object can be deleted"],
    );

    here.register(|webhook| webhook["objectSelector"] = json!({"matchLabels": {"judge": "me"}}));
    let printed = here.until("configuration", "broken   default.cassgate");
    assert!(
        printed
            .hop("configuration")
            .contains("is called only for objects with judge=me"),
        "{printed:#?}"
    );
}

pub(crate) fn an_exempt_namespace_is_reported_with_its_label() {
    let here = Installed::new(&[]);
    here.until("server", "ok");
    let namespace = &here.stage.namespace;
    let label = "cassgate.db.orange.com/admission";
    here.stage
        .servers
        .kubectl
        .run(&["label", "namespace", namespace, &format!("{label}=disabled")])
        .succeeds();
    let printed = here.until("server", "unknown");
    assert_eq!(printed.code, 1, "{printed:#?}");
    assert!(
        printed.hop("configuration").starts_with(&format!(
            "broken   namespace {namespace} is exempt: default.cassgate.db.orange.com is called only where {label} notin (disabled)"
        )),
        "{printed:#?}"
    );
    assert!(
        printed
            .hop("configuration")
            .ends_with(&format!("kubectl label namespace {namespace} {label}-")),
        "{printed:#?}"
    );
    assert_eq!(
        printed.hop("server"),
        "unknown  the API server did not call it; see the configuration"
    );
    let printed = probe(
        &here.stage,
        &["--namespace=nowhere", "--webhooks", &here.webhooks()],
    );
    assert_eq!(printed.code, 1, "{printed:#?}");
    assert_eq!(
        printed.hop("configuration"),
        "broken   there is no namespace nowhere; name one with --namespace"
    );
}

pub(crate) fn a_ca_bundle_that_does_not_match_is_reported() {
    let here = Installed::new(&[]);
    here.until("server", "ok");
    let stranger = STANDARD.encode(fs::read(make_pair(&fresh_directory("stranger"))).unwrap());
    here.register_with(&stranger, |_| {});
    let printed = here.is_broken(
        "ca",
        &[
            "the caBundle of validate.cassgate.db.orange.com (one authority) does not verify the certificate of the server",
            "certificate signed by unknown authority",
            "cert-manager.io/inject-ca-from",
        ],
    );
    assert_eq!(
        printed.hop("certificate"),
        "unknown  no call reached the certificate"
    );
    assert_eq!(printed.hop("server"), "unknown  no call reached the server");

    here.register(|webhook| {
        webhook["clientConfig"]["caBundle"] = Value::Null;
    });
    here.until(
        "ca",
        "broken   the caBundle of validate.cassgate.db.orange.com (0 authorities)",
    );

    // Only the mutating webhook fails, which the API server does not report.
    here.register(|webhook| {
        if webhook["name"].as_str().unwrap().starts_with("default.") {
            webhook["clientConfig"]["caBundle"] = json!(stranger);
        }
    });
    let printed = here.until(
        "ca",
        "broken   the caBundle of default.cassgate.db.orange.com shares no authority",
    );
    assert!(
        printed
            .hop("server")
            .starts_with("broken   the mutating webhook was not called, or its answer was not used"),
        "{printed:#?}"
    );
}

pub(crate) fn a_service_without_endpoints_is_reported() {
    let mut here = Installed::new(&[]);
    here.until("server", "ok");
    let namespace = here.stage.namespace.clone();
    let at = here.gate.webhook;

    here.register(|webhook| webhook["clientConfig"]["service"]["port"] = json!(1));
    here.is_broken(
        "service",
        &[&format!(
            "the webhooks call port 1 of Service {namespace}/cassgate, which has {}",
            at.port()
        )],
    );
    here.register(|webhook| webhook["clientConfig"]["service"]["name"] = json!("elsewhere"));
    here.is_broken(
        "service",
        &[&format!("there is no Service elsewhere in namespace {namespace}")],
    );

    here.register(|_| {});
    here.serve(at, false);
    here.gate.stop();
    let printed = here.until("server", "broken   no answer");
    assert!(
        printed.hop("service").starts_with(&format!(
            "broken   Service {namespace}/cassgate has no ready endpoint (not ready: 1)"
        )),
        "{printed:#?}"
    );
    assert_eq!(
        printed.stdout.lines().last().unwrap(),
        format!("The path to cassgate is broken in namespace {namespace}: service, server.")
    );
}

pub(crate) fn a_certificate_with_a_wrong_name_or_time_is_reported() {
    let stage = Stage::new(Crds::Ours);
    let here = Installed::with(stage, &["--tls=dev"]);
    here.gate.wait_until_ready();
    here.is_broken(
        "certificate",
        &[
            "certificate is valid for localhost",
            &format!("not cassgate.{}.svc", here.stage.namespace),
            "issue one for SERVICE.NAMESPACE.svc",
        ],
    );

    let stage = Stage::new(Crds::Ours);
    let directory = fresh_directory("expired");
    let authority = make_expired_pair(&directory, &format!("cassgate.{}.svc", stage.namespace));
    let files = format!("--tls-dir={}", directory.display());
    let here = Installed::with(stage, &[&files]);
    here.register_with(&STANDARD.encode(fs::read(authority).unwrap()), |_| {});
    here.is_broken(
        "certificate",
        &["certificate has expired or is not yet valid", "renew it"],
    );
}

pub(crate) fn a_silent_or_foreign_server_is_reported() {
    let mut here = Installed::new(&[]);
    here.until("server", "ok");
    here.register(|webhook| webhook["clientConfig"]["service"]["path"] = json!("/nowhere"));
    let printed = here.is_broken("server", &["the answer is not that of a working cassgate"]);
    // The handshake succeeded, but that was not reported, so the hop is unknown.
    assert_eq!(
        printed.hop("certificate"),
        "unknown  no call reached the certificate"
    );

    here.register(|webhook| webhook["timeoutSeconds"] = json!(1));
    here.until("server", "ok");
    let at = here.gate.webhook;
    here.gate.stop();
    here.is_broken("server", &["no answer: ", "connection refused", "NetworkPolicy"]);

    let _takes_connections_and_never_answers = TcpListener::bind(at).unwrap();
    here.until(
        "server",
        "broken   no answer: failed to call webhook: Post \"https://cassgate",
    );
    let printed = here.probe(&[]);
    assert!(
        printed.hop("server").contains("deadline exceeded") || printed.hop("server").contains("timeout"),
        "{printed:#?}"
    );
}

pub(crate) fn an_unreadable_hop_is_unknown() {
    let here = Installed::new(&[]);
    here.until("server", "ok");
    let kubectl = &here.stage.kubectl;
    kubectl.run(&["create", "serviceaccount", "author"]).succeeds();
    let account = here.stage.servers.kubeconfig_of(&here.stage.namespace, "author");
    let account = account.display().to_string();
    let arguments = ["--namespace", &here.stage.namespace];
    let printed = probe_as(&account, &arguments);
    assert_eq!(printed.code, 1, "{printed:#?}");
    assert_eq!(
        printed.hop("server"),
        "unknown  your account may not create cassandrabackups here, and a dry run needs that right"
    );
    assert_eq!(
        printed.hop("configuration"),
        "unknown  the MutatingWebhookConfiguration cassgate could not be read: your account may not read it (403)"
    );
    assert_eq!(
        printed.stdout.lines().last().unwrap(),
        format!(
            "The path to cassgate could not be verified in namespace {}; unknown: configuration, ca, service, certificate, server.",
            here.stage.namespace
        )
    );

    // A user who may create backups sees that they are judged, and nothing else.
    kubectl
        .run(&[
            "create",
            "role",
            "author",
            "--verb=create",
            "--resource=cassandrabackups.db.orange.com",
        ])
        .succeeds();
    kubectl
        .run(&[
            "create",
            "rolebinding",
            "author",
            "--role=author",
            &format!("--serviceaccount={}:author", here.stage.namespace),
        ])
        .succeeds();
    let mut printed = probe_as(&account, &arguments);
    for _ in 0..ATTEMPTS {
        if printed.code == 0 {
            break;
        }
        thread::sleep(Duration::from_millis(50));
        printed = probe_as(&account, &arguments);
    }
    assert_eq!(printed.code, 0, "{printed:#?}");
    assert!(printed.hop("service").starts_with("unknown"), "{printed:#?}");
    assert!(
        printed
            .hop("server")
            .starts_with("ok       validate.cassgate.db.orange.com denies the bad object"),
        "{printed:#?}"
    );
}

pub(crate) fn an_unreachable_api_server_and_invalid_options_exit_with_2() {
    let stage = Stage::new(Crds::Ours);
    let printed = probe(&stage, &["--format=xml"]);
    assert_eq!(printed.code, 2, "{printed:#?}");
    let printed = probe(&stage, &["--context=nowhere"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (2, ""), "{printed:#?}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = nobody.local_addr().unwrap();
    drop(nobody);
    let kubeconfig = fs::read_to_string(stage.servers.admin_kubeconfig()).unwrap();
    let server = kubeconfig
        .split("server: \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let file = fresh_directory("away").join("kubeconfig");
    fs::write(&file, kubeconfig.replace(server, &format!("https://{at}"))).unwrap();
    let printed = probe_as(&file.display().to_string(), &[]);
    assert_eq!(
        (printed.code, printed.stderr.as_str()),
        (
            2,
            "cassgate: the API server did not answer: connection refused by the API server\n"
        ),
        "{printed:#?}"
    );
}
