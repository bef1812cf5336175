//! Why an operation failed on its node, as far as the plan has to know.

use super::error::excerpt;

/// A failure that the sidecar tells, by the text of its message. Every text was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeFailure {
    /// DOWNLOAD: a file is missing in the bucket, or has another content than the manifest says, there or in the
    /// source directory. What a killed download has left behind is never fetched again before a CLEANUP.
    DownloadCorrupt,
    /// Another phase of a restore runs on this node; it goes on.
    TwoRestores,
    /// IMPORT: a link could not be made. 1.x says it for ever once links of some tables are left over.
    HardlinkingFailed,
    /// A refresh met half an SSTable: nothing but a human helps.
    CorruptCannotImport,
    /// A node of the ring is down, or the schemas differ. The tables were not touched.
    NodesDown,
    /// The node's own Cassandra does not answer its sidecar, as while it is restarted; or nothing listens where the
    /// bucket should be, in the same words.
    CassandraUnreachable,
    /// IMPORT: what was downloaded is not there. The tables were not touched.
    FilesMissing,
    /// Backup: Cassandra has a snapshot of this name; the failure clears it.
    SnapshotExists,
    /// There is no manifest of this tag in the node's share.
    NoManifest,
    /// Anything else: the first 200 characters of what it said, empty when it said nothing.
    Other(String),
}

impl NodeFailure {
    /// Reads the message of one error of an operation.
    #[must_use]
    pub fn of_message(message: &str) -> Self {
        // A message can hold another one (`Failed tables to refresh: {k1.t1=… is corrupt, can't import}`), so the
        // gravest is looked for first.
        let says = |text: &str| message.contains(text);
        if says("is corrupt, can't import") {
            Self::CorruptCannotImport
        } else if says("Hardlinking phase finished with errors") {
            Self::HardlinkingFailed
        } else if says("Unable to download files successfully") {
            Self::DownloadCorrupt
        } else if says("We can not run two normal restoration requests simultaneously")
            || says("There are more than two concurrent restore operations running")
        {
            Self::TwoRestores
        } else if says("Failure detector of this node reports")
            || says("There are nodes with different schemas")
        {
            Self::NodesDown
        } else if says("Some local files were corrupted or they are missing") {
            Self::FilesMissing
        } else if says("There is no manifest requested found") {
            Self::NoManifest
        } else if says("Failed to retrieve RMIServer stub") || message == "Connection refused" {
            Self::CassandraUnreachable
        } else if message.starts_with("Snapshot ") && says(" already exists.") {
            Self::SnapshotExists
        } else {
            Self::Other(excerpt(message.as_bytes()))
        }
    }

    /// How much it asks for attention; the highest of an operation's errors speaks for it.
    pub(super) const fn gravity(&self) -> u8 {
        match self {
            Self::CorruptCannotImport => 8,
            Self::HardlinkingFailed => 7,
            Self::DownloadCorrupt => 6,
            Self::FilesMissing => 5,
            Self::NoManifest => 4,
            Self::Other(_) | Self::CassandraUnreachable => 3,
            Self::SnapshotExists => 2,
            Self::NodesDown => 1,
            Self::TwoRestores => 0,
        }
    }
}
