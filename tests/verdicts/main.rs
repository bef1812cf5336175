//! Verdicts of the webhooks and of `cassgate check`, computed in this process, for the corpus of scenarios and the manifests
//! in the rules' pages.

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
mod stored;
mod webhook;
mod withheld;
mod world;

use std::collections::BTreeSet;

use cassgate::rules::policy::Policy;
use clap::Parser;
use serde_json::Value;

use case::{Case, Executor};
use webhook::{AdmissionRequest, Outcome, send};
use world::World;

const NAMESPACE: &str = "prod";

/// The flags of `cassgate run` that affect verdicts.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    policy: cassgate::commands::PolicyArgs,
}

fn policy(flags: &[String]) -> Policy {
    let all = std::iter::once("cassgate").chain(flags.iter().map(String::as_str));
    Flags::parse_from(all).policy.into()
}

/// Returns a world of these objects of the library, in which the caller may read Secrets.
fn world_of_library(names: &[&str]) -> World {
    let library = case::library();
    let objects = names
        .iter()
        .map(|name| case::object_of(&library[*name], NAMESPACE));
    World {
        objects: objects.collect(),
        labels: serde_json::Map::new(),
        reads_secrets: true,
    }
}

fn judged(case: &Case, library: &serde_json::Map<String, Value>) -> Outcome {
    answer(case, case.stored_objects(library, NAMESPACE))
}

/// Returns the answer to the request of a scenario, with these stored objects. The last one is that of an update or deletion.
fn answer(case: &Case, stored: Vec<Value>) -> Outcome {
    let subject = case.subject(NAMESPACE);
    let old = match (&case.update, &case.delete) {
        (None, None) => Value::Null,
        _ => stored.last().cloned().unwrap(),
    };
    let request = AdmissionRequest {
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
        status_is_subresource: case.executor != Executor::Casskop,
        collection: case.collection,
    };
    let world = World {
        objects: stored,
        labels: case.namespace.clone(),
        reads_secrets: !case.restricted,
    };
    let mut flags = vec![case.executor.flag().to_owned()];
    flags.extend(case.flags.iter().cloned());
    send(world, policy(&flags), &request)
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
        for finding in &outcome.warned {
            if finding.text.contains('…') {
                wrong.push(format!("{}: a truncated warning: {}", case.name, finding.text));
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

/// The rows of the tables of scenarios that no file of the corpus covers, with the reason.
const COVERED_ELSEWHERE: [(&str, &str); 10] = [
    (
        "B37",
        "only CassKop's old CRDs serve v1alpha1; src/admission/review.rs reads both versions in the same way",
    ),
    ("B38", "a misspelt field never reaches the webhook"),
    ("U14", "a changed Secret causes no request to the webhook"),
    ("U15", "the reconciler watches Secrets"),
    ("D6", "the deletion of a cluster causes no request to the webhook"),
    (
        "R32",
        "the API server drops an unknown field before it calls the webhook",
    ),
    ("C2", "the takeover from CassKop is a task of the reconciler"),
    ("C3", "the rollback to CassKop is a task of the reconciler"),
    ("C4", "tests/kube/status.rs writes status as a subresource"),
    (
        "U12",
        "tests/kube/server_side_apply.rs has two field managers; update/annotation-is-written covers the annotation",
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
        .filter(|row| !shown.contains(row) && COVERED_ELSEWHERE.iter().all(|(other, _)| other != row))
        .collect();
    assert_eq!(missing, [""; 0]);
}

/// A stored object can be applied again without another confirmation.
#[test]
fn an_admitted_object_is_admitted_again_unchanged() {
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
                .map(|finding| finding.text.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(&second), [""; 0], "{}", case.name);
        assert_eq!(second.object, first.object, "{}: defaults fill twice", case.name);
    }
}
