//! The value of a Secret appears nowhere else.

use crate::support::{
    gate::{Gate, SECRET_VALUE},
    objects::{backup, cluster, restore, secret_with},
    servers::Crds,
    stage::{Guarded, Stage},
};

pub(crate) fn no_secret_value_appears_in_an_answer_a_log_or_a_metric() {
    let here = Guarded::alone(Crds::Ours, &["--executor=casskop", "--log-level=trace"]);
    let kubectl = here.kubectl();
    kubectl.apply(&cluster()).succeeds();
    let value = SECRET_VALUE;
    // Every way in which a value can be malformed: the checks inspect the values.
    let secrets = [
        (
            "good",
            secret_with("good", &["awsaccesskeyid", "awssecretaccesskey", "awsregion"]),
        ),
        ("half", secret_with("half", &["awsaccesskeyid"])),
        (
            "padded",
            format!(
                "{}\n",
                secret_with("padded", &["awssecretaccesskey", "awsregion"])
                    .replace(value, &format!("\" {value}\\n\""))
            ),
        ),
        (
            "endpoint",
            secret_with("endpoint", &["awsaccesskeyid", "awssecretaccesskey", "awsregion"])
                + &format!("  awsendpoint: \"no {value} host\"\n"),
        ),
        (
            "gcp",
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: gcp\nstringData:\n  gcp: '{{\"private_key\": \"{value}\"}}'\n"
            ),
        ),
        (
            "broken",
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: broken\nstringData:\n  gcp: '{{\"type\": {value}'\n"
            ),
        ),
        ("azure", secret_with("azure", &["azurestorageaccount"])),
    ];
    let mut answers = String::new();
    for (name, manifest) in &secrets {
        kubectl.apply(manifest).succeeds();
        for scheme in ["s3", "gcp", "azure", "minio", "oracle", "ceph"] {
            let answer = kubectl.apply(&backup(
                &format!("{name}-{scheme}"),
                &format!("storageLocation: {scheme}://bucket\nsecret: {name}"),
            ));
            answers += &answer.transcript();
        }
        answers += &kubectl
            .apply(&restore(
                name,
                &format!("cassandraBackup: good-s3\nsecret: {name}"),
            ))
            .transcript();
    }
    for rule in ["secret-key-missing", "secret-key-malformed"] {
        assert!(
            answers.contains(&format!("[cassgate {rule}]")),
            "{rule} has not spoken:\n{answers}"
        );
    }
    let stored = kubectl
        .run(&["get", "cassandrabackups,cassandrarestores", "--output=yaml"])
        .succeeds()
        .stdout;
    for (place, text) in [
        ("an answer", &answers),
        ("an object", &stored),
        ("the log", &here.gate.log()),
        ("a metric", &here.gate.get("/metrics").body),
        ("/readyz", &here.gate.get("/readyz?verbose").body),
    ] {
        assert!(!text.contains(value), "a Secret's value is in {place}:\n{text}");
        assert!(
            !text.contains("czNjcjN0"),
            "a Secret's value is, in base64, in {place}:\n{text}"
        );
    }
}

/// An operator who binds `cassgate-secrets` in some namespaces only: in other namespaces no request is denied for an
/// unreadable Secret.
pub(crate) fn an_unreadable_secret_is_a_warning_that_names_the_required_role() {
    let stage = Stage::new(Crds::Ours);
    let (kubectl, namespace) = (&stage.kubectl, &stage.namespace);
    kubectl
        .run(&["create", "serviceaccount", "restricted"])
        .succeeds();
    let account = format!("--serviceaccount={namespace}:restricted");
    stage
        .servers
        .kubectl
        .run(&[
            "create",
            "clusterrolebinding",
            namespace,
            "--clusterrole=cassgate",
            &account,
        ])
        .succeeds();
    let kubeconfig = stage.servers.kubeconfig_of(namespace, "restricted");
    let gate = Gate::start_with_kubeconfig(&kubeconfig.display().to_string(), &["--executor=none"]);
    gate.wait_until_ready();
    stage.register(&gate);
    kubectl.apply(&cluster()).succeeds();
    let answer = kubectl.apply(&backup("b1", "secret: half")).succeeds();
    let warning = answer.stderr.trim_end();
    assert!(
        warning.starts_with("Warning: spec.secret: \"half\": not checked: "),
        "{warning}"
    );
    assert!(warning.ends_with(" [cassgate secret-not-found]"), "{warning}");

    let (_, command) = warning.split_once("allow it: kubectl ").unwrap();
    let (command, _) = command.split_once(" [").unwrap();
    let arguments: Vec<&str> = command.split(' ').collect();
    stage.servers.kubectl.run(&arguments).succeeds();
    // The API server's authorizer learns of the binding after a moment.
    let refused = (0..200)
        .map(|_| kubectl.apply(&backup("b2", "secret: half")))
        .find(|answer| answer.code != 0);
    refused.unwrap().refused_with(&["[cassgate secret-not-found]"]);
}
