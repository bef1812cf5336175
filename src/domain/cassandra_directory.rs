//! The directory of Cassandra on its nodes.

use std::fmt;

/// The directory of Cassandra in CassKop's pods: the volume `data` is mounted there.
pub const CASSANDRA_DIRECTORY: &str = "/var/lib/cassandra";

/// The longest path that Linux takes, in bytes.
const LONGEST_PATH: usize = 4096;

/// An absolute path to the directory that holds `data`.
///
/// Source: Icarus 1.x appends `/data` (so `/var/lib/cassandra/data` means a directory that is not there), and every
/// version refuses a directory that does not exist (seen: `cassandraDirectory … does not exist`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CassandraDirectory(String);

/// Why a text is no such directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CassandraDirectoryError {
    /// It depends on where the sidecar was started.
    #[error("is no absolute path")]
    Relative,
    /// `..`, or a character that no path should have.
    #[error("leads elsewhere or has a control character")]
    Crooked,
    /// Inside of the data directory.
    #[error("is the data directory itself or lies in it, and the sidecar appends /data once more")]
    Data,
    /// Longer than a path can be.
    #[error("is longer than a path can be")]
    TooLong,
}

impl CassandraDirectory {
    /// Parses `spec.cassandraDirectory`.
    ///
    /// # Errors
    /// Why no sidecar would find Cassandra's data there.
    pub fn parse(text: &str) -> Result<Self, CassandraDirectoryError> {
        if text.len() > LONGEST_PATH {
            return Err(CassandraDirectoryError::TooLong);
        }
        if !text.starts_with('/') {
            return Err(CassandraDirectoryError::Relative);
        }
        if text.contains(char::is_control) || text.split('/').any(|part| part == "..") {
            return Err(CassandraDirectoryError::Crooked);
        }
        let parts: Vec<&str> = text
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        if parts.starts_with(&["var", "lib", "cassandra", "data"]) {
            return Err(CassandraDirectoryError::Data);
        }
        Ok(Self(text.to_owned()))
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CassandraDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{CassandraDirectory, CassandraDirectoryError};

    #[test]
    fn absolute_paths_outside_of_the_data_are_directories() {
        for text in [
            "/var/lib/cassandra",
            "/var/lib/cassandra/",
            "/data",
            "/var/lib/cassandra/database",
        ] {
            assert_eq!(CassandraDirectory::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_no_sidecar_would_find_says_why() {
        use CassandraDirectoryError::{Crooked, Data, Relative, TooLong};
        for (text, error) in [
            ("", Relative),
            ("var/lib/cassandra", Relative),
            ("/var/lib/../cassandra", Crooked),
            ("/var/lib/cassandra\n", Crooked),
            ("/var/lib/cassandra/data", Data),
            ("//var/./lib/cassandra/data/data/", Data),
            (&format!("/{}", "x".repeat(4096)), TooLong),
        ] {
            assert_eq!(CassandraDirectory::parse(text), Err(error), "{text:?}");
        }
    }
}
