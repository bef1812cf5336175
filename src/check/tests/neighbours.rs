//! Many neighbours do not hide the one that a denial depends on.

use std::fmt::Write;

use super::{CLUSTER, SECRET, backup, judged, restore};
use crate::check::Settings;
use crate::rules::catalogue::Severity;

/// Returns the finding of a rule on the last file: severity, path and message.
fn finding(files: &[(&str, &str)], rule: &str) -> (Severity, String, String) {
    let all: Vec<_> = [("c.yaml", CLUSTER), ("s.yaml", SECRET)]
        .iter()
        .chain(files)
        .copied()
        .collect();
    let settings = Settings {
        now: "2026-11-29T12:00:00Z".parse().unwrap(),
        ..Settings::default()
    };
    let mut report = judged(&all, &settings);
    let findings = report.objects.pop().unwrap().findings;
    let found = findings.iter().find(|finding| finding.rule.id == rule);
    let found = found.unwrap_or_else(|| panic!("{rule}: {findings:?}"));
    (found.severity, found.path.clone(), found.message.clone())
}

#[test]
fn nine_pending_restores_do_not_hide_the_running_one() {
    let mut others = String::new();
    for (name, state) in (0..9)
        .map(|number| (format!("a{number}"), "REQUIRED"))
        .chain([("z".to_owned(), "RUNNING")])
    {
        let own = restore("  entities: k1.t1\n").replace(
            "name: r1",
            &format!("name: {name}\n  creationTimestamp: 2026-11-29T08:00:00Z"),
        );
        write!(others, "---\n{own}status: {{condition: {{type: {state}}}}}\n").unwrap();
    }
    let files = [
        ("b.yaml", backup("  entities: k1.t1\n")),
        ("others.yaml", others),
        ("r.yaml", restore("  entities: k1.t1\n")),
    ];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (severity, path, message) = finding(&files, "restore-in-progress");
    assert_eq!(
        (severity, path.as_str()),
        (Severity::Deny, "spec.cassandraCluster")
    );
    assert!(
        message.starts_with("Forbidden: restore z of this cluster is RUNNING"),
        "{message}"
    );
}

#[test]
fn tags_of_many_namespaces_do_not_hide_the_ambiguous_one_of_the_own_namespace() {
    let done = "  entities: k1.t1\nstatus: {condition: {type: COMPLETED}}\n";
    let mut others = String::new();
    for number in 0..20 {
        let own = backup(done).replace("name: b1", &format!("name: b1\n  namespace: a{number}"));
        write!(others, "---\n{own}").unwrap();
    }
    let second = backup(done)
        .replace("name: b1", "name: b2")
        .replace("snapshotTag: t1", "snapshotTag: t12");
    let files = [
        ("others.yaml", others),
        ("b.yaml", backup(done)),
        ("b2.yaml", second),
        ("r.yaml", restore("  entities: k1.t1\n")),
    ];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (severity, path, message) = finding(&files, "snapshot-tag-ambiguous");
    assert_eq!(
        (severity, path.as_str()),
        (Severity::Deny, "spec.cassandraBackup")
    );
    assert!(
        message.contains("backup b2 has tag t12 at the same location"),
        "{message}"
    );
}
