//! The directory for the downloads of a restore.

use std::fmt;

use super::cassandra_directory::CassandraDirectory;

/// The directory for the downloads of one restore, the same on every node. It is on the volume of Cassandra's data,
/// beside the data directory.
///
/// Every restore has its own directory: files that an earlier restore left behind would be linked into the tables too,
/// and more rows come back than were backed up (observed). The sidecar's answers contain the directory, so it also
/// identifies the operations of a restore.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceDirectory(String);

/// The prefix of the names of these directories.
const PREFIX: &str = "cassgate-restore-";

/// The error for an invalid uid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not the uid of an object (letters, digits and hyphens)")]
pub struct SourceDirectoryError;

impl SourceDirectory {
    /// Returns the directory of the restore with this uid.
    ///
    /// # Errors
    /// Returns an error if the API server cannot have issued the uid, because it becomes part of a path.
    pub fn of_restore(directory: &CassandraDirectory, uid: &str) -> Result<Self, SourceDirectoryError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if uid.is_empty() || uid.len() > 64 || !uid.bytes().all(fits) {
            return Err(SourceDirectoryError);
        }
        let volume = directory.as_str().trim_end_matches('/');
        Ok(Self(format!("{volume}/{PREFIX}{uid}")))
    }

    /// Returns the path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if a sidecar's `text` means this directory. The sidecar writes `file://` before the path, and a
    /// slash after it once the directory exists (observed).
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        strip_scheme(text) == self.0
    }
}

/// Returns true if a sidecar's `text` means the directory of any restore that cassgate runs.
#[must_use]
pub fn is_cassgate_directory(text: &str) -> bool {
    let folder = strip_scheme(text).rsplit('/').next().unwrap_or_default();
    folder.starts_with(PREFIX)
}

/// Removes the scheme and the trailing slashes that sidecars add to a path.
fn strip_scheme(text: &str) -> &str {
    text.strip_prefix("file://").unwrap_or(text).trim_end_matches('/')
}

impl fmt::Display for SourceDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{CassandraDirectory, SourceDirectory, SourceDirectoryError, is_cassgate_directory};

    #[test]
    fn every_restore_has_a_directory_of_its_own_beside_the_data() {
        for directory in ["/var/lib/cassandra", "/var/lib/cassandra/"] {
            let directory = CassandraDirectory::parse(directory).unwrap();
            let source = SourceDirectory::of_restore(&directory, "6f2b-1").unwrap();
            assert_eq!(source.as_str(), "/var/lib/cassandra/cassgate-restore-6f2b-1");
            assert!(source.matches("file:///var/lib/cassandra/cassgate-restore-6f2b-1/"));
            assert!(source.matches("/var/lib/cassandra/cassgate-restore-6f2b-1"));
            assert!(!source.matches("file:///var/lib/cassandra/cassgate-restore-6f2b-12/"));
            assert!(is_cassgate_directory(
                "file:///var/lib/cassandra/cassgate-restore-6f2b-12/"
            ));
            assert!(!is_cassgate_directory(
                "/var/lib/cassandra/cassgate-restore-6f2b/downloadedsstables"
            ));
        }
    }

    #[test]
    fn a_uid_that_would_change_the_path_is_invalid() {
        let directory = CassandraDirectory::parse("/data").unwrap();
        for uid in ["", "..", "a/b", "a b", &"a".repeat(65)] {
            assert_eq!(
                SourceDirectory::of_restore(&directory, uid),
                Err(SourceDirectoryError),
                "{uid:?}"
            );
        }
    }
}
