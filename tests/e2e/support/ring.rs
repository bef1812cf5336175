//! Rings of real nodes: each node is a Cassandra and a sidecar on its own loopback address.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cassgate::icarus::PORT;
use tempfile::TempDir;
use walkdir::WalkDir;

use super::{parts, repository};
use crate::kube::process_guard::GuardedProcess;

/// Timeout for the start of a server on a busy machine.
const START_TIMEOUT: Duration = Duration::from_mins(4);

/// Time for which a node that joins a ring with rows waits for the schema, in milliseconds. A node that waited for one
/// second only joined without the keyspaces, and so without their rows (observed on a busy machine).
const RING_DELAY: &str = "5000";

/// Maximum number of nodes of a ring, including those that have left it.
const MAX_NODES: u8 = 6;

/// Maximum number of restarts of a server that ends before it serves.
const MAX_RESTARTS: usize = 3;

/// The polling intervals of a sidecar.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// One second per call to Cassandra and five per transfer, as in Icarus. Tests that kill in the middle need this
    /// time.
    AsIcarus,
    /// No delay.
    Quick,
}

/// The versions of Cassandra and of the sidecar's engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    /// Cassandra 4.0 and the engine of Icarus 1.1.3, which cannot read the disk of Cassandra 4.1 and later.
    Icarus1,
    /// Cassandra 5.0 and the engine of Icarus 2.0.4.
    Icarus2,
}

impl Generation {
    /// Returns its folder among the parts, which is also its name for `run.sh`.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Icarus1 => "1",
            Self::Icarus2 => "2",
        }
    }

    /// Returns the version of Icarus.
    pub(crate) fn icarus(self) -> &'static str {
        match self {
            Self::Icarus1 => "1.1.3",
            Self::Icarus2 => "2.0.4",
        }
    }
}

/// The settings of a ring.
#[derive(Debug, Clone)]
pub(crate) struct RingSettings {
    /// Number of nodes at the start.
    pub(crate) size: u8,
    pub(crate) pace: Pace,
    pub(crate) generation: Generation,
    /// The API server from which the sidecars read Secrets; without it a sidecar assumes that it is outside of
    /// Kubernetes.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The name of the Cassandra cluster.
    pub(crate) cluster: &'static str,
    /// The tokens of each node. Cassandra chooses random ones for the nodes beyond.
    pub(crate) tokens: Vec<Vec<i64>>,
}

impl Default for RingSettings {
    fn default() -> Self {
        Self {
            size: 2,
            pace: Pace::Quick,
            generation: Generation::Icarus2,
            kubeconfig: None,
            cluster: "cassgate test",
            tokens: Vec::new(),
        }
    }
}

/// The tokens that a node takes at its first start.
#[derive(Debug, Clone)]
pub(crate) enum Tokens {
    /// Random ones.
    Random,
    /// These.
    Given(Vec<i64>),
    /// Those of the dead node with this address.
    Replaces(Ipv4Addr),
}

/// A ring. All its processes stop when it is dropped or when this process dies.
pub(crate) struct Ring {
    nodes: Vec<Node>,
    settings: RingSettings,
    /// The addresses for further nodes.
    addresses: std::vec::IntoIter<Ipv4Addr>,
    seed: Ipv4Addr,
    folder: TempDir,
}

/// A node: two processes on one file system, as in a pod.
pub(crate) struct Node {
    /// The address of the node.
    pub(crate) address: Ipv4Addr,
    seed: Ipv4Addr,
    tokens: Tokens,
    pub(super) settings: RingSettings,
    folder: PathBuf,
    pub(super) jmx: u16,
    /// True if the node joins a ring with rows.
    joins_rows: bool,
    cassandra: Option<GuardedProcess>,
    sidecar: Option<GuardedProcess>,
}

impl Ring {
    /// Starts a ring of this size with the default settings.
    pub(crate) fn start(size: u8, pace: Pace) -> Self {
        Self::with(RingSettings {
            size,
            pace,
            ..RingSettings::default()
        })
    }

