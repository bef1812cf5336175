//! The HTTP client of the sidecars.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::domain::schema_version::SchemaVersion;
use crate::telemetry::metrics::{Metrics, SidecarOutcome, SidecarRequest};

use super::answer::Answer;
use super::error::SidecarError;
use super::node::{NodeMode, Topology};
use super::operation::{Operation, OperationId};
use super::request::{OperationFilter, OperationRequest};
use super::{Permission, SidecarApi, wire};

/// The maximum size of a short answer, in bytes.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// The maximum size of an answer with operations, in bytes. The messages of a failed operation are kilobytes long
/// (observed), and a listing names every file that belongs to one snapshot only, with a hundred bytes each (read in the
/// source of Icarus).
const MAX_OPERATIONS_BYTES: usize = 32 << 20;

/// The number of large answers that are in memory at the same time, in all clones of a client. With two hundred nodes all
/// listings at once would take gigabytes.
pub(super) const MAX_LARGE_ANSWERS: usize = 2;

/// The number of questions to sidecars that are under way at the same time, in all clones of a client. Each has a connection
/// of its own, and the sidecars of many clusters may be out of reach at once.
pub(super) const MAX_QUESTIONS: usize = 512;

/// The number of tasks for sidecars that are sent at the same time. They have connections of their own, because a task that
/// waited behind questions to dead sidecars would be too old when it is its turn.
const MAX_TASKS: usize = 128;

/// Sends requests to sidecars over HTTP, each on a connection of its own.
///
/// A request therefore never uses a connection that the sidecar has already closed, and no layer below retries it, so
/// that the client always knows whether a failed request may have arrived.
#[derive(Debug, Clone)]
pub struct HttpSidecars {
    metrics: Metrics,
    large_answers: Arc<Semaphore>,
    questions: Arc<Semaphore>,
    tasks: Arc<Semaphore>,
}

impl HttpSidecars {
    /// Creates a client that counts its requests in `metrics`.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            large_answers: Arc::new(Semaphore::new(MAX_LARGE_ANSWERS)),
            questions: Arc::new(Semaphore::new(MAX_QUESTIONS)),
            tasks: Arc::new(Semaphore::new(MAX_TASKS)),
        }
    }

    async fn send<T>(
        &self,
        label: SidecarRequest,
        request: wire::Request<'_>,
        parse: impl FnOnce(&Answer) -> Result<T, SidecarError> + Send,
    ) -> Result<T, SidecarError> {
        self.send_if(&|| Ok(()), label, request, parse).await
    }

    async fn send_if<T>(
        &self,
        permitted: Permission<'_>,
        label: SidecarRequest,
        request: wire::Request<'_>,
        parse: impl FnOnce(&Answer) -> Result<T, SidecarError> + Send,
    ) -> Result<T, SidecarError> {
        let turns = if request.body.is_some() {
            &self.tasks
        } else {
            &self.questions
        };
        // The timeout begins when it is the turn of the request. The semaphores are never closed.
        let _turn = turns.acquire().await;
        let result = match wire::exchange(request, permitted, &self.large_answers).await {
            Ok((answer, _permit)) => parse(&answer),
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

/// Builds a `GET` with a short answer.
fn get(at: SocketAddr, path: &str, timeout: Duration) -> wire::Request<'_> {
    wire::Request {
        at,
        path,
        body: None,
        timeout,
        max_bytes: MAX_ANSWER_BYTES,
    }
}

impl SidecarApi for HttpSidecars {
    async fn submit(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        timeout: Duration,
    ) -> Result<Operation, SidecarError> {
        self.submit_if(at, request, timeout, &|| Ok(())).await
    }

    async fn submit_if(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        timeout: Duration,
        permitted: Permission<'_>,
    ) -> Result<Operation, SidecarError> {
        let body = request.to_json().to_string();
        let wire = wire::Request {
            body: Some(body),
            max_bytes: MAX_OPERATIONS_BYTES,
            ..get(at, "/operations", timeout)
        };
        self.send_if(permitted, request.label(), wire, Answer::operation)
            .await
    }

    async fn operation(
        &self,
        at: SocketAddr,
        id: &OperationId,
        timeout: Duration,
    ) -> Result<Operation, SidecarError> {
        let path = format!("/operations/{id}");
        let wire = wire::Request {
            max_bytes: MAX_OPERATIONS_BYTES,
            ..get(at, &path, timeout)
        };
        self.send(SidecarRequest::Operation, wire, Answer::operation)
            .await
    }

    async fn operations(
        &self,
        at: SocketAddr,
        filter: OperationFilter,
        timeout: Duration,
    ) -> Result<Vec<Operation>, SidecarError> {
        let path = format!("/operations?{}", filter.query());
        let wire = wire::Request {
            max_bytes: MAX_OPERATIONS_BYTES,
            ..get(at, &path, timeout)
        };
        self.send(SidecarRequest::Operations, wire, Answer::operations)
            .await
    }

    async fn schema_version(&self, at: SocketAddr, timeout: Duration) -> Result<SchemaVersion, SidecarError> {
        let wire = get(at, "/version/schema", timeout);
        self.send(SidecarRequest::Schema, wire, Answer::schema_version)
            .await
    }

    async fn mode(&self, at: SocketAddr, timeout: Duration) -> Result<NodeMode, SidecarError> {
        let wire = get(at, "/status", timeout);
        self.send(SidecarRequest::Status, wire, Answer::mode).await
    }

    async fn topology(&self, at: SocketAddr, timeout: Duration) -> Result<Topology, SidecarError> {
        self.send(
            SidecarRequest::Topology,
            get(at, "/topology", timeout),
            Answer::topology,
        )
        .await
    }
}
