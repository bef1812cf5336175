//! Finalizers.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The change to cassgate's finalizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finalizer {
    /// Leaves it as it is.
    Keep,
    /// Adds it before anything else is done.
    Add,
    /// Removes it after everything else was done.
    Release,
}

/// Returns true if an object carries this finalizer.
#[must_use]
pub fn has_finalizer(finalizer: &str, meta: &ObjectMeta) -> bool {
    let finalizers = meta.finalizers.as_deref().unwrap_or_default();
    finalizers.iter().any(|carried| carried == finalizer)
}