    /// Starts the nodes one after the other, as Cassandra requires: of two seeds that started together, one
    /// considered the other dead for minutes (observed on a busy machine). Waits until all of them serve.
    pub(crate) fn with(settings: RingSettings) -> Self {
        parts();
        let folder = tempfile::Builder::new()
            .prefix("ring-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let addresses = free_addresses(MAX_NODES);
        let mut ring = Self {
            nodes: Vec::new(),
            seed: addresses[0],
            addresses: addresses.into_iter(),
            settings,
            folder,
        };
        ring.start_nodes();
        ring
    }

    /// Stops every node, and starts as many with other addresses, empty disks and the tokens of the settings.
    pub(crate) fn rebuild(&mut self) {
        for mut node in self.nodes.drain(..) {
            node.stop();
        }
        self.seed = self.addresses.as_slice()[0];
        self.start_nodes();
    }

    fn start_nodes(&mut self) {
        for number in 0..usize::from(self.settings.size) {
            let tokens = self.settings.tokens.get(number).cloned();
            let mut node = self.new_node(tokens.map_or(Tokens::Random, Tokens::Given));
            node.start();
            self.nodes.push(node);
        }
        for node in &mut self.nodes {
            node.wait_for_sidecar();
        }
    }

    /// Adds a node, which bootstraps: it takes over the rows of its tokens. Waits until it serves.
    pub(crate) fn add(&mut self, tokens: Tokens) {
        let mut node = self.new_node(tokens);
        node.joins_rows = true;
        node.start();
        node.wait_for_sidecar();
        self.nodes.push(node);
    }

    /// Starts a node with another address and an empty disk in place of one that was stopped, as a pod with a new
    /// volume.
    pub(crate) fn replace(&mut self, number: usize, tokens: Tokens) {
        let mut node = self.new_node(tokens);
        node.joins_rows = true;
        node.start();
        node.wait_for_sidecar();
        self.nodes[number] = node;
    }

    /// Removes the last node from this list; it stops. `nodetool decommission` or `removenode` removes it from the
    /// ring.
    pub(crate) fn pop(&mut self) {
        self.nodes.pop().unwrap().stop();
    }

    fn new_node(&mut self, tokens: Tokens) -> Node {
        let address = self.addresses.next().expect("a ring has few nodes");
        Node {
            address,
            seed: self.seed,
            tokens,
            settings: self.settings.clone(),
            folder: self.folder.path().join(address.to_string()),
            jmx: free_port(),
            joins_rows: false,
            cassandra: None,
            sidecar: None,
        }
    }

    /// Returns a node.
    pub(crate) fn node(&mut self, number: usize) -> &mut Node {
        &mut self.nodes[number]
    }

    /// Runs nodetool on a node and returns its output.
    #[track_caller]
    pub(crate) fn nodetool(&self, number: usize, arguments: &[&str]) -> String {
        let done = self.try_nodetool(number, arguments);
        done.unwrap_or_else(|why| panic!("nodetool {arguments:?} on node {number}: {why}"))
    }

    /// Runs nodetool on a node.
    ///
    /// # Errors
    /// The output, if it fails.
    pub(crate) fn try_nodetool(&self, number: usize, arguments: &[&str]) -> Result<String, String> {
        self.nodes[number].nodetool(arguments)
    }

    /// Returns the address of a node, for CQL.
    pub(crate) fn address(&self, number: usize) -> Ipv4Addr {
        self.nodes[number].address
    }

    /// Returns the number of nodes.
    pub(crate) fn size(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the addresses of the sidecars.
    pub(crate) fn sidecars(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Node::sidecar).collect()
    }

    /// Returns a directory that all sidecars share, as a `file://` location for the whole cluster.
    pub(crate) fn store(&self) -> String {
        format!("file://{}/bucket/c/d/n", self.store_folder().display())
    }

    /// Returns that directory.
    pub(crate) fn store_folder(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Returns the snapshots in that directory, with the number of nodes of each.
    pub(crate) fn stored(&self) -> BTreeMap<String, usize> {
        let mut stored = BTreeMap::new();
        for file in WalkDir::new(self.store_folder()) {
            let file = file.unwrap().into_path();
            if file.parent().is_some_and(|folder| folder.ends_with("manifests")) {
                let snapshot = file.file_stem().unwrap().to_string_lossy().into_owned();
                *stored.entry(snapshot).or_default() += 1;
            }
        }
        stored
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // All processes are asked to stop before any is waited for.
        for server in self
            .nodes
            .iter_mut()
            .flat_map(|node| [&mut node.cassandra, &mut node.sidecar])
            .flatten()
        {
            server.close_stdin();
        }
        if std::thread::panicking() {
            for node in &self.nodes {
                node.print_logs();
            }
        }
    }
}

impl Node {
    /// Returns the address of the sidecar.
    pub(crate) fn sidecar(&self) -> SocketAddr {
        SocketAddr::from((self.address, PORT))
    }

    /// Starts both halves, and waits until Cassandra serves.
    fn start(&mut self) {
        self.start_sidecar();
        self.start_cassandra();
        self.wait_for_cassandra();
    }

    /// Stops both halves, as the deletion of a pod does.
    pub(crate) fn stop(&mut self) {
        for mut server in [self.sidecar.take(), self.cassandra.take()].into_iter().flatten() {
            server.stop();
        }
    }

    /// Starts Cassandra on its existing data.
    pub(crate) fn start_cassandra(&mut self) {
        self.cassandra = Some(self.run("cassandra", &[&self.seed.to_string()]));
    }

    /// Starts the sidecar.
    pub(crate) fn start_sidecar(&mut self) {
        self.sidecar = Some(self.run("sidecar", &[]));
    }

    /// Kills Cassandra like a failing machine.
    pub(crate) fn kill_cassandra(&mut self) {
        self.cassandra.take().unwrap().kill();
    }

    /// Kills the sidecar.
    pub(crate) fn kill_sidecar(&mut self) {
        self.sidecar.take().unwrap().kill();
    }

    /// Returns a path of the node's `/var/lib/cassandra` in this file system.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        let inside = inside.strip_prefix("/var/lib/").unwrap();
        self.folder.join("volume").join(inside)
    }

    /// Waits until Cassandra accepts CQL.
    pub(crate) fn wait_for_cassandra(&mut self) {
        self.wait_for(9042, |node| &mut node.cassandra, Self::start_cassandra);
    }

    /// Waits until the sidecar listens.
    pub(crate) fn wait_for_sidecar(&mut self) {
        self.wait_for(PORT, |node| &mut node.sidecar, Self::start_sidecar);
    }

    /// Waits until a port is open. A process that ends before is started again, as kubelet does: a joining Cassandra
    /// gives up if its seed does not answer within seconds, which happens on a busy machine (observed).
    fn wait_for(
        &mut self,
        port: u16,
        server: fn(&mut Self) -> &mut Option<GuardedProcess>,
        start: fn(&mut Self),
    ) {
        let deadline = Instant::now() + START_TIMEOUT;
        let mut restarts = 0;
        while TcpStream::connect((self.address, port)).is_err() {
            let ended = server(self).as_mut().and_then(GuardedProcess::ended);
            if Instant::now() > deadline || (ended.is_some() && restarts == MAX_RESTARTS) {
                self.print_logs();
                panic!(
                    "nothing listens on {}:{port} within {START_TIMEOUT:?} and {restarts} restarts; ended: {ended:?}",
                    self.address
                );
            }
            if ended.is_some() {
                restarts += 1;
                start(self);
            }
            sleep(Duration::from_millis(100));
        }
    }

    fn run(&self, half: &str, more: &[&str]) -> GuardedProcess {
        let mut command = Command::new(repository().join("tests/servers/guard.sh"));
        command
            .arg(repository().join("tests/sidecar/run.sh"))
            .arg(half)
            .arg(&self.folder)
            .arg(self.address.to_string())
            .arg(self.jmx.to_string())
            .args(more)
            // The user's KUBECONFIG may name an unrelated cluster.
            .env_remove("KUBECONFIG")
            .envs(self.settings.kubeconfig.iter().map(|file| ("KUBECONFIG", file)))
            .env("CLUSTER", self.settings.cluster)
            .env("ICARUS", self.settings.generation.folder())
            .envs(match &self.tokens {
                Tokens::Random => None,
                Tokens::Given(tokens) => Some(("TOKENS", separated(tokens))),
                Tokens::Replaces(address) => Some(("REPLACES", address.to_string())),
            })
            .envs(self.joins_rows.then_some(("RING_DELAY", RING_DELAY)))
            .envs(match self.settings.pace {
                Pace::AsIcarus => None,
                Pace::Quick => Some(("FIRST_LOOK", "200")),
            })
            // These processes hold nothing that needs a slow shutdown.
            .env("GUARD_GRACE", "2");
        GuardedProcess::spawn(command)
    }

    /// Prints the ends of the logs for a failed test.
    fn print_logs(&self) {
        for log in ["cassandra/out", "cassandra/log", "sidecar/out", "sidecar/log"] {
            let text = fs::read_to_string(self.folder.join(log)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let end = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
            eprintln!("--- {} {log}\n{}", self.address, end.join("\n"));
        }
        for server in [&self.cassandra, &self.sidecar].into_iter().flatten() {
            eprintln!("{}", server.stderr().so_far().join("\n"));
        }
    }
}

/// Returns four tokens for each node of a ring, which give every node an equal share.
pub(crate) fn even_tokens(nodes: usize) -> Vec<Vec<i64>> {
    let tokens = i64::try_from(4 * nodes).unwrap();
    let width = i64::MAX / tokens * 2;
    let all: Vec<i64> = (-tokens / 2..tokens / 2).map(|number| number * width).collect();
    let of_node = |node| all.iter().skip(node).step_by(nodes).copied().collect();
    (0..nodes).map(of_node).collect()
}

fn separated(tokens: &[i64]) -> String {
    let texts: Vec<String> = tokens.iter().map(i64::to_string).collect();
    texts.join(",")
}

/// Returns unused addresses: 127.A.B.1 and up, with A and B from the process id and a counter.
fn free_addresses(size: u8) -> Vec<Ipv4Addr> {
    static RINGS: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id() * 8 + RINGS.fetch_add(1, Ordering::Relaxed);
        let [.., high, low] = number.to_be_bytes();
        // 127.0.0.x is used by other programs.
        let addresses: Vec<Ipv4Addr> = (1..=size)
            .map(|last| Ipv4Addr::new(127, high | 0x40, low, last))
            .collect();
        let is_free = |address: &Ipv4Addr| {
            [7000, 9042, PORT]
                .into_iter()
                .all(|port| TcpListener::bind((*address, port)).is_ok())
        };
        if addresses.iter().all(is_free) {
            return addresses;
        }
    }
}

/// Returns an unused port of 127.0.0.1.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
