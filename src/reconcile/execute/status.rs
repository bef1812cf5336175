//! Writes the status by server-side apply.
//!
//! Every write carries the uid and the resource version on which the plan is based. If another client wrote in between,
//! or if the object was created anew under its name, the write fails and the object is planned again.

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::reconcile::object::ReconciledObject;
use crate::reconcile::plan::conflict::{self, FIELD_MANAGER};

/// The reasons why a status was not written.
#[derive(Debug, thiserror::Error)]
pub(in crate::reconcile) enum StatusError {
    /// The API server denies the write or does not respond.
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    /// The API server returned a different status: the CRD lacks some of our fields.
    #[error("the API server dropped a part of the status: the CRD is not cassgate's (see docs/executor.md)")]
    Dropped,
}

/// Writes the status and returns the object as it is stored afterwards.
///
/// # Errors
/// [`StatusError`]. Nothing that the status announces may be done then.
pub(super) async fn write<K: ReconciledObject>(
    api: &Api<K>,
    object: &K,
    status: &K::Status,
) -> Result<K, StatusError> {
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {
            "name": object.name_any(),
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
        },
        "status": status,
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let written = api
        .patch_status(&object.name_any(), &parameters, &Patch::Apply(patch))
        .await?;
    if written.status() == Some(status) {
        Ok(written)
    } else {
        Err(StatusError::Dropped)
    }
}

/// Makes cassgate the owner of the status fields that other clients wrote, and returns the object as it is stored
/// afterwards.
///
/// # Errors
/// [`kube::Error`].
pub(super) async fn take_over<K: ReconciledObject>(api: &Api<K>, object: &K) -> Result<K, kube::Error> {
    let patch = json!({
        "metadata": {
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
            "managedFields": conflict::take_over(object.meta()),
        },
    });
    api.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch))
        .await
}
