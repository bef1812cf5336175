//! Every backup and restore of a file is judged or has a note.

use super::{backup, judged, summaries, with};
use crate::check::Settings;
use crate::check::report::Report;

/// Returns the kind and the name of each judged object.
fn objects(report: &Report) -> Vec<String> {
    let objects = report.objects.iter();
    objects
        .map(|object| format!("{} {}", object.kind, object.name))
        .collect()
}

fn notes(report: &Report) -> Vec<String> {
    let notes = report.notes.iter();
    notes
        .map(|note| format!("{}: {}", note.line, note.message))
        .collect()
}

fn of(text: &str) -> (Vec<String>, Vec<String>) {
    let report = judged(&[("a.yaml", text)], &Settings::default());
    (objects(&report), notes(&report))
}

/// `kubectl annotate --local` prints the same objects.
#[test]
fn an_item_of_a_typed_list_has_the_type_of_the_list() {
    let text = "apiVersion: db.orange.com/v2\nkind: CassandraRestoreList\nitems:\n- metadata: {name: r1, namespace: prod}\n  spec: \
                {cassandraCluster: c1, cassandraBackup: b1, entities: 'k1,k2.t'}\n- {kind: 5, metadata: {name: r2}}\n- {kind: '', \
                apiVersion: '', metadata: {name: r3}}\n";
    let report = judged(&[("a.yaml", text)], &Settings::default());
    assert_eq!(
        objects(&report),
        [
            "CassandraRestore r1",
            "CassandraRestore r2",
            "CassandraRestore r3"
        ]
    );
    assert_eq!(report.objects[0].api_version, "db.orange.com/v2");
    assert!(
        summaries(&report).contains(&"deny entities-mixed spec.entities 5:63".to_owned()),
        "{:?}",
        summaries(&report)
    );
    assert_eq!(notes(&report), [""; 0]);
}

#[test]
fn an_item_without_a_type_is_a_fact_for_the_others() {
    let list = "apiVersion: db.orange.com/v2\nkind: CassandraBackupList\nitems:\n- metadata: {name: b1}\n  spec: {cassandraCluster: c1, \
                storageLocation: s3://bk, snapshotTag: t, secret: s3, entities: k1.t1}\n";
    let restore = super::restore("  entities: k2.t1\n");
    let report = with(&[("list.yaml", list), ("r.yaml", &restore)]);
    assert_eq!(
        summaries(&report),
        ["deny entities-outside-backup spec.entities 8:13"]
    );
}

#[test]
fn an_object_with_items_is_a_list_as_in_kubectl() {
    let text = "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: outer}\nspec: {x: 1}\nitems:\n- metadata: {name: \
                b1}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: cm}}\n";
    let (objects, notes) = of(text);
    assert_eq!(objects, ["CassandraBackup b1"]);
    assert_eq!(
        notes,
        [
            "1: kubectl takes a CassandraBackup with the field items for a list and drops its other fields, so they are not \
          judged; remove items"
        ]
    );
    let (objects, notes) =
        of("apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: outer}\nitems: null\n");
    assert_eq!((objects.len(), notes.len()), (0, 1));
    let (objects, notes) = of("apiVersion: v1\nkind: List\nitems: {kind: CassandraBackup}\n");
    assert_eq!(objects, [""; 0]);
    assert_eq!(
        notes,
        ["1: items of List is not a list, so it is not judged, and kubectl rejects it"]
    );
    let (_, notes) = of("apiVersion: v1\nkind: List\nitems:\n- CassandraBackup\n- null\n");
    assert_eq!(
        notes,
        [
            "4: an item of List is not an object, so it is not judged",
            "5: an item of List is empty, and kubectl rejects the whole List; remove it"
        ]
    );
    let (_, notes) = of(
        "apiVersion: v1\nkind: List\nitems:\n- {}\n- {kind: CassandraBackup, apiVersion: db.orange.com/v2}\n",
    );
    assert_eq!(
        notes,
        ["4: an item of List has no kind, and kubectl rejects the whole List; add it, or remove the item"]
    );
}

#[test]
fn the_items_of_an_object_without_a_kind_have_a_note() {
    for kind in ["", "kind: 5, ", "kind: '', "] {
        let (objects, notes) = of(&format!(
            "# a list\n{{apiVersion: v1, {kind}metadata: {{name: l}}, items: [5, {{kind: CassandraBackup, metadata: {{name: b1}}}}]}}\n"
        ));
        assert_eq!(objects, [""; 0], "{kind}");
        assert_eq!(notes.len(), 1, "{kind}: {notes:?}");
        assert!(
            notes[0].starts_with("2: the items of an object without a kind that is a text are not judged"),
            "{kind}: {notes:?}"
        );
    }
}

