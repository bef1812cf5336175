//! Objects that a file contains and the check does not judge, each with the reason.

use super::yaml::{Node, NodeKind, SpannedNode};
use crate::api::GROUP;

/// The kinds that the check judges.
const JUDGED: [&str; 2] = ["CassandraBackup", "CassandraRestore"];

/// Fields that only the spec of a backup or restore has.
const OWN_FIELDS: [&str; 3] = ["cassandraCluster", "cassandraBackup", "storageLocation"];

/// Returns true if a text contains the name of a judged kind. Other texts contain no object of that kind.
pub(super) fn names_judged_kind(text: &str) -> bool {
    JUDGED.iter().any(|kind| text.contains(kind))
}

/// Returns why an object that seems to be a backup or restore is not judged; `None` for any other object.
///
/// `api_version` and `kind` are `None` if they are missing, empty or not strings.
pub(super) fn reason(node: &Node, api_version: Option<&str>, kind: Option<&str>) -> Option<String> {
    let is_own = |version: &str| version.starts_with("db.orange.com/");
    match (api_version, kind) {
        (Some(version), Some(kind)) if is_own(version) => Some(format!(
            "{version} {kind} is not judged by this version of cassgate"
        )),
        (version, Some(kind)) if is_judged(kind) && version.is_none_or(seems_own) => Some(format!(
            "a {kind} with {} is not judged; write apiVersion: {GROUP}/v2",
            version.map_or_else(
                || "no apiVersion".to_owned(),
                |version| format!("apiVersion {version}")
            )
        )),
        (Some(version), None) if is_own(version) => Some(format!(
            "an object of {version} without a kind is not judged, and kubectl rejects it; add its kind"
        )),
        (None, None) if has_own_field(node) => Some(
            "an object without apiVersion and kind is not judged, and kubectl rejects it; add both"
                .to_owned(),
        ),
        _ => None,
    }
}

fn is_judged(kind: &str) -> bool {
    JUDGED.iter().any(|judged| {
        kind.get(..judged.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(judged))
    })
}

/// Returns true for an apiVersion without a group, and for one that resembles CassKop's. Other operators have a
/// `CassandraBackup` too.
fn seems_own(api_version: &str) -> bool {
    !api_version.contains('/') || api_version.contains("orange")
}

fn has_own_field(node: &Node) -> bool {
    let spec = node.get("spec");
    spec.is_some_and(|spec| spec.keys().any(|key| OWN_FIELDS.contains(&key)))
}

/// Returns a line and a message for each backup and restore inside an object of another kind, as in an `OpenShift`
/// Template, a ConfigMap, or an inline patch of Flux.
pub(super) fn embedded(object: &SpannedNode, kind: Option<&str>) -> Vec<(u32, String)> {
    let place = match (kind, &object.node.kind) {
        (Some(kind), _) => format!("inside {kind}"),
        (None, NodeKind::List(_)) => "in a list without kind: List, which kubectl rejects,".to_owned(),
        (None, _) => "inside an object without a kind".to_owned(),
    };
    let mut found = Vec::new();
    object.walk(&mut |node| {
        let inner = match &node.node.kind {
            NodeKind::Map(_) if !std::ptr::eq(node, object) => {
                let own = node.node.text_at(&["apiVersion"]).is_some_and(seems_own);
                node.node.text_at(&["kind"]).filter(|kind| own && is_judged(kind))
            }
            NodeKind::Text(text) => JUDGED.into_iter().find(|kind| contains_manifest(text, kind)),
            _ => None,
        };
        if let Some(inner) = inner {
            let message =
                format!("a {inner} {place} is not judged; render it, or write it as an object of its own");
            found.push((node.span.line, message));
        }
    });
    found.dedup();
    if found.is_empty() && kind.is_none() && has_judged_item(&object.node) {
        let message = "the items of an object without a kind that is a text are not judged, and kubectl rejects it; write kind: List";
        found.push((object.span.line, message.to_owned()));
    }
    found
}

/// Returns true if an item has the name of a judged kind.
fn has_judged_item(node: &Node) -> bool {
    let items = node.get("items").map(Node::items).unwrap_or_default();
    items
        .iter()
        .any(|item| item.node.text_at(&["kind"]).is_some_and(is_judged))
}

/// Returns true if a text contains a manifest of this kind, in YAML or JSON.
fn contains_manifest(text: &str, kind: &str) -> bool {
    text.contains("kind")
        && text.lines().any(|line| {
            let bare = line.replace(['"', '\'', ' ', ','], "");
            bare.contains(&format!("kind:{kind}"))
        })
}
