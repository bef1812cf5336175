//! Measures the reconciler: the time until a run begins, the cost of idle objects, and many runs at one instant.
//!
//! `make bench`, or `cargo bench --bench runs -- --help`. The API server, etcd and cassgate are real; the sidecars
//! are a model in this process that answers at once. It prints figures without a verdict: a slow machine is not a
//! failure.

#[allow(dead_code, reason = "the bench of reviews needs more of it")]
#[path = "../review/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "the bench of reviews needs more of it")]
#[path = "../review/process.rs"]
mod process;
#[path = "../review/report.rs"]
mod report;
#[allow(dead_code, reason = "the bench of reviews needs more of it")]
#[path = "../review/servers.rs"]
mod servers;

mod audit;
mod figures;
mod gate;
mod instant;
mod lag;
mod look;
mod one_shots;
mod operation;
mod rest;
mod restores;
mod sidecars;
mod stage;

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Debug, Parser)]
#[command(about = "What the reconciler costs, and how soon it begins")]
struct Cli {
    /// Measurements to run; all by default
    parts: Vec<Part>,
    /// One-shot backups whose time to the first request is measured
    #[arg(long, default_value_t = 100)]
    shots: usize,
    /// Finished idle one-shot backups
    #[arg(long, default_value_t = 1_000)]
    finished: usize,
    /// Restores on each ring
    #[arg(long, default_value_t = 9)]
    restores: usize,
    /// Nodes of the restore that is looked at
    #[arg(long, default_value_t = 200)]
    nodes: u8,
    /// Idle scheduled backups
    #[arg(long, default_value_t = 10_000)]
    scheduled: usize,
    /// Backups that are due at one instant
    #[arg(long, default_value_t = 1_000)]
    due: usize,
    /// Clusters of these backups
    #[arg(long, default_value_t = 100)]
    clusters: usize,
    /// Put all of them into one namespace
    #[arg(long)]
    one_namespace: bool,
    /// Backups that are due one at a time
    #[arg(long, default_value_t = 60)]
    alone: usize,
    /// Seconds of observation of idle objects, and of a restore that is looked at
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Passed by cargo to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// From the apply of a one-shot backup to its first request
    OneShots,
    /// Finished idle one-shot backups
    Finished,
    /// A restore of many nodes and one of few
    Restores,
    /// One look at a restore of many nodes
    Look,
    /// Idle scheduled backups
    Scheduled,
    /// Many backups due at one instant
    Instant,
    /// From the slot of a schedule to the first request
    Lag,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    for part in Part::value_variants() {
        if !cli.parts.is_empty() && !cli.parts.contains(part) {
            continue;
        }
        let load = fs::read_to_string("/proc/loadavg")?;
        println!("load average of the machine before {part:?}: {}", load.trim());
        runtime.block_on(async {
            match part {
                Part::OneShots => one_shots::measure(cli.shots).await,
                Part::Finished => rest::finished(cli.finished, cli.seconds).await,
                Part::Restores => restores::measure(cli.restores).await,
                Part::Look => look::measure(cli.nodes, cli.seconds).await,
                Part::Scheduled => rest::scheduled(cli.scheduled, cli.seconds).await,
                Part::Instant => instant::measure(cli.due, cli.clusters, cli.one_namespace).await,
                Part::Lag => lag::measure(cli.alone).await,
            }
        })?;
    }
    Ok(())
}
