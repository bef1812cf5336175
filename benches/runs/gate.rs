//! The measured cassgate: the shipped binary as the executor, with the rights of its service account.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{Memory, Running, Usage};
use crate::servers::{get, is_ready, listening, start, wait_until};
use crate::stage::Stage;

/// A ready cassgate. It is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    running: Running,
}

impl Gate {
    /// Starts it and waits until it leads.
    ///
    /// # Errors
    /// An error if it ends or is not ready within a minute.
    pub(crate) fn start(stage: &Stage) -> Result<Self> {
        let log = stage.log();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM", env!("CARGO_BIN_EXE_cassgate"), "run"])
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--shutdown-delay", "0s", "--log-format", "json"])
            .args(["--executor", "cassgate", "--tls", "files", "--tls-dir"])
            .arg(stage.pair.folder())
            .env("KUBECONFIG", &stage.kubeconfig);
        let mut running = start(&mut command, &log)?;
        let admin = listening(&mut running, &log, "admin listening")?;
        wait_until(&mut running, &log, || Ok(is_ready(admin)?.then_some(())))?;
        wait_until(&mut running, &log, || {
            let metrics = get(admin, "/metrics")?.unwrap_or_default();
            let mut lines = metrics.lines();
            let leads = lines.any(|line| line.starts_with("cassgate_leader") && line.ends_with(" 1"));
            Ok(leads.then_some(()))
        })?;
        Ok(Self { running })
    }

    /// Returns its CPU time so far.
    ///
    /// # Errors
    /// An error if it has ended.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.running.id())
    }

    /// Returns its resident memory.
    ///
    /// # Errors
    /// An error if it has ended.
    pub(crate) fn memory(&self) -> Result<Memory> {
        Memory::of(self.running.id())
    }

    /// Waits until it has been idle for two seconds, at most a minute.
    ///
    /// # Errors
    /// An error if it has ended.
    pub(crate) async fn settles(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let before = self.usage()?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            if self.usage()?.since(before) < 0.1 || begun.elapsed() > Duration::from_mins(1) {
                return Ok(());
            }
        }
    }
}
