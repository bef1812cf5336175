//! Tests of all rules together: an object and facts, and the resulting findings.

mod concurrent_operations;
mod executor;
mod nodes;
mod secrets;
mod snapshot;
mod work;

use std::sync::Arc;

use serde_json::{Value, json};

use super::catalogue::Severity;
use super::facts::{Cluster, Facts, Reference, Run, StoredBackup};
use super::finding::{Finding, Findings};
use super::judge;
use super::policy::{Context, Executor, MissingReferences, Policy};
use super::subject::{Backup, Metadata, Restore, Subject};
use crate::domain::credentials::Credentials;
use crate::domain::sidecar::Sidecar;

/// Returns cluster c1 with dc1 and dc2 and CassKop's default sidecar, a Secret with all keys, and backup b1 of
/// `k1.t1,k2.t3`.
fn facts() -> Facts {
    Facts {
        cluster: Some(Reference::Found(cluster("icarus:1.1.3"))),
        secret: Some(Reference::Found(secret(&[
            ("awsaccesskeyid", "k"),
            ("awssecretaccesskey", "s"),
            ("awsregion", "eu-west-1"),
        ]))),
        backup: Some(Reference::Found(stored("k1.t1,k2.t3"))),
        ..Facts::default()
    }
}

fn cluster(image: &str) -> Cluster {
    Cluster {
        datacenters: ["dc1".into(), "dc2".into()].into(),
        sidecar_enabled: true,
        sidecar: Sidecar::from_image(image),
        cassandra: None,
        mounts: vec!["/data/backups".into()],
        terminating: false,
        unready: None,
        nodes: [].into(),
        labels: Arc::default(),
    }
}

fn secret(entries: &[(&str, &str)]) -> Credentials {
    Credentials::read(entries.iter().map(|(key, value)| (*key, value.as_bytes())))
}

fn stored(entities: &str) -> StoredBackup {
    let spec = json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": "t1", "secret": "s3",
                      "entities": entities});
    StoredBackup {
        name: "b1".into(),
        spec: serde_json::from_value(spec).unwrap(),
        run: Run::State("COMPLETED".into()),
        ..StoredBackup::default()
    }
}

fn merged(mut base: Value, change: &Value) -> Value {
    json_patch::merge(&mut base, change);
    base
}

/// Returns a valid backup, merged with the fields of `change`.
fn backup(change: &Value) -> Subject {
    let base = json!({"cassandraCluster": "c1", "datacenter": "dc1", "storageLocation": "s3://bk",
                      "snapshotTag": "t1", "secret": "s3", "schedule": "@midnight", "entities": "k1.t1,k2.t3"});
    let spec: crate::api::CassandraBackupSpec = serde_json::from_value(merged(base, change)).unwrap();
    Subject::Backup(Box::new(Backup::new(meta("b2"), spec)))
}

/// Returns a valid restore, merged with the fields of `change`.
fn restore(change: &Value) -> Subject {
    let base = json!({"cassandraCluster": "c1", "cassandraBackup": "b1", "entities": "k1.t1"});
    let spec: crate::api::CassandraRestoreSpec = serde_json::from_value(merged(base, change)).unwrap();
    Subject::Restore(Box::new(Restore::new(meta("r1"), spec)))
}

fn meta(name: &str) -> Metadata {
    Metadata {
        namespace: "prod".into(),
        name: name.into(),
        ..Metadata::default()
    }
}

fn acting(executor: Executor) -> Context {
    Context {
        policy: Policy {
            executor,
            ..Policy::default()
        },
        ..Context::default()
    }
}

fn found(subject: &Subject, facts: &Facts) -> Findings {
    judge(subject, facts, &acting(Executor::Casskop))
}

/// Returns `severity rule path` for each finding.
fn brief(findings: &Findings) -> Vec<String> {
    let line = |f: &Finding| format!("{} {} {}", f.severity.as_str(), f.rule.id, f.path);
    findings.iter().map(line).collect()
}

