//! The sidecars: what one node's Icarus is asked, what it answers, and a client.
//!
//! Every request goes to one node, and never asks it to speak for the cluster: cassgate is the coordinator. Icarus
//! forgets everything when it restarts and tells the truth about its own node only, so an answer is a hint, and who
//! acts on it looks again.
//!
//! Nothing here tries twice. [`SidecarError::may_have_arrived`] says whether a request that failed can have had an
//! effect; what to do about that is the business of the plan.

pub mod answer;
pub mod client;
pub mod error;
pub mod failure;
pub mod listing;
pub mod node;
pub mod operation;
pub mod request;
mod wire;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use crate::domain::schema_version::SchemaVersion;

pub use error::{Refusal, SidecarError};
pub use failure::NodeFailure;
pub use listing::{Listing, StoredSnapshot};
pub use node::{RingNode, Topology};
pub use operation::{Operation, OperationError, OperationId, OperationKind, OperationState};
pub use request::{
    BackupRequest, ListRequest, OperationFilter, OperationRequest, RemoveBackupRequest, RestoreRequest,
    SchemaChoice, SecretReference, Snapshot, Store, Strategy,
};

pub use crate::domain::phase::RestorePhase;

/// The port on which Icarus listens in CassKop's pods.
pub const PORT: u16 = 4567;

/// How long `/topology` may take. It takes five seconds on a healthy node (seen), since it asks JMX five times.
pub const TOPOLOGY_WITHIN: Duration = Duration::from_secs(30);

/// How long any other request may take. `/status` takes a second on a healthy node (seen).
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Whoever can ask the sidecar of a node: over HTTP, or a model of it in a test.
///
/// `at` is the sidecar's address, looked up anew by the caller for each request. `within` is all the time that a
/// request has, connecting included. Dropping the future gives the request up; it may have arrived all the same.
///
/// # Errors
/// Each method: [`SidecarError`], which also says whether the request may have arrived.
pub trait SidecarApi: Send + Sync {
    /// Starts an operation. The answer is the operation as it stands then, which may already be its end.
    fn submit(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        within: Duration,
    ) -> impl Future<Output = Result<Operation, SidecarError>> + Send;

    /// One operation. [`SidecarError::UnknownOperation`] after a restart of the sidecar, or an hour after its end.
    fn operation(
        &self,
        at: SocketAddr,
        id: &OperationId,
        within: Duration,
    ) -> impl Future<Output = Result<Operation, SidecarError>> + Send;

    /// The operations that the sidecar remembers, newest first.
    fn operations(
        &self,
        at: SocketAddr,
        filter: OperationFilter,
        within: Duration,
    ) -> impl Future<Output = Result<Vec<Operation>, SidecarError>> + Send;

    /// The version of the schema that the node sees.
    fn schema_version(
        &self,
        at: SocketAddr,
        within: Duration,
    ) -> impl Future<Output = Result<SchemaVersion, SidecarError>> + Send;

    /// The nodes of the ring, of every datacenter, as this one sees them.
    fn topology(
        &self,
        at: SocketAddr,
        within: Duration,
    ) -> impl Future<Output = Result<Topology, SidecarError>> + Send;
}
