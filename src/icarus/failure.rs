//! The failures of an operation that the planners distinguish.

use super::error::excerpt;

/// The beginning of the message about tables that could not be emptied.
const NOT_TRUNCATED: &str = "Some tables were unable to be truncated";

/// The beginning of the message about a table that does not exist.
const NO_TABLE_ID: &str = "Unable to find table id for";

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
    /// TRUNCATE: the tables in [`NodeFailure::tables`] could not be emptied, all others are empty. Icarus finds tables by
    /// the folders in the data directory, where a dropped table keeps its folder.
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
        if contains(NOT_TRUNCATED) {
            // The text contains the message of each table, which may be that of any other failure.
            Self::TablesNotTruncated
        } else if contains("is corrupt, can't import") {
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
        } else if contains("There is no manifest requested found") || is_missing_folder(message) {
            Self::NoManifest
        } else if contains("Tokens from snapshot and tokens of this node does not match") {
            Self::TokensDiffer
        } else if contains(NO_TABLE_ID) {
            Self::TableMissing
        } else if contains("Failed to retrieve RMIServer stub") || message == "Connection refused" {
            Self::CassandraUnreachable
        } else if message.starts_with("Snapshot ") && contains(" already exists.") {
            Self::SnapshotExists
        } else {
            Self::Other(excerpt(message.as_bytes()))
        }
    }

    /// Returns the tables that a message names, `KEYSPACE.TABLE`: those that could not be emptied, or the one that does not
    /// exist. Empty for every other message.
    #[must_use]
    pub fn tables(message: &str) -> Vec<String> {
        if let Some((_, failures)) = message.split_once(NOT_TRUNCATED) {
            // A Java map: `{k1.t1=MESSAGE, k1.t2=MESSAGE}`.
            let entries = failures.trim_start_matches([':', ' ', '{']).split(", ");
            let keys = entries.filter_map(|entry| entry.split_once('=').map(|(key, _)| key));
            return keys.filter(|key| is_table(key)).map(str::to_owned).collect();
        }
        let Some((_, table)) = message.split_once(NO_TABLE_ID) else {
            return Vec::new();
        };
        let is_name = |character: char| character.is_alphanumeric() || character == '_' || character == '.';
        let table = table.trim_start();
        let end = table.find(|character| !is_name(character)).unwrap_or(table.len());
        let table = table.get(..end).unwrap_or_default().trim_end_matches('.');
        is_table(table).then(|| table.to_owned()).into_iter().collect()
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

/// Returns true for `KEYSPACE.TABLE`.
fn is_table(text: &str) -> bool {
    let is_name = |name: &str| {
        let mut characters = name.chars();
        !name.is_empty() && characters.all(|character| character.is_alphanumeric() || character == '_')
    };
    text.split_once('.')
        .is_some_and(|(keyspace, table)| is_name(keyspace) && is_name(table))
}

/// Returns true if a message is the path of a folder of manifests and nothing else: without the folder, `file://` gives no
/// other text (observed).
fn is_missing_folder(message: &str) -> bool {
    message.starts_with('/') && message.ends_with("/manifests")
}

#[cfg(test)]
mod tests {
    use super::NodeFailure;

    #[test]
    fn the_tables_of_a_message_are_read_from_it() {
        let not_truncated =
            "Some tables were unable to be truncated: {app.old=Keyspace app, table = x, app.two=null}";
        for (message, tables) in [
            (not_truncated, &["app.old", "app.two"][..]),
            ("Some tables were unable to be truncated: {}", &[]),
            ("Some tables were unable to be truncated", &[]),
            ("Unable to find table id for app.gone", &["app.gone"]),
            ("x: Unable to find table id for app.gone.", &["app.gone"]),
            ("Unable to find table id for ", &[]),
            ("Failed tables to refresh: {k1.t1=null}", &[]),
        ] {
            assert_eq!(NodeFailure::tables(message), tables, "{message}");
        }
    }

    #[test]
    fn tables_that_were_not_truncated_are_recognized_whatever_kept_them() {
        for reason in [
            "Failure detector of this node reports that 1 node(s) in a cluster are down!",
            "Failed to retrieve RMIServer stub: x",
            "null",
        ] {
            let message = format!("Some tables were unable to be truncated: {{k1.t2={reason}}}");
            assert_eq!(NodeFailure::of_message(&message), NodeFailure::TablesNotTruncated);
        }
    }
}
