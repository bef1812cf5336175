//! The sidecars of several rings, which complete operations after some simulated time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cassgate::domain::schema_version::SchemaVersion;
use cassgate::icarus::{
    NodeMode, Operation, OperationFilter, OperationId, OperationRequest, SidecarApi, SidecarError, Topology,
};
use tokio::time::sleep;

use crate::runs::world::now;
use crate::stand_in::Ring;

/// Duration of every operation except backups.
const QUICK: Duration = Duration::from_millis(300);

/// Rings with distinct addresses. Clones share their state.
#[derive(Clone)]
pub(super) struct Rings {
    rings: Vec<Ring>,
    /// The slow ring, and the duration of a backup there.
    slow: Arc<Mutex<Option<(usize, Duration)>>>,
}

impl Rings {
    pub(super) fn new(rings: Vec<Ring>) -> Self {
        Self {
            rings,
            slow: Arc::default(),
        }
    }

    /// Makes backups of this ring take this long from now on, and those of all other rings a second.
    pub(super) fn slow_down(&self, slow: Option<(usize, Duration)>) {
        *self.slow.lock().unwrap() = slow;
    }

    fn duration_of(&self, address: SocketAddr, request: &OperationRequest) -> Duration {
        let slow = *self.slow.lock().unwrap();
        match (request, slow) {
            (OperationRequest::Backup(_), Some((ring, duration_of)))
                if self.rings[ring].listens_at(address) =>
            {
                duration_of
            }
            (OperationRequest::Backup(_), _) => Duration::from_secs(1),
            _ => QUICK,
        }
    }

    /// Returns the ring with this sidecar, at the current time.
    fn at(&self, address: SocketAddr) -> &Ring {
        let ring = self.rings.iter().find(|ring| ring.listens_at(address));
        let ring = ring.unwrap_or(&self.rings[0]);
        ring.advance_to(now());
        ring.forget();
        ring
    }
}

impl SidecarApi for Rings {
    async fn submit(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        within: Duration,
    ) -> Result<Operation, SidecarError> {
        let ring = self.at(at).clone();
        let answer = ring.submit(at, request, within).await;
        let duration_of = self.duration_of(at, request);
        tokio::spawn(async move {
            sleep(duration_of).await;
            ring.settle();
        });
        answer
    }

    async fn operation(
        &self,
        at: SocketAddr,
        id: &OperationId,
        within: Duration,
    ) -> Result<Operation, SidecarError> {
        self.at(at).operation(at, id, within).await
    }

    async fn operations(
        &self,
        at: SocketAddr,
        filter: OperationFilter,
        within: Duration,
    ) -> Result<Vec<Operation>, SidecarError> {
        self.at(at).operations(at, filter, within).await
    }

    async fn schema_version(&self, at: SocketAddr, within: Duration) -> Result<SchemaVersion, SidecarError> {
        self.at(at).schema_version(at, within).await
    }

    async fn mode(&self, at: SocketAddr, within: Duration) -> Result<NodeMode, SidecarError> {
        self.at(at).mode(at, within).await
    }

    async fn topology(&self, at: SocketAddr, within: Duration) -> Result<Topology, SidecarError> {
        self.at(at).topology(at, within).await
    }
}
