//! The condensed managed fields of an object give the same evidence of a conflict as the whole ones.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::json;

use super::conflict::{condition_by, entry, own_entry, under_way};
use crate::reconcile::plan::conflict::{condense, is_contested};

#[test]
fn condensed_managed_fields_give_the_same_evidence() {
    let metadata = json!({"f:metadata": {"f:annotations": {"f:x": {}}}});
    let table = [
        vec![ManagedFieldsEntry::default()],
        vec![own_entry()],
        vec![condition_by("kubectl-edit"), own_entry()],
        vec![own_entry(), entry("casskop", "Update", "", metadata.clone())],
        vec![own_entry(), entry("argocd-controller", "Apply", "", metadata)],
    ];
    for (entries, has_notes) in table
        .into_iter()
        .flat_map(|row| [(row.clone(), true), (row, false)])
    {
        let mut run = under_way();
        let mut status = run.status();
        status.common.nodes.retain(|_| has_notes);
        for finalizers in [run.object.metadata.finalizers.take(), None] {
            let meta = &mut run.object.metadata;
            (meta.finalizers, meta.managed_fields) = (finalizers, Some(entries.clone()));
            let before = is_contested(meta, Some(&status));
            condense(meta, has_notes);
            assert_eq!(
                is_contested(meta, Some(&status)),
                before,
                "{entries:?} {has_notes}"
            );
        }
    }
}
