//! The three servers under load: cassgate, the constant handler, the Go webhook.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;

use crate::Result;
use crate::cluster::Cluster;
use crate::process::{Cores, Running, pinned};

/// Timeout for readiness, far above what any server needs.
const READY_TIMEOUT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(1);

/// A certificate for the loopback address in files, shared by all servers.
#[derive(Debug)]
pub(crate) struct Pair {
    folder: PathBuf,
}

impl Pair {
    /// # Errors
    /// An error if the files cannot be written.
    pub(crate) fn make(folder: PathBuf) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new([Ipv4Addr::LOCALHOST.to_string()])?.signed_by(&key, &authority)?;
        fs::write(folder.join("ca.crt"), authority.pem())?;
        fs::write(folder.join("tls.crt"), leaf.pem())?;
        fs::write(folder.join("tls.key"), key.serialize_pem())?;
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
    /// The address of its metrics.
    pub(crate) admin: Option<SocketAddr>,
    /// True if it answers a constant.
    pub(crate) constant: bool,
    /// Time from start to readiness.
    pub(crate) ready_after: Duration,
}

/// The inputs for the start of every server.
#[derive(Debug)]
pub(crate) struct Launcher<'a> {
    pub(crate) cores: Cores,
    pub(crate) cluster: &'a Cluster,
    pub(crate) pair: &'a Pair,
    pub(crate) logs: PathBuf,
    pub(crate) webhook: PathBuf,
}

impl Launcher<'_> {
    /// # Errors
    /// An error if it ends or is not ready within a minute.
    pub(crate) fn cassgate(&self) -> Result<Server> {
        let log = self.logs.join("cassgate.log");
        let mut command = pinned(self.cores.server, Path::new(env!("CARGO_BIN_EXE_cassgate")));
        command
            .args([
                "run",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--shutdown-delay",
                "0s",
            ])
            .args([
                "--log-format",
                "json",
                "--executor",
                "casskop",
                "--tls",
                "files",
                "--tls-dir",
            ])
            .arg(self.pair.folder())
            .env("KUBECONFIG", self.cluster.kubeconfig());
        let begun = Instant::now();
        let mut running = start(&mut command, &log)?;
        let address = listening(&mut running, &log, "webhook listening")?;
        let admin = listening(&mut running, &log, "admin listening")?;
        wait_until(&mut running, &log, || Ok(is_ready(admin)?.then_some(())))?;
        Ok(Server {
            name: "cassgate",
            running,
            address,
            admin: Some(admin),
            constant: false,
            ready_after: begun.elapsed(),
        })
    }

    /// Starts a server on the same stack that answers every request with `answer`.
    ///
    /// # Errors
    /// As for [`Launcher::cassgate`].
    pub(crate) fn constant(&self, answer: &str) -> Result<Server> {
        let log = self.logs.join("constant.log");
        let mut command = pinned(self.cores.server, &std::env::current_exe()?);
        command
            .args(["constant", "--answer", answer, "--tls-dir"])
            .arg(self.pair.folder());
        let begun = Instant::now();
        let mut running = start(&mut command, &log)?;
        let address = wait_until(&mut running, &log, || {
            let text = fs::read_to_string(&log)?;
            Ok(text.split_once('\n').and_then(|(line, _)| line.parse().ok()))
        })?;
        Ok(Server {
            name: "constant answer",
            running,
            address,
            admin: None,
            constant: true,
            ready_after: begun.elapsed(),
        })
    }

    /// # Errors
    /// As for [`Launcher::cassgate`].
    pub(crate) fn controller_runtime(&self) -> Result<Server> {
        let log = self.logs.join("controller-runtime.log");
        let [address, health] = free_addresses()?;
        let mut command = pinned(self.cores.server, &self.webhook);
        command
            .args([
                "--port",
                &address.port().to_string(),
                "--health-probe-bind-address",
                &health.to_string(),
            ])
            .arg("--cert-dir")
            .arg(self.pair.folder())
            .env("KUBECONFIG", self.cluster.kubeconfig());
        let begun = Instant::now();
        let mut running = start(&mut command, &log)?;
        wait_until(&mut running, &log, || Ok(is_ready(health)?.then_some(())))?;
        let ready_after = begun.elapsed();
        Ok(Server {
            name: "controller-runtime",
            running,
            address,
            admin: None,
            constant: false,
            ready_after,
        })
    }
}

/// Starts a server with its output in this file.
///
/// # Errors
/// An error if it cannot be started.
pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Running> {
    let log = File::create(log)?;
    Running::start(command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log))
}

/// Builds the Go webhook and returns its path. Go's build cache shortens repeated builds.
///
/// # Errors
/// An error if it cannot be built.
pub(crate) fn build_controller_runtime() -> Result<PathBuf> {
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("controller-runtime-webhook");
    let status = Command::new("go")
        // The flags of tests/servers/build.sh: most packages are compiled already.
        .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(&binary)
        .arg(".")
        .env("CGO_ENABLED", "0")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/controller-runtime"))
        .status()?;
    if !status.success() {
        return Err("the Go webhook in benches/controller-runtime could not be built".into());
    }
    Ok(binary)
}

/// Returns two currently unused ports: the Go webhook cannot choose one itself.
fn free_addresses() -> Result<[SocketAddr; 2]> {
    let listeners = [
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
    ];
    let [first, second] = &listeners;
    Ok([first.local_addr()?, second.local_addr()?])
}

/// Returns the address that a server has logged with `message`.
///
/// # Errors
/// As for [`wait_until`].
pub(crate) fn listening(running: &mut Running, log: &Path, message: &str) -> Result<SocketAddr> {
    wait_until(running, log, || {
        let text = fs::read_to_string(log)?;
        let entries = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(entries.into_iter().find_map(|entry| {
            let fields = entry.get("fields").unwrap_or(&entry);
            let is_it = fields.get("message").and_then(Value::as_str) == Some(message);
            fields.get("address").filter(|_| is_it)?.as_str()?.parse().ok()
        }))
    })
}

/// Repeats `attempt` until it returns a value.
///
/// # Errors
/// An error after a minute, or if the server ends.
pub(crate) fn wait_until<T>(
    running: &mut Running,
    log: &Path,
    mut try_it: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + READY_TIMEOUT;
    loop {
        if let Some(value) = try_it()? {
            return Ok(value);
        }
        let ended = running.check();
        if ended.is_err() || Instant::now() > end {
            let text = fs::read_to_string(log).unwrap_or_default();
            ended.map_err(|error| format!("{error}; it said:\n{text}"))?;
            return Err(format!("a server is not ready after a minute; it said:\n{text}").into());
        }
        std::thread::sleep(POLL);
    }
}

/// Returns true if a server reports readiness.
///
/// # Errors
/// An error if the answer is malformed.
pub(crate) fn is_ready(address: SocketAddr) -> Result<bool> {
    Ok(get(address, "/readyz")?.is_some_and(|answer| answer.starts_with("HTTP/1.1 200")))
}

/// Returns the whole answer of a server; `None` if no process listens.
///
/// # Errors
/// An error if the answer is malformed.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<Option<String>> {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return Ok(None);
    };
    stream.set_read_timeout(Some(READY_TIMEOUT))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(Some(answer))
}
