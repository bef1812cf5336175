//! The corpus of scenarios, and the manifests in the rules' pages, judged in this process.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod case;
mod offline;
mod pages;
mod recorded;
mod webhook;
mod world;

use std::collections::BTreeSet;

use cassgate::rules::policy::Policy;
use clap::Parser;
use serde_json::Value;

use case::{Case, Executor};
use webhook::{Asked, Outcome, ask};
use world::World;

const NAMESPACE: &str = "prod";

/// The flags of `cassgate run` that decide verdicts.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    policy: cassgate::commands::PolicyArgs,
}

fn policy(flags: &[String]) -> Policy {
    let all = std::iter::once("cassgate").chain(flags.iter().map(String::as_str));
    Flags::parse_from(all).policy.into()
}

fn judged(case: &Case, library: &serde_json::Map<String, Value>) -> Outcome {
    let stored = case.stored_objects(library, NAMESPACE);
    let subject = case.subject(NAMESPACE);
    let old = match (&case.update, &case.delete) {
        (None, None) => Value::Null,
        _ => stored.last().cloned().unwrap(),
    };
    let asked = Asked {
        operation: match (&case.create, &case.update) {
            (Some(_), _) => "CREATE",
            (_, Some(_)) => "UPDATE",
            _ => "DELETE",
        },
        object: if case.delete.is_some() {
            Value::Null
        } else {
            subject
        },
        old,
        dry_run: case.dry_run,
        status_apart: case.executor != Executor::Casskop,
    };
    let world = World {
        objects: stored,
        labels: case.namespace.clone(),
        reads_secrets: !case.restricted,
    };
    let mut flags = vec![case.executor.flag().to_owned()];
    flags.extend(case.flags.iter().cloned());
    ask(world, policy(&flags), &asked)
}

fn verdict(case: &Case, outcome: &Outcome) -> Result<(), String> {
    case.holds(&outcome.denied, &outcome.warned, outcome.code, &outcome.object)
}

#[test]
fn every_scenario_gets_its_verdict() {
    let library = case::library();
    let cases = case::all();
    let mut wrong = Vec::new();
    for case in &cases {
        let outcome = judged(case, &library);
        if let Err(why) = verdict(case, &outcome) {
            wrong.push(format!("{}: {}\n{why}", case.name, case.why));
        }
        for told in &outcome.warned {
            if told.text.contains('…') {
                wrong.push(format!(
                    "{}: a warning that does not fit: {}",
                    case.name, told.text
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} are wrong:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// The rows of the tables of scenarios that no request shows.
const ELSEWHERE: [(&str, &str); 10] = [
    (
        "B37",
        "v1alpha1 is served by CassKop's old CRDs only; src/admission/review.rs reads both versions alike",
    ),
    ("B38", "a misspelt field never reaches the webhook"),
    ("U14", "a rotated Secret is no request of ours"),
    ("U15", "the reconciler watches Secrets"),
    ("D6", "a cluster that goes is no request of ours"),
    (
        "R32",
        "an unknown field is dropped by the API server before the webhook",
    ),
    ("C2", "taking over is the reconciler's"),
    ("C3", "the way back is the reconciler's"),
    ("C4", "tests/kube/status.rs writes status as a subresource"),
    (
        "U12",
        "tests/kube/server_side_apply.rs has two managers; the annotation is update/annotation-is-written",
    ),
];

#[test]
fn every_row_of_the_tables_has_a_scenario() {
    let shown: BTreeSet<String> = case::all().into_iter().flat_map(|case| case.rows).collect();
    let tables = [("B", 40), ("U", 15), ("D", 7), ("R", 33), ("C", 4)];
    let rows = tables
        .into_iter()
        .flat_map(|(table, last)| (1..=last).map(move |row| format!("{table}{row}")));
    let missing: Vec<String> = rows
        .filter(|row| !shown.contains(row) && ELSEWHERE.iter().all(|(other, _)| other != row))
        .collect();
    assert_eq!(missing, [""; 0]);
}

/// What is stored is admitted again: nobody has to confirm twice, or to mend what was let through.
#[test]
fn what_was_admitted_is_admitted_again_unchanged() {
    let library = case::library();
    for case in case::all()
        .iter()
        .filter(|case| case.create.is_some() && case.denied.is_empty())
    {
        let first = judged(case, &library);
        let mut again = case.clone();
        again.create = Some(first.object.clone());
        let second = judged(&again, &library);
        let texts = |outcome: &Outcome| {
            outcome
                .denied
                .iter()
                .map(|told| told.text.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(&second), [""; 0], "{}", case.name);
        assert_eq!(second.object, first.object, "{}: defaults fill twice", case.name);
    }
}
