//! Real nodes, CQL, and an S3 server.

pub(crate) mod cql;
mod nodetool;
pub(crate) mod ring;
pub(crate) mod s3;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Returns the root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the folder with Cassandra, the sidecar and Python's CQL driver, fetched and compiled if necessary.
pub(crate) fn parts() -> &'static Path {
    static PARTS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let script = repository().join("tests/sidecar/build.sh");
        let built = Command::new(&script)
            .output()
            .map_err(|error| format!("{}: {error}", script.display()))?;
        if !built.status.success() {
            return Err(format!(
                "there is no Cassandra to test on:\n{}",
                String::from_utf8_lossy(&built.stderr)
            ));
        }
        Ok(PathBuf::from(String::from_utf8_lossy(&built.stdout).trim()))
    };
    match PARTS.get_or_init(build) {
        Ok(parts) => parts,
        Err(why) => panic!("{why}"),
    }
}
