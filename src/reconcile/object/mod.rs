//! Backups and restores as the reconciler sees them: one generic path, one small implementation per kind.

mod cached;
mod plannable;
mod reconciled;
#[cfg(test)]
mod tests;

pub(in crate::reconcile) use cached::{CachedObject, into_object_event};
pub(in crate::reconcile) use plannable::Plannable;
pub(in crate::reconcile) use reconciled::ReconciledObject;
