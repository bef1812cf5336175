//! `cassgate crds`: prints or writes the `CustomResourceDefinition`s.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::output::{exit, print};
use crate::api;

/// The flags of `cassgate crds`.
#[derive(Debug, Args)]
pub(super) struct CrdsArgs {
    /// Write one file for each kind into this folder, instead of printing them
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &CrdsArgs) -> ExitCode {
    match &args.dir {
        Some(dir) => exit(api::write_crds(dir).map(|_| ())),
        None => match api::crds_yaml() {
            Ok(yaml) => print(&yaml),
            Err(error) => exit(Err(error)),
        },
    }
}
