//! Where a restore puts what it downloads.

use std::fmt;

use super::cassandra_directory::CassandraDirectory;

/// The directory into which one restore downloads, on every node: a path on the volume of Cassandra's data, beside
/// the data and never in it.
///
/// Every restore has its own. What an earlier one left behind would be linked into the next, and twice the rows
/// come back (seen). It also tells the operations of one restore from those of every other, because the sidecar's
/// answers repeat it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceDirectory(String);

/// How the name of every such directory begins.
const FOLDER: &str = "cassgate-restore-";

/// The text is no directory of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no uid of an object (letters, digits and hyphens)")]
pub struct SourceDirectoryError;

impl SourceDirectory {
    /// The directory of the restore with this uid.
    ///
    /// # Errors
    /// The uid is none that the API server gives: it would become part of a path.
    pub fn of_restore(directory: &CassandraDirectory, uid: &str) -> Result<Self, SourceDirectoryError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if uid.is_empty() || uid.len() > 64 || !uid.bytes().all(fits) {
            return Err(SourceDirectoryError);
        }
        let volume = directory.as_str().trim_end_matches('/');
        Ok(Self(format!("{volume}/{FOLDER}{uid}")))
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is this directory, in whatever way a sidecar writes it: it puts `file://` before the path, and
    /// a slash behind it once the directory is there (seen).
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        bare(text) == self.0
    }
}

/// Whether this is the directory of any restore that cassgate runs, in whatever way a sidecar writes it.
#[must_use]
pub fn is_cassgates(text: &str) -> bool {
    let folder = bare(text).rsplit('/').next().unwrap_or_default();
    folder.starts_with(FOLDER)
}

/// A path without the scheme and the slashes at the end that sidecars add.
fn bare(text: &str) -> &str {
    text.strip_prefix("file://").unwrap_or(text).trim_end_matches('/')
}

impl fmt::Display for SourceDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{CassandraDirectory, SourceDirectory, SourceDirectoryError, is_cassgates};

    #[test]
    fn every_restore_has_a_directory_of_its_own_beside_the_data() {
        for directory in ["/var/lib/cassandra", "/var/lib/cassandra/"] {
            let directory = CassandraDirectory::parse(directory).unwrap();
            let source = SourceDirectory::of_restore(&directory, "6f2b-1").unwrap();
            assert_eq!(source.as_str(), "/var/lib/cassandra/cassgate-restore-6f2b-1");
            assert!(source.is("file:///var/lib/cassandra/cassgate-restore-6f2b-1/"));
            assert!(source.is("/var/lib/cassandra/cassgate-restore-6f2b-1"));
            assert!(!source.is("file:///var/lib/cassandra/cassgate-restore-6f2b-12/"));
            assert!(is_cassgates(
                "file:///var/lib/cassandra/cassgate-restore-6f2b-12/"
            ));
            assert!(!is_cassgates(
                "/var/lib/cassandra/cassgate-restore-6f2b/downloadedsstables"
            ));
        }
    }

    #[test]
    fn what_would_lead_elsewhere_is_no_uid() {
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
