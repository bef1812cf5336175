//! `cassgate probe`: each hop of the path is broken once, on a real Service of a real API server.
//!
//! No kube-proxy is needed: the Services get addresses from a range on the loopback interface, and cassgate listens
//! on the address and port of its Service.

mod installed;

use std::{fs, net::TcpListener, thread, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use self::installed::{ATTEMPTS, Installed, probe, probe_as};
use crate::support::{
    gate::fresh_directory,
    servers::Crds,
    stage::Stage,
    tls::{make_expired_pair, make_pair},
};

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
