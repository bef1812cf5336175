//! `cassgate probe`: the way from a user's apply to the answer.

use std::{io, process::ExitCode};

use jiff::Timestamp;
use tokio::runtime;

use crate::cli::{self, ProbeArgs};
use crate::cluster::{self, ConnectError};
use crate::probe::look::look;
use crate::serve::certs;

/// Why nothing could be probed.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    /// No Kubernetes configuration.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// Nobody to ask.
    #[error("the API server could not be asked: {0}")]
    Unreachable(String),
    /// The process itself.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Probes the path. 0: it is good; 1: a hop is broken, or not enough could be seen; 2: options, the Kubernetes
/// configuration or the API server are of no use.
#[must_use]
pub fn probe(args: &ProbeArgs) -> ExitCode {
    match probed(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            cli::tell(&error);
            ExitCode::from(2)
        }
    }
}

fn probed(args: &ProbeArgs) -> Result<bool, ProbeError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    certs::install_default_provider();
    let seen = runtime.block_on(async {
        let client = cluster::connect_to(args.context()).await?;
        Ok::<_, ProbeError>(look(&client, args.namespace(), args.webhooks()).await)
    })?;
    if let Some(why) = seen.unreachable() {
        return Err(ProbeError::Unreachable(why.to_owned()));
    }
    Ok(cli::probe(args, &seen, Timestamp::now())?)
}
