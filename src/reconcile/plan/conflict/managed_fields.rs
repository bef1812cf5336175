//! The owners of fields, as `metadata.managedFields` has them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value};

use super::evidence::ConflictEvidence;

/// The field manager of everything that cassgate writes.
pub const FIELD_MANAGER: &str = "cassgate";

/// The field manager of `CassKop`: the name of its program, since it sets none.
const CASSKOP: &str = "casskop";

/// The fields of a status that only an executor writes.
const EXECUTOR_FIELDS: [&str; 3] = ["condition", "id", "coordinatorMember"];

/// Returns the evidence that another manager wrote a field that only an executor writes.
pub(super) fn other_writer(meta: &ObjectMeta) -> Option<ConflictEvidence> {
    let mut others = entries(meta).filter(|entry| !is_own(entry));
    others.find_map(|entry| {
        let manager = entry.manager.clone().unwrap_or_default();
        let executor_field = |field: &str| {
            EXECUTOR_FIELDS
                .into_iter()
                .find(|name| field.strip_prefix("f:") == Some(name))
        };
        let field = match status_fields(entry).find_map(executor_field) {
            Some(field) => format!("status.{field}"),
            None if manager == CASSKOP => "the metadata".to_owned(),
            None => return None,
        };
        Some(ConflictEvidence::Wrote { manager, field })
    })
}

/// Returns true if cassgate owns `status.nodes`.
pub(super) fn owns_nodes(meta: &ObjectMeta) -> bool {
    entries(meta).any(|entry| is_own(entry) && status_fields(entry).any(|field| field == "f:nodes"))
}

/// Returns true if others own fields that cassgate has to take over before a run of its own begins.
pub(in crate::reconcile::plan) fn is_written_by_others(meta: &ObjectMeta) -> bool {
    let is_relevant = |entry: &ManagedFieldsEntry| {
        status_fields(entry).next().is_some() || entry.manager.as_deref() == Some(CASSKOP)
    };
    entries(meta).any(|entry| !is_own(entry) && is_relevant(entry))
}

/// Keeps only the managed fields that [`is_contested`](super::is_contested) reads: unfiltered, they take
/// up more than half of the memory of an object. `has_nodes`: true if the status has `nodes`.
pub(in crate::reconcile) fn condense(meta: &mut ObjectMeta, has_nodes: bool) {
    let is_evidence = |entry: &ManagedFieldsEntry, field: &str| {
        let name = field.strip_prefix("f:").unwrap_or_default();
        if is_own(entry) {
            !has_nodes && name == "nodes"
        } else {
            EXECUTOR_FIELDS.contains(&name)
        }
    };
    let kept = entries(meta).filter_map(|entry| {
        let fields = status_fields(entry).filter(|field| is_evidence(entry, field));
        let fields: Map<_, _> = fields.map(|field| (field.to_owned(), Value::Null)).collect();
        let is_casskop = entry.manager.as_deref() == Some(CASSKOP);
        (is_casskop || !fields.is_empty()).then(|| ManagedFieldsEntry {
            manager: entry.manager.clone(),
            fields_v1: Some(FieldsV1(serde_json::json!({ "f:status": fields }))),
            ..ManagedFieldsEntry::default()
        })
    });
    let kept: Vec<_> = kept.collect();
    meta.managed_fields = (!kept.is_empty()).then_some(kept);
}

/// Returns the managed fields with cassgate as the owner of everything in the status, and without `CassKop`.
///
/// The next write of cassgate then removes the fields that it no longer writes, even those that others wrote first.
pub(in crate::reconcile) fn take_over(meta: &ObjectMeta) -> Vec<ManagedFieldsEntry> {
    let (mut own, others): (Vec<_>, Vec<_>) = entries(meta)
        .cloned()
        .partition(|entry| is_own(entry) && entry.subresource.as_deref() == Some("status"));
    let mut status = Value::Object(Map::new());
    let mut kept = Vec::new();
    let mut last = None;
    for mut entry in others {
        let fields = entry
            .fields_v1
            .as_mut()
            .and_then(|fields| fields.0.as_object_mut());
        if let Some(theirs) = fields.and_then(|fields| fields.remove("f:status")) {
            merge(&mut status, theirs);
            last = Some(entry.clone());
        }
        let is_empty = entry
            .fields_v1
            .as_ref()
            .is_none_or(|fields| fields.0.as_object().is_none_or(Map::is_empty));
        if !is_empty && entry.manager.as_deref() != Some(CASSKOP) {
            kept.push(entry);
        }
    }
    let fields = serde_json::json!({ "f:status": status });
    match (own.first_mut(), last) {
        (_, None) => {}
        (Some(own), Some(_)) => {
            let mut merged = own.fields_v1.take().map_or(Value::Null, |fields| fields.0);
            merge(&mut merged, fields);
            own.fields_v1 = Some(FieldsV1(merged));
        }
        (None, Some(theirs)) => own.push(ManagedFieldsEntry {
            manager: Some(FIELD_MANAGER.to_owned()),
            operation: Some("Apply".to_owned()),
            subresource: Some("status".to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..theirs
        }),
    }
    own.extend(kept);
    own
}

fn entries(meta: &ObjectMeta) -> impl Iterator<Item = &ManagedFieldsEntry> {
    meta.managed_fields.iter().flatten()
}

fn is_own(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
}

/// Returns the fields of the status that an entry owns, in the form of managed fields: `f:condition`.
fn status_fields(entry: &ManagedFieldsEntry) -> impl Iterator<Item = &str> {
    let fields = entry
        .fields_v1
        .as_ref()
        .and_then(|fields| fields.0.get("f:status"));
    let fields = fields.and_then(Value::as_object).into_iter();
    fields.flat_map(|fields| fields.keys().map(String::as_str))
}

/// Adds the fields of one tree to another one.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (field, below) in from {
                merge(into.entry(field).or_insert(Value::Null), below);
            }
        }
        (into, from) if into.is_null() => *into = from,
        _ => {}
    }
}
