//! The Secret of a backup or restore.

use super::*;

#[test]
fn each_provider_requires_its_keys() {
    for (location, entries, missing) in [
        (
            "s3://b",
            vec![("awsaccesskeyid", "k")],
            "awssecretaccesskey, awsregion",
        ),
        (
            "s3://b",
            vec![("awsaccesskeyid", "k"), ("awssecretaccesskey", "s")],
            "awsregion",
        ),
        ("minio://b", vec![], "awsaccesskeyid, awssecretaccesskey"),
        (
            "oracle://b",
            vec![("awsregion", "eu-west-1")],
            "awsaccesskeyid, awssecretaccesskey",
        ),
        (
            "ceph://b",
            vec![("awsaccesskeyid", "k"), ("awssecretaccesskey", "s")],
            "awsendpoint",
        ),
        ("azure://b", vec![("azurestorageaccount", "a")], "azurestoragekey"),
        ("gcp://b", vec![], "gcp"),
    ] {
        let facts = Facts {
            secret: Some(Reference::Found(secret(&entries))),
            ..facts()
        };
        let finding = only(&found(&backup(&json!({"storageLocation": location})), &facts));
        assert_eq!(
            (finding.rule.id, finding.severity, finding.path.as_str()),
            ("secret-key-missing", Severity::Deny, "spec.secret")
        );
        let expected = format!("Secret s3 has no {missing}, which ");
        assert!(
            finding.message.starts_with(&expected),
            "{location}: {}",
            finding.message
        );
    }
}

#[test]
fn a_region_is_required_by_casskop_or_by_an_endpoint() {
    let keys = [("awsaccesskeyid", "k"), ("awssecretaccesskey", "s")];
    let without = Facts {
        secret: Some(Reference::Found(secret(&keys))),
        ..facts()
    };
    let findings = judge(&backup(&json!({})), &without, &acting(Executor::None));
    assert_eq!(brief(&findings), ["warn secret-key-missing spec.secret"]);
    let entries = [keys[0], keys[1], ("awsendpoint", "minio:9000")];
    let endpoint = Facts {
        secret: Some(Reference::Found(secret(&entries))),
        ..facts()
    };
    let findings = judge(&backup(&json!({})), &endpoint, &acting(Executor::None));
    assert_eq!(brief(&findings), ["deny secret-key-missing spec.secret"]);
}

#[test]
fn missing_keys_are_a_warning_if_the_sidecar_ignores_secrets_or_is_unknown() {
    for image in ["icarus:3.0.0", "own/backup:7"] {
        let facts = Facts {
            cluster: Some(Reference::Found(cluster(image))),
            secret: Some(Reference::Found(secret(&[]))),
            ..facts()
        };
        let findings = found(&backup(&json!({})), &facts);
        let finding = of_rule(&findings, "secret-key-missing");
        assert_eq!(finding.severity, Severity::Warn, "{image}");
        let by_casskop = found(&backup(&json!({"storageLocation": "azure://b"})), &facts);
        let finding = of_rule(&by_casskop, "secret-key-missing");
        assert_eq!(finding.severity, Severity::Deny, "CassKop checks the keys itself");
        let restored = found(&restore(&json!({})), &facts);
        let finding = of_rule(&restored, "secret-key-missing");
        assert_eq!(finding.severity, Severity::Warn, "{image}");
    }
}

#[test]
fn icarus_3_does_not_support_some_providers_and_endpoints() {
    let three = |entries| Facts {
        cluster: Some(Reference::Found(cluster("icarus:3.0.0"))),
        secret: Some(Reference::Found(secret(entries))),
        ..facts()
    };
    let full = [
        ("awsaccesskeyid", "k"),
        ("awssecretaccesskey", "s"),
        ("awsregion", "eu-west-1"),
        ("awsendpoint", "m:1"),
    ];
    let unspecified = acting(Executor::None);
    let findings = judge(
        &backup(&json!({"storageLocation": "minio://b"})),
        &three(&full),
        &unspecified,
    );
    assert_eq!(
        brief(&findings),
        [
            "deny storage-provider-unsupported spec.storageLocation",
            "warn storage-provider-unsupported spec.secret",
            "warn secret-ignored spec.secret"
        ]
    );
    let findings = judge(&backup(&json!({})), &three(&full), &unspecified);
    assert_eq!(
        brief(&findings),
        [
            "warn storage-provider-unsupported spec.secret",
            "warn secret-ignored spec.secret"
        ]
    );
}

#[test]
fn an_ignored_secret_causes_a_warning_with_every_executor() {
    let three = Facts {
        cluster: Some(Reference::Found(cluster("icarus:3.0.0"))),
        ..facts()
    };
    for executor in [Executor::Cassgate, Executor::None, Executor::Casskop] {
        let findings = judge(&backup(&json!({})), &three, &acting(executor));
        let finding = of_rule(&findings, "secret-ignored");
        assert_eq!(
            (finding.severity, finding.path.as_str()),
            (Severity::Warn, "spec.secret")
        );
        assert!(
            finding
                .message
                .starts_with("the cluster's sidecar (Icarus 3 or later) ignores Secret s3;"),
            "{}",
            finding.message
        );
    }
    for image in ["icarus:2.0.4", "own/backup:7"] {
        let read = Facts {
            cluster: Some(Reference::Found(cluster(image))),
            ..facts()
        };
        let findings = judge(&backup(&json!({})), &read, &acting(Executor::None));
        assert!(
            !brief(&findings).contains(&"warn secret-ignored spec.secret".to_owned()),
            "{image}"
        );
    }
    let absent = Facts {
        secret: Some(Reference::Absent),
        ..three
    };
    let findings = judge(&restore(&json!({})), &absent, &acting(Executor::None));
    let finding = of_rule(&findings, "secret-not-found");
    assert!(finding.message.contains("ignores Secrets"), "{}", finding.message);
}

