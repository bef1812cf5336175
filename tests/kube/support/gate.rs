//! A cassgate process.

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
    process_guard::GuardedProcess,
    servers::{Crds, Servers, scratch},
};

/// The value of every Secret in these tests: it may appear nowhere else.
pub(crate) const SECRET_VALUE: &str = "s3cr3t-that-nobody-may-read";

/// A running `cassgate run`.
#[derive(Debug)]
pub(crate) struct Gate {
    process: GuardedProcess,
    directory: PathBuf,
    /// The address of the webhook.
    pub(crate) webhook: SocketAddr,
    /// The address of the admin server.
    pub(crate) admin: SocketAddr,
}

type Shared = Mutex<HashMap<(Crds, String), Arc<Gate>>>;

static SHARED: std::sync::LazyLock<Shared> = std::sync::LazyLock::new(Mutex::default);

/// Returns a cassgate with these flags that other tests share.
pub(crate) fn shared(servers: &Servers, flags: &[&str]) -> Arc<Gate> {
    let mut gates = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (servers.crds(), flags.join(" "));
    Arc::clone(
        gates
            .entry(key)
            .or_insert_with(|| Arc::new(Gate::start(servers, flags))),
    )
}

/// Stops the processes that [`shared`] started.
///
/// # Errors
/// The log of a process that did not exit with 0, or whose log contains a Secret's value or a panic.
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
    let violations: Vec<String> = stopped.filter_map(Result::err).collect();
    if violations.is_empty() {
        Ok(())
    } else {
        Err(violations.join("\n"))
    }
}

/// Returns the arguments of a `cassgate run` on free ports, with its own certificate.
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

/// Creates a folder that no other test uses.
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

    /// Starts cassgate and waits until it listens; it may never become ready.
    pub(crate) fn start_with_kubeconfig(kubeconfig: &str, flags: &[&str]) -> Self {
        let directory = fresh_directory("gate");
        let arguments = arguments(&directory.display().to_string(), flags);
        Self::start_as(&arguments, kubeconfig, &directory)
    }

    /// Starts cassgate with exactly these arguments; its certificate is in `directory`.
    pub(crate) fn start_as(arguments: &[String], kubeconfig: &str, directory: &Path) -> Self {
        let process = GuardedProcess::start(
            env!("CARGO_BIN_EXE_cassgate"),
            arguments,
            // The second is that of the image: without it glibc keeps the memory of large bodies.
            &[("KUBECONFIG", kubeconfig), ("MALLOC_MMAP_THRESHOLD_", "262144")],
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

    /// Waits until `/readyz` reports success.
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

    /// Returns a page of the admin server.
    pub(crate) fn get(&self, path: &str) -> Reply {
        http::get(self.admin, path)
    }

    /// Posts these bytes to the webhook, as kube-apiserver does.
    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        http::post(self.webhook, path, &self.certificate_authority(), body.as_ref())
    }

    /// Announces a body of this length and sends none of it.
    pub(crate) fn announce(&self, path: &str, length: usize) -> Reply {
        http::announce(self.webhook, path, &self.certificate_authority(), length)
    }

    /// Returns the number of answered reviews.
    pub(crate) fn reviews(&self) -> u64 {
        let metrics = self.get("/metrics").body;
        let series = metrics
            .lines()
            .filter(|line| line.starts_with("cassgate_admission_reviews_total{"));
        series
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// Returns the number of open connections to the webhook.
    pub(crate) fn connections(&self) -> usize {
        let metrics = self.get("/metrics").body;
        let series = "cassgate_connections{listener=\"webhook\"} ";
        let open = metrics.lines().find_map(|line| line.strip_prefix(series));
        open.unwrap().parse().unwrap()
    }

    /// Returns the peak resident memory in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.program())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes: usize = peak.unwrap().trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes * 1024
    }

    /// Returns the certificate authority of the webhook, as PEM.
    pub(crate) fn certificate_authority(&self) -> String {
        fs::read_to_string(self.directory.join("ca.crt")).unwrap()
    }

    /// Returns the value for `clientConfig.caBundle`.
    pub(crate) fn ca_bundle(&self) -> String {
        STANDARD.encode(self.certificate_authority())
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> String {
        self.process.stderr().so_far().join("\n")
    }

    /// Kills the process without a shutdown.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&mut self) {
        self.process.close_stdin();
    }

    /// Sends SIGTERM and waits for the exit.
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
