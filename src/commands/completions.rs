//! `cassgate completions`: prints a completion script.

use std::process::ExitCode;

use clap::{Args, Command};

use super::output::print;

/// The arguments of `cassgate completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell that reads the script
    shell: clap_complete::Shell,
}

/// Prints the script that completes the command line of `root`.
pub(super) fn run(args: &CompletionsArgs, root: &mut Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, root, "cassgate", &mut script);
    print(&String::from_utf8_lossy(&script))
}
