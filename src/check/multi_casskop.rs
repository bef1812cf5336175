//! The clusters of a `MultiCasskop`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::api::CassandraCluster;
use crate::rules::facts::{Cluster, Reference};

use super::manifest::Resource;
use super::placeholder::Placeholders;
use super::yaml::Node;

/// A cluster of a `MultiCasskop`.
pub(super) struct OwnCluster {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) cluster: Reference<Cluster>,
}

/// Returns the `CassandraCluster` that a `MultiCasskop` makes in each of its Kubernetes clusters, by namespace and name.
///
/// Each one is `spec.base` with the fields of an entry of `spec.override`; CassKop makes none for a Kubernetes cluster without an
/// entry. Its namespace is the one in the base or the entry. If the clusters differ, it is not known which one is beside a backup,
/// so the cluster is unknown.
pub(super) fn clusters(resource: &Resource, placeholders: &Placeholders) -> Vec<OwnCluster> {
    let node = resource.manifest.object().node;
    let Some(base) = node.at(&["spec", "base"]).map(Node::to_json) else {
        return Vec::new();
    };
    let overrides = node.at(&["spec", "override"]).map(Node::to_json);
    let made: Vec<Value> = match overrides {
        Some(Value::Object(all)) => all.into_iter().map(|(_, own)| merged(&base, own)).collect(),
        _ => Vec::new(),
    };
    let is_open = node
        .at(&["spec", "override"])
        .is_some_and(|own| placeholders.is_in_node(own));
    let is_final = resource.opaque.is_none() && !placeholders.is_in_node(&node);
    let unknown = |why: &str| Reference::Unknown(format!("MultiCasskop {} {why}", resource.name()));
    let mut by_name: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    let is_empty = made.is_empty() && !is_open;
    for variant in if made.is_empty() { vec![base] } else { made } {
        if let Some(name) = text_at(&variant, "/metadata/name") {
            let namespace = text_at(&variant, "/metadata/namespace");
            let key = (namespace.unwrap_or_else(|| resource.namespace.to_string()), name);
            let known = by_name.entry(key).or_default();
            if !known.contains(&variant) {
                known.push(variant);
            }
        }
    }
    let cluster_of = |variants: &[Value]| match variants {
        _ if is_empty => unknown(
            "has no spec.override, and CassKop makes a CassandraCluster only for each Kubernetes cluster that spec.override names",
        ),
        _ if !is_final => unknown("makes it, and its fields are not final; render it first"),
        [variant] => serde_json::from_value(variant.clone()).map_or_else(
            |_| unknown("makes it, and its fields cannot be read"),
            |cluster: CassandraCluster| Reference::Found(Cluster::from(&cluster)),
        ),
        _ => unknown("makes it in each of its Kubernetes clusters, with other fields"),
    };
    by_name
        .into_iter()
        .map(|((namespace, name), variants)| OwnCluster {
            cluster: cluster_of(&variants),
            namespace,
            name,
        })
        .collect()
}

fn text_at(object: &Value, pointer: &str) -> Option<String> {
    let text = object.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
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
