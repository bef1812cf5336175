//! The binary: parses the arguments and runs the subcommand.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cassgate::commands::Cli::parse().execute()
}
