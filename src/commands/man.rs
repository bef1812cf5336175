//! `cassgate man`: prints manual pages.

use std::process::ExitCode;

use clap::{Args, Command};

use super::output::{exit, print};

/// The arguments of `cassgate man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command, instead of cassgate itself
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// A name that is not a subcommand.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a command of cassgate; `cassgate help` lists them")]
struct UnknownCommand(String);

/// Prints the manual page of `root`, or of one of its subcommands.
pub(super) fn run(args: &ManArgs, mut root: Command) -> ExitCode {
    root.build();
    let command = match &args.command {
        None => Some(root),
        Some(name) => root.find_subcommand(name).cloned(),
    };
    let Some(command) = command else {
        return exit(Err(UnknownCommand(args.command.clone().unwrap_or_default())));
    };
    let mut page = Vec::new();
    match clap_mangen::Man::new(command).render(&mut page) {
        Ok(()) => print(&String::from_utf8_lossy(&page)),
        Err(error) => exit(Err(error)),
    }
}
