//! A ring of Cassandra nodes with their sidecars in memory, with the behaviour that was observed on real ones and
//! without a clock of its own.
//!
//! It forgets operations, leaves steps half done and skips checks exactly where real sidecars do. A test drives it:
//! [`Ring::step`] performs one step of a node, [`Ring::kill_sidecar`] kills it between two steps, and
//! [`Ring::advance`] moves the clock. [`Ring::violations`] returns the requests that no coordinator may send.
//!
//! Not modelled: components of an SSTable (one is a single file, and half of one is a file with a mark), tokens,
//! system tables, bandwidth, global requests (insert one with [`Ring::plant`]).
#![allow(dead_code, reason = "several test crates include it, and none uses all of it")]

mod api;
mod disk;
mod effects;
mod faults;
mod jobs;
mod store;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cassgate::domain::entities::{Entities, Table};
use cassgate::domain::host_id::HostId;
use cassgate::domain::image::Version;
use cassgate::domain::node_location::Segment;
use cassgate::domain::schema_version::SchemaVersion;
use cassgate::icarus::{
    NodeMode, Operation, OperationFilter, OperationId, OperationRequest, PORT, SidecarError,
};
use jiff::Timestamp;

use disk::{Disk, merged};
pub(crate) use disk::{Key, Rows};
pub(crate) use faults::FailingOperation;
use jobs::Job;
use store::{Manifests, Store};

/// A ring; clones share their state.
#[derive(Clone)]
pub(crate) struct Ring(Arc<Mutex<State>>);

/// A call to a sidecar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// The node, from 0.
    pub(crate) node: usize,
    /// The request.
    pub(crate) asked: ApiRequest,
    /// The time of the ring, in milliseconds.
    pub(crate) at: i64,
}

/// A request of the API.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ApiRequest {
    Submit(Box<OperationRequest>),
    Operation(OperationId),
    Operations(OperationFilter),
    SchemaVersion,
    Status,
    Topology,
}

/// A network fault for one call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NetworkFault {
    /// No fault.
    None,
    /// The request never reaches the sidecar.
    DropRequest(SidecarError),
    /// The sidecar performs the request, and the answer is lost.
    DropResponse(SidecarError),
}

/// The state of a file that was being written at a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Torn {
    /// Half of it, under its final name.
    Half,
    /// No file.
    Nothing,
}

type Interrupt = Box<dyn FnMut(&Call) -> NetworkFault + Send>;

