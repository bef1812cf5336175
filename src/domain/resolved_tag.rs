//! The name of one snapshot in a bucket.

use std::fmt;

use jiff::Timestamp;

use super::schema_version::SchemaVersion;
use super::snapshot_tag::{SnapshotTag, SnapshotTagError};

/// What the sidecar's file system takes: 255 less the `.json` of the manifest.
const LONGEST: usize = 250;

/// A tag with the version of the schema and the time behind it: `TAG-SCHEMA-MILLISECONDS`. It names one run of one
/// backup, on every node.
///
/// Sidecars select by the beginning of the name, and a whole one selects exactly itself (seen). They stamp a name
/// once more unless a number stands behind its last `-`, so one does here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResolvedTag(String);

/// Why a text names no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolvedTagError {
    /// It is no tag at all.
    #[error("{0}")]
    Tag(#[from] SnapshotTagError),
    /// No number behind the last `-`.
    #[error(
        "is a tag and no snapshot: one ends in the version of the schema and the time, such as \
         nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776"
    )]
    Unstamped,
    /// Too long for a file system.
    #[error("has {0} characters, and no snapshot has more than {LONGEST}")]
    TooLong(usize),
}

impl ResolvedTag {
    /// The name of the run of `tag` that begins now.
    ///
    /// A tag has at most 199 characters and the rest 51, so the name always fits.
    #[must_use]
    pub fn new(tag: &SnapshotTag, schema: &SchemaVersion, now: Timestamp) -> Self {
        let milliseconds = now.as_millisecond().max(0);
        Self(format!("{tag}-{schema}-{milliseconds}"))
    }

    /// Parses the name of a snapshot, as a history or a listing has it.
    ///
    /// # Errors
    /// Why no sidecar has a snapshot of that name.
    pub fn parse(text: &str) -> Result<Self, ResolvedTagError> {
        if text.len() > LONGEST {
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

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag that the run was asked for under: the name without the version of the schema and the time. The whole
    /// name where it has no such end.
    #[must_use]
    pub fn tag(&self) -> &str {
        let time = self.0.rfind('-').unwrap_or(self.0.len());
        // A version has the form of a UUID: 36 characters.
        let schema = time
            .checked_sub(37)
            .and_then(|start| Some((start, self.0.get(start..time)?)));
        match schema {
            Some((start, version))
                if version
                    .strip_prefix('-')
                    .is_some_and(|v| SchemaVersion::parse(v).is_ok()) =>
            {
                self.0.get(..start).unwrap_or(&self.0)
            }
            _ => &self.0,
        }
    }

    /// When the run began, to the millisecond; `None` for a number that is no time.
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
    use super::{LONGEST, ResolvedTag, ResolvedTagError, SchemaVersion, SnapshotTag, Timestamp};
    use crate::domain::snapshot_tag::{LONGEST_TAG, SnapshotTagError};

    const SCHEMA: &str = "168d568b-d346-3f61-968f-a2716307a6e4";

    fn resolved(tag: &str) -> ResolvedTag {
        ResolvedTag::new(
            &SnapshotTag::parse(tag).unwrap(),
            &SchemaVersion::parse(SCHEMA).unwrap(),
            Timestamp::from_millisecond(1_795_383_523_776).unwrap(),
        )
    }

    #[test]
    fn a_run_is_named_after_its_tag_its_schema_and_its_time() {
        let name = resolved("first");
        assert_eq!(name.as_str(), format!("first-{SCHEMA}-1795383523776"));
        assert_eq!(ResolvedTag::parse(name.as_str()), Ok(name.clone()));
        assert_eq!(name.tag(), "first");
        for whole in ["first-1795383523776", "-168d568b-d346-3f61-968f-a2716307a6e-1"] {
            let tag = ResolvedTag::parse(whole);
            assert!(tag.is_err() || tag.is_ok_and(|tag| tag.tag() == whole), "{whole}");
        }
        assert_eq!(name.time().unwrap().as_millisecond(), 1_795_383_523_776);
        assert_eq!(
            ResolvedTag::parse(resolved(&"a".repeat(LONGEST_TAG)).as_str())
                .unwrap()
                .as_str()
                .len(),
            LONGEST
        );
    }

    #[test]
    fn what_a_sidecar_would_stamp_again_or_cannot_store_names_no_snapshot() {
        use ResolvedTagError::{Tag, TooLong, Unstamped};
        for (text, error) in [
            ("", Tag(SnapshotTagError::Empty)),
            ("nightly", Unstamped),
            ("nightly-", Unstamped),
            ("nightly-12x", Unstamped),
            ("-12", Tag(SnapshotTagError::Empty)),
            ("a/b-1", Tag(SnapshotTagError::Character('/'))),
            ("nightly-99999999999999999999", Unstamped),
            (&format!("{}-1", "a".repeat(LONGEST)), TooLong(LONGEST + 2)),
        ] {
            assert_eq!(ResolvedTag::parse(text), Err(error), "{text:?}");
        }
        assert!(
            ResolvedTag::parse("nightly-2024").is_ok(),
            "a sidecar takes it as stamped"
        );
    }
}
