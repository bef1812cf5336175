//! What a `list` found in a node's share.

use serde::Deserialize;

/// The snapshots of one node's share, newest first. A share that is not there looks like an empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// All files that the manifests name, in bytes.
    #[serde(default)]
    pub total_size: u64,
    /// All files that the manifests name, each once.
    #[serde(default)]
    pub total_files: u64,
    /// The snapshots.
    #[serde(default, rename = "reports")]
    pub snapshots: Vec<StoredSnapshot>,
}

/// One snapshot of a node's share.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StoredSnapshot {
    /// The resolved tag, as it stands in the bucket.
    pub name: String,
    /// How many files its manifest names. None at all means an empty backup: SSTables whose names the sidecar does not
    /// know are skipped in silence (read).
    #[serde(default)]
    pub files: u64,
    /// Their size in bytes.
    #[serde(default)]
    pub size: u64,
    /// When it was taken, in milliseconds since the epoch, from its name.
    #[serde(default, rename = "unixtimestamp")]
    pub taken: i64,
}

impl Listing {
    /// The snapshot of this name.
    #[must_use]
    pub fn snapshot(&self, name: &str) -> Option<&StoredSnapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.name == name)
    }
}
