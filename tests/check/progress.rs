//! The progress line on a terminal.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Runs a check on a terminal of its own, of a pipe that is written after `wait`, and returns the output of the terminal.
///
/// The terminal is made by `script` of util-linux.
fn shown(wait: Duration) -> String {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("slow.yaml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let command = format!(
        "{} check {} >/dev/null",
        env!("CARGO_BIN_EXE_cassgate"),
        pipe.display()
    );
    let child = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is installed (on Debian in bsdutils)");
    // Opening the pipe waits for the check, whose clock has started by then.
    let mut writer: File = OpenOptions::new().write(true).open(&pipe).unwrap();
    sleep(wait);
    writer.write_all(b"kind: ConfigMap\n").unwrap();
    drop(writer);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn after_a_second_a_terminal_shows_the_progress_and_erases_it_at_the_end() {
    let shown = shown(Duration::from_millis(1_050));
    assert_eq!(shown, "\r\u{1b}[Kcassgate: 1 file read\r\u{1b}[K");
}
