//! `cassgate check` as users run it: a tree of GitOps files, every format, exit codes.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

#[path = "../../fuzz/src/yaml.rs"]
pub mod any;
mod command;
mod formats;
mod kubectl;
mod progress;
mod schemas;
mod secret_values;
mod verdicts;
mod yaml;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The result of a run.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Returns `tests/gitops`: at least thirty files as in the repositories of users.
fn gitops() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gitops")
}

/// Runs `cassgate check` in a folder with a text on standard input.
fn check(folder: &Path, args: &[&str], stdin: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cassgate"))
        .arg("check")
        .args(args)
        .current_dir(folder)
        .env_remove("CASSGATE_EXECUTOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // With an invalid command line, the process does not read its input.
    drop(child.stdin.take().unwrap().write_all(stdin.as_bytes()));
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
