//! The identity of a Cassandra node.

use std::fmt;

use super::schema_version::is_uuid;

/// The host id of a Cassandra node: a UUID that is stored on the node's disk and stays the same when its address changes.
///
/// The node's folder in a bucket has this name, so a node that lost its disk has a new, empty folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(String);

/// The error for a text that is not a host id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a host id, which is a UUID of 36 characters")]
pub struct HostIdError;

impl HostId {
    /// Parses a host id, in upper or lower case.
    ///
    /// # Errors
    /// Returns [`HostIdError`] for any text that is not a UUID of 36 characters.
    pub fn parse(text: &str) -> Result<Self, HostIdError> {
        if is_uuid(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(HostIdError)
        }
    }

    /// Returns the id in lower case, as in buckets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{HostId, HostIdError};

    #[test]
    fn a_host_id_is_a_uuid() {
        let id = HostId::parse("9DA86270-7a5c-4a0b-9e9b-0f6d3f0c2a11").unwrap();
        assert_eq!(id.as_str(), "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11");
        for text in ["", "n1", "../9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11"] {
            assert_eq!(HostId::parse(text), Err(HostIdError), "{text:?}");
        }
    }
}