fn only(findings: &Findings) -> Finding {
    assert_eq!(findings.iter().count(), 1, "{:?}", brief(findings));
    findings.iter().next().unwrap().clone()
}

fn of_rule(findings: &Findings, rule: &str) -> Finding {
    let finding = findings.iter().find(|finding| finding.rule.id == rule);
    finding
        .unwrap_or_else(|| panic!("{rule}: {:?}", brief(findings)))
        .clone()
}

#[test]
fn valid_objects_have_no_findings() {
    for change in [
        json!({}),
        json!({"datacenter": null, "entities": null, "schedule": null}),
        json!({"storageLocation": "file:///data/backups/bk/c1/dc1/n1", "secret": null}),
        json!({"storageLocation": "minio://bk"}),
        json!({"entities": "k1 k2", "schedule": ""}),
    ] {
        assert_eq!(brief(&found(&backup(&change), &facts())), [""; 0], "{change}");
    }
    for change in [
        json!({}),
        json!({"entities": null}),
        json!({"entities": "k1.t1,k2.t3", "secret": "s3"}),
        json!({"rename": {"k1.t1": "k2.t1"}}),
    ] {
        assert_eq!(brief(&found(&restore(&change), &facts())), [""; 0], "{change}");
    }
}

#[test]
fn all_mistakes_of_a_backup_are_reported_at_once() {
    let subject = backup(
        &json!({"datacenter": "dc9", "storageLocation": "gs://bk", "schedule": "bad",
                                 "entities": "k1,k2.t2,a.b.c"}),
    );
    let expected = [
        "deny datacenter-unknown spec.datacenter",
        "deny storage-provider-unsupported spec.storageLocation",
        "deny schedule-malformed spec.schedule",
        "deny entities-malformed spec.entities",
        "deny entities-mixed spec.entities",
    ];
    assert_eq!(brief(&found(&subject, &facts())), expected);
}

#[test]
fn all_mistakes_of_a_restore_are_reported_at_once() {
    let subject =
        restore(&json!({"cassandraCluster": "c2", "datacenter": "dc9", "entities": "k1,k3,system_auth"}));
    let expected = [
        "warn datacenter-unknown spec.datacenter",
        "deny cluster-mismatch spec.cassandraCluster",
        "warn restore-truncates-keyspace spec.entities",
        "warn restore-partial-datacenter spec.datacenter",
        "deny entities-system spec.entities",
        "deny entities-wider-than-backup spec.entities",
        "deny entities-outside-backup spec.entities",
        "deny entities-outside-backup spec.entities",
    ];
    assert_eq!(brief(&found(&subject, &facts())), expected);
}

#[test]
fn a_keyspace_is_wider_than_its_backed_up_tables() {
    let findings = found(&restore(&json!({"entities": "k1"})), &facts());
    let finding = of_rule(&findings, "entities-wider-than-backup");
    assert_eq!(
        finding.text(),
        "Invalid value: \"k1\": backup b1 contains only k1.t1 of it; restoring the keyspace would empty its other \
         tables; name the tables: k1.t1 [cassgate entities-wider-than-backup]"
    );
}

#[test]
fn a_missing_cluster_or_secret_is_denied_with_its_remedies() {
    let absent = Facts {
        cluster: Some(Reference::Absent),
        secret: Some(Reference::Absent),
        ..facts()
    };
    let findings = found(&backup(&json!({})), &absent);
    assert_eq!(
        brief(&findings),
        [
            "deny cluster-not-found spec.cassandraCluster",
            "deny secret-not-found spec.secret"
        ]
    );
    assert_eq!(
        findings.iter().next().unwrap().text(),
        "Not found: \"c1\": the backup needs this CassandraCluster, which is not in this namespace; CassKop would give \
         the backup up and never retry it; apply the cluster first (Flux dependsOn, an Argo CD sync wave, a Helm hook \
         or a separate release), or label the namespace cassgate.db.orange.com/missing-references=warn [cassgate cluster-not-found]"
    );
}

