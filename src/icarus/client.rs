//! The sidecars over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use crate::domain::schema_version::SchemaVersion;
use crate::telemetry::metrics::{Metrics, SidecarOutcome, SidecarRequest};

use super::answer::Answer;
use super::error::SidecarError;
use super::node::Topology;
use super::operation::{Operation, OperationId};
use super::request::{OperationFilter, OperationRequest};
use super::{SidecarApi, wire};

/// The most bytes of an answer about one thing. The messages of a failed operation are kilobytes long (seen).
const MOST_OF_ONE: usize = 4 << 20;

/// The most bytes of a list of operations, and of one operation: a listing names every file that one snapshot alone
/// has (read), a hundred bytes each.
const MOST_OF_LIST: usize = 32 << 20;

/// The sidecars of this network, each request on a connection of its own.
///
/// So no request ever goes out on a connection that the other side has already given up, and nothing below this
/// could send one again: whether it may have arrived is always known.
#[derive(Debug, Clone)]
pub struct HttpSidecars {
    metrics: Metrics,
}

impl HttpSidecars {
    /// A client that counts what it does.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }

    async fn ask<T>(
        &self,
        label: SidecarRequest,
        request: wire::Request<'_>,
        read: impl FnOnce(&Answer) -> Result<T, SidecarError> + Send,
    ) -> Result<T, SidecarError> {
        let result = match wire::exchange(request).await {
            Ok(answer) => read(&answer),
            Err(error) => Err(error),
        };
        let outcome = match &result {
            Ok(_) => SidecarOutcome::Answered,
            Err(error) => error.label(),
        };
        self.metrics.asked_sidecar(label, outcome);
        result
    }
}

/// A `GET` of something small.
fn get(at: SocketAddr, path: &str, within: Duration) -> wire::Request<'_> {
    wire::Request {
        at,
        path,
        body: None,
        within,
        most: MOST_OF_ONE,
    }
}

impl SidecarApi for HttpSidecars {
    async fn submit(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        within: Duration,
    ) -> Result<Operation, SidecarError> {
        let body = request.to_json().to_string();
        let wire = wire::Request {
            body: Some(body),
            most: MOST_OF_LIST,
            ..get(at, "/operations", within)
        };
        self.ask(request.label(), wire, Answer::operation).await
    }

    async fn operation(
        &self,
        at: SocketAddr,
        id: &OperationId,
        within: Duration,
    ) -> Result<Operation, SidecarError> {
        let path = format!("/operations/{id}");
        let wire = wire::Request {
            most: MOST_OF_LIST,
            ..get(at, &path, within)
        };
        self.ask(SidecarRequest::Operation, wire, Answer::operation).await
    }

    async fn operations(
        &self,
        at: SocketAddr,
        filter: OperationFilter,
        within: Duration,
    ) -> Result<Vec<Operation>, SidecarError> {
        let path = format!("/operations?{}", filter.query());
        let wire = wire::Request {
            most: MOST_OF_LIST,
            ..get(at, &path, within)
        };
        self.ask(SidecarRequest::Operations, wire, Answer::operations)
            .await
    }

    async fn schema_version(&self, at: SocketAddr, within: Duration) -> Result<SchemaVersion, SidecarError> {
        let wire = get(at, "/version/schema", within);
        self.ask(SidecarRequest::Schema, wire, Answer::schema_version)
            .await
    }

    async fn topology(&self, at: SocketAddr, within: Duration) -> Result<Topology, SidecarError> {
        self.ask(
            SidecarRequest::Topology,
            get(at, "/topology", within),
            Answer::topology,
        )
        .await
    }
}
