//! Behaviour while cassgate or the API server is unavailable.

use std::{fs, thread, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    gate::{self, Gate, fresh_directory},
    objects::{backup, cluster, documents, secret},
    process_guard::GuardedProcess,
    servers::{self, Crds},
    stage::Guarded,
    tls::make_pair,
};

/// The validating webhook has `Fail`: no unjudged object is stored. The mutating webhook has `Ignore`.
pub(crate) fn during_an_outage_new_objects_are_rejected_and_other_writes_continue() {
    let here = Guarded::alone(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[cluster(), secret(), backup("b1", "")]))
        .succeeds();
    let Guarded { stage, gate } = here;
    drop(gate);
    stage.kubectl.apply(&backup("b2", "")).refused_with(&[
        "Error from server (InternalError): ",
        "failed calling webhook \"validate.cassgate.db.orange.com\"",
        "connect: connection refused",
    ]);
    stage
        .kubectl
        .apply(&backup("b1", "entities: k1"))
        .refused_with(&["validate.cassgate.db.orange.com"]);
    stage
        .kubectl
        .run(&["label", "cassandrabackup", "b1", "team=data"])
        .says("cassandrabackup.db.orange.com/b1 labeled");
    let status = r#"{"status":{"condition":{"type":"RUNNING"}}}"#;
    stage
        .kubectl
        .run(&[
            "patch",
            "cassandrabackup",
            "b1",
            "--subresource=status",
            "--type=merge",
            "-p",
            status,
        ])
        .says("cassandrabackup.db.orange.com/b1 patched");
}

/// An operator who prefers an unjudged object to a rejected one also sets `Ignore` on the validating webhook.
pub(crate) fn with_ignore_every_object_is_admitted_during_an_outage() {
    let here = Guarded::alone(Crds::Ours, &["--executor=none"]);
    let configuration = format!("cassgate-{}", here.stage.namespace);
    let ignore = r#"[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]"#;
    here.stage
        .servers
        .kubectl
        .run(&[
            "patch",
            "validatingwebhookconfiguration",
            &configuration,
            "--type=json",
            "-p",
            ignore,
        ])
        .succeeds();
    let Guarded { stage, gate } = here;
    drop(gate);
    // The API server picks up the change after a moment.
    let bad = backup("b1", "entities: k1,k2.t2");
    for _ in 0..200 {
        if stage
            .kubectl
            .run_with(&["create", "--dry-run=server", "-f", "-"], &bad)
            .code
            == 0
        {
            break;
        }
    }
    stage
        .kubectl
        .apply(&bad)
        .says("cassandrabackup.db.orange.com/b1 created");
}

pub(crate) fn it_recovers_after_a_restart() {
    let here = Guarded::alone(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[cluster(), secret()]))
        .succeeds();
    let Guarded { stage, gate } = here;
    drop(gate);
    stage
        .kubectl
        .apply(&backup("b1", ""))
        .refused_with(&["connection refused"]);
    let gate = Gate::start(stage.servers, &["--executor=none"]);
    stage.register(&gate);
    stage
        .kubectl
        .apply(&backup("b1", ""))
        .says("cassandrabackup.db.orange.com/b1 created");
}

pub(crate) fn sigterm_ends_it_with_exit_code_0() {
    let mut gate = Gate::start(servers::with(Crds::Ours), &["--executor=none"]);
    assert_eq!(gate.stop().code(), Some(0), "{}", gate.log());
}

/// Returns the exit code and stderr.
fn run(arguments: &[String], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut process = GuardedProcess::start(env!("CARGO_BIN_EXE_cassgate"), arguments, environment);
    let code = process.wait().code();
    (code, process.stderr().so_far().join("\n"))
}

pub(crate) fn an_unusable_certificate_ends_the_process_and_names_its_file() {
    let kubeconfig = servers::with(Crds::Ours).gate_kubeconfig().display().to_string();
    let directory = fresh_directory("tls");
    let (certificate, key) = (directory.join("tls.crt"), directory.join("tls.key"));
    let arguments = [
        "run".to_owned(),
        "--listen=127.0.0.1:0".to_owned(),
        "--admin-listen=127.0.0.1:0".to_owned(),
        "--tls=files".to_owned(),
        format!("--tls-dir={}", directory.display()),
    ];
    let answer = || run(&arguments, &[("KUBECONFIG", &kubeconfig)]);

    let (code, text) = answer();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&certificate.display().to_string()), "{text}");
    assert!(text.contains("No such file or directory"), "{text}");

    fs::write(&certificate, "not a certificate").unwrap();
    fs::write(&key, "not a key").unwrap();
    let (code, text) = answer();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&certificate.display().to_string()), "{text}");

    make_pair(&directory);
    let other = fresh_directory("tls");
    make_pair(&other);
    fs::copy(other.join("tls.key"), &key).unwrap();
    let (code, text) = answer();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&key.display().to_string()), "{text}");
}

/// Local rules need no API server; references are reported as unchecked.
pub(crate) fn without_an_api_server_it_answers_local_rules_and_reports_why_it_is_not_ready() {
    let gate = Gate::start_with_kubeconfig(&nowhere(), &["--executor=none"]);
    let refused =
        |gate: &str| json!({"gate": gate, "open": false, "reason": "connection refused by the API server"});
    let expected = json!([
        refused("cache:cassandraclusters"),
        refused("cache:cassandrabackups"),
        refused("cache:cassandrarestores"),
        refused("cache:namespaces")
    ]);
    let published = expected.to_string();
    // The reason is "not listed yet" until the first attempt has failed.
    for _ in 0..600 {
        if gate.readyz().body == published {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let readiness = gate.readyz();
    assert_eq!(readiness.status, 503, "{readiness:?}");
    let closed: Value = serde_json::from_str(&readiness.body).unwrap();
    assert_eq!(closed, expected);
    assert_eq!(gate.get("/livez").body, "ok");
    let spec = json!({
        "cassandraCluster": "c1", "storageLocation": "s3://bucket", "snapshotTag": "t", "secret": "s3",
        "entities": "k1,k2.t2",
    });
    let reply = gate.post(
        "/validate?timeout=2s",
        crate::reviews::review("CassandraBackup", &spec),
    );
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.body.contains("[cassgate entities-mixed]"), "{reply:?}");
}

/// Returns a kubeconfig for a server that does not exist.
fn nowhere() -> String {
    let file = fresh_directory("nowhere").join("kubeconfig");
    // Port 9 of loopback is "discard"; no process listens there.
    let text = "apiVersion: v1
kind: Config
current-context: nowhere
clusters: [{name: nowhere, cluster: {server: \"https://127.0.0.1:9\"}}]
users: [{name: nobody, user: {token: none}}]
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
";
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

pub(crate) fn the_shared_gate_is_ready_and_alive() {
    let gate = gate::shared(servers::with(Crds::Ours), &["--executor=none"]);
    assert_eq!((gate.readyz().status, gate.readyz().body.as_str()), (200, "ok"));
    assert_eq!(
        (gate.get("/livez").status, gate.get("/livez").body.as_str()),
        (200, "ok")
    );
}
