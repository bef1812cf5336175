//! The version of Cassandra's schema that a snapshot was taken with.

use std::fmt;

/// A UUID in its form of 36 characters.
///
/// Source: Icarus refuses any other text with a 500 (seen: `UUID has to be represented by standard 36-char
/// representation`), and CassKop asks it again every 15 seconds, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion(String);

/// The text is no UUID of 36 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no UUID of 36 characters (such as 168d568b-d346-3f61-968f-a2716307a6e4)")]
pub struct SchemaVersionError;

/// How many hexadecimal digits stand between the hyphens.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// Whether a text is a UUID in its form of 36 characters, in any letter case.
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
    /// Parses `spec.schemaVersion`; letter case does not matter.
    ///
    /// # Errors
    /// [`SchemaVersionError`].
    pub fn parse(text: &str) -> Result<Self, SchemaVersionError> {
        if is_uuid(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(SchemaVersionError)
        }
    }

    /// The version in lower case, as the names of snapshots have it.
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
    fn only_the_long_form_of_a_uuid_is_a_version() {
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
