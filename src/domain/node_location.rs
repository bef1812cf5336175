//! Where one node's share of a backup is stored.

use std::fmt;

use super::host_id::HostId;
use super::storage::{Provider, StorageLocation};

/// The longest name of a cluster or a datacenter that is taken, in bytes: one name in a directory.
const LONGEST_SEGMENT: usize = 255;

/// The name of a cluster or of a datacenter as one segment of a path.
///
/// The sidecar has put hyphens in the place of blanks already. A slash would move the node's share elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment(String);

/// The text is no name that a path can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot be a part of a path in the bucket: it is empty, too long, a dot, or has a slash, a blank or a control \
     character"
)]
pub struct SegmentError;

impl Segment {
    /// Parses the name of a cluster or a datacenter, as `/topology` gives it.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn parse(text: &str) -> Result<Self, SegmentError> {
        let crooked = |c: char| c == '/' || c.is_whitespace() || c.is_control();
        if text.is_empty()
            || text.len() > LONGEST_SEGMENT
            || matches!(text, "." | "..")
            || text.contains(crooked)
        {
            return Err(SegmentError);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One node's share of a bucket: `scheme://BUCKET/CLUSTER/DATACENTER/HOST_ID`, with a directory before the bucket
/// where it is a file location.
///
/// It is what the sidecar itself makes of a location for a whole cluster (seen), so a backup taken node by node lies
/// where a global one would, and each can be restored the other way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeLocation(String);

impl NodeLocation {
    /// The share of the node `host` of `cluster` and `datacenter`.
    #[must_use]
    pub fn new(location: &StorageLocation, cluster: &Segment, datacenter: &Segment, host: &HostId) -> Self {
        let bucket = location.bucket();
        let provider = location.provider();
        Self(match (provider, location.directory()) {
            (Provider::File, Some(directory)) => {
                format!("{provider}://{directory}/{bucket}/{cluster}/{datacenter}/{host}")
            }
            _ => format!("{provider}://{bucket}/{cluster}/{datacenter}/{host}"),
        })
    }

    /// The location as a request has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{HostId, NodeLocation, Segment, SegmentError, StorageLocation};

    const HOST: &str = "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11";

    #[test]
    fn a_share_lies_where_a_global_backup_would_put_it() {
        for (location, expected) in [
            ("s3://bkt", "s3://bkt/lab-A/dc1/"),
            ("s3://bkt/x/y/z/", "s3://bkt/lab-A/dc1/"),
            ("minio://bkt/", "minio://bkt/lab-A/dc1/"),
            (
                "file:///data/store/bucket/c/d/n",
                "file:///data/store/bucket/lab-A/dc1/",
            ),
        ] {
            let share = NodeLocation::new(
                &StorageLocation::parse(location).unwrap(),
                &Segment::parse("lab-A").unwrap(),
                &Segment::parse("dc1").unwrap(),
                &HostId::parse(HOST).unwrap(),
            );
            assert_eq!(share.as_str(), format!("{expected}{HOST}"), "{location}");
        }
    }

    #[test]
    fn a_name_that_would_lead_elsewhere_is_no_segment() {
        for text in ["", ".", "..", "a/b", "a b", "a\n", &"a".repeat(256)] {
            assert_eq!(Segment::parse(text), Err(SegmentError), "{text:?}");
        }
    }
}
