//! `cassgate probe`: which hop of the path is broken.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::probe::{Meant, Seen, judge, report::Report};

/// What `cassgate probe` is told.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The namespace in which the two objects are tried
    #[arg(long, short, value_name = "NAMESPACE", default_value = "default")]
    namespace: String,
    /// The name of the two webhook configurations
    #[arg(long, value_name = "NAME", default_value = "cassgate")]
    webhooks: String,
    /// What the failurePolicy of the validating webhook is meant to be
    #[arg(long, value_enum, default_value_t = FailurePolicy::Fail)]
    failure_policy: FailurePolicy,
    /// The context of the kubeconfig file that is used, instead of its current one
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
    /// How it is told
    #[arg(long, value_enum, default_value_t = ProbeFormat::Text)]
    format: ProbeFormat,
}

/// What the validating webhook does with what it cannot be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailurePolicy {
    /// Refuse it, as the manifests have it
    Fail,
    /// Let it pass, for clusters with the overlay static-policy
    Ignore,
}

/// How the hops are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProbeFormat {
    /// One line for each hop
    Text,
    /// One JSON document
    Json,
}

impl ProbeArgs {
    /// By which context the cluster is asked.
    pub(crate) fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// Where the objects are tried.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name of the webhook configurations.
    pub(crate) fn webhooks(&self) -> &str {
        &self.webhooks
    }
}

/// Says how each hop stands; true when the path is good.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn run(args: &ProbeArgs, seen: &Seen, now: Timestamp) -> io::Result<bool> {
    let ignore = args.failure_policy == FailurePolicy::Ignore;
    let report = judge(seen, Meant { ignore, now });
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
