//! The folder of one node in a storage location.

use std::fmt;

use super::host_id::HostId;
use super::storage::{Provider, StorageLocation};

/// The maximum length of a segment, in bytes: the limit of a name in a directory.
const MAX_SEGMENT_LENGTH: usize = 255;

/// The name of a cluster or a datacenter as one segment of a path.
///
/// The sidecar reports names with hyphens instead of spaces. A slash is invalid, because it would change the path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment(String);

/// The error for a text that cannot be a segment of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot be a part of a path in the bucket: it is empty, too long, a dot, or has a slash, a blank or a control \
     character"
)]
pub struct SegmentError;

impl Segment {
    /// Parses the name of a cluster or a datacenter from an answer of `/topology`.
    ///
    /// # Errors
    /// Returns [`SegmentError`] for an empty or too long text, a dot or two, a slash, white space or a control character.
    pub fn parse(text: &str) -> Result<Self, SegmentError> {
        let is_invalid = |c: char| c == '/' || c.is_whitespace() || c.is_control();
        if text.is_empty()
            || text.len() > MAX_SEGMENT_LENGTH
            || matches!(text, "." | "..")
            || text.contains(is_invalid)
        {
            return Err(SegmentError);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the name.
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

/// The location of one node in a bucket: `scheme://BUCKET/CLUSTER/DATACENTER/HOST_ID`, with a directory before the bucket
/// for a file location.
///
/// The sidecar uses the same path for a global backup (observed). A backup that was taken node by node can therefore be
/// restored with a global request, and the other way round.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeLocation(String);

impl NodeLocation {
    /// Returns the location of the node `host` of `cluster` and `datacenter`.
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

    /// Returns the host id of the node.
    #[must_use]
    pub fn host_id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the location as it appears in requests.
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
    fn a_node_has_the_location_that_a_global_backup_would_use() {
        for (location, expected) in [
            ("s3://bkt", "s3://bkt/lab-A/dc1/"),
            ("s3://bkt/x/y/z/", "s3://bkt/lab-A/dc1/"),
            ("minio://bkt/", "minio://bkt/lab-A/dc1/"),
            (
                "file:///data/store/bucket/c/d/n",
                "file:///data/store/bucket/lab-A/dc1/",
            ),
        ] {
            let node = NodeLocation::new(
                &StorageLocation::parse(location).unwrap(),
                &Segment::parse("lab-A").unwrap(),
                &Segment::parse("dc1").unwrap(),
                &HostId::parse(HOST).unwrap(),
            );
            assert_eq!(node.as_str(), format!("{expected}{HOST}"), "{location}");
            assert_eq!(node.host_id(), HOST);
        }
    }

    #[test]
    fn a_name_that_would_change_the_path_is_not_a_segment() {
        for text in ["", ".", "..", "a/b", "a b", "a\n", &"a".repeat(256)] {
            assert_eq!(Segment::parse(text), Err(SegmentError), "{text:?}");
        }
    }
}