struct State {
    version: Version,
    cluster: Segment,
    schema: SchemaVersion,
    replicas: BTreeMap<Table, usize>,
    nodes: Vec<Node>,
    store: Store,
    now: i64,
    written: u64,
    ids: u32,
    calls: Vec<Call>,
    interrupt: Option<Interrupt>,
    violations: Vec<String>,
    /// True if the sidecars upload a manifest before the last file.
    early_manifests: bool,
    /// The operations of this kind fail with this message, this many times.
    failing: Option<(FailingOperation, String, usize)>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
struct Node {
    host: HostId,
    datacenter: Segment,
    address: SocketAddr,
    in_ring: bool,
    /// The mode that its Cassandra reports.
    mode: NodeMode,
    /// The nodes that its Cassandra does not know to be in the ring.
    unseen: BTreeSet<usize>,
    cassandra_up: bool,
    sidecar_up: bool,
    disk: Disk,
    /// The manifests that listings downloaded, by directory.
    caches: BTreeMap<String, Manifests>,
    jobs: Vec<Job>,
    sidecar_starts: u32,
    cassandra_starts: u32,
    /// True while its operations stay at `RUNNING`.
    hangs: bool,
}

/// The initial time of a ring, in milliseconds.
const INITIAL_TIME: i64 = 1_795_383_523_776;

impl Ring {
    /// Creates a ring with nodes in one datacenter, `dc1`, and these empty tables (`keyspace.table`, replicas).
    pub(crate) fn new(version: &str, nodes: usize, tables: &[(&str, usize)]) -> Self {
        let replicas: BTreeMap<Table, usize> = tables
            .iter()
            .map(|(table, replicas)| (Table::parse(table).unwrap(), *replicas))
            .collect();
        let mut state = State {
            version: Version::parse(version).unwrap(),
            cluster: Segment::parse("ring-A").unwrap(),
            schema: SchemaVersion::parse("168d568b-d346-3f61-968f-a2716307a6e4").unwrap(),
            replicas,
            nodes: Vec::new(),
            store: Store::default(),
            now: INITIAL_TIME,
            written: 0,
            ids: 0,
            calls: Vec::new(),
            interrupt: None,
            violations: Vec::new(),
            early_manifests: false,
            failing: None,
        };
        for _ in 0..nodes {
            state.join();
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// Moves the ring to the network with this number, so that several rings have distinct addresses.
    pub(crate) fn in_network(self, number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        for (node, last) in self.state().nodes.iter_mut().zip(1_u8..) {
            node.address = SocketAddr::from((Ipv4Addr::new(10, high, low, last), PORT));
        }
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if a sidecar of this ring has this address.
    pub(crate) fn listens_at(&self, address: SocketAddr) -> bool {
        self.state().nodes.iter().any(|node| node.address == address)
    }

    /// Returns the number of nodes that it ever had.
    pub(crate) fn size(&self) -> usize {
        self.state().nodes.len()
    }

    /// Returns the address of a node's sidecar.
    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        self.state().nodes[node].address
    }

    /// Returns the host id of a node.
    pub(crate) fn host(&self, node: usize) -> HostId {
        self.state().nodes[node].host.clone()
    }

    /// Returns the ring's time.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.state().now).unwrap()
    }

    /// Advances the clock.
    pub(crate) fn advance(&self, milliseconds: i64) {
        self.state().now += milliseconds;
    }

    /// Advances the clock to this time, unless it is later already.
    pub(crate) fn advance_to(&self, time: Timestamp) {
        let mut state = self.state();
        state.now = state.now.max(time.as_millisecond());
    }

    /// Makes the sidecars forget operations that ended more than an hour ago, as real ones do.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        let longest = state.now - 3_600_000;
        for node in &mut state.nodes {
            node.jobs.retain(|job| {
                let ended = job.public.completed;
                ended.is_none_or(|ended| ended.as_millisecond() > longest)
            });
        }
    }

    /// Performs one step of each running operation of a node. Returns false if there was none.
    pub(crate) fn step(&self, node: usize) -> bool {
        self.state().step(node)
    }

    /// Performs one step of every node in turn and advances the clock by a second. Returns false if all were idle.
    pub(crate) fn tick(&self) -> bool {
        let mut state = self.state();
        state.now += 1_000;
        let busy = (0..state.nodes.len()).filter(|node| state.step(*node)).count();
        busy > 0
    }

    /// Ticks until all nodes are idle.
    pub(crate) fn settle(&self) {
        while self.tick() {}
    }

    /// Kills a sidecar (-9), which forgets its operations. `torn` determines the file that it was about to write.
    pub(crate) fn kill_sidecar(&self, node: usize, torn: Torn) {
        self.state().kill_sidecar(node, torn);
    }

    /// Starts a sidecar.
    pub(crate) fn start_sidecar(&self, node: usize) {
        let node = &mut self.state().nodes[node];
        node.sidecar_up = true;
        node.sidecar_starts += 1;
    }

    /// Kills Cassandra (-9).
    pub(crate) fn kill_cassandra(&self, node: usize) {
        self.state().nodes[node].cassandra_up = false;
    }

    /// Starts Cassandra, which loads whole links in its tables' directories.
    pub(crate) fn start_cassandra(&self, node: usize) {
        let node = &mut self.state().nodes[node];
        node.cassandra_up = true;
        node.cassandra_starts += 1;
        node.disk.restart();
    }

