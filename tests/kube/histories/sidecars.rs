//! The sidecars of a history: their operations advance as simulated time passes, and some of them never answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cassgate::domain::schema_version::SchemaVersion;
use cassgate::icarus::{
    NodeMode, Operation, OperationFilter, OperationId, OperationRequest, SidecarApi, SidecarError, Topology,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::event::{RequestFault, Silence};
use crate::runs::world::world_time;
use crate::stand_in::Ring;

/// The sidecars of one ring. Clones share their state.
#[derive(Clone)]
pub(super) struct Sidecars {
    ring: Ring,
    state: Arc<Mutex<State>>,
}

struct State {
    /// The time until which the operations have advanced.
    advanced: Timestamp,
    /// The time of one step of an operation.
    pace: SignedDuration,
    silent: Vec<Silence>,
    faults: Vec<RequestFault>,
}

impl Sidecars {
    pub(super) fn new(ring: Ring, pace: SignedDuration) -> Self {
        let state = State {
            advanced: world_time(),
            pace,
            silent: vec![Silence::None; ring.size()],
            faults: Vec::new(),
        };
        Self {
            ring,
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Advances the operations to the present.
    pub(super) fn advance(&self) {
        let (now, mut state) = (world_time(), self.state());
        loop {
            let next = state.advanced.checked_add(state.pace).unwrap();
            if next > now {
                break;
            }
            self.ring.advance_to(state.advanced);
            if !self.ring.tick() {
                state.advanced = now;
                break;
            }
            state.advanced = next;
        }
        self.ring.advance_to(now);
        self.ring.forget();
    }

    pub(super) fn set_silence(&self, node: usize, silence: Silence) {
        self.state().silent[node] = silence;
    }

    /// Gives the next request for an operation this fault.
    pub(super) fn add_fault(&self, fault: RequestFault) {
        self.state().faults.push(fault);
    }

    pub(super) fn clear_faults(&self) {
        self.state().faults.clear();
    }

    fn silence_at(&self, address: SocketAddr) -> Silence {
        let state = self.state();
        let mut nodes = 0..state.silent.len();
        let node = nodes.find(|node| self.ring.address(*node) == address);
        node.map_or(Silence::None, |node| state.silent[node])
    }

    /// Asks a sidecar, which may never answer.
    async fn ask<T>(
        &self,
        at: SocketAddr,
        within: Duration,
        asked: impl Future<Output = Result<T, SidecarError>>,
    ) -> Result<T, SidecarError> {
        self.advance();
        let silence = self.silence_at(at);
        if silence == Silence::None {
            return asked.await;
        }
        if silence == Silence::DropsResponses {
            drop(asked.await);
        }
        sleep(within).await;
        Err(SidecarError::TimedOut(within))
    }
}

impl SidecarApi for Sidecars {
    async fn submit(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        within: Duration,
    ) -> Result<Operation, SidecarError> {
        let fault = self.state().faults.pop();
        match fault {
            None => return self.ask(at, within, self.ring.submit(at, request, within)).await,
            Some(RequestFault::RefuseConnection) => {
                let error = "Connection refused (os error 111)";
                return Err(SidecarError::Unreachable(error.to_owned()));
            }
            Some(RequestFault::DropRequest) => {}
            Some(RequestFault::DropResponse) => {
                drop(self.ask(at, within, self.ring.submit(at, request, within)).await);
            }
            Some(RequestFault::Delay(seconds)) => {
                let (sidecars, request) = (self.clone(), request.clone());
                tokio::spawn(async move {
                    sleep(Duration::from_secs(seconds)).await;
                    sidecars.advance();
                    drop(sidecars.ring.submit(at, &request, within).await);
                });
            }
        }
        sleep(within).await;
        Err(SidecarError::TimedOut(within))
    }

    async fn operation(
        &self,
        at: SocketAddr,
        id: &OperationId,
        within: Duration,
    ) -> Result<Operation, SidecarError> {
        self.ask(at, within, self.ring.operation(at, id, within)).await
    }

    async fn operations(
        &self,
        at: SocketAddr,
        filter: OperationFilter,
        within: Duration,
    ) -> Result<Vec<Operation>, SidecarError> {
        self.ask(at, within, self.ring.operations(at, filter, within))
            .await
    }

    async fn schema_version(&self, at: SocketAddr, within: Duration) -> Result<SchemaVersion, SidecarError> {
        self.ask(at, within, self.ring.schema_version(at, within)).await
    }

    async fn mode(&self, at: SocketAddr, within: Duration) -> Result<NodeMode, SidecarError> {
        self.ask(at, within, self.ring.mode(at, within)).await
    }

    async fn topology(&self, at: SocketAddr, within: Duration) -> Result<Topology, SidecarError> {
        self.ask(at, within, self.ring.topology(at, within)).await
    }
}
