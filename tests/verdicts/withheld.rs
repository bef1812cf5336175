//! An answer does not depend on what its user may not read: Secrets, and the objects of other namespaces.
//!
//! Every scenario of the corpus is judged for a user who may read no Secret, with each state of its Secrets and with each kind of
//! object in another namespace. docs/security.md lists what an answer can depend on.

use serde_json::{Value, json};

use crate::case::{self, Case, ReportedFinding};
use crate::webhook::Outcome;
use crate::{NAMESPACE, answer};

/// A Secret with which every storage works.
fn usable() -> Value {
    json!({"awsaccesskeyid": "A", "awssecretaccesskey": "B", "awsregion": "eu-west-1", "azurestorageaccount": "a",
        "azurestoragekey": "k", "gcp": "{\"type\": \"service_account\"}"})
}

/// The other states of a Secret: absent, and with contents of which each causes other findings for a user who may read it.
fn states_of_a_secret() -> Vec<Option<Value>> {
    let with = |key: &str, value: &str| {
        let mut data = usable();
        data[key] = json!(value);
        Some(data)
    };
    vec![
        None,
        Some(json!({})),
        Some(json!({"unrelated": "x"})),
        Some(json!({"awsregion": "eu-west-1"})),
        with("awsregion", "il-central-1"),
        with("awsregion", ""),
        with("awsendpoint", "no host"),
        with("awsendpoint", "minio:9000"),
        with("awssecretaccesskey", "B\n"),
        with("azurestoragekey", ""),
        with("gcp", "none"),
    ]
}

/// Returns the findings of the last answer for a user who may read no Secret, and the object as it would be stored.
fn restricted(case: &Case, stored: Vec<Value>) -> Outcome {
    let case = Case {
        restricted: true,
        ..case.clone()
    };
    answer(&case, stored)
}

fn is_same(one: &Outcome, other: &Outcome) -> bool {
    (&one.denied, &one.warned, one.code, &one.object)
        == (&other.denied, &other.warned, other.code, &other.object)
}

fn assert_same(case: &Case, change: &str, before: &Outcome, after: &Outcome) {
    assert_eq!(
        (&before.denied, &before.warned, before.code, &before.object),
        (&after.denied, &after.warned, after.code, &after.object),
        "{}: {change}",
        case.name
    );
}

/// Returns the scenarios whose answers do not show Secrets to every user.
fn cases() -> impl Iterator<Item = Case> {
    let asks = |case: &Case| !case.flags.iter().any(|flag| flag == "--secret-details=always");
    case::all().into_iter().filter(asks)
}

#[test]
fn a_user_who_may_not_read_a_secret_does_not_learn_why_it_is_unusable() {
    let library = case::library();
    let mut told = 0;
    for case in cases() {
        let stored = case.stored_objects(&library, NAMESPACE);
        let (secrets, others): (Vec<Value>, Vec<Value>) =
            stored.into_iter().partition(|object| object["kind"] == "Secret");
        let mut names: Vec<&str> = secrets
            .iter()
            .filter_map(|secret| secret["metadata"]["name"].as_str())
            .collect();
        names.push("s3");
        let with = |state: &Option<Value>| {
            let secret = |name: &&str| {
                let data = state.clone()?;
                let short = json!({"kind": "Secret", "name": name, "stringData": data});
                Some(case::object_of(&short, NAMESPACE))
            };
            let secrets = names.iter().filter_map(secret);
            // The object of the request is the last one.
            restricted(&case, secrets.chain(others.iter().cloned()).collect())
        };
        let [absent, usable] = [None, Some(usable())].map(|state| with(&state));
        let is_told =
            |finding: &ReportedFinding| finding.text.contains("users who may read it see the reason");
        told += usize::from(absent.denied.iter().any(is_told));
        for state in states_of_a_secret() {
            let answer = with(&state);
            if is_same(&answer, &usable) {
                continue;
            }
            assert_same(&case, &format!("{state:?}"), &absent, &answer);
        }
    }
    assert!(told > 100, "{told} denials are no measure");
}

#[test]
fn an_answer_does_not_depend_on_objects_of_other_namespaces() {
    let library = case::library();
    for case in cases() {
        let stored = case.stored_objects(&library, NAMESPACE);
        let alone = restricted(&case, stored.clone());
        let subject = case.subject(NAMESPACE);
        let own = stored.iter().chain([&subject]);
        let named = library.values().map(|object| case::object_of(object, NAMESPACE));
        let mut foreign: Vec<Value> = own.cloned().chain(named).collect();
        for object in &mut foreign {
            object["metadata"]["namespace"] = json!("foreign");
        }
        for state in ["none", "RUNNING", "COMPLETED", "FAILED"] {
            let mut all: Vec<Value> = foreign
                .iter()
                .cloned()
                .map(|mut object| {
                    let is_ours = object["kind"] == "CassandraBackup" || object["kind"] == "CassandraRestore";
                    if is_ours && state == "none" {
                        object.as_object_mut().unwrap().remove("status");
                    } else if is_ours {
                        object["status"] = json!({"condition": {"type": state}});
                    }
                    object
                })
                .collect();
            all.extend(stored.iter().cloned());
            assert_same(&case, state, &alone, &restricted(&case, all));
        }
    }
}