#[test]
fn the_policy_for_missing_references_lowers_denials() {
    let absent = Facts {
        cluster: Some(Reference::Absent),
        secret: Some(Reference::Absent),
        backup: Some(Reference::Absent),
        ..Facts::default()
    };
    let warn = Policy {
        missing_references: Some(MissingReferences::Warn),
        ..Policy::default()
    };
    for context in [
        Context {
            policy: warn,
            ..Context::default()
        },
        Context {
            dry_run: true,
            ..Context::default()
        },
    ] {
        for subject in [backup(&json!({})), restore(&json!({"secret": "s3"}))] {
            let findings = judge(&subject, &absent, &context);
            assert!(
                !findings.denied() && findings.iter().count() >= 2,
                "{:?}",
                brief(&findings)
            );
            for finding in findings.iter() {
                assert!(finding.text().chars().count() <= 120, "{}", finding.text());
            }
        }
    }
}

#[test]
fn a_failed_lookup_denies_nothing() {
    let reason = || "the API server did not answer in time".to_owned();
    let unknown = Facts {
        cluster: Some(Reference::Unknown(reason())),
        secret: Some(Reference::Unknown(reason())),
        backup: Some(Reference::Unknown(reason())),
        ..Facts::default()
    };
    for subject in [backup(&json!({})), restore(&json!({"secret": "s3"}))] {
        let findings = found(&subject, &unknown);
        assert!(!findings.denied(), "{:?}", brief(&findings));
        assert!(
            findings
                .iter()
                .next()
                .unwrap()
                .text()
                .contains("not checked: the API server did not answer")
        );
    }
}

#[test]
fn invalid_names_are_denied_without_a_lookup() {
    for (change, expected) in [
        (
            json!({"cassandraCluster": ""}),
            "deny cluster-not-found spec.cassandraCluster",
        ),
        (
            json!({"cassandraCluster": "../x"}),
            "deny cluster-not-found spec.cassandraCluster",
        ),
        (json!({"secret": "a/b"}), "deny secret-not-found spec.secret"),
    ] {
        let nothing = Facts::default();
        assert_eq!(brief(&found(&backup(&change), &nothing)), [expected]);
    }
    let nothing = Facts::default();
    assert_eq!(
        brief(&found(&restore(&json!({"cassandraBackup": "B"})), &nothing)),
        ["deny backup-not-found spec.cassandraBackup"]
    );
}

#[test]
fn a_cluster_without_a_sidecar_is_denied() {
    let off = Cluster {
        sidecar_enabled: false,
        ..cluster("icarus:1.1.3")
    };
    let facts = Facts {
        cluster: Some(Reference::Found(off)),
        ..facts()
    };
    for subject in [backup(&json!({})), restore(&json!({}))] {
        assert_eq!(
            brief(&found(&subject, &facts)),
            ["deny sidecar-disabled spec.cassandraCluster"]
        );
    }
}

#[test]
fn a_restore_without_entities_is_checked_with_those_of_its_backup() {
    for (held, expected) in [
        ("system_auth.roles", "deny entities-system spec.entities"),
        ("a.b.c", "deny entities-malformed spec.entities"),
    ] {
        let facts = Facts {
            backup: Some(Reference::Found(stored(held))),
            ..facts()
        };
        assert_eq!(
            brief(&found(&restore(&json!({"entities": null})), &facts)),
            [expected]
        );
    }
}

#[test]
fn every_text_is_one_line() {
    let odd = Facts {
        cluster: Some(Reference::Found(cluster("own:1"))),
        secret: Some(Reference::Found(secret(&[("awsaccesskeyid", " ")]))),
        ..facts()
    };
    let subjects = [
        backup(&json!({"entities": "a\u{7}.b.c", "storageLocation": "s3://a\tb"})),
        restore(&json!({})),
    ];
    for finding in subjects
        .iter()
        .flat_map(|s| found(s, &odd).iter().cloned().collect::<Vec<_>>())
    {
        assert!(!finding.text().contains(char::is_control), "{:?}", finding.text());
    }
}
