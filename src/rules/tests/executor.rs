//! Objects that need cassgate as executor.

use super::*;

/// Returns the subject with the annotation `cassgate.db.orange.com/requires`.
fn requires(mut subject: Subject, value: &str) -> Subject {
    match &mut subject {
        Subject::Backup(backup) => backup.meta.requires = Some(value.to_owned()),
        Subject::Restore(restore) => restore.meta.requires = Some(value.to_owned()),
    }
    subject
}

/// A description of a bucket.
fn description(change: &Value) -> Subject {
    let base = json!({"schedule": null, "datacenter": null, "suspend": true, "clusterName": "production"});
    backup(&merged(base, change))
}

const REQUIRES: &str = "deny executor-required metadata.annotations[cassgate.db.orange.com/requires]";

#[test]
fn an_object_that_requires_cassgate_is_denied_under_casskop() {
    let findings = found(&requires(backup(&json!({})), "executor"), &facts());
    assert_eq!(
        only(&findings).text(),
        "Unsupported value: \"executor\": this backup needs cassgate as executor, and CassKop is the executor here: \
         CassKop would run this backup even if it only describes a bucket; use cassgate as executor, or remove the \
         annotation if CassKop may run it [cassgate executor-required]"
    );
    let findings = found(&requires(restore(&json!({})), "executor"), &facts());
    assert_eq!(brief(&findings), [REQUIRES]);
}

#[test]
fn an_object_whose_fields_were_dropped_is_denied_with_every_executor() {
    for executor in [Executor::Cassgate, Executor::None] {
        let context = acting(executor);
        let dropped = requires(backup(&json!({"schedule": null})), "executor");
        assert_eq!(
            only(&judge(&dropped, &facts(), &context)).text(),
            "Invalid value: \"executor\": the spec has none of suspend, clusterName and nodes, which CassKop's CRDs drop; \
             what is left would run as a backup; install cassgate's CRDs and apply the manifest again, or remove the \
             annotation if the backup is complete [cassgate executor-required]"
        );
        let dropped = requires(restore(&json!({})), "executor");
        assert_eq!(
            only(&judge(&dropped, &facts(), &context)).text(),
            "Invalid value: \"executor\": the spec has none of snapshot and nodes, which CassKop's CRDs drop; what is left \
             would restore the newest snapshot, and each node its own part; install cassgate's CRDs and apply the manifest \
             again, or remove the annotation if the restore is complete [cassgate executor-required]"
        );
    }
}

#[test]
fn one_field_proves_that_none_was_dropped() {
    for change in [
        json!({"suspend": true}),
        json!({"schedule": "@daily", "suspend": false}),
    ] {
        let subject = requires(backup(&merged(json!({"schedule": null}), &change)), "executor");
        let findings = judge(&subject, &facts(), &acting(Executor::Cassgate));
        assert_eq!(brief(&findings), [""; 0], "{change}");
    }
}

#[test]
fn an_unknown_requirement_is_denied() {
    for value in ["", "Executor", "operator"] {
        for executor in [Executor::Casskop, Executor::Cassgate, Executor::None] {
            let subject = requires(backup(&json!({})), value);
            let finding = of_rule(&judge(&subject, &facts(), &acting(executor)), "executor-required");
            assert!(
                finding.message.starts_with("is not a known requirement"),
                "{}",
                finding.text()
            );
        }
    }
}

#[test]
fn a_description_is_denied_under_casskop() {
    let nodes = json!([{"hostId": "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11", "datacenter": "dc1"}]);
    let findings = found(&description(&json!({"nodes": nodes})), &facts());
    assert_eq!(
        brief(&findings),
        [
            "deny field-needs-executor spec.suspend",
            "deny field-needs-executor spec.clusterName",
            "deny field-needs-executor spec.nodes"
        ]
    );
    assert_eq!(
        of_rule(&findings, "field-needs-executor").cause,
        crate::rules::finding::Cause::NotSupported
    );
    assert!(
        findings.iter().any(|finding| finding.message
            == "CassKop runs this object and ignores nodes: the description of a bucket would run as a backup; leave \
                nodes out, or use cassgate as executor"),
        "{findings:?}"
    );
}

#[test]
fn a_restore_with_nodes_is_denied_under_casskop() {
    let nodes = json!([{"hostId": "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11", "pod": "c1-dc1-rack1-0"}]);
    let findings = found(&restore(&json!({"nodes": nodes})), &facts());
    assert_eq!(
        only(&findings).text(),
        "CassKop runs this object and ignores nodes: every node would restore its own part, and the \
         parts of other nodes would be missing; leave nodes out, or use cassgate as executor [cassgate field-needs-executor]"
    );
}