#[test]
fn lists_in_lists_are_read_to_any_depth() {
    let mut text =
        "{apiVersion: db.orange.com/v2, kind: CassandraBackup, metadata: {name: inner}}".to_owned();
    for _ in 0..20 {
        text = format!("{{apiVersion: v1, kind: List, items: [{text}]}}");
    }
    let note = "1: an item of List is a list itself, and kubectl rejects the whole List; write its items into one list";
    assert_eq!(
        of(&text),
        (vec!["CassandraBackup inner".to_owned()], vec![note.to_owned()])
    );
}

#[test]
fn an_object_that_seems_to_be_a_backup_is_judged_or_has_a_note() {
    let spec = "spec: {cassandraCluster: c1, storageLocation: s3://bk}\n";
    for (head, note) in [
        (
            "apiVersion: db.orange.com/v3\nkind: CassandraBackup\n",
            "db.orange.com/v3 CassandraBackup is not judged",
        ),
        (
            "apiVersion: db.orange.com/v2\nkind: CassandraBackups\n",
            "db.orange.com/v2 CassandraBackups is not judged",
        ),
        (
            "apiVersion: db.orange.com/v2\n",
            "an object of db.orange.com/v2 without a kind is not judged",
        ),
        (
            "apiVersion: db.orange.com/v2\nkind: 5\n",
            "an object of db.orange.com/v2 without a kind is not judged",
        ),
        (
            "kind: CassandraBackup\n",
            "a CassandraBackup with no apiVersion is not judged; write apiVersion: db.orange.com/v2",
        ),
        (
            "apiVersion: v2\nkind: CassandraBackup\n",
            "a CassandraBackup with apiVersion v2 is not judged",
        ),
        (
            "apiVersion: db.orange.io/v2\nkind: cassandrabackup\n",
            "a cassandrabackup with apiVersion db.orange.io/v2",
        ),
        (
            "apiVersion: [db.orange.com/v2]\nkind: CassandraRestore\n",
            "a CassandraRestore with no apiVersion",
        ),
        (
            "metadata: {name: b}\n",
            "an object without apiVersion and kind is not judged",
        ),
    ] {
        let (objects, notes) = of(&format!("{head}{spec}"));
        assert_eq!(objects, [""; 0], "{head}");
        assert!(notes.len() == 1 && notes[0].contains(note), "{head}: {notes:?}");
    }
    for other in [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: CassandraBackup}\n",
        "apiVersion: backup.example.com/v1\nkind: CassandraBackup\nspec: {}\n",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {names: {kind: CassandraBackup}}\n",
        "replicas: 1\nspec: {a: b}\n",
        "- op: replace\n  path: /spec/entities\n",
    ] {
        assert_eq!(of(other), (vec![], vec![]), "{other}");
    }
}

#[test]
fn a_backup_inside_another_object_has_a_note() {
    let inner = "{apiVersion: db.orange.com/v2, kind: CassandraBackup, metadata: {name: b}, spec: {}}";
    for (text, line, place) in [
        (format!("apiVersion: template.openshift.io/v1\nkind: Template\nobjects:\n- {inner}\n"), 4, "inside Template"),
        (format!("- {inner}\n"), 1, "in a list without kind: List, which kubectl rejects,"),
        (format!("apiVersion: v1\nbackups: [{inner}]\n"), 2, "inside an object without a kind"),
        (
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec:\n  patches:\n  - patch: |\n      apiVersion: \
             db.orange.com/v2\n      kind: CassandraBackup\n"
                .to_owned(),
            6,
            "inside Kustomization",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\ndata: {b.json: '{\"kind\": \"CassandraBackup\"}'}\n".to_owned(),
            3,
            "inside ConfigMap",
        ),
    ] {
        let expected = format!(
            "{line}: a CassandraBackup {place} is not judged; render it, or write it as an object of its own"
        );
        assert_eq!(of(&text), (vec![], vec![expected]), "{text}");
    }
}

#[test]
fn a_note_names_the_lines_of_all_objects_that_are_not_judged_for_its_reason() {
    let kustomization = "resources: [b.yaml]\nnamePrefix: a-\n";
    let two = format!("{}---\n{}---\n{}", backup(""), backup(""), backup(""));
    let report = judged(
        &[("kustomization.yaml", kustomization), ("b.yaml", &two)],
        &Settings::default(),
    );
    assert_eq!(objects(&report), [""; 0]);
    assert!(
        notes(&report)[0].starts_with("1: not judged: ")
            && notes(&report)[0].ends_with(" (also the objects in lines 11, 21)"),
        "{:?}",
        notes(&report)
    );
}

#[test]
fn another_object_in_a_file_named_kustomization_is_no_kustomization() {
    let text = "resources: [b.yaml]\n---\napiVersion: db.orange.com/v3\nkind: CassandraBackup\n";
    let report = judged(
        &[("kustomization.yaml", text), ("b.yaml", &backup(""))],
        &Settings::default(),
    );
    assert_eq!(
        notes(&report),
        ["3: db.orange.com/v3 CassandraBackup is not judged by this version of cassgate"]
    );
}
