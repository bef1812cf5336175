//! Stand-ins for sidecars in tests of the reconciler's parts, which ask only some of the questions.

use std::net::SocketAddr;
use std::time::Duration;

use super::{
    NodeMode, Operation, OperationFilter, OperationId, OperationRequest, SidecarApi, SidecarError, Topology,
};
use crate::domain::schema_version::SchemaVersion;

/// A sidecar of which a test implements the methods that it expects to be called. The others panic.
pub trait PartialSidecarApi: Send + Sync {
    /// Stands for [`SidecarApi::submit`].
    fn submit(
        &self,
        _at: SocketAddr,
        _request: &OperationRequest,
        _timeout: Duration,
    ) -> impl Future<Output = Result<Operation, SidecarError>> + Send {
        async { unreachable!("no operation is expected") }
    }

    /// Stands for [`SidecarApi::operation`].
    fn operation(
        &self,
        _at: SocketAddr,
        _id: &OperationId,
        _timeout: Duration,
    ) -> impl Future<Output = Result<Operation, SidecarError>> + Send {
        async { unreachable!("no question about an operation is expected") }
    }

    /// Stands for [`SidecarApi::operations`].
    fn operations(
        &self,
        _at: SocketAddr,
        _filter: OperationFilter,
        _timeout: Duration,
    ) -> impl Future<Output = Result<Vec<Operation>, SidecarError>> + Send {
        async { unreachable!("no list of operations is expected") }
    }

    /// Stands for [`SidecarApi::mode`].
    fn mode(
        &self,
        _at: SocketAddr,
        _timeout: Duration,
    ) -> impl Future<Output = Result<NodeMode, SidecarError>> + Send {
        async { unreachable!("no question about the mode is expected") }
    }

    /// Stands for [`SidecarApi::topology`].
    fn topology(
        &self,
        _at: SocketAddr,
        _timeout: Duration,
    ) -> impl Future<Output = Result<Topology, SidecarError>> + Send {
        async { unreachable!("no question about the ring is expected") }
    }
}

impl<T: PartialSidecarApi> SidecarApi for T {
    async fn submit(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        timeout: Duration,
    ) -> Result<Operation, SidecarError> {
        PartialSidecarApi::submit(self, at, request, timeout).await
    }

    async fn operation(
        &self,
        at: SocketAddr,
        id: &OperationId,
        timeout: Duration,
    ) -> Result<Operation, SidecarError> {
        PartialSidecarApi::operation(self, at, id, timeout).await
    }

    async fn operations(
        &self,
        at: SocketAddr,
        filter: OperationFilter,
        timeout: Duration,
    ) -> Result<Vec<Operation>, SidecarError> {
        PartialSidecarApi::operations(self, at, filter, timeout).await
    }

    async fn schema_version(&self, _: SocketAddr, _: Duration) -> Result<SchemaVersion, SidecarError> {
        unreachable!("no question about the schema is expected")
    }

    async fn mode(&self, at: SocketAddr, timeout: Duration) -> Result<NodeMode, SidecarError> {
        PartialSidecarApi::mode(self, at, timeout).await
    }

    async fn topology(&self, at: SocketAddr, timeout: Duration) -> Result<Topology, SidecarError> {
        PartialSidecarApi::topology(self, at, timeout).await
    }
}