    /// Returns the restart counts of a node's sidecar and Cassandra.
    pub(crate) fn restarts(&self, node: usize) -> (u32, u32) {
        let state = self.state();
        (
            state.nodes[node].sidecar_starts,
            state.nodes[node].cassandra_starts,
        )
    }

    /// Gives a node another address, as a recreated pod has.
    pub(crate) fn move_node(&self, node: usize) -> SocketAddr {
        let mut state = self.state();
        state.ids += 1;
        let host = u8::try_from(state.ids % 200).unwrap();
        let address = SocketAddr::from((Ipv4Addr::new(10, 1, 1, host), PORT));
        state.nodes[node].address = address;
        address
    }

    /// Adds an empty node and returns its number.
    pub(crate) fn join(&self) -> usize {
        self.state().join()
    }

    /// Makes the sidecars upload a manifest before the last file, as 1.1.3 and 2.0.4 may: they upload several files at
    /// once. Icarus 3 sends it after the files.
    pub(crate) fn upload_manifests_early(&self) {
        let mut state = self.state();
        state.early_manifests = state.version.major < 3;
    }

    /// Adds an empty node whose Cassandra runs and is not in the ring yet, and returns its number.
    pub(crate) fn begin_join(&self) -> usize {
        let mut state = self.state();
        let number = state.join();
        let node = &mut state.nodes[number];
        node.in_ring = false;
        node.mode = NodeMode::Joining;
        number
    }

    /// Sets the mode that the Cassandra of a node reports.
    pub(crate) fn set_mode(&self, node: usize, mode: NodeMode) {
        self.state().nodes[node].mode = mode;
    }

    /// Makes a node a part of the ring, or leaves it running outside of the ring.
    pub(crate) fn set_in_ring(&self, node: usize, in_ring: bool) {
        self.state().nodes[node].in_ring = in_ring;
    }

    /// Makes a node ignorant of another one, or lets it know the other one again.
    pub(crate) fn set_unseen(&self, node: usize, other: usize, unseen: bool) {
        let seen_by = &mut self.state().nodes[node].unseen;
        if unseen {
            seen_by.insert(other);
        } else {
            seen_by.remove(&other);
        }
    }

    /// Removes a node from the ring.
    pub(crate) fn leave(&self, node: usize) {
        let node = &mut self.state().nodes[node];
        node.in_ring = false;
        node.sidecar_up = false;
        node.cassandra_up = false;
    }

    /// Writes rows on every replica and flushes them.
    pub(crate) fn write(&self, table: &str, keys: impl IntoIterator<Item = Key>) {
        self.state().write(table, keys, true);
    }

    /// Deletes rows on every replica and flushes the deletions.
    pub(crate) fn delete(&self, table: &str, keys: impl IntoIterator<Item = Key>) {
        self.state().write(table, keys, false);
    }

    /// Compacts every table of a node into one file.
    pub(crate) fn compact(&self, node: usize) {
        self.state().nodes[node].disk.compact();
    }

    /// Returns the rows of a table at consistency ALL.
    pub(crate) fn rows(&self, table: &str) -> BTreeSet<Key> {
        let table = Table::parse(table).unwrap();
        let state = self.state();
        let live = state
            .nodes
            .iter()
            .filter(|node| node.in_ring)
            .flat_map(|node| node.disk.live(&table));
        merged(live)
            .into_iter()
            .filter(|(_, cell)| cell.alive)
            .map(|(key, _)| key)
            .collect()
    }

    /// Returns the rows of each safety copy of a table on a node, oldest first.
    pub(crate) fn truncated(&self, node: usize, table: &str) -> Vec<BTreeSet<Key>> {
        let table = Table::parse(table).unwrap();
        self.state().nodes[node].disk.truncated(&table)
    }

