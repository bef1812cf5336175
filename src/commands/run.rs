//! `cassgate run`: serves the webhook and runs admitted objects.

use std::num::NonZero;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use tokio::runtime;

use super::duration::duration;
use super::output::{exit, print_error};
use super::policy_args::PolicyArgs;
use super::serve_args::ServeArgs;
use super::tls_args::{TlsArgs, TlsOptionsError};
use crate::supervisor::{self, Ended, Options};
use crate::telemetry::log::{self, LogArgs};

/// The time that a task that blocks its thread (a certificate on a mount that hangs) may delay the exit.
pub const BLOCKED_GRACE: Duration = Duration::from_secs(1);

/// The largest number of worker threads.
///
/// One thread answers more reviews than a cluster sends; the second serves while the first is busy. tokio's default is
/// the number of processors, and each thread adds an arena of the allocator: after the same load 16 threads held 13 MiB
/// more than two.
const MAX_WORKERS: usize = 2;

/// The flags of `cassgate run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Addresses and shutdown.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// The certificate.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Logs.
    #[command(flatten)]
    pub log: LogArgs,
    /// The policy of the rules.
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// The time without progress after which a run is reported as stalled (with --executor cassgate): the condition Stalled,
    /// with the reason `NoProgress`, names the operation and what ends it
    #[arg(long, value_name = "DURATION", env = "CASSGATE_NO_PROGRESS_TIMEOUT", default_value = "6h", value_parser = no_progress_timeout)]
    pub no_progress_timeout: SignedDuration,
}

/// The shortest value of `--no-progress-timeout`. A restart of a sidecar takes less.
const MIN_NO_PROGRESS_TIMEOUT: SignedDuration = SignedDuration::from_mins(15);

/// Parses the value of `--no-progress-timeout`.
///
/// # Errors
/// A text for clap to print if `text` is not a duration of at least 15 minutes.
fn no_progress_timeout(text: &str) -> Result<SignedDuration, String> {
    let timeout = SignedDuration::try_from(duration(text)?).map_err(|error| error.to_string())?;
    if timeout < MIN_NO_PROGRESS_TIMEOUT {
        return Err(
            "less than 15m: the restart of a sidecar would be reported as a run without progress".to_owned(),
        );
    }
    Ok(timeout)
}

/// Serves until a signal arrives or a task ends.
///
/// Returns 0 after a shutdown in which every request was answered; 1 if the process could not start, a task ended by
/// itself, requests were cut, or a second signal came; 2 for unusable flags.
pub(super) fn run(args: RunArgs) -> ExitCode {
    let log = match log::init(&args.log) {
        Ok(log) => log,
        Err(error) => return exit(Err(error)),
    };
    let options = match options(args) {
        Ok(options) => options,
        Err(error) => return exit(Err(error)),
    };
    let runtime = match runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            print_error(&error);
            return ExitCode::FAILURE;
        }
    };
    let code = match runtime.block_on(supervisor::run(options, log)) {
        Ok(Ended::Cleanly) => ExitCode::SUCCESS,
        Ok(Ended::Uncleanly) => ExitCode::FAILURE,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    };
    runtime.shutdown_timeout(BLOCKED_GRACE);
    code
}

fn options(args: RunArgs) -> Result<Options, TlsOptionsError> {
    Ok(Options {
        listen: args.serve.listen,
        admin_listen: args.serve.admin_listen,
        shutdown_delay: args.serve.shutdown_delay,
        drain_timeout: args.serve.drain_timeout,
        tls: args.tls.source()?,
        tls_reload_interval: args.tls.tls_reload_interval,
        policy: args.policy.into(),
        no_progress_timeout: args.no_progress_timeout,
    })
}

/// Returns the number of available processors, at most [`MAX_WORKERS`].
fn workers() -> usize {
    thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(MAX_WORKERS)
}
