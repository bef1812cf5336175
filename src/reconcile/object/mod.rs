//! Backups and restores as the reconciler sees them: one generic path, one small implementation per kind.

mod cached;
mod guarded;
mod own_writes;
mod plannable;
mod reconciled;
#[cfg(test)]
mod tests;

pub(in crate::reconcile) use cached::CachedObject;
pub(in crate::reconcile) use guarded::{Guarded, UndecodableObject};
pub(in crate::reconcile) use own_writes::OwnWrites;
pub(in crate::reconcile) use plannable::Plannable;
pub(in crate::reconcile) use reconciled::ReconciledObject;
