//! The sidecars of Cassandra nodes in memory, whose nodes may know an old address of each other.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;

use super::world::now;
use crate::domain::host_id::HostId;
use crate::domain::node_location::Segment;
use crate::domain::phase::RestorePhase;
use crate::domain::schema_version::SchemaVersion;
use crate::icarus::{
    Listing, NodeMode, Operation, OperationFilter, OperationId, OperationKind, OperationRequest,
    OperationState, RingNode, SidecarApi, SidecarError, StoredSnapshot, Topology,
};

const SCHEMA: &str = "168d568b-d346-3f61-968f-a2716307a6e4";

/// The time that a sidecar takes to answer.
const LATENCY: Duration = Duration::from_millis(3);

/// The sidecars; clones share their state.
#[derive(Clone, Default)]
pub(super) struct Sidecars(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    nodes: Vec<Node>,
    /// The duration of a backup.
    duration: Duration,
    uploads: Vec<Upload>,
    operations: Vec<(HostId, Operation, Timestamp)>,
    /// The phases of restores: each with true if its request keeps the copies of emptied tables.
    phases: Vec<(RestorePhase, bool)>,
    requested: Option<Box<dyn FnMut() + Send>>,
}

/// A Cassandra node with its sidecar.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) host: HostId,
    pub(super) cluster: String,
    pub(super) address: IpAddr,
    /// The address by which the other nodes know it.
    known_address: IpAddr,
}

/// A backup that a node began.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) host: HostId,
    pub(super) location: String,
    pub(super) tag: String,
    pub(super) begun: Timestamp,
    pub(super) ends: Timestamp,
}

impl Sidecars {
    pub(super) fn new(duration: Duration) -> Self {
        let sidecars = Self::default();
        sidecars.state().duration = duration;
        sidecars
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Adds a node to a cluster and returns its address.
    pub(super) fn add(&self, cluster: &str) -> IpAddr {
        let mut state = self.state();
        let number = u8::try_from(state.nodes.len()).unwrap();
        let address = IpAddr::from([10, 0, 0, number]);
        state.nodes.push(Node {
            host: HostId::parse(&format!("9da86270-7a5c-4a0b-9e9b-{number:012x}")).unwrap(),
            cluster: cluster.to_owned(),
            address,
            known_address: address,
        });
        address
    }

    /// Swaps the addresses of two nodes. The other nodes still know the old ones.
    pub(super) fn swap(&self, one: usize, other: usize) {
        let nodes = &mut self.state().nodes;
        let address = nodes[one].address;
        nodes[one].address = nodes[other].address;
        nodes[other].address = address;
    }

    /// Tells every node the current addresses of the others.
    pub(super) fn gossip(&self) {
        for node in &mut self.state().nodes {
            node.known_address = node.address;
        }
    }

    pub(super) fn nodes(&self) -> Vec<Node> {
        self.state().nodes.clone()
    }

    pub(super) fn uploads(&self) -> Vec<Upload> {
        self.state().uploads.clone()
    }

    /// Returns the phases of restores that were requested, each with true if the request keeps the copies.
    pub(super) fn phases(&self) -> Vec<(RestorePhase, bool)> {
        self.state().phases.clone()
    }

    /// Calls `requested` once, at the next request.
    pub(super) fn at_next_request(&self, requested: impl FnMut() + Send + 'static) {
        self.state().requested = Some(Box::new(requested));
    }

    /// Answers a request at an address after a while.
    async fn answer<T>(
        &self,
        at: SocketAddr,
        answer: impl FnOnce(&mut State, Node) -> Result<T, SidecarError>,
    ) -> Result<T, SidecarError> {
        tokio::time::sleep(LATENCY).await;
        let mut state = self.state();
        if let Some(mut requested) = state.requested.take() {
            requested();
        }
        let node = state.nodes.iter().find(|node| node.address == at.ip()).cloned();
        let node = node.ok_or_else(|| SidecarError::Unreachable("refused".to_owned()))?;
        answer(&mut state, node)
    }
}

impl State {
    fn accept(&mut self, node: Node, request: &OperationRequest) -> Operation {
        let number = self.operations.len();
        let id = OperationId::parse(&format!("d8bbb89e-1b2a-404d-b4b2-{number:012x}")).unwrap();
        let begun = now();
        let (kind, ends) = match request {
            OperationRequest::Backup(_) => (OperationKind::Backup, begun + self.duration),
            OperationRequest::List(_) => (OperationKind::List, begun),
            OperationRequest::Restore(_) => (OperationKind::Restore, begun),
            other => unreachable!("{other:?}"),
        };
        let mut operation = Operation::new(id, kind, OperationState::Running);
        operation.created = Some(begun);
        match request {
            OperationRequest::Backup(backup) => {
                let tag = backup.snapshot.as_str().to_owned();
                operation.snapshot_tag = Some(tag.clone());
                self.uploads.push(Upload {
                    host: node.host.clone(),
                    location: backup.store.location.as_str().to_owned(),
                    tag,
                    begun,
                    ends,
                });
            }
            OperationRequest::Restore(restore) => {
                operation.phase = Some(restore.phase);
                operation.source_directory = Some(restore.source.to_string());
                self.phases.push((restore.phase, restore.keep_truncates));
            }
            _ => operation.listing = Some(self.listing(&node)),
        }
        self.operations.push((node.host, operation.clone(), ends));
        shown(operation, ends)
    }

