//! The ring's sidecars as a `SidecarApi`.

use std::net::SocketAddr;
use std::time::Duration;

use cassgate::domain::schema_version::SchemaVersion;
use cassgate::icarus::{
    NodeMode, Operation, OperationFilter, OperationId, OperationKind, OperationRequest, Refusal, RingNode,
    SidecarApi, SidecarError, Topology,
};

use super::{ApiRequest, Call, NetworkFault, Ring, State};

impl Ring {
    /// Performs one call over the network to a running sidecar.
    fn call<T>(
        &self,
        at: SocketAddr,
        asked: ApiRequest,
        answer: impl FnOnce(&mut State, usize) -> Result<T, SidecarError>,
    ) -> Result<T, SidecarError> {
        let mut state = self.state();
        let refused = || SidecarError::Unreachable("Connection refused (os error 111)".to_owned());
        let node = state
            .nodes
            .iter()
            .position(|node| node.address == at && node.sidecar_up)
            .ok_or_else(refused)?;
        let call = Call {
            node,
            asked,
            at: state.now,
        };
        state.calls.push(call.clone());
        let interruption = state
            .interrupt
            .as_mut()
            .map_or(NetworkFault::None, |interrupt| interrupt(&call));
        match interruption {
            NetworkFault::DropRequest(error) => Err(error),
            NetworkFault::DropResponse(error) => {
                drop(answer(&mut state, node));
                Err(error)
            }
            NetworkFault::None => answer(&mut state, node),
        }
    }

    /// Performs a [`call`](Self::call) for which the sidecar asks its Cassandra.
    fn ask<T>(
        &self,
        at: SocketAddr,
        asked: ApiRequest,
        answer: impl FnOnce(&State, usize) -> T,
    ) -> Result<T, SidecarError> {
        self.call(at, asked, |state, node| {
            if state.nodes[node].cassandra_up {
                Ok(answer(state, node))
            } else {
                let text = "Failed to retrieve RMIServer stub: javax.naming.ServiceUnavailableException";
                Err(SidecarError::CassandraUnavailable(text.to_owned()))
            }
        })
    }
}

impl State {
    fn submit(&mut self, node: usize, request: &OperationRequest) -> Result<Operation, SidecarError> {
        let old = self.version.major < 2;
        match request {
            OperationRequest::List(_) | OperationRequest::RemoveBackup(_) if old => {
                let text = "Could not resolve type id 'list' as a subtype of `com.instaclustr.operations.OperationRequest`";
                Err(SidecarError::Refused(Refusal::UnknownType, text.to_owned()))
            }
            OperationRequest::Backup(backup) if old && backup.duration.is_some() => {
                let text = "Cannot construct instance of `com.instaclustr.measure.Time` (no Creators, like default \
                            constructor, exist)";
                Err(SidecarError::Refused(Refusal::Field, text.to_owned()))
            }
            _ => Ok(self.accept(node, request)),
        }
    }
}

impl SidecarApi for Ring {
    async fn submit(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        _: Duration,
    ) -> Result<Operation, SidecarError> {
        self.call(
            at,
            ApiRequest::Submit(Box::new(request.clone())),
            |state, node| state.submit(node, request),
        )
    }

    async fn operation(
        &self,
        at: SocketAddr,
        id: &OperationId,
        _: Duration,
    ) -> Result<Operation, SidecarError> {
        self.call(at, ApiRequest::Operation(id.clone()), |state, node| {
            let mut jobs = state.nodes[node].jobs.iter();
            jobs.find(|job| job.public.id == *id)
                .map(|job| job.public.clone())
                .ok_or(SidecarError::UnknownOperation)
        })
    }

    async fn operations(
        &self,
        at: SocketAddr,
        filter: OperationFilter,
        _: Duration,
    ) -> Result<Vec<Operation>, SidecarError> {
        let is_active = |operation: &Operation| !operation.state.is_terminal();
        let matches = |operation: &Operation| match filter {
            OperationFilter::Backups => operation.kind == OperationKind::Backup,
            OperationFilter::Restores => operation.kind == OperationKind::Restore,
            OperationFilter::Refreshes => operation.kind == OperationKind::Refresh,
            OperationFilter::Removals => operation.kind == OperationKind::RemoveBackup,
            OperationFilter::ActiveListingsAndRemovals => {
                let kinds = [OperationKind::List, OperationKind::RemoveBackup];
                kinds.contains(&operation.kind) && is_active(operation)
            }
            OperationFilter::Active => is_active(operation),
        };
        let needs_two = matches!(
            filter,
            OperationFilter::Removals | OperationFilter::ActiveListingsAndRemovals
        );
        self.call(at, ApiRequest::Operations(filter), |state, node| {
            if state.version.major < 2 && needs_two {
                let text = r#"{"message":"Operation type is invalid","invalidValue":"remove-backup"}"#;
                return Err(SidecarError::Refused(Refusal::Filter, text.to_owned()));
            }
            let jobs = state.nodes[node].jobs.iter().rev();
            Ok(jobs
                .map(|job| &job.public)
                .filter(|operation| matches(operation))
                .cloned()
                .collect())
        })
    }

    async fn schema_version(&self, at: SocketAddr, _: Duration) -> Result<SchemaVersion, SidecarError> {
        self.ask(at, ApiRequest::SchemaVersion, |state, _| state.schema.clone())
    }

    async fn mode(&self, at: SocketAddr, _: Duration) -> Result<NodeMode, SidecarError> {
        self.ask(at, ApiRequest::Status, |state, node| {
            state.nodes[node].mode.clone()
        })
    }

    async fn topology(&self, at: SocketAddr, _: Duration) -> Result<Topology, SidecarError> {
        self.ask(at, ApiRequest::Topology, |state, asked| {
            let unseen = &state.nodes[asked].unseen;
            let mut nodes: Vec<RingNode> = state
                .nodes
                .iter()
                .enumerate()
                .filter(|(number, node)| node.in_ring && !unseen.contains(number))
                .map(|(_, node)| RingNode {
                    host: node.host.clone(),
                    datacenter: node.datacenter.clone(),
                    address: node.address.ip(),
                })
                .collect();
            nodes.sort();
            Topology {
                cluster: state.cluster.clone(),
                schema: Some(state.schema.clone()),
                nodes,
            }
        })
    }
}