#[test]
fn a_region_must_be_of_aws_unless_there_is_an_endpoint() {
    let keys = [
        ("awsaccesskeyid", "k"),
        ("awssecretaccesskey", "s"),
        ("awsregion", "topsecret"),
    ];
    for (location, endpoint, reported) in [
        ("s3://b", None, true),
        ("minio://b", None, true),
        ("s3://b", Some("minio:9000"), false),
        ("ceph://b", Some("ceph:9000"), false),
    ] {
        let entries: Vec<_> = keys
            .into_iter()
            .chain(endpoint.map(|endpoint| ("awsendpoint", endpoint)))
            .collect();
        let facts = Facts {
            secret: Some(Reference::Found(secret(&entries))),
            ..facts()
        };
        let findings = found(&backup(&json!({"storageLocation": location})), &facts);
        if !reported {
            assert_eq!(brief(&findings), [""; 0], "{location}");
            continue;
        }
        let finding = only(&findings);
        assert_eq!(
            (finding.rule.id, finding.severity),
            ("secret-key-malformed", Severity::Warn)
        );
        assert!(
            finding
                .message
                .starts_with("Secret s3: awsregion is not an AWS region"),
            "{}",
            finding.message
        );
        assert!(!finding.text().contains("topsecret"));
    }
}

#[test]
fn malformed_values_are_reported_without_the_value() {
    for (location, key, value, severity) in [
        ("s3://b", "awsaccesskeyid", "topsecret\n", Severity::Warn),
        ("s3://b", "awsaccesskeyid", "", Severity::Warn),
        ("s3://b", "awsregion", "", Severity::Deny),
        ("s3://b", "awsregion", "il-central-1", Severity::Deny),
        ("gcp://b", "gcp", "", Severity::Deny),
        ("azure://b", "azurestorageaccount", "", Severity::Deny),
        ("s3://b", "awsendpoint", "topsecret://x", Severity::Deny),
        ("gcp://b", "gcp", "topsecret", Severity::Deny),
        ("azure://b", "azurestoragekey", " topsecret", Severity::Warn),
    ] {
        let mut entries = vec![
            ("awsaccesskeyid", "k"),
            ("awssecretaccesskey", "s"),
            ("awsregion", "eu-west-1"),
            ("azurestorageaccount", "a"),
            ("azurestoragekey", "k"),
            ("gcp", "{\"type\":\"service_account\"}"),
        ];
        entries.retain(|(name, _)| *name != key);
        entries.push((key, value));
        let facts = Facts {
            secret: Some(Reference::Found(secret(&entries))),
            ..facts()
        };
        let finding = only(&found(&backup(&json!({"storageLocation": location})), &facts));
        assert_eq!(
            (finding.rule.id, finding.severity),
            ("secret-key-malformed", severity),
            "{key}"
        );
        assert!(
            finding.message.starts_with(&format!("Secret s3: {key} ")),
            "{}",
            finding.message
        );
        assert!(!finding.text().contains("topsecret"));
    }
}

#[test]
fn an_empty_value_is_a_denial_only_where_casskop_checks_it() {
    let entries = [
        ("awsaccesskeyid", "k"),
        ("awssecretaccesskey", "s"),
        ("awsregion", ""),
    ];
    let facts = Facts {
        secret: Some(Reference::Found(secret(&entries))),
        ..facts()
    };
    for (subject, executor, severity) in [
        (backup(&json!({})), Executor::Casskop, "deny"),
        (backup(&json!({})), Executor::None, "warn"),
        (restore(&json!({"secret": "s3"})), Executor::Casskop, "warn"),
    ] {
        let findings = judge(&subject, &facts, &acting(executor));
        assert_eq!(
            brief(&findings),
            [format!("{severity} secret-key-malformed spec.secret")]
        );
    }
}

#[test]
fn a_secret_may_be_absent_unless_casskop_is_the_executor() {
    let subject = backup(&json!({"secret": null}));
    assert_eq!(
        brief(&found(&subject, &facts())),
        ["deny secret-absent spec.secret"]
    );
    let findings = judge(&subject, &facts(), &acting(Executor::None));
    assert_eq!(brief(&findings), ["warn secret-absent spec.secret"]);
    let mut bare = facts();
    bare.backup = Some(Reference::Found(StoredBackup {
        spec: crate::api::CassandraBackupSpec {
            secret: None,
            ..stored("k1.t1").spec
        },
        ..stored("k1.t1")
    }));
    assert_eq!(
        brief(&found(&restore(&json!({})), &bare)),
        ["deny secret-absent spec.secret"]
    );
}
