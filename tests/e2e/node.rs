//! Drives real nodes through the client, for the tests of this crate.

use std::net::SocketAddr;
use std::time::Duration;

use cassgate::domain::cassandra_directory::{CASSANDRA_DIRECTORY, CassandraDirectory};
use cassgate::domain::entities::Entities;
use cassgate::domain::node_location::NodeLocation;
use cassgate::domain::rename::Rename;
use cassgate::domain::resolved_tag::ResolvedTag;
use cassgate::domain::snapshot_tag::SnapshotTag;
use cassgate::domain::source_directory::SourceDirectory;
use cassgate::domain::storage::StorageLocation;
use cassgate::icarus::client::HttpSidecars;
use cassgate::icarus::{
    BackupRequest, NodeFailure, Operation, OperationRequest, OperationState, REQUEST_TIMEOUT, RestorePhase,
    RestoreRequest, RingNode, SidecarApi, Snapshot, Store, Strategy, TOPOLOGY_TIMEOUT, Topology,
};
use cassgate::telemetry::metrics::Metrics;
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::support::ring::Ring;

/// Timeout for an operation on a busy machine; the longest takes 17 seconds on an idle one.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(4);

/// The ring as cassgate sees it.
pub(crate) struct RingClient {
    pub(crate) client: HttpSidecars,
    pub(crate) sidecars: Vec<SocketAddr>,
    location: StorageLocation,
    topology: Topology,
}

impl RingClient {
    /// Waits until every node sees all others.
    pub(crate) async fn of(ring: &Ring) -> Self {
        let client = HttpSidecars::new(Metrics::new());
        let sidecars = ring.sidecars();
        let topology = whole_ring(&client, &sidecars).await;
        Self {
            client,
            sidecars,
            location: StorageLocation::parse(&ring.store()).unwrap(),
            topology,
        }
    }

    /// Returns the node as the ring reports it.
    pub(crate) fn ring_node(&self, node: usize) -> &RingNode {
        let address = self.sidecars[node].ip();
        let mut nodes = self.topology.nodes.iter();
        nodes.find(|ring_node| ring_node.address == address).unwrap()
    }

    /// Returns the node's share of the store.
    pub(crate) fn store(&self, node: usize) -> Store {
        let ring_node = self.ring_node(node);
        Store {
            location: NodeLocation::new(
                &self.location,
                &self.topology.cluster,
                &ring_node.datacenter,
                &ring_node.host,
            ),
            secret: None,
        }
    }

    /// Returns a snapshot name for a run that begins now.
    pub(crate) fn tag(&self, tag: &str) -> ResolvedTag {
        let schema = self.topology.schema.as_ref().unwrap();
        ResolvedTag::new(&SnapshotTag::parse(tag).unwrap(), schema, Timestamp::now())
    }

    pub(crate) fn backup(&self, node: usize, snapshot: &ResolvedTag, entities: &str) -> OperationRequest {
        OperationRequest::Backup(BackupRequest {
            store: self.store(node),
            snapshot: snapshot.clone(),
            entities: Entities::parse(entities).unwrap(),
            directory: directory(),
            concurrent_connections: None,
            bandwidth: None,
            duration: None,
            upload_topology: false,
        })
    }

    pub(crate) fn restore(
        &self,
        node: usize,
        phase: RestorePhase,
        snapshot: &ResolvedTag,
        entities: &str,
    ) -> OperationRequest {
        OperationRequest::Restore(RestoreRequest {
            store: self.store(node),
            snapshot: Snapshot::Resolved(snapshot.clone()),
            entities: Entities::parse(entities).unwrap(),
            rename: Rename::default(),
            directory: directory(),
            source: source(),
            phase,
            strategy: Strategy::Hardlinks,
            keep_truncates: false,
            concurrent_connections: None,
        })
    }

    /// Starts an operation.
    pub(crate) async fn submit(&self, node: usize, request: &OperationRequest) -> Operation {
        self.client
            .submit(self.sidecars[node], request, REQUEST_TIMEOUT)
            .await
            .unwrap()
    }

    /// Waits for the end of an operation.
    pub(crate) async fn end(&self, node: usize, mut operation: Operation) -> Operation {
        let deadline = Instant::now() + OPERATION_TIMEOUT;
        while !operation.state.is_terminal() {
            assert!(Instant::now() < deadline, "{operation:?}");
            sleep(Duration::from_millis(300)).await;
            let asked = self
                .client
                .operation(self.sidecars[node], &operation.id, REQUEST_TIMEOUT);
            operation = asked.await.unwrap();
        }
        operation
    }

    /// Runs an operation to its end and returns its error, if it failed.
    pub(crate) async fn run(&self, node: usize, request: &OperationRequest) -> Option<NodeFailure> {
        let begun = self.submit(node, request).await;
        let ended = self.end(node, begun).await;
        let failure = ended.failure();
        assert_eq!(
            ended.state == OperationState::Completed,
            failure.is_none(),
            "{ended:?}"
        );
        failure
    }

    /// Runs one request on every node concurrently; all of them must complete.
    pub(crate) async fn run_on_all(&self, request: impl Fn(usize) -> OperationRequest) {
        let runs = (0..self.sidecars.len()).map(|node| {
            let request = request(node);
            async move { (node, self.run(node, &request).await) }
        });
        for (node, failure) in join_all(runs).await {
            assert_eq!(failure, None, "node {node}");
        }
    }
}

/// Returns the Cassandra directory of every node.
pub(crate) fn directory() -> CassandraDirectory {
    CassandraDirectory::parse(CASSANDRA_DIRECTORY).unwrap()
}

/// Returns the download directory of the tests' restores.
pub(crate) fn source() -> SourceDirectory {
    SourceDirectory::of_restore(&directory(), "5f6c0b1e-0000-4000-8000-000000000001").unwrap()
}

/// Sends a GET that cassgate never sends. Returns `None` without a connection or without a JSON object in the answer.
pub(crate) async fn get_json(sidecar: SocketAddr, path: &str) -> Option<Value> {
    let exchange = async {
        let mut stream = TcpStream::connect(sidecar).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {sidecar}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        while stream.read_buf(&mut answer).await.ok()? > 0 {
            // The object is short and comes in one chunk; the sidecar may keep the connection open behind it.
            let text = String::from_utf8_lossy(&answer);
            let object = text.find('{').zip(text.rfind('}'));
            if let Some(value) = object.and_then(|(from, to)| serde_json::from_str(&text[from..=to]).ok()) {
                return Some(value);
            }
        }
        None
    };
    timeout(REQUEST_TIMEOUT, exchange).await.ok().flatten()
}

async fn whole_ring(client: &HttpSidecars, sidecars: &[SocketAddr]) -> Topology {
    let deadline = Instant::now() + OPERATION_TIMEOUT;
    loop {
        let mut seen = Vec::new();
        for sidecar in sidecars {
            let mode = get_json(*sidecar, "/status").await;
            let topology = client.topology(*sidecar, TOPOLOGY_TIMEOUT).await;
            if let (Some(mode), Ok(topology)) = (mode, topology)
                && mode["nodeState"] == "NORMAL"
                && topology.nodes.len() == sidecars.len()
            {
                seen.push(topology);
            }
        }
        if seen.len() == sidecars.len() && seen.windows(2).all(|pair| pair[0] == pair[1]) {
            return seen.remove(0);
        }
        assert!(Instant::now() < deadline, "no whole ring: {seen:?}");
        sleep(Duration::from_millis(500)).await;
    }
}
