//! Reads what a plan needs: pods, references and the ring from the API server and from the sidecars.

mod kubernetes;
mod listings;
mod sidecars;

pub(in crate::reconcile) use kubernetes::{ClusterObservation, surroundings};
pub(in crate::reconcile) use listings::Listings;
pub(in crate::reconcile) use sidecars::{OperationOwner, SidecarObserver, outcome, socket};
