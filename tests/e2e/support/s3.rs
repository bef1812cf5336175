//! An S3 server on this machine with one user, and the requests in its log.

use std::collections::BTreeMap;
use std::process::Command;

use super::{parts, repository};
use crate::kube::process_guard::GuardedProcess;

/// A server with the empty bucket `rows`. It stops when it is dropped or when this process dies.
pub(crate) struct S3 {
    process: GuardedProcess,
    /// The content of a Secret for it: the keys of its user, region and endpoint.
    pub(crate) secret: BTreeMap<String, String>,
}

impl S3 {
    /// The storage location of a backup on it.
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
