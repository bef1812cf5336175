//! Bounds the requests of one reconcile that are under way at the same time.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::domain::schema_version::SchemaVersion;
use crate::icarus::{
    NodeMode, Operation, OperationFilter, OperationId, OperationRequest, SidecarApi, SidecarError, Topology,
};

/// The limit of concurrent requests to the sidecars of one cluster. Each has a connection, and buffers of its own for the
/// answer. Two hundred sidecars that do not answer take four timeouts.
pub(in crate::reconcile) const MAX_CONCURRENT_REQUESTS: usize = 64;

/// The sidecars of a cluster, of which at most [`MAX_CONCURRENT_REQUESTS`] are asked at the same time. The timeout of a
/// request begins when it is its turn.
pub(in crate::reconcile) struct BoundedSidecars<'a, S> {
    sidecars: &'a S,
    turns: Semaphore,
}

impl<'a, S: SidecarApi> BoundedSidecars<'a, S> {
    pub(in crate::reconcile) fn new(sidecars: &'a S) -> Self {
        Self {
            sidecars,
            turns: Semaphore::new(MAX_CONCURRENT_REQUESTS),
        }
    }

    /// Sends a request when it is its turn. The semaphore is never closed.
    async fn in_turn<T>(&self, request: impl Future<Output = T> + Send) -> T {
        let _turn = self.turns.acquire().await;
        request.await
    }
}

impl<S: SidecarApi> SidecarApi for BoundedSidecars<'_, S> {
    async fn submit(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        timeout: Duration,
    ) -> Result<Operation, SidecarError> {
        self.in_turn(self.sidecars.submit(at, request, timeout)).await
    }

    async fn operation(
        &self,
        at: SocketAddr,
        id: &OperationId,
        timeout: Duration,
    ) -> Result<Operation, SidecarError> {
        self.in_turn(self.sidecars.operation(at, id, timeout)).await
    }

    async fn operations(
        &self,
        at: SocketAddr,
        filter: OperationFilter,
        timeout: Duration,
    ) -> Result<Vec<Operation>, SidecarError> {
        self.in_turn(self.sidecars.operations(at, filter, timeout)).await
    }

    async fn schema_version(&self, at: SocketAddr, timeout: Duration) -> Result<SchemaVersion, SidecarError> {
        self.in_turn(self.sidecars.schema_version(at, timeout)).await
    }

    async fn mode(&self, at: SocketAddr, timeout: Duration) -> Result<NodeMode, SidecarError> {
        self.in_turn(self.sidecars.mode(at, timeout)).await
    }

    async fn topology(&self, at: SocketAddr, timeout: Duration) -> Result<Topology, SidecarError> {
        self.in_turn(self.sidecars.topology(at, timeout)).await
    }
}
