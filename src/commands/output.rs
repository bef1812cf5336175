//! Output and exit codes that the subcommands share.

use std::io::{self, Write};
use std::process::ExitCode;

/// Writes `text` to standard output. A closed pipe (`cassgate explain | head`) is not an error.
pub(super) fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => exit(Err(error)),
        _ => ExitCode::SUCCESS,
    }
}

/// Returns 0, or prints the error and returns 2.
pub(super) fn exit<E: std::error::Error>(result: Result<(), E>) -> ExitCode {
    result.map_or_else(
        |error| {
            print_error(&error);
            ExitCode::from(2)
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Prints an error and its sources as one line on standard error.
pub(super) fn print_error(error: &dyn std::error::Error) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    // If standard error is closed too, there is no place left to report to.
    drop(writeln!(io::stderr().lock(), "cassgate: {text}"));
}
