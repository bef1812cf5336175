//! Measures a typical CREATE review against the same TLS stack with a constant answer and against a Go webhook.
//!
//! `make bench`, or `cargo bench --bench review -- --help`. Every relevant figure is a ratio within one run on one
//! machine: a slow machine causes no failure, only a wrong answer does.

mod cluster;
mod compare;
mod constant;
mod h2load;
mod handler;
mod http2;
mod latency;
mod load;
mod process;
mod report;
mod servers;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Debug, Parser)]
#[command(about = "How fast cassgate answers, and what it needs for that")]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    options: compare::Options,
    /// Passed by cargo to every bench, also behind a subcommand
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

/// Other measurements, and the processes that the bench starts of itself.
#[derive(Debug, Subcommand)]
enum Part {
    /// Latency of a review, by h2load at a constant rate
    Latency(latency::Latency),
    /// Reviews without a connection, one after another, for valgrind
    Handler(handler::Handler),
    #[command(hide = true)]
    Load(load::Load),
    #[command(hide = true)]
    Constant(constant::Constant),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.part {
        None => compare::run(&cli.options),
        Some(Part::Latency(latency)) => latency::run(latency),
        Some(Part::Handler(handler)) => handler::run(handler),
        Some(Part::Load(load)) => load::run(load),
        Some(Part::Constant(constant)) => constant::run(constant),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
