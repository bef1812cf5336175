//! The tag of a snapshot, as users write it in a backup.

use std::fmt;

/// The maximum length of a tag, in bytes. The sidecar appends `-`, a UUID, `-`, 13 digits, and for the manifest `.json`,
/// and the name of a file has at most 255 bytes.
pub const MAX_TAG_LENGTH: usize = 199;

/// A tag of printable ASCII characters other than `/` that does not start with `.` or `-`.
///
/// Source: neither CassKop nor Icarus checks the tag. It becomes the name of Cassandra's snapshot and of a manifest, where
/// `/` starts a directory (observed: `Snapshot name cannot contain /` after ten seconds). Tags with `:`, `,`, `%`, `%2F`,
/// a backslash and other punctuation were backed up, found and downloaded with the engines of Icarus 1.1.3 on Cassandra
/// 4.0.18 and of 2.0.4 on 5.0.9, in files and in S3. Cassandra 5.0.9 checks more only with
/// `-Dcassandra.snapshot.validation=true`, which is off by default. A blank is not accepted, since it is easily lost, and
/// other characters are not: in a container without a UTF-8 locale the backup fails (observed on 1.1.3: `Malformed input or
/// input contains unmappable characters`). To an empty tag the
/// sidecar appends schema version and time twice (observed), and a restore cannot refer to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotTag(String);

/// The error for an invalid tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotTagError {
    /// The text is empty.
    #[error("is empty, and the sidecar would generate a name that a restore cannot refer to")]
    Empty,
    /// A character that is invalid in the name of a snapshot.
    #[error("has {0:?}{reason}; a tag has only ASCII letters, digits and punctuation other than '/'", reason = reason(*.0))]
    Character(char),
    /// The tag starts with `.` or `-`.
    #[error("begins with {0:?}; a tag begins with a letter, a digit, '_' or '+'")]
    Head(char),
    /// The tag is too long for a file system.
    #[error(
        "has {0} characters; the sidecar appends 51 and files have names of at most 255, so a tag has at most \
         {MAX_TAG_LENGTH}"
    )]
    TooLong(usize),
}

/// Returns the reason why a character is invalid, as part of a sentence.
fn reason(character: char) -> &'static str {
    if character == '/' {
        ", which no version of Cassandra accepts in the name of a snapshot"
    } else if !character.is_ascii() {
        ", and in a container without a UTF-8 locale no sidecar can write a file of that name"
    } else {
        ""
    }
}

impl SnapshotTag {
    /// Parses `spec.snapshotTag`.
    ///
    /// # Errors
    /// Returns the first error in the text.
    pub fn parse(text: &str) -> Result<Self, SnapshotTagError> {
        let tag = Self::parse_of_any_length(text)?;
        if text.len() > MAX_TAG_LENGTH {
            return Err(SnapshotTagError::TooLong(text.len()));
        }
        Ok(tag)
    }

    /// Parses a tag as [`parse`](Self::parse) does, without a limit of the length, for names that contain more than a tag.
    pub(super) fn parse_of_any_length(text: &str) -> Result<Self, SnapshotTagError> {
        let head = text.chars().next().ok_or(SnapshotTagError::Empty)?;
        let allowed = |c: char| c.is_ascii_graphic() && c != '/';
        if let Some(character) = text.chars().find(|c| !allowed(*c)) {
            return Err(SnapshotTagError::Character(character));
        }
        if matches!(head, '.' | '-') {
            return Err(SnapshotTagError::Head(head));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the tag as it was written.
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
    use super::{MAX_TAG_LENGTH, SnapshotTag, SnapshotTagError};

    #[test]
    fn a_valid_name_of_a_snapshot_and_a_file_is_a_tag() {
        for text in [
            "t",
            "SnapshotTag2",
            "nightly-2024",
            "_x",
            "+1.2_3",
            "nightly-2026-11-30T03:00:00Z",
            "a,b%2F~\\",
            "!\"#$&'()*;<=>?@[]^`{|}",
            &"a".repeat(MAX_TAG_LENGTH),
        ] {
            assert_eq!(SnapshotTag::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn the_error_for_an_invalid_tag_names_the_cause() {
        for (text, error) in [
            ("", SnapshotTagError::Empty),
            ("a/b", SnapshotTagError::Character('/')),
            ("a b", SnapshotTagError::Character(' ')),
            ("é", SnapshotTagError::Character('é')),
            ("a\u{7f}", SnapshotTagError::Character('\u{7f}')),
            ("-a", SnapshotTagError::Head('-')),
            ("..", SnapshotTagError::Head('.')),
            (
                &"a".repeat(MAX_TAG_LENGTH + 1),
                SnapshotTagError::TooLong(MAX_TAG_LENGTH + 1),
            ),
        ] {
            assert_eq!(SnapshotTag::parse(text), Err(error), "{text:?}");
        }
    }
}
