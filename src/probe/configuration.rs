//! The hop of the two webhook configurations and of the namespace.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};

use super::calls::Calls;
use super::observation::{Lookup, Observation};
use super::report::State;
use super::webhook::{Side, Webhook};

/// The resources and operations for which both sides must be called.
const REQUIRED_CALLS: [(&str, &str); 4] = [
    ("cassandrabackups", "CREATE"),
    ("cassandrabackups", "UPDATE"),
    ("cassandrarestores", "CREATE"),
    ("cassandrarestores", "UPDATE"),
];

/// The label that exempts a namespace in the shipped configurations.
const EXEMPTION: &str = "cassgate.db.orange.com/admission";

/// The remedy for a wrong configuration.
const APPLY: &str = "apply the manifests again";

/// The remedy for a missing configuration.
const ABSENT: &str = "apply the manifests again, or name yours with --webhooks";

pub(super) fn judge(
    observation: &Observation,
    webhooks: &[Webhook],
    calls: &Calls,
    expect_ignore: bool,
) -> State {
    let name = &observation.configuration_name;
    let mut problems = Vec::new();
    if calls.kind_is_absent() {
        problems.push(State::broken(
            "the API server does not serve CassandraBackup of db.orange.com/v2",
            "install the CRDs of CassKop or of manifests/crds first",
        ));
    }
    let (mutating, validating) = (&observation.mutating, &observation.validating);
    if matches!((mutating, validating), (Lookup::Absent, Lookup::Absent)) {
        problems.push(State::broken(
            format!("there are no webhook configurations named {name}"),
            ABSENT,
        ));
    }
    problems.extend(missing(name, Side::Mutating, mutating));
    problems.extend(missing(name, Side::Validating, validating));
    for (side, is_found) in [
        (Side::Mutating, matches!(mutating, Lookup::Found(_))),
        (Side::Validating, matches!(validating, Lookup::Found(_))),
    ] {
        if is_found {
            problems.extend(uncovered(side, webhooks));
        }
    }
    problems.extend(
        webhooks
            .iter()
            .filter_map(|webhook| failure_policy(webhook, expect_ignore)),
    );
    problems.extend(exempt(observation, webhooks));
    State::most_severe(problems).unwrap_or_else(|| State::Ok(summary(observation, webhooks)))
}

fn summary(observation: &Observation, webhooks: &[Webhook]) -> String {
    let names: Vec<&str> = webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
    format!(
        "{}: {}; namespace {} is not exempt",
        observation.configuration_name,
        names.join(", "),
        observation.namespace
    )
}

fn missing<T>(name: &str, side: Side, configuration: &Lookup<T>) -> Option<State> {
    match configuration {
        Lookup::Found(_) => None,
        Lookup::Absent => Some(State::broken(
            format!("there is no {} {name}", side.kind()),
            ABSENT,
        )),
        Lookup::Unknown(why) => Some(State::Unknown(format!(
            "the {} {name} could not be read: {why}",
            side.kind()
        ))),
    }
}

fn uncovered(side: Side, webhooks: &[Webhook]) -> Option<State> {
    let lacking: Vec<String> = REQUIRED_CALLS
        .iter()
        .filter(|(resource, operation)| {
            !webhooks
                .iter()
                .any(|webhook| webhook.side == side && webhook.covers(resource, operation))
        })
        .map(|(resource, operation)| format!("{operation} of {resource}"))
        .collect();
    (!lacking.is_empty()).then(|| {
        State::broken(
            format!("no rule of the {} matches {}", side.kind(), lacking.join(", ")),
            APPLY,
        )
    })
}

/// Checks that no object is admitted without a verdict, and that a deletion never waits for cassgate.
fn failure_policy(webhook: &Webhook, expect_ignore: bool) -> Option<State> {
    let covers_deletes = webhook.covers("cassandrabackups", "DELETE");
    let expected = match webhook.side {
        Side::Mutating => return None,
        Side::Validating if covers_deletes || expect_ignore => "Ignore",
        Side::Validating => "Fail",
    };
    if webhook.failure_policy == expected {
        return None;
    }
    let name = &webhook.name;
    Some(match expected {
        "Fail" => State::broken(
            format!(
                "{name} has failurePolicy Ignore: an object is admitted unjudged when cassgate does not answer"
            ),
            format!("{APPLY}, or use --failure-policy=ignore if that is intended"),
        ),
        _ if covers_deletes => State::broken(
            format!("{name} has failurePolicy Fail: without cassgate no object can be deleted"),
            "give the rule for DELETE a webhook of its own with failurePolicy Ignore, as the manifests do",
        ),
        _ => State::broken(
            format!("{name} has failurePolicy Fail"),
            "leave out --failure-policy=ignore, or set it to Ignore",
        ),
    })
}

fn exempt(observation: &Observation, webhooks: &[Webhook]) -> Option<State> {
    let namespace = &observation.namespace;
    let labels = match &observation.namespace_object {
        Lookup::Found(found) => {
            let mut labels = found.metadata.labels.clone().unwrap_or_default();
            // The API server sets this label; older ones may not.
            labels
                .entry("kubernetes.io/metadata.name".to_owned())
                .or_insert_with(|| namespace.clone());
            labels
        }
        Lookup::Absent => {
            return Some(State::broken(
                format!("there is no namespace {namespace}"),
                "name one with --namespace",
            ));
        }
        Lookup::Unknown(why) => {
            return Some(State::Unknown(format!(
                "the labels of namespace {namespace} could not be read: {why}"
            )));
        }
    };
    let mut called = webhooks.iter().filter(|webhook| webhook.is_called());
    called.find_map(|webhook| not_selected(webhook, namespace, &labels))
}

/// Returns why the selectors of a webhook exclude the dry runs, whose objects have no labels.
fn not_selected(webhook: &Webhook, namespace: &str, labels: &BTreeMap<String, String>) -> Option<State> {
    let name = &webhook.name;
    if let Some(selector) = mismatch(webhook.namespace_selector.as_ref(), labels) {
        return Some(State::broken(
            format!("namespace {namespace} is exempt: {name} is called only where {selector}"),
            remedy(namespace, labels),
        ));
    }
    let selector = mismatch(webhook.object_selector.as_ref(), &BTreeMap::new())?;
    Some(State::broken(
        format!("{name} is called only for objects with {selector}"),
        "remove the objectSelector: with it, the author of an object decides whether it is judged",
    ))
}

fn remedy(namespace: &str, labels: &BTreeMap<String, String>) -> String {
    if labels.get(EXEMPTION).is_some_and(|value| value == "disabled") {
        format!("if that is not intended: kubectl label namespace {namespace} {EXEMPTION}-")
    } else {
        "if that is not intended, change its labels or the namespaceSelector".to_owned()
    }
}

/// Returns the selector if it does not match these labels.
fn mismatch(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> Option<String> {
    let selector = Selector::try_from(selector?.clone()).ok()?;
    (!selector.matches(labels)).then(|| selector.to_string())
}