    fn listing(&self, node: &Node) -> Listing {
        let own = self.uploads.iter().filter(|upload| upload.host == node.host);
        let snapshots = own.map(|upload| StoredSnapshot {
            name: upload.tag.clone(),
            files: 3,
            size: 3_000,
            taken: 0,
        });
        Listing {
            total_size: 3_000,
            total_files: 3,
            snapshots: snapshots.collect(),
        }
    }
}

/// Returns an operation as its sidecar shows it now.
fn shown(operation: Operation, ends: Timestamp) -> Operation {
    if now() < ends {
        let begun = operation.created.unwrap();
        let (passed, length) = (now().duration_since(begun), ends.duration_since(begun));
        return Operation {
            progress: (passed.as_secs_f64() / length.as_secs_f64() * 10.0).floor() / 10.0,
            ..operation
        };
    }
    Operation {
        state: OperationState::Completed,
        progress: 1.0,
        ..operation
    }
}

impl SidecarApi for Sidecars {
    async fn submit(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        _: Duration,
    ) -> Result<Operation, SidecarError> {
        self.answer(at, |state, node| Ok(state.accept(node, request)))
            .await
    }

    async fn operation(
        &self,
        at: SocketAddr,
        id: &OperationId,
        _: Duration,
    ) -> Result<Operation, SidecarError> {
        self.answer(at, |state, node| {
            let mut operations = state.operations.iter();
            let found = operations.find(|(host, operation, _)| *host == node.host && operation.id == *id);
            let (_, operation, ends) = found.ok_or(SidecarError::UnknownOperation)?;
            Ok(shown(operation.clone(), *ends))
        })
        .await
    }

    async fn operations(
        &self,
        at: SocketAddr,
        filter: OperationFilter,
        _: Duration,
    ) -> Result<Vec<Operation>, SidecarError> {
        self.answer(at, |state, node| {
            let own = state.operations.iter().filter(|(host, ..)| *host == node.host);
            let shown = own.map(|(_, operation, ends)| shown(operation.clone(), *ends));
            let asked_for = |operation: &Operation| match filter {
                OperationFilter::Backups => operation.kind == OperationKind::Backup,
                OperationFilter::Restores => operation.kind == OperationKind::Restore,
                OperationFilter::Active => !operation.state.is_terminal(),
                _ => false,
            };
            Ok(shown.filter(asked_for).collect())
        })
        .await
    }

    async fn schema_version(&self, _: SocketAddr, _: Duration) -> Result<SchemaVersion, SidecarError> {
        Ok(SchemaVersion::parse(SCHEMA).unwrap())
    }

    async fn mode(&self, at: SocketAddr, _: Duration) -> Result<NodeMode, SidecarError> {
        self.answer(at, |_, _| Ok(NodeMode::Normal)).await
    }

    async fn topology(&self, at: SocketAddr, _: Duration) -> Result<Topology, SidecarError> {
        self.answer(at, |state, viewer| {
            // A Cassandra node keeps the others by their addresses, and never under its own.
            let of_cluster = state.nodes.iter().filter(|node| {
                node.cluster == viewer.cluster
                    && (node.host == viewer.host || node.known_address != viewer.address)
            });
            let nodes = of_cluster.map(|node| RingNode {
                host: node.host.clone(),
                datacenter: Segment::parse("dc1").unwrap(),
                address: if node.host == viewer.host {
                    node.address
                } else {
                    node.known_address
                },
            });
            Ok(Topology {
                cluster: Segment::parse(&viewer.cluster).unwrap(),
                schema: Some(SchemaVersion::parse(SCHEMA).unwrap()),
                nodes: nodes.collect(),
            })
        })
        .await
    }
}
