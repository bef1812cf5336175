//! `cassgate probe`: names the broken hop between kubectl and the webhook.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tokio::runtime;

use super::output::print_error;
use crate::kubernetes::{self, ConnectError};
use crate::probe::report::Report;
use crate::probe::{judge, observe};
use crate::tls;

/// The flags of `cassgate probe`.
#[derive(Debug, Args)]
pub(super) struct ProbeArgs {
    /// The namespace for the two dry runs
    #[arg(long, short, value_name = "NAMESPACE", default_value = "default")]
    namespace: String,
    /// The name of the two webhook configurations
    #[arg(long, value_name = "NAME", default_value = "cassgate")]
    webhooks: String,
    /// The failurePolicy that the validating webhook should have
    #[arg(long, value_enum, default_value_t = FailurePolicy::Fail)]
    failure_policy: FailurePolicy,
    /// The context of the kubeconfig file, instead of its current one
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
    /// The output format
    #[arg(long, value_enum, default_value_t = ProbeFormat::Text)]
    format: ProbeFormat,
}

/// The expected failurePolicy of the validating webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailurePolicy {
    /// Fail, as in the manifests
    Fail,
    /// Ignore, as in the overlay static-policy
    Ignore,
}

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProbeFormat {
    /// One line for each hop
    Text,
    /// One JSON document
    Json,
}

/// An error that prevented the probe.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    /// The Kubernetes configuration is missing or unusable.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// The API server did not answer.
    #[error("the API server did not answer: {0}")]
    Unreachable(String),
    /// The runtime could not start, or standard output is closed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Probes the path from kubectl to the webhook and prints the state of each hop.
///
/// Returns 0 if the path is good, 1 if a hop is broken or too little could be read, and 2 if an option, the kubeconfig
/// or the API server is unusable.
pub(super) fn run(args: &ProbeArgs) -> ExitCode {
    match probe(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print_error(&error);
            ExitCode::from(2)
        }
    }
}

fn probe(args: &ProbeArgs) -> Result<bool, ProbeError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    tls::install_default_provider();
    let observation = runtime.block_on(async {
        let client = kubernetes::connect_to(args.context.as_deref()).await?;
        Ok::<_, ProbeError>(observe(&client, &args.namespace, &args.webhooks).await)
    })?;
    if let Some(why) = observation.unreachable() {
        return Err(ProbeError::Unreachable(why.to_owned()));
    }
    let expect_ignore = args.failure_policy == FailurePolicy::Ignore;
    let report = judge(&observation, expect_ignore, Timestamp::now());
    let text = render(&report, args.format).map_err(io::Error::other)?;
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(report.is_good())
}

fn render(report: &Report, format: ProbeFormat) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut text = String::new();
    match format {
        ProbeFormat::Text => report.text(&mut text)?,
        ProbeFormat::Json => {
            text = serde_json::to_string_pretty(report)?;
            text.push('\n');
        }
    }
    Ok(text)
}
