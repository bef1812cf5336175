//! The result of the operation `list`.

use serde::Deserialize;

/// The snapshots in one node's folder of the bucket, newest first. A folder that does not exist has an empty listing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// The size of all files in the manifests, in bytes.
    #[serde(default)]
    pub total_size: u64,
    /// The number of distinct files in the manifests.
    #[serde(default)]
    pub total_files: u64,
    /// The snapshots.
    #[serde(default, rename = "reports")]
    pub snapshots: Vec<StoredSnapshot>,
}

/// One snapshot in a node's folder of the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StoredSnapshot {
    /// The resolved tag, as in the bucket.
    pub name: String,
    /// The number of files in its manifest. Zero means an empty backup: the sidecar silently skips SSTables whose names it
    /// does not recognize (read in its source).
    #[serde(default)]
    pub files: u64,
    /// The size of these files, in bytes.
    #[serde(default)]
    pub size: u64,
    /// The time at which it was taken, in milliseconds since the epoch, from its name.
    #[serde(default, rename = "unixtimestamp")]
    pub taken: i64,
}

impl Listing {
    /// Returns the snapshot with this name.
    #[must_use]
    pub fn snapshot(&self, name: &str) -> Option<&StoredSnapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.name == name)
    }
}
