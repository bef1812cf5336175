//! An S3 server on this machine that knows one user, and what its log tells.

use std::collections::BTreeMap;
use std::process::Command;

use super::{parts, repository};
use crate::kube::process_guard::GuardedProcess;

/// A server with the empty bucket `rows`. It stops when it is dropped, or when this process dies in whatever way.
pub(crate) struct S3 {
    process: GuardedProcess,
    /// What a Secret has to hold for it: the keys of its one user, region and endpoint.
    pub(crate) secret: BTreeMap<String, String>,
}

impl S3 {
    /// Where a backup goes in it.
    pub(crate) const LOCATION: &str = "s3://rows";

    pub(crate) fn start() -> Self {
        let mut command = Command::new(repository().join("tests/servers/guard.sh"));
        command
            .arg(parts().join("python/bin/python"))
            .arg(repository().join("tests/sidecar/s3.py"))
            .env("GUARD_GRACE", "2");
        let process = GuardedProcess::spawn(command);
        let secret = process
            .stdout()
            .first(|line| serde_json::from_str(line).ok())
            .unwrap_or_else(|_| panic!("no S3 server:\n{}", process.stderr().so_far().join("\n")));
        Self { process, secret }
    }

    /// How many objects were stored whose key has this in it.
    pub(crate) fn stored(&self, what: &str) -> usize {
        let log = self.process.stderr().so_far();
        let stored = |line: &&String| line.contains("\"PUT /rows/") && line.contains(" 200 ");
        log.iter()
            .filter(stored)
            .filter(|line| line.contains(what))
            .count()
    }
}
