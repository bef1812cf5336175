//! The client of the Icarus sidecars, with its requests and answers.
//!
//! cassgate is the coordinator: every request goes to one node and concerns that node only. Icarus forgets its operations
//! when it restarts and knows the state of its own node only, so callers check an answer again before they act on it.
//!
//! The client never retries. [`SidecarError::may_have_arrived`] tells whether a failed request may have had an effect, and
//! the planner decides what follows.

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
pub mod partial;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use crate::domain::schema_version::SchemaVersion;

pub use error::{Refusal, SidecarError};
pub use failure::NodeFailure;
pub use listing::{Listing, StoredSnapshot};
pub use node::{NodeMode, RingNode, Topology};
pub use operation::{Operation, OperationError, OperationId, OperationKind, OperationState};
pub use request::{
    BackupRequest, ListPurpose, ListRequest, OperationFilter, OperationRequest, RemoveBackupRequest,
    RestoreRequest, SchemaChoice, SecretReference, Snapshot, Store, Strategy,
};

pub use crate::domain::phase::RestorePhase;

/// The port of Icarus in CassKop's pods.
pub const PORT: u16 = 4567;

/// The timeout of `/topology`. A healthy node answers after five seconds (observed), because Icarus queries JMX five times.
pub const TOPOLOGY_TIMEOUT: Duration = Duration::from_secs(30);

/// The timeout of every other request. A healthy node answers within a second (observed).
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The last check before a request is sent. The error says why nothing may be sent any more.
pub type Permission<'a> = &'a (dyn Fn() -> Result<(), String> + Sync);

/// The requests to the sidecar of a node, over HTTP or in a model of it for tests.
///
/// `at` is the address of the sidecar, which the caller looks up for each request. `timeout` covers the whole request,
/// including the connection. Dropping the future cancels the request, which may have arrived nevertheless.
///
/// # Errors
/// Every method returns [`SidecarError`], which also tells whether the request may have arrived.
pub trait SidecarApi: Send + Sync {
    /// Starts an operation. Returns its state at the time of the answer, which may already be a terminal one.
    fn submit(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        timeout: Duration,
    ) -> impl Future<Output = Result<Operation, SidecarError>> + Send;

    /// Starts an operation as [`submit`](Self::submit) does, if `permitted` succeeds once the connection is established:
    /// a connection may take seconds, in which the caller can lose its right to send. The error is
    /// [`SidecarError::Withheld`] with the text of `permitted`. An implementation without connections checks it first.
    fn submit_if(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        timeout: Duration,
        permitted: Permission<'_>,
    ) -> impl Future<Output = Result<Operation, SidecarError>> + Send {
        async move {
            permitted().map_err(SidecarError::Withheld)?;
            self.submit(at, request, timeout).await
        }
    }

    /// Returns one operation.
    ///
    /// After a restart of the sidecar, and an hour after the end of the operation, the error is
    /// [`SidecarError::UnknownOperation`].
    fn operation(
        &self,
        at: SocketAddr,
        id: &OperationId,
        timeout: Duration,
    ) -> impl Future<Output = Result<Operation, SidecarError>> + Send;

    /// Returns the operations that the sidecar remembers, newest first.
    fn operations(
        &self,
        at: SocketAddr,
        filter: OperationFilter,
        timeout: Duration,
    ) -> impl Future<Output = Result<Vec<Operation>, SidecarError>> + Send;

    /// Returns the schema version of the node.
    fn schema_version(
        &self,
        at: SocketAddr,
        timeout: Duration,
    ) -> impl Future<Output = Result<SchemaVersion, SidecarError>> + Send;

    /// Returns the mode of the node, as the node sees itself.
    fn mode(
        &self,
        at: SocketAddr,
        timeout: Duration,
    ) -> impl Future<Output = Result<NodeMode, SidecarError>> + Send;

    /// Returns the ring as the node sees it, with the nodes of every datacenter.
    fn topology(
        &self,
        at: SocketAddr,
        timeout: Duration,
    ) -> impl Future<Output = Result<Topology, SidecarError>> + Send;
}
