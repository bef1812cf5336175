//! Files with Secrets, whose values no report shows.

use super::super::report::Outcome;
use super::{backup, judged, summaries, with};
use crate::check::Settings;
use crate::check::render::{Format, Style};
use crate::check::report::Report;

fn text(report: &Report) -> String {
    let style = Style {
        colour: false,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let mut written = Vec::new();
    Format::Text.write(report, style, &mut written).unwrap();
    String::from_utf8(written).unwrap()
}

#[test]
fn a_syntax_error_in_a_secret_has_a_position_and_no_excerpt() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s3}\nstringData:\n  awssecretaccesskey: wJalrXUt/MDENG: bPxRfi\n";
    let report = with(&[("s3.yaml", secret)]);
    assert_eq!(report.outcome(), Outcome::Unusable);
    let shown = text(&report);
    assert!(shown.contains("--> s3.yaml:5:"), "{shown}");
    assert!(
        !shown.contains("wJalrXUt") && !shown.contains("bPxRfi"),
        "{shown}"
    );
}

#[test]
fn a_syntax_error_in_a_backup_has_an_excerpt() {
    let broken = backup("  entities: [k1\n  bandwidth: 5M\n");
    let shown = text(&with(&[("b.yaml", &broken)]));
    assert!(shown.contains("|   bandwidth: 5M"), "{shown}");
}

#[test]
fn a_finding_in_a_list_on_one_line_has_no_excerpt() {
    let list = "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret, metadata: {name: s3}, stringData: {gcp: geheim}}, \
                {apiVersion: db.orange.com/v2, kind: CassandraRestore, metadata: {name: r}, spec: {cassandraCluster: c1, \
                cassandraBackup: b1, entities: 'k1,k2.t'}}]}\n";
    let report = judged(&[("list.yaml", list)], &Settings::default());
    assert!(
        summaries(&report)
            .iter()
            .any(|line| line.starts_with("deny entities-mixed"))
    );
    let shown = text(&report);
    assert!(
        shown.contains("--> list.yaml:1:") && !shown.contains("geheim"),
        "{shown}"
    );
}

/// A message about the backup would contain the value.
#[test]
fn an_object_that_shares_a_value_with_a_secret_through_an_alias_is_not_judged() {
    let list = |value: &str, name: &str| {
        format!(
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: &name s3}}\n  stringData: {{gcp: &v geheim}}\n\
             - apiVersion: db.orange.com/v2\n  kind: CassandraBackup\n  metadata: {{name: b1}}\n  spec: {{cassandraCluster: c1, storageLocation: \
             s3://bk, snapshotTag: t, secret: {name}, bandwidth: {value}}}\n"
        )
    };
    let report = judged(&[("list.yaml", &list("*v", "s3"))], &Settings::default());
    assert_eq!(summaries(&report), [""; 0]);
    assert_eq!(report.notes.len(), 1);
    let note = &report.notes[0];
    assert!(
        note.message
            .starts_with("not judged: an alias shares a value with a Secret"),
        "{note:?}"
    );
    assert_eq!(note.line, 8);
    let report = judged(&[("list.yaml", &list("5M", "*name"))], &Settings::default());
    assert_eq!(
        (report.notes.len(), report.summary.objects),
        (0, 1),
        "a name is no value"
    );
}

#[test]
fn a_literal_in_the_place_of_an_env_file_is_not_shown() {
    let kustomization = "resources: [b.yaml]\nsecretGenerator:\n- name: s3\n  envs: [gcp=geheim]\n  options: {disableNameSuffixHash: true}\n";
    let report = judged(
        &[("kustomization.yaml", kustomization), ("b.yaml", &backup(""))],
        &Settings::default(),
    );
    let message = &report.objects[0].findings[1].message;
    assert!(
        message.contains("its keys are in an item of envs with = in it"),
        "{message}"
    );
    assert!(!text(&report).contains("geheim"));
}
