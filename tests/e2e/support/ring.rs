//! Rings of real nodes: each a Cassandra and a sidecar, on a loopback address of its own.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cassgate::icarus::PORT;
use tempfile::TempDir;
use walkdir::WalkDir;

use super::{parts, repository};
use crate::kube::process_guard::GuardedProcess;

/// How long a server may take to come up on a machine that is busy.
const UP_WITHIN: Duration = Duration::from_mins(4);

/// How often a server is started again that ended before it served.
const MOST_RESTARTS: usize = 3;

/// How soon a sidecar sees that something is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// A second for every call of Cassandra and five for every transfer, however small: as Icarus has it. What is to
    /// be struck in the middle needs the time.
    AsIcarus,
    /// At once.
    Quick,
}

/// A ring. Everything in it stops when it is dropped, or when this process dies in whatever way.
pub(crate) struct Ring {
    nodes: Vec<Node>,
    folder: TempDir,
}

/// A node: two processes on one file system, as in a pod.
pub(crate) struct Node {
    /// Its address.
    pub(crate) address: Ipv4Addr,
    seed: Ipv4Addr,
    pace: Pace,
    folder: PathBuf,
    /// What its sidecar reads Secrets with; without it the sidecar believes that it is in no Kubernetes cluster.
    kubeconfig: Option<PathBuf>,
    jmx: u16,
    cassandra: Option<GuardedProcess>,
    sidecar: Option<GuardedProcess>,
}

impl Ring {
    /// Starts so many nodes, one after the other as Cassandra wants it: of two that start at once as seeds, one took the
    /// other for dead for minutes (seen on a busy machine). Waits until all of them serve. The sidecars read Secrets
    /// from the API server of the kubeconfig.
    pub(crate) fn start(size: u8, pace: Pace, kubeconfig: Option<&Path>) -> Self {
        parts();
        let folder = tempfile::Builder::new()
            .prefix("ring-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let addresses = free_addresses(size);
        let node = |address: &Ipv4Addr| Node {
            address: *address,
            seed: addresses[0],
            pace,
            folder: folder.path().join(address.to_string()),
            kubeconfig: kubeconfig.map(Path::to_owned),
            jmx: free_port(),
            cassandra: None,
            sidecar: None,
        };
        let nodes = addresses.iter().map(node).collect();
        let mut ring = Self { nodes, folder };
        for node in &mut ring.nodes {
            node.start_sidecar();
            node.start_cassandra();
            node.wait_for_cassandra();
        }
        for node in &mut ring.nodes {
            node.wait_for_sidecar();
        }
        ring
    }

    /// A node.
    pub(crate) fn node(&mut self, number: usize) -> &mut Node {
        &mut self.nodes[number]
    }

    /// The address of a node, for CQL.
    pub(crate) fn address(&self, number: usize) -> Ipv4Addr {
        self.nodes[number].address
    }

    /// Where the sidecars listen.
    pub(crate) fn sidecars(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Node::sidecar).collect()
    }

    /// A directory that all sidecars can reach, as a `file://` location for the whole cluster.
    pub(crate) fn store(&self) -> String {
        format!("file://{}/store/bucket/c/d/n", self.folder.path().display())
    }

    /// The snapshots in that directory, and of how many nodes.
    pub(crate) fn stored(&self) -> BTreeMap<String, usize> {
        let mut stored = BTreeMap::new();
        for file in WalkDir::new(self.folder.path().join("store")) {
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
        // All are told before any is waited for.
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
                node.tell_logs();
            }
        }
    }
}

impl Node {
    /// Where its sidecar listens.
    pub(crate) fn sidecar(&self) -> SocketAddr {
        SocketAddr::from((self.address, PORT))
    }

    /// Starts its Cassandra, with the data that it has.
    pub(crate) fn start_cassandra(&mut self) {
        self.cassandra = Some(self.run("cassandra", &[&self.seed.to_string()]));
    }

    /// Starts its sidecar.
    pub(crate) fn start_sidecar(&mut self) {
        self.sidecar = Some(self.run("sidecar", &[]));
    }

    /// Kills its Cassandra, as a machine that fails does.
    pub(crate) fn kill_cassandra(&mut self) {
        self.cassandra.take().unwrap().kill();
    }

    /// Kills its sidecar.
    pub(crate) fn kill_sidecar(&mut self) {
        self.sidecar.take().unwrap().kill();
    }

    /// A path of its `/var/lib/cassandra`, as this process sees it.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        let inside = inside.strip_prefix("/var/lib/").unwrap();
        self.folder.join("volume").join(inside)
    }

    /// Waits until its Cassandra takes CQL.
    pub(crate) fn wait_for_cassandra(&mut self) {
        self.wait_for(9042, |node| &mut node.cassandra, Self::start_cassandra);
    }

    /// Waits until its sidecar listens.
    pub(crate) fn wait_for_sidecar(&mut self) {
        self.wait_for(PORT, |node| &mut node.sidecar, Self::start_sidecar);
    }

    /// Waits until something listens on a port. What ends before that is started again, as kubelet does: a Cassandra
    /// that joins gives up when its seed has not answered within seconds, which happens on a busy machine (seen).
    fn wait_for(
        &mut self,
        port: u16,
        server: fn(&mut Self) -> &mut Option<GuardedProcess>,
        start: fn(&mut Self),
    ) {
        let deadline = Instant::now() + UP_WITHIN;
        let mut restarts = 0;
        while TcpStream::connect((self.address, port)).is_err() {
            let ended = server(self).as_mut().and_then(GuardedProcess::ended);
            if Instant::now() > deadline || (ended.is_some() && restarts == MOST_RESTARTS) {
                self.tell_logs();
                panic!(
                    "nothing listens on {}:{port} within {UP_WITHIN:?} and {restarts} restarts; ended: {ended:?}",
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
            // Whoever runs the tests may have one for a cluster that is none of their business.
            .env_remove("KUBECONFIG")
            .envs(self.kubeconfig.iter().map(|file| ("KUBECONFIG", file)))
            .envs(match self.pace {
                Pace::AsIcarus => None,
                Pace::Quick => Some(("FIRST_LOOK", "200")),
            })
            // They hold nothing worth a slow goodbye.
            .env("GUARD_GRACE", "2");
        GuardedProcess::spawn(command)
    }

    /// The ends of the logs: what a failed test needs.
    fn tell_logs(&self) {
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

/// Addresses that nobody on this machine listens on: 127.A.B.1 and up, A and B from this process and a counter.
fn free_addresses(size: u8) -> Vec<Ipv4Addr> {
    static RINGS: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id() * 8 + RINGS.fetch_add(1, Ordering::Relaxed);
        let [.., high, low] = number.to_be_bytes();
        // 127.0.0.x is everybody's.
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

/// A port of 127.0.0.1 that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
