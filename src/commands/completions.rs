//! `cassgate completions`: prints a completion script.

use std::process::ExitCode;

use clap::{Args, CommandFactory};

use super::{Cli, print};

/// The arguments of `cassgate completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell that reads it
    shell: clap_complete::Shell,
}

/// Prints the script for one shell.
pub(super) fn run(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "cassgate", &mut script);
    print(&String::from_utf8_lossy(&script))
}
