//! The clusters of a `MultiCasskop`.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::api::CassandraCluster;
use crate::rules::facts::{Cluster, Reference};

use super::manifest::Resource;
use super::placeholder::Placeholders;
use super::yaml::Node;

/// Returns the `CassandraCluster` that a `MultiCasskop` makes in each of its Kubernetes clusters, by name.
///
/// Each one is `spec.base` with the fields of an entry of `spec.override`. If they differ, it is not known which one is beside
/// a backup, so the cluster is unknown.
pub(super) fn clusters(
    resource: &Resource,
    placeholders: &Placeholders,
) -> Vec<(String, Reference<Cluster>)> {
    let node = Arc::clone(&resource.manifest.object.node);
    let Some(base) = node.at(&["spec", "base"]).map(Node::to_json) else {
        return Vec::new();
    };
    let overrides = node.at(&["spec", "override"]).map(Node::to_json);
    let mut variants: Vec<Value> = match overrides {
        Some(Value::Object(all)) if !all.is_empty() => {
            all.into_iter().map(|(_, own)| merged(&base, own)).collect()
        }
        _ => vec![base],
    };
    variants.dedup();
    let name_of = |variant: &Value| {
        variant
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let mut names: Vec<String> = variants.iter().filter_map(name_of).collect();
    names.sort();
    names.dedup();
    let unknown = |why: &str| Reference::Unknown(format!("MultiCasskop {} makes it{why}", resource.name()));
    let cluster_of = |name: &String| {
        let mut own = variants
            .iter()
            .filter(|variant| name_of(variant).as_ref() == Some(name));
        let (first, second) = (own.next(), own.next());
        let is_final = resource.opaque.is_none() && !placeholders.is_in_node(&node);
        match first {
            Some(variant) if second.is_none() && is_final => serde_json::from_value(variant.clone())
                .map_or_else(
                    |error| unknown(&format!(", and it cannot be read: {error}")),
                    |cluster: CassandraCluster| Reference::Found(Cluster::from(&cluster)),
                ),
            _ if is_final => unknown(" in each of its Kubernetes clusters, with other fields"),
            _ => unknown(", and its fields are not final; render it first"),
        }
    };
    names
        .iter()
        .map(|name| (name.clone(), cluster_of(name)))
        .collect()
}

/// Returns `base` with the fields of `own`: maps are merged, and other values replaced.
fn merged(base: &Value, own: Value) -> Value {
    match (base, own) {
        (Value::Object(base), Value::Object(own)) => {
            let mut fields: Map<String, Value> = base.clone();
            for (key, value) in own {
                let value = match base.get(&key) {
                    Some(before) => merged(before, value),
                    None => value,
                };
                fields.insert(key, value);
            }
            Value::Object(fields)
        }
        (_, own) => own,
    }
}