    /// Returns the number of whole and of torn files in a download directory.
    pub(crate) fn downloads(&self, node: usize, directory: &str) -> (usize, usize) {
        self.state().nodes[node].disk.downloads_in(directory)
    }

    /// Returns the number of a node's links that were never loaded.
    pub(crate) fn links(&self, node: usize) -> usize {
        self.state().nodes[node].disk.links()
    }

    /// Returns the names of the snapshots in a node's share, in every bucket.
    pub(crate) fn stored(&self, node: usize) -> BTreeSet<String> {
        let state = self.state();
        state.store.manifests_of(state.nodes[node].host.as_str())
    }

    /// Damages every file of a node's share, in every bucket.
    pub(crate) fn damage_store(&self, node: usize) {
        let mut state = self.state();
        let host = state.nodes[node].host.clone();
        state.store.damage(host.as_str());
    }

    /// Adds an operation of another client to a sidecar's memory.
    pub(crate) fn plant(&self, node: usize, operation: Operation) {
        self.state().nodes[node].jobs.push(Job::foreign(operation));
    }

    /// Returns all calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Returns all submitted operations, whatever became of them: node and request.
    pub(crate) fn submitted(&self) -> Vec<(usize, OperationRequest)> {
        self.calls()
            .into_iter()
            .filter_map(|call| match call.asked {
                ApiRequest::Submit(request) => Some((call.node, *request)),
                _ => None,
            })
            .collect()
    }

    /// Installs a function that chooses the network fault of each call.
    pub(crate) fn interrupt(&self, interrupt: impl FnMut(&Call) -> NetworkFault + Send + 'static) {
        self.state().interrupt = Some(Box::new(interrupt));
    }

    /// Removes the network faults.
    pub(crate) fn uninterrupted(&self) {
        self.state().interrupt = None;
    }

    /// Returns the requests that no coordinator may send.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }
}

impl State {
    fn join(&mut self) -> usize {
        let number = self.nodes.len();
        let last = u8::try_from(number + 1).unwrap();
        self.nodes.push(Node {
            host: HostId::parse(&format!("9da86270-7a5c-4a0b-9e9b-0000000000{last:02x}")).unwrap(),
            datacenter: Segment::parse("dc1").unwrap(),
            address: SocketAddr::from((Ipv4Addr::new(10, 1, 0, last), PORT)),
            in_ring: true,
            mode: NodeMode::Normal,
            unseen: BTreeSet::new(),
            cassandra_up: true,
            sidecar_up: true,
            disk: Disk::new(self.replicas.keys()),
            caches: BTreeMap::new(),
            jobs: Vec::new(),
            sidecar_starts: 0,
            cassandra_starts: 0,
            hangs: false,
        });
        number
    }

    fn write(&mut self, table: &str, keys: impl IntoIterator<Item = Key>, alive: bool) {
        let table = Table::parse(table).unwrap();
        let replicas = self.replicas[&table];
        self.written += 1;
        let ring: Vec<usize> = (0..self.nodes.len())
            .filter(|node| self.nodes[*node].in_ring)
            .collect();
        let mut rows = vec![Rows::new(); self.nodes.len()];
        for key in keys {
            for replica in 0..replicas {
                let owner = ring[(key as usize + replica) % ring.len()];
                rows[owner].insert(
                    key,
                    disk::Cell {
                        at: self.written,
                        alive,
                    },
                );
            }
        }
        for (node, rows) in self.nodes.iter_mut().zip(rows) {
            if !rows.is_empty() {
                node.disk.flush(&table, rows);
            }
        }
    }

    /// Returns the tables on disk that `entities` covers.
    fn tables(&self, entities: &Entities) -> Vec<Table> {
        self.replicas
            .keys()
            .filter(|table| match entities {
                Entities::Everything => true,
                Entities::Keyspaces(keyspaces) => keyspaces.contains(&table.keyspace),
                Entities::Tables(tables) => tables.contains(table),
            })
            .cloned()
            .collect()
    }
}
