//! The directory of Cassandra on its nodes.

use std::fmt;

/// The directory of Cassandra in CassKop's pods, where the volume `data` is mounted.
pub const CASSANDRA_DIRECTORY: &str = "/var/lib/cassandra";

/// The maximum length of a path on Linux, in bytes.
const MAX_PATH_LENGTH: usize = 4096;

/// The absolute path of the directory that contains `data`.
///
/// Source: Icarus 1.x appends `/data`, so `/var/lib/cassandra/data` refers to a directory that does not exist, and every
/// version rejects a directory that does not exist (observed: `cassandraDirectory … does not exist`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CassandraDirectory(String);

/// The error for an invalid directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CassandraDirectoryError {
    /// The path is relative, so it would depend on the working directory of the sidecar.
    #[error("is not an absolute path")]
    Relative,
    /// The path contains `..` or a control character.
    #[error("contains .. or a control character")]
    Unsafe,
    /// The path is the data directory or a directory in it.
    #[error("is the data directory itself or a directory in it, and the sidecar appends /data again")]
    Data,
    /// The path is too long for Linux.
    #[error("is longer than {MAX_PATH_LENGTH} bytes, the limit of a path")]
    TooLong,
}

impl CassandraDirectory {
    /// Parses `spec.cassandraDirectory`.
    ///
    /// # Errors
    /// Returns the reason why a sidecar would not find Cassandra's data there.
    pub fn parse(text: &str) -> Result<Self, CassandraDirectoryError> {
        if text.len() > MAX_PATH_LENGTH {
            return Err(CassandraDirectoryError::TooLong);
        }
        if !text.starts_with('/') {
            return Err(CassandraDirectoryError::Relative);
        }
        if text.contains(char::is_control) || text.split('/').any(|part| part == "..") {
            return Err(CassandraDirectoryError::Unsafe);
        }
        let parts: Vec<&str> = parts(text).collect();
        if parts.starts_with(&["var", "lib", "cassandra", "data"]) {
            return Err(CassandraDirectoryError::Data);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns true for the directory of CassKop's pods, in any form.
    #[must_use]
    pub fn is_casskops(&self) -> bool {
        parts(&self.0).eq(parts(CASSANDRA_DIRECTORY))
    }

    /// Returns the path in its shortest form.
    #[must_use]
    pub fn shortest(&self) -> String {
        parts(&self.0).fold(String::new(), |path, part| path + "/" + part)
    }

    /// Returns the path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the parts of a path that name a directory.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
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
    fn absolute_paths_outside_of_the_data_directory_are_valid() {
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
    fn a_directory_has_one_shortest_form() {
        for (text, shortest, is_casskops) in [
            ("/var/lib/cassandra", "/var/lib/cassandra", true),
            ("//var/./lib/cassandra/", "/var/lib/cassandra", true),
            ("/var/lib/cassandra2", "/var/lib/cassandra2", false),
            ("/var/lib", "/var/lib", false),
        ] {
            let directory = CassandraDirectory::parse(text).unwrap();
            assert_eq!(
                (directory.shortest().as_str(), directory.is_casskops()),
                (shortest, is_casskops),
                "{text}"
            );
        }
    }

    #[test]
    fn the_error_for_an_invalid_directory_names_the_cause() {
        use CassandraDirectoryError::{Data, Relative, TooLong, Unsafe};
        for (text, error) in [
            ("", Relative),
            ("var/lib/cassandra", Relative),
            ("/var/lib/../cassandra", Unsafe),
            ("/var/lib/cassandra\n", Unsafe),
            ("/var/lib/cassandra/data", Data),
            ("//var/./lib/cassandra/data/data/", Data),
            (&format!("/{}", "x".repeat(4096)), TooLong),
        ] {
            assert_eq!(CassandraDirectory::parse(text), Err(error), "{text:?}");
        }
    }
}
