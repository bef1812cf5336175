//! Reads what a plan needs: references, pods and the ring, from the API server and from the sidecars.

mod bounded;
mod cluster;
mod listings;
mod operation_owner;
mod report;
mod sidecars;

pub(in crate::reconcile) use bounded::{BoundedSidecars, MAX_CONCURRENT_REQUESTS};
pub(in crate::reconcile) use cluster::{ClusterObservation, observe_cluster};
pub(in crate::reconcile) use listings::Listings;
pub(in crate::reconcile) use operation_owner::OperationOwner;
pub(in crate::reconcile) use report::outcome;
pub(in crate::reconcile) use sidecars::{SidecarObserver, sidecar_address};

#[cfg(test)]
mod tests;
