//! The corpus judged by `cassgate check` from manifests alone: its verdicts equal those of the webhook.
//!
//! `offline:` of a scenario lists the findings if the two differ. They may differ only for missing references and for rules
//! about state, because a manifest does not show whether an object has run.

use std::io::Write;

use cassgate::check::files::Input;
use cassgate::check::load::Loaded;
use cassgate::check::report::{ObjectReport, Report};
use cassgate::check::{Settings, check};
use cassgate::rules::catalogue::Severity;
use serde_json::{Map, Value, json};

use crate::case::{self, Case, Executor, ReportedFinding, matches};
use crate::webhook::Outcome;
use crate::{NAMESPACE, policy};

/// The rules that may differ. All others must have the same findings.
const MAY_DIFFER: [&str; 13] = [
    "backup-in-use",
    "backup-kind-change",
    "backup-not-found",
    "backup-not-restorable",
    "backup-started",
    "casskop-needs-restart",
    "cluster-labels-not-on-pods",
    "cluster-not-found",
    "restore-in-progress",
    "restore-source-changed",
    "restore-started",
    "secret-not-found",
    "status-reset",
];

/// Returns the objects of a scenario as a stream of documents, as `kustomize build` would print them. The last one is under
/// review.
fn manifests(case: &Case, library: &Map<String, Value>) -> String {
    let mut stored = case.stored_objects(library, NAMESPACE);
    if case.update.is_some() || case.delete.is_some() {
        stored.pop();
    }
    let mut subject = case.subject(NAMESPACE);
    if case.create.is_none() {
        // A stored object has a status, a manifest in Git has none.
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

/// Returns the findings of `check` on the last object of a text.
pub(crate) fn outcome(text: &str, flags: &[String]) -> Outcome {
    let mut report = checked(text, flags);
    let object = report.objects.pop().unwrap();
    Outcome {
        denied: findings_of(&object, Severity::Deny),
        warned: findings_of(&object, Severity::Warn),
        ..Outcome::default()
    }
}

/// Judges a stream of documents.
fn checked(text: &str, flags: &[String]) -> Report {
    let mut loaded = Loaded::default();
    loaded.add(Input {
        name: "all.yaml".to_owned(),
        bytes: Ok(text.as_bytes().to_vec()),
    });
    let settings = Settings {
        policy: policy(flags),
        now: jiff::Timestamp::now(),
        ..Settings::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(check(loaded, &settings, None, |_, _| ()))
}

fn judged(case: &Case, library: &Map<String, Value>) -> (String, ObjectReport) {
    let text = manifests(case, library);
    let mut flags = vec![case.executor.flag().to_owned()];
    flags.extend(case.flags.iter().cloned());
    let mut report = checked(&text, &flags);
    assert!(
        report.errors.is_empty(),
        "{}: {:?}\n{text}",
        case.name,
        report.errors
    );
    assert!(report.notes.is_empty(), "{}: {:?}", case.name, report.notes);
    (text, report.objects.pop().unwrap())
}

fn findings_of(object: &ObjectReport, severity: Severity) -> Vec<ReportedFinding> {
    let findings = object.findings.iter();
    let of = findings.filter(|finding| finding.severity == severity && finding.suppression.is_none());
    of.map(|finding| ReportedFinding {
        cause: finding.cause.to_owned(),
        text: format!("{}: {}", finding.path, finding.message),
    })
    .collect()
}

/// Returns true if `check` can judge the scenario: it is no deletion, and it changes the spec.
fn is_about_a_manifest(case: &Case) -> bool {
    match &case.update {
        Some(update) => update.to.get("spec").is_some(),
        None => case.create.is_some(),
    }
}

/// Returns the differences between both expectations that [`MAY_DIFFER`] does not allow.
fn unexplained(case: &Case) -> Vec<String> {
    let Some(offline) = &case.offline else {
        return Vec::new();
    };
    let rules = |lists: [&[case::Expected]; 2]| -> Vec<String> {
        let all = lists.into_iter().flatten();
        let mut rules: Vec<String> = all.map(|finding| finding.rule.clone()).collect();
        rules.retain(|rule| !MAY_DIFFER.contains(&rule.as_str()));
        // Who may read the files may read the Secrets in them.
        rules.retain(|rule| !(case.restricted && rule.starts_with("secret-")));
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
            if let Err(why) = matches(expected, &findings_of(&object, severity)) {
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
                .any(|line| line.contains(last) || line.contains("spec:") || line.contains("metadata:"));
            if line > lines || !named {
                wrong.push(format!(
                    "{}: {} is reported at line {line}: {shown:?}",
                    case.name, finding.path
                ));
            }
        }
    }
    let right = cases.len() - wrong.len().min(cases.len());
    // Bypasses the output capture of the test harness, so that `make test` shows it.
    writeln!(
        std::io::stderr(),
        "cassgate check: {right} of {} scenarios have the expected offline verdict ({} %), {differing} of them with \
         their own `offline` expectation; {} are deletions and changes of a status, which `check` does not judge",
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
fn check_differs_from_the_webhook_only_for_missing_references_and_state() {
    let wrong: Vec<String> = case::all().iter().flat_map(unexplained).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(case::all().iter().any(|case| case.executor != Executor::Casskop));
}
