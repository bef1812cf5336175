//! The version of Cassandra's schema.

use std::fmt;

/// The version of the schema that a snapshot was taken with: a UUID of 36 characters.
///
/// Source: Icarus answers any other text with a 500 (observed: `UUID has to be represented by standard 36-char
/// representation`), and CassKop repeats the request every 15 seconds without end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion(String);

/// The error for a text that is not a UUID of 36 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a UUID of 36 characters (such as 168d568b-d346-3f61-968f-a2716307a6e4)")]
pub struct SchemaVersionError;

/// The numbers of hexadecimal digits between the hyphens.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// Returns true for a UUID of 36 characters, in upper or lower case.
pub(super) fn is_uuid(text: &str) -> bool {
    let mut groups = text.split('-');
    let fits = GROUPS.iter().all(|length| {
        groups
            .next()
            .is_some_and(|group| group.len() == *length && group.bytes().all(|b| b.is_ascii_hexdigit()))
    });
    fits && groups.next().is_none()
}

impl SchemaVersion {
    /// Parses `spec.schemaVersion`, in upper or lower case.
    ///
    /// # Errors
    /// Returns [`SchemaVersionError`] for any text that is not a UUID of 36 characters.
    pub fn parse(text: &str) -> Result<Self, SchemaVersionError> {
        if is_uuid(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(SchemaVersionError)
        }
    }

    /// Returns the version in lower case, as in the names of snapshots.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{SchemaVersion, SchemaVersionError};

    #[test]
    fn only_a_uuid_of_36_characters_is_a_schema_version() {
        let upper = "168D568B-D346-3F61-968F-A2716307A6E4";
        assert_eq!(
            SchemaVersion::parse(upper).unwrap().as_str(),
            upper.to_ascii_lowercase()
        );
        for text in [
            "",
            "1",
            "168d568bd3463f61968fa2716307a6e4",
            "168d568b-d346-3f61-968f-a2716307a6e",
            "168d568b-d346-3f61-968f-a2716307a6e4-",
            "168d568b-d346-3f61-968f-a2716307a6eg",
            " 168d568b-d346-3f61-968f-a2716307a6e4",
            "{168d568b-d346-3f61-968f-a2716307a6}",
        ] {
            assert_eq!(SchemaVersion::parse(text), Err(SchemaVersionError), "{text:?}");
        }
    }
}
