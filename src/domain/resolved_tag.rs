//! The name of one snapshot in a bucket.

use std::fmt;

use jiff::Timestamp;

use super::schema_version::SchemaVersion;
use super::snapshot_tag::{SnapshotTag, SnapshotTagError};

/// The maximum length, in bytes: 255 for a file name, less the `.json` of the manifest.
const MAX_LENGTH: usize = 250;

/// The name of one run of one backup, on every node: a tag, the schema version and the time,
/// `TAG-SCHEMA-MILLISECONDS`.
///
/// Sidecars select snapshots by prefix, so that the full name selects exactly one (observed). They append schema version
/// and time to every name that does not end with `-` and a number; this name does, so they leave it as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResolvedTag(String);

/// The error for a text that cannot be the name of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolvedTagError {
    /// The text before the last `-` is not a valid tag.
    #[error("{0}")]
    Tag(#[from] SnapshotTagError),
    /// There is no number after the last `-`.
    #[error(
        "is a tag, not the name of a snapshot, which ends with the schema version and the time, such as \
         nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776"
    )]
    Unstamped,
    /// The name is too long for a file system.
    #[error("has {0} characters, and the name of a snapshot has at most {MAX_LENGTH}")]
    TooLong(usize),
}

impl ResolvedTag {
    /// Builds the name of a run of `tag` that starts now.
    ///
    /// A tag has at most 199 characters and the rest 51, so the name always fits.
    #[must_use]
    pub fn new(tag: &SnapshotTag, schema: &SchemaVersion, now: Timestamp) -> Self {
        let milliseconds = now.as_millisecond().max(0);
        Self(format!("{tag}-{schema}-{milliseconds}"))
    }

    /// Parses the name of a snapshot from a history or a listing.
    ///
    /// # Errors
    /// Returns the reason why a sidecar cannot have a snapshot of that name.
    pub fn parse(text: &str) -> Result<Self, ResolvedTagError> {
        if text.len() > MAX_LENGTH {
            return Err(ResolvedTagError::TooLong(text.len()));
        }
        let stamp = text.rfind('-').unwrap_or(text.len());
        let (head, stamp) = text.split_at(stamp);
        // The head without the stamp is short enough for the rules of a tag.
        SnapshotTag::parse_of_any_length(head)?;
        let number = stamp.strip_prefix('-').unwrap_or_default();
        if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && number.parse::<i64>().is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(ResolvedTagError::Unstamped)
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the tag that the backup asked for: the name without the schema version and the time. Returns the whole
    /// name if it does not end with them.
    #[must_use]
    pub fn tag(&self) -> &str {
        self.split().map_or(&self.0, |(tag, _)| tag)
    }

    /// Returns the schema version of the ring at the start of the run; `None` if the name does not end with a schema
    /// version and the time.
    #[must_use]
    pub fn schema_version(&self) -> Option<SchemaVersion> {
        self.split().map(|(_, schema)| schema)
    }

    /// Splits the name without the time into the tag and the schema version.
    fn split(&self) -> Option<(&str, SchemaVersion)> {
        let time = self.0.rfind('-')?;
        // A schema version is a UUID of 36 characters.
        let start = time.checked_sub(37)?;
        let schema = self.0.get(start..time)?.strip_prefix('-')?;
        Some((self.0.get(..start)?, SchemaVersion::parse(schema).ok()?))
    }

    /// Returns the start of the run, to the millisecond, or `None` if the number is out of range for a time.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        let (_, number) = self.0.rsplit_once('-')?;
        Timestamp::from_millisecond(number.parse().ok()?).ok()
    }
}

impl fmt::Display for ResolvedTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_LENGTH, ResolvedTag, ResolvedTagError, SchemaVersion, SnapshotTag, Timestamp};
    use crate::domain::snapshot_tag::{MAX_TAG_LENGTH, SnapshotTagError};

    const SCHEMA: &str = "168d568b-d346-3f61-968f-a2716307a6e4";

    fn resolved(tag: &str) -> ResolvedTag {
        ResolvedTag::new(
            &SnapshotTag::parse(tag).unwrap(),
            &SchemaVersion::parse(SCHEMA).unwrap(),
            Timestamp::from_millisecond(1_795_383_523_776).unwrap(),
        )
    }

    #[test]
    fn a_run_is_named_after_its_tag_its_schema_version_and_its_time() {
        let name = resolved("first");
        assert_eq!(name.as_str(), format!("first-{SCHEMA}-1795383523776"));
        assert_eq!(ResolvedTag::parse(name.as_str()), Ok(name.clone()));
        assert_eq!(name.tag(), "first");
        assert_eq!(name.schema_version(), SchemaVersion::parse(SCHEMA).ok());
        assert_eq!(ResolvedTag::parse("nightly-2024").unwrap().schema_version(), None);
        for whole in ["first-1795383523776", "-168d568b-d346-3f61-968f-a2716307a6e-1"] {
            let tag = ResolvedTag::parse(whole);
            assert!(
                tag.is_err() || tag.is_ok_and(|tag| tag.tag() == whole && tag.schema_version().is_none()),
                "{whole}"
            );
        }
        assert_eq!(name.time().unwrap().as_millisecond(), 1_795_383_523_776);
        assert_eq!(
            ResolvedTag::parse(resolved(&"a".repeat(MAX_TAG_LENGTH)).as_str())
                .unwrap()
                .as_str()
                .len(),
            MAX_LENGTH
        );
    }

    #[test]
    fn a_name_that_a_sidecar_would_change_or_cannot_store_is_invalid() {
        use ResolvedTagError::{Tag, TooLong, Unstamped};
        for (text, error) in [
            ("", Tag(SnapshotTagError::Empty)),
            ("nightly", Unstamped),
            ("nightly-", Unstamped),
            ("nightly-12x", Unstamped),
            ("-12", Tag(SnapshotTagError::Empty)),
            ("a/b-1", Tag(SnapshotTagError::Character('/'))),
            ("nightly-99999999999999999999", Unstamped),
            (&format!("{}-1", "a".repeat(MAX_LENGTH)), TooLong(MAX_LENGTH + 2)),
        ] {
            assert_eq!(ResolvedTag::parse(text), Err(error), "{text:?}");
        }
        assert!(
            ResolvedTag::parse("nightly-2024").is_ok(),
            "a sidecar appends nothing to it"
        );
    }
}
