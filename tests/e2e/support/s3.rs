//! An S3 server on this machine with one user, and the requests in its log.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::{parts, repository};
use crate::kube::process_guard::GuardedProcess;

/// A server with the empty bucket `rows`. It stops when it is dropped or when this process dies.
pub(crate) struct S3 {
    process: GuardedProcess,
    /// The content of a Secret for it: the keys of its user, region and endpoint.
    pub(crate) secret: BTreeMap<String, String>,
    folder: TempDir,
}

/// A fault of the server at each PUT of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The answer waits until the fault changes.
    Hold,
    /// The server answers 500 and stores nothing. It answers a held PUT so too.
    Fail,
}

impl S3 {
    /// The storage location of a backup on it.
    pub(crate) const LOCATION: &str = "s3://rows";

    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut command = Command::new(repository().join("tests/servers/guard.sh"));
        command
            .arg(parts().join("python/bin/python"))
            .arg(repository().join("tests/sidecar/s3.py"))
            .arg(faults(&folder))
            .env("GUARD_GRACE", "2");
        let process = GuardedProcess::spawn(command);
        let secret = process
            .stdout()
            .first(|line| serde_json::from_str(line).ok())
            .unwrap_or_else(|_| panic!("no S3 server:\n{}", process.stderr().so_far().join("\n")));
        Self {
            process,
            secret,
            folder,
        }
    }

    /// Injects a fault at the PUT of each object whose key contains all `parts`, in place of the fault before.
    pub(crate) fn inject(&self, parts: &[&str], fault: Fault) {
        let fault = match fault {
            Fault::Hold => "hold",
            Fault::Fail => "fail",
        };
        let next = self.folder.path().join("next");
        fs::write(&next, json!({ "parts": parts, "fault": fault }).to_string()).unwrap();
        fs::rename(next, faults(&self.folder)).unwrap();
    }

    /// Ends the fault.
    pub(crate) fn heal(&self) {
        fs::remove_file(faults(&self.folder)).unwrap();
    }

    /// Returns the number of stored objects whose key contains `what`.
    pub(crate) fn stored(&self, what: &str) -> usize {
        let log = self.process.stderr().so_far();
        let stored = |line: &&String| line.contains("\"PUT /rows/") && line.contains(" 200 ");
        log.iter()
            .filter(stored)
            .filter(|line| line.contains(what))
            .count()
    }
}

fn faults(folder: &TempDir) -> PathBuf {
    folder.path().join("faults.json")
}
