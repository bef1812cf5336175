//! cassgate itself.

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    http::{self, Reply},
    leash::Leashed,
    servers::{Crds, Servers, scratch},
};

/// A value that stands in every Secret of these tests: it may appear nowhere else.
pub(crate) const SECRET_VALUE: &str = "s3cr3t-that-nobody-may-read";

/// A running `cassgate run`.
#[derive(Debug)]
pub(crate) struct Gate {
    process: Leashed,
    directory: PathBuf,
    /// Where the webhook listens.
    pub(crate) webhook: SocketAddr,
    /// Where probes and metrics are.
    pub(crate) admin: SocketAddr,
}

type Shared = Mutex<HashMap<(Crds, String), Arc<Gate>>>;

static SHARED: std::sync::LazyLock<Shared> = std::sync::LazyLock::new(Mutex::default);

/// A gate with these flags that other tests use as well.
pub(crate) fn shared(servers: &Servers, flags: &[&str]) -> Arc<Gate> {
    let mut gates = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (servers.crds(), flags.join(" "));
    Arc::clone(
        gates
            .entry(key)
            .or_insert_with(|| Arc::new(Gate::start(servers, flags))),
    )
}

/// Stops what [`shared`] started.
///
/// # Errors
/// The log of a gate that did not end with exit code 0, or that held a Secret's value or a panic.
pub(crate) fn stop_shared() -> Result<(), String> {
    let mut gates = std::mem::take(&mut *SHARED.lock().unwrap_or_else(PoisonError::into_inner));
    let stopped = gates
        .drain()
        .map(|((_, flags), gate)| match Arc::try_unwrap(gate) {
            Ok(gate) => gate
                .stop_well()
                .map_err(|why| format!("cassgate run {flags}: {why}")),
            Err(_) => Err(format!("cassgate run {flags}: a test still holds it")),
        });
    let complaints: Vec<String> = stopped.filter_map(Result::err).collect();
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("\n"))
    }
}

/// The arguments of a `cassgate run` on free ports of this machine, with a certificate of its own.
pub(crate) fn arguments(tls_directory: &str, flags: &[&str]) -> Vec<String> {
    let fixed = [
        "run",
        "--listen=127.0.0.1:0",
        "--admin-listen=127.0.0.1:0",
        "--tls=dev",
        "--log-format=json",
        "--shutdown-delay=0s",
    ];
    let directory = format!("--tls-dir={tls_directory}");
    fixed
        .iter()
        .map(ToString::to_string)
        .chain([directory])
        .chain(flags.iter().map(ToString::to_string))
        .collect()
}

/// A folder that no other test uses.
pub(crate) fn fresh_directory(purpose: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let directory = scratch().join(format!("{purpose}-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&directory).unwrap();
    directory
}

impl Gate {
    /// Starts cassgate with these flags and waits until it is ready.
    pub(crate) fn start(servers: &Servers, flags: &[&str]) -> Self {
        let gate = Self::start_with_kubeconfig(&servers.gate_kubeconfig().display().to_string(), flags);
        gate.wait_until_ready();
        gate
    }

    /// Starts cassgate and waits until it listens; it may never be ready.
    pub(crate) fn start_with_kubeconfig(kubeconfig: &str, flags: &[&str]) -> Self {
        let directory = fresh_directory("gate");
        let arguments = arguments(&directory.display().to_string(), flags);
        Self::start_as(&arguments, kubeconfig, &directory)
    }

    /// Starts cassgate with exactly these arguments; its certificate is in `directory`.
    pub(crate) fn start_as(arguments: &[String], kubeconfig: &str, directory: &Path) -> Self {
        let process = Leashed::start(
            env!("CARGO_BIN_EXE_cassgate"),
            arguments,
            &[("KUBECONFIG", kubeconfig)],
        );
        let address = |message: &str| {
            let found = process.stderr().first(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                let address = line["address"].as_str()?.parse().ok()?;
                (line["message"] == message).then_some(address)
            });
            found.unwrap_or_else(|log| panic!("cassgate {} says no {message:?}:\n{log}", arguments.join(" ")))
        };
        let (webhook, admin) = (address("webhook listening"), address("admin listening"));
        Self {
            process,
            directory: directory.to_owned(),
            webhook,
            admin,
        }
    }

    /// Waits until `/readyz` says so.
    pub(crate) fn wait_until_ready(&self) {
        for _ in 0..600 {
            if self.readyz().status == 200 {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("cassgate is not ready: {:?}\n{}", self.readyz(), self.log());
    }

    /// `GET /readyz`
    pub(crate) fn readyz(&self) -> Reply {
        self.get("/readyz")
    }

    /// A page of the admin server.
    pub(crate) fn get(&self, path: &str) -> Reply {
        http::get(self.admin, path)
    }

    /// Sends these bytes to the webhook, as kube-apiserver would.
    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        http::post(self.webhook, path, &self.certificate_authority(), body.as_ref())
    }

    /// Begins to send a body of this length, without ever going on.
    pub(crate) fn announce(&self, path: &str, length: usize) -> Reply {
        http::announce(self.webhook, path, &self.certificate_authority(), length)
    }

    /// How many reviews it has answered.
    pub(crate) fn reviews(&self) -> u64 {
        let metrics = self.get("/metrics").body;
        let series = metrics
            .lines()
            .filter(|line| line.starts_with("cassgate_admission_reviews_total{"));
        series
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// How many connections to the webhook are open.
    pub(crate) fn connections(&self) -> usize {
        let metrics = self.get("/metrics").body;
        let series = "cassgate_connections{listener=\"webhook\"} ";
        let open = metrics.lines().find_map(|line| line.strip_prefix(series));
        open.unwrap().parse().unwrap()
    }

    /// The most bytes that it ever had in memory.
    pub(crate) fn peak_memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.program())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes: usize = peak.unwrap().trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes * 1024
    }

    /// What its certificate is verified with, as PEM.
    pub(crate) fn certificate_authority(&self) -> String {
        fs::read_to_string(self.directory.join("ca.crt")).unwrap()
    }

    /// What goes into `clientConfig.caBundle`.
    pub(crate) fn ca_bundle(&self) -> String {
        STANDARD.encode(self.certificate_authority())
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        self.process.stderr().so_far().join("\n")
    }

    /// Ends it at once, without a goodbye.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&mut self) {
        self.process.let_go();
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.process.stop()
    }

    pub(crate) fn stop_well(mut self) -> Result<(), String> {
        let metrics = self.get("/metrics").body;
        let status = self.stop();
        let log = self.log();
        for (text, place) in [(&log, "log"), (&metrics, "metrics")] {
            if text.contains(SECRET_VALUE) {
                return Err(format!("a Secret's value is in its {place}:\n{text}"));
            }
        }
        if log.contains("panicked") {
            return Err(format!("it panicked:\n{log}"));
        }
        if status.code() != Some(0) {
            return Err(format!("it ended with {status}:\n{log}"));
        }
        Ok(())
    }
}
