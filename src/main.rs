//! The program: reads its arguments and does what they say.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cassgate::cli::Cli::parse().execute()
}
