//! The corpus once more, from manifests alone: `cassgate check` says what the webhook says.
//!
//! A scenario's `offline:` column stands in where the two differ, which is only for references that are absent and for
//! rules about state (design: a manifest says nothing of what has run).

use std::io::Write;

use cassgate::check::files::Input;
use cassgate::check::load::Loaded;
use cassgate::check::report::ObjectReport;
use cassgate::check::{Settings, check};
use cassgate::rules::catalogue::Severity;
use serde_json::{Map, Value, json};

use crate::case::{self, Case, Executor, Told, matches};
use crate::{NAMESPACE, policy};

/// The rules that may differ. All others have to say the same in both columns.
const MAY_DIFFER: [&str; 11] = [
    "backup-in-use",
    "backup-kind-change",
    "backup-not-found",
    "backup-not-restorable",
    "backup-started",
    "casskop-needs-restart",
    "cluster-not-found",
    "restore-in-progress",
    "restore-started",
    "secret-not-found",
    "status-reset",
];

/// The objects of a scenario as a stream of documents, as `kustomize build` would print them. The last is the one that
/// is asked about.
fn manifests(case: &Case, library: &Map<String, Value>) -> String {
    let mut stored = case.stored_objects(library, NAMESPACE);
    if case.update.is_some() || case.delete.is_some() {
        stored.pop();
    }
    let mut subject = case.subject(NAMESPACE);
    if case.create.is_none() {
        // What is stored has a status; what stands in Git has none.
        subject.as_object_mut().unwrap().remove("status");
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
                           "metadata": {"name": NAMESPACE, "labels": case.namespace}});
    let all = std::iter::once(&namespace).chain(&stored).chain([&subject]);
    let documents: Vec<String> = all
        .map(|object| serde_saphyr::to_string(object).unwrap())
        .collect();
    documents.join("\n---\n")
}

fn judged(case: &Case, library: &Map<String, Value>) -> (String, ObjectReport) {
    let text = manifests(case, library);
    let mut loaded = Loaded::default();
    loaded.add(Input {
        name: "all.yaml".to_owned(),
        bytes: Ok(text.clone().into_bytes()),
    });
    let mut flags = vec![case.executor.flag().to_owned()];
    flags.extend(case.flags.iter().cloned());
    let settings = Settings {
        policy: policy(&flags),
        now: jiff::Timestamp::now(),
        ..Settings::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut report = runtime.block_on(check(loaded, &settings, None, |_, _| ()));
    assert!(
        report.errors.is_empty(),
        "{}: {:?}\n{text}",
        case.name,
        report.errors
    );
    assert!(report.notes.is_empty(), "{}: {:?}", case.name, report.notes);
    (text, report.objects.pop().unwrap())
}

fn told(object: &ObjectReport, severity: Severity) -> Vec<Told> {
    let findings = object.findings.iter();
    let of = findings.filter(|finding| finding.severity == severity && finding.suppression.is_none());
    of.map(|finding| Told {
        cause: finding.cause.to_owned(),
        text: format!("{}: {}", finding.path, finding.message),
    })
    .collect()
}

/// Whether a scenario can be asked by a manifest: nothing is deleted, and more than status and metadata changes.
fn is_about_a_manifest(case: &Case) -> bool {
    match &case.update {
        Some(update) => update.to.get("spec").is_some(),
        None => case.create.is_some(),
    }
}

/// What a scenario's columns say that differs, but may not.
fn unexplained(case: &Case) -> Vec<String> {
    let Some(offline) = &case.offline else {
        return Vec::new();
    };
    let rules = |lists: [&[case::Expected]; 2]| -> Vec<String> {
        let all = lists.into_iter().flatten();
        let mut rules: Vec<String> = all.map(|finding| finding.rule.clone()).collect();
        rules.retain(|rule| !MAY_DIFFER.contains(&rule.as_str()));
        rules.sort();
        rules
    };
    let (live, here) = (
        rules([&case.denied, &case.warned]),
        rules([&offline.denied, &offline.warned]),
    );
    if live == here {
        Vec::new()
    } else {
        vec![format!("{}: {live:?} live and {here:?} offline", case.name)]
    }
}

#[test]
fn every_scenario_gets_the_same_verdict_from_manifests_alone() {
    let library = case::library();
    let all = case::all();
    let cases: Vec<&Case> = all.iter().filter(|case| is_about_a_manifest(case)).collect();
    let mut wrong = Vec::new();
    let mut differing = 0;
    for case in &cases {
        let (text, object) = judged(case, &library);
        let (denied, warned) = match &case.offline {
            Some(offline) => {
                differing += 1;
                (&offline.denied, &offline.warned)
            }
            None => (&case.denied, &case.warned),
        };
        for (word, expected, severity) in [
            ("denied", denied, Severity::Deny),
            ("warned", warned, Severity::Warn),
        ] {
            if let Err(why) = matches(expected, &told(&object, severity)) {
                wrong.push(format!("{}: {}\n  {word}:{why}", case.name, case.why));
            }
        }
        let lines = text.lines().count();
        for finding in &object.findings {
            let line = usize::try_from(finding.span.line).unwrap();
            let shown = text.lines().nth(line - 1).unwrap_or_default();
            let last = finding
                .path
                .rsplit(['.', '['])
                .next()
                .unwrap()
                .trim_end_matches(']');
            let wrapped = text.lines().nth(line.saturating_sub(2)).unwrap_or_default();
            let named = [shown, wrapped]
                .iter()
                .any(|line| line.contains(last) || line.contains("spec:"));
            if line > lines || !named {
                wrong.push(format!(
                    "{}: {} is told at line {line}: {shown:?}",
                    case.name, finding.path
                ));
            }
        }
    }
    let right = cases.len() - wrong.len().min(cases.len());
    // Past the capture of the harness: `make test` shows it.
    writeln!(
        std::io::stderr(),
        "cassgate check: {right} of {} scenarios have the expected offline verdict ({} %), {differing} of them by a \
         column of their own; {} are deletions and changes of a status, which no manifest asks for",
        cases.len(),
        100 * right / cases.len(),
        all.len() - cases.len()
    )
    .unwrap();
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn only_what_is_absent_and_what_has_run_differs_from_the_webhook() {
    let wrong: Vec<String> = case::all().iter().flat_map(unexplained).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(case::all().iter().any(|case| case.executor != Executor::Casskop));
}
