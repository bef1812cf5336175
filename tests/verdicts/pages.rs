//! The manifests in `docs/rules`: the examples of a page get the verdict that their heading names.

use std::fs;
use std::path::Path;

use cassgate::rules::catalogue::{self, Rule, Severity};
use serde_json::{Map, Value};

use crate::webhook::{AdmissionRequest, Outcome, send};
use crate::world::World;
use crate::{NAMESPACE, offline, policy};

/// A fenced block of YAML. The last document is under review, those before it are stored. A stored document of the same
/// kind and name is its old version.
struct Example {
    heading: String,
    flags: Vec<String>,
    documents: Vec<Value>,
    /// The block as it is written.
    text: String,
}

fn examples(rule: &Rule) -> Vec<Example> {
    let mut found = Vec::new();
    let (mut heading, mut flags) = (String::new(), Vec::new());
    let mut lines = rule.body().lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut heading);
        } else if let Some(list) = line.strip_prefix("<!-- flags: ") {
            flags = list
                .trim_end_matches(" -->")
                .split_whitespace()
                .map(ToOwned::to_owned)
                .collect();
        } else if line == "```yaml" {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let text = text.join("\n");
            found.push(Example {
                heading: heading.clone(),
                flags: std::mem::take(&mut flags),
                documents: match serde_saphyr::from_multiple(&text) {
                    Ok(documents) => documents,
                    // Only check reads a key that is written twice.
                    Err(_) if ONLY_OFFLINE.contains(&rule) => Vec::new(),
                    Err(error) => panic!("{}: {error}", rule.id),
                },
                text,
            });
        }
    }
    found
}

fn judged(rule: &Rule, example: &Example) -> Outcome {
    if ONLY_OFFLINE.contains(&rule) {
        return offline::outcome(&example.text, &example.flags);
    }
    let mut documents = example.documents.clone();
    for document in &mut documents {
        let metadata = document["metadata"].as_object_mut().unwrap();
        metadata
            .entry("namespace")
            .or_insert_with(|| Value::from(NAMESPACE));
    }
    let object = documents.pop().unwrap();
    let same = |other: &&Value| {
        let names = |object: &Value| {
            let metadata = &object["metadata"];
            [
                object["kind"].clone(),
                metadata["name"].clone(),
                metadata["namespace"].clone(),
            ]
        };
        names(other) == names(&object)
    };
    let old = documents.iter().find(same).cloned();
    let policy = policy(&example.flags);
    let status_is_subresource = policy.executor != cassgate::rules::policy::Executor::Casskop;
    let request = AdmissionRequest {
        operation: if old.is_some() { "UPDATE" } else { "CREATE" },
        object,
        old: old.unwrap_or_default(),
        dry_run: false,
        status_is_subresource,
        collection: false,
    };
    let world = World {
        objects: documents,
        labels: Map::new(),
        reads_secrets: true,
    };
    send(world, policy, &request)
}

fn reports(outcome: &Outcome, rule: &Rule) -> (bool, bool) {
    let end = format!(" [cassgate {}]", rule.id);
    (
        outcome.denied.iter().any(|finding| finding.text.ends_with(&end)),
        outcome.warned.iter().any(|finding| finding.text.ends_with(&end)),
    )
}

/// Rules that deny only if the mutating webhook was not reached or status is a subresource. Otherwise the mutating webhook
/// fixes the object and warns, so their pages start with a warning.
const FIXED_BY_MUTATION: [&Rule; 2] = [&catalogue::STATUS_ON_CREATE, &catalogue::STATUS_RESET];

/// Rules about objects that never reach the webhook, because the API server rejects or changes them before.
const ONLY_OFFLINE: [&Rule; 3] = [
    &catalogue::METADATA_MALFORMED,
    &catalogue::FIELD_UNKNOWN,
    &catalogue::FIELD_REPEATED,
];

#[test]
fn the_examples_of_each_page_get_the_verdict_of_their_heading() {
    let mut wrong = Vec::new();
    for rule in catalogue::all() {
        let examples = examples(rule);
        let headings: Vec<&str> = examples.iter().map(|example| example.heading.as_str()).collect();
        let bad = if rule.severities.contains(&Severity::Deny) && !FIXED_BY_MUTATION.contains(&rule) {
            "Refused"
        } else {
            "Warned"
        };
        if headings.first() != Some(&bad) || headings.last() != Some(&"Accepted") {
            wrong.push(format!(
                "{}: its examples are under {headings:?}, from \"{bad}\" to \"Accepted\"",
                rule.id
            ));
            continue;
        }
        for example in &examples {
            let outcome = judged(rule, example);
            let right = match example.heading.as_str() {
                "Refused" => reports(&outcome, rule).0,
                "Warned" => reports(&outcome, rule) == (false, true),
                // An accepted example must not be denied by another rule either.
                _ => outcome.denied.is_empty() && reports(&outcome, rule) == (false, false),
            };
            if !right {
                wrong.push(format!("{}: {}: {outcome:#?}", rule.id, example.heading));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_a_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules");
    let pages = fs::read_dir(folder).unwrap().count();
    assert_eq!(
        pages,
        catalogue::all().count() + 1,
        "one page for each rule, and the list"
    );
}
