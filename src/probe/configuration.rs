//! The hop of the two webhook configurations and of the namespace.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::admissionregistration::v1::RuleWithOperations, apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::core::{Selector, SelectorExt};

use super::{Entry, Meant, Read, Seen, Side, call::Path, first, report::State};

/// What both sides have to be called for.
const CALLS: [(&str, &str); 4] = [
    ("cassandrabackups", "CREATE"),
    ("cassandrabackups", "UPDATE"),
    ("cassandrarestores", "CREATE"),
    ("cassandrarestores", "UPDATE"),
];

/// The label by which the shipped configurations leave a namespace alone.
const EXEMPTION: &str = "cassgate.db.orange.com/admission";

/// What mends most of it.
const APPLY: &str = "apply the manifests again";

/// What mends the absence of it all.
const ABSENT: &str = "apply the manifests again, or name yours with --webhooks";

pub(super) fn judge(seen: &Seen, entries: &[Entry], path: &Path, meant: Meant) -> State {
    let mut troubles = Vec::new();
    if path.kind_is_absent() {
        troubles.push(State::broken(
            "the API server knows no CassandraBackup of db.orange.com/v2",
            "install the CRDs first, of CassKop or of manifests/crds",
        ));
    }
    if matches!((&seen.mutating, &seen.validating), (Read::Absent, Read::Absent)) {
        troubles.push(State::broken(
            format!("there are no webhook configurations named {}", seen.webhooks),
            ABSENT,
        ));
    }
    troubles.extend(present(seen, Side::Mutating, &seen.mutating));
    troubles.extend(present(seen, Side::Validating, &seen.validating));
    for (side, there) in [
        (Side::Mutating, matches!(seen.mutating, Read::Found(_))),
        (Side::Validating, matches!(seen.validating, Read::Found(_))),
    ] {
        if there {
            troubles.extend(uncovered(side, entries));
        }
    }
    troubles.extend(entries.iter().filter_map(|entry| failure_policy(entry, meant)));
    troubles.extend(exempt(seen, entries));
    first(troubles).unwrap_or_else(|| State::Ok(summary(seen, entries)))
}

fn summary(seen: &Seen, entries: &[Entry]) -> String {
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    format!(
        "{}: {}; namespace {} is not exempt",
        seen.webhooks,
        names.join(", "),
        seen.namespace
    )
}

fn present<T>(seen: &Seen, side: Side, read: &Read<T>) -> Option<State> {
    match read {
        Read::Found(_) => None,
        Read::Absent => Some(State::broken(
            format!("there is no {} {}", side.kind(), seen.webhooks),
            ABSENT,
        )),
        Read::Unknown(why) => Some(State::Unknown(format!(
            "the {} {} could not be read: {why}",
            side.kind(),
            seen.webhooks
        ))),
    }
}

/// Whether rules ask for this resource of ours and this operation.
pub(super) fn covers(rules: &[RuleWithOperations], resource: &str, operation: &str) -> bool {
    let has = |list: &Option<Vec<String>>, wanted: &str| {
        list.iter().flatten().any(|item| item == "*" || item == wanted)
    };
    rules.iter().any(|rule| {
        has(&rule.api_groups, "db.orange.com")
            && has(&rule.api_versions, "v2")
            && (has(&rule.resources, resource) || has(&rule.resources, "*/*"))
            && has(&rule.operations, operation)
            && rule.scope.as_deref() != Some("Cluster")
    })
}

fn uncovered(side: Side, entries: &[Entry]) -> Option<State> {
    let lacking: Vec<String> = CALLS
        .iter()
        .filter(|(resource, operation)| {
            !entries
                .iter()
                .any(|entry| entry.side == side && covers(&entry.rules, resource, operation))
        })
        .map(|(resource, operation)| format!("{operation} of {resource}"))
        .collect();
    (!lacking.is_empty()).then(|| {
        State::broken(
            format!("no rule of the {} asks for {}", side.kind(), lacking.join(", ")),
            APPLY,
        )
    })
}

/// Nothing passes unjudged, and a deletion waits for nobody.
fn failure_policy(entry: &Entry, meant: Meant) -> Option<State> {
    let deletes = covers(&entry.rules, "cassandrabackups", "DELETE");
    let wanted = match entry.side {
        Side::Mutating => return None,
        Side::Validating if deletes || meant.ignore => "Ignore",
        Side::Validating => "Fail",
    };
    if entry.failure_policy == wanted {
        return None;
    }
    let name = &entry.name;
    Some(match wanted {
        "Fail" => State::broken(
            format!("{name} has failurePolicy Ignore: what it cannot be asked about passes unjudged"),
            format!("{APPLY}, or say --failure-policy=ignore where that is meant"),
        ),
        _ if deletes => State::broken(
            format!("{name} has failurePolicy Fail: without cassgate nothing can be deleted"),
            "give the rule for DELETE a webhook of its own with failurePolicy Ignore, as the manifests do",
        ),
        _ => State::broken(
            format!("{name} has failurePolicy Fail"),
            "leave out --failure-policy=ignore, or set it to Ignore",
        ),
    })
}

fn exempt(seen: &Seen, entries: &[Entry]) -> Option<State> {
    let namespace = &seen.namespace;
    let labels = match &seen.labels {
        Read::Found(found) => {
            let mut labels = found.metadata.labels.clone().unwrap_or_default();
            // Set by the API server; older ones may lack it.
            labels
                .entry("kubernetes.io/metadata.name".to_owned())
                .or_insert_with(|| namespace.clone());
            labels
        }
        Read::Absent => {
            return Some(State::broken(
                format!("there is no namespace {namespace}"),
                "name one with --namespace",
            ));
        }
        Read::Unknown(why) => {
            return Some(State::Unknown(format!(
                "the labels of namespace {namespace} could not be read: {why}"
            )));
        }
    };
    let mut tried = entries.iter().filter(|entry| entry.is_tried());
    tried.find_map(|entry| passed_over(entry, namespace, &labels))
}

/// Why the tries are none of this webhook's business. They carry no label.
fn passed_over(entry: &Entry, namespace: &str, labels: &BTreeMap<String, String>) -> Option<State> {
    let name = &entry.name;
    if let Some(selector) = unfit(entry.namespace_selector.as_ref(), labels) {
        return Some(State::broken(
            format!("namespace {namespace} is exempt: {name} is called only where {selector}"),
            remedy(namespace, labels),
        ));
    }
    let selector = unfit(entry.object_selector.as_ref(), &BTreeMap::new())?;
    Some(State::broken(
        format!("{name} is called only for objects with {selector}"),
        "take the objectSelector away: whoever writes an object would choose whether it is judged",
    ))
}

fn remedy(namespace: &str, labels: &BTreeMap<String, String>) -> String {
    if labels.get(EXEMPTION).is_some_and(|value| value == "disabled") {
        format!("if that is not meant: kubectl label namespace {namespace} {EXEMPTION}-")
    } else {
        "if that is not meant, change its labels or the namespaceSelector".to_owned()
    }
}

/// The selector, when it does not take these labels.
fn unfit(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> Option<String> {
    let selector = Selector::try_from(selector?.clone()).ok()?;
    (!selector.matches(labels)).then(|| selector.to_string())
}
