//! The failures of an operation that the planners distinguish.

use super::error::excerpt;

/// A failure of an operation, recognized by the text of its message. Every text was observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeFailure {
    /// DOWNLOAD: a file is missing in the bucket, or its content in the bucket or in the source directory differs from the
    /// manifest. Incomplete files of a killed download are fetched again only after a CLEANUP.
    DownloadCorrupt,
    /// Another phase of a restore runs on this node, and continues.
    TwoRestores,
    /// IMPORT: a link could not be created. Icarus 1.x repeats this error once links of an earlier IMPORT exist.
    HardlinkingFailed,
    /// A refresh found an incomplete SSTable. Only a human can repair this.
    CorruptCannotImport,
    /// A node of the ring is down, or the nodes have different schemas. The tables are unchanged.
    NodesDown,
    /// The node's Cassandra does not answer its sidecar, for example during a restart. An unreachable endpoint of the
    /// bucket has the same message.
    CassandraUnreachable,
    /// IMPORT: the downloaded files are missing. The tables are unchanged.
    FilesMissing,
    /// Backup: Cassandra has a snapshot with this name already. The failure removes it.
    SnapshotExists,
    /// The node's folder of the bucket has no manifest with this tag.
    NoManifest,
    /// DOWNLOAD: the tokens of the node are not those in the manifest. Nothing was downloaded.
    TokensDiffer,
    /// DOWNLOAD: a table of the manifest does not exist on the node. Nothing was downloaded.
    TableMissing,
    /// TRUNCATE: some tables could not be emptied, others may be empty. Icarus finds tables by the folders in the data
    /// directory, where a dropped table keeps its folder.
    TablesNotTruncated,
    /// Any other failure, with the first 200 characters of its message; empty without a message.
    Other(String),
}

impl NodeFailure {
    /// Recognizes the message of an error of an operation.
    #[must_use]
    pub fn of_message(message: &str) -> Self {
        // A message can contain another one (`Failed tables to refresh: {k1.t1=… is corrupt, can't import}`), so the most
        // severe is tried first.
        let contains = |text: &str| message.contains(text);
        if contains("is corrupt, can't import") {
            Self::CorruptCannotImport
        } else if contains("Hardlinking phase finished with errors") {
            Self::HardlinkingFailed
        } else if contains("Unable to download files successfully") {
            Self::DownloadCorrupt
        } else if contains("We can not run two normal restoration requests simultaneously")
            || contains("There are more than two concurrent restore operations running")
        {
            Self::TwoRestores
        } else if contains("Failure detector of this node reports")
            || contains("There are nodes with different schemas")
        {
            Self::NodesDown
        } else if contains("Some local files were corrupted or they are missing") {
            Self::FilesMissing
        } else if contains("There is no manifest requested found") {
            Self::NoManifest
        } else if contains("Tokens from snapshot and tokens of this node does not match") {
            Self::TokensDiffer
        } else if contains("Unable to find table id for") {
            Self::TableMissing
        } else if contains("Some tables were unable to be truncated") {
            Self::TablesNotTruncated
        } else if contains("Failed to retrieve RMIServer stub") || message == "Connection refused" {
            Self::CassandraUnreachable
        } else if message.starts_with("Snapshot ") && contains(" already exists.") {
            Self::SnapshotExists
        } else {
            Self::Other(excerpt(message.as_bytes()))
        }
    }

    /// Returns the rank of the failure. The failure of an operation is the one with the highest rank.
    pub(super) const fn severity(&self) -> u8 {
        match self {
            Self::CorruptCannotImport => 8,
            Self::HardlinkingFailed => 7,
            Self::DownloadCorrupt => 6,
            Self::FilesMissing => 5,
            Self::NoManifest | Self::TokensDiffer | Self::TableMissing | Self::TablesNotTruncated => 4,
            Self::Other(_) | Self::CassandraUnreachable => 3,
            Self::SnapshotExists => 2,
            Self::NodesDown => 1,
            Self::TwoRestores => 0,
        }
    }
}
