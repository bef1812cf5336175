//! The name of a snapshot, as a backup writes it.

use std::fmt;

/// The longest tag, in bytes: the sidecar appends `-`, a UUID, `-` and 13 digits, and a directory has a name of at
/// most 255; 5 more are the `.json` of the manifest.
pub const LONGEST_TAG: usize = 199;

/// A tag that comes through unharmed: letters, digits, `_`, `+`, `.`, `-`, and neither of the last two at its head.
///
/// Source: nothing on the way checks it. It becomes the name of Cassandra's snapshot, of which recent branches take
/// only these characters, and of a manifest, where `/` starts a directory (seen: `Snapshot name cannot contain /`
/// after ten seconds). An empty one is stamped twice by the sidecar (seen), and no restore takes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotTag(String);

/// Why a text is no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotTagError {
    /// Nothing.
    #[error("is empty, and the sidecar would make up a name that no restore can give")]
    Empty,
    /// A character that no snapshot's name has.
    #[error("has {0:?}; a tag has only letters, digits, '.', '_', '+' and '-'")]
    Character(char),
    /// A `.` or `-` at the head.
    #[error("begins with {0:?}; a tag begins with a letter, a digit, '_' or '+'")]
    Head(char),
    /// Too long for a file system.
    #[error(
        "has {0} characters; the sidecar appends 51 and files have names of at most 255, so a tag has at most \
         {LONGEST_TAG}"
    )]
    TooLong(usize),
}

impl SnapshotTag {
    /// Parses `spec.snapshotTag`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SnapshotTagError> {
        let tag = Self::parse_of_any_length(text)?;
        if text.len() > LONGEST_TAG {
            return Err(SnapshotTagError::TooLong(text.len()));
        }
        Ok(tag)
    }

    /// As [`parse`](Self::parse), without a limit of its own: for names that hold more than a tag.
    pub(super) fn parse_of_any_length(text: &str) -> Result<Self, SnapshotTagError> {
        let head = text.chars().next().ok_or(SnapshotTagError::Empty)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
        if let Some(character) = text.chars().find(|c| !allowed(*c)) {
            return Err(SnapshotTagError::Character(character));
        }
        if matches!(head, '.' | '-') {
            return Err(SnapshotTagError::Head(head));
        }
        Ok(Self(text.to_owned()))
    }

    /// The tag as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_TAG, SnapshotTag, SnapshotTagError};

    #[test]
    fn what_a_snapshot_and_a_file_can_be_called_is_a_tag() {
        for text in [
            "t",
            "SnapshotTag2",
            "nightly-2024",
            "_x",
            "+1.2_3",
            &"a".repeat(LONGEST_TAG),
        ] {
            assert_eq!(SnapshotTag::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn anything_else_says_what_is_in_the_way() {
        for (text, error) in [
            ("", SnapshotTagError::Empty),
            ("a/b", SnapshotTagError::Character('/')),
            ("a b", SnapshotTagError::Character(' ')),
            ("é", SnapshotTagError::Character('é')),
            ("-a", SnapshotTagError::Head('-')),
            ("..", SnapshotTagError::Head('.')),
            (
                &"a".repeat(LONGEST_TAG + 1),
                SnapshotTagError::TooLong(LONGEST_TAG + 1),
            ),
        ] {
            assert_eq!(SnapshotTag::parse(text), Err(error), "{text:?}");
        }
    }
}
