//! The reasons of conditions and events.

use std::fmt;

/// The places in which a reason appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasonScope {
    /// In the conditions of a status.
    Conditions,
    /// In Kubernetes events.
    Events,
    /// In conditions and in events.
    Both,
}

/// Declares [`Reason`] from one table: the name, which is also the value on the wire, the scope, and the description.
macro_rules! reasons {
    ($($name:ident: $scope:ident, $description:literal;)*) => {
        /// The reason of a condition or an event, in one word for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $description] $name,)*
        }

        impl Reason {
            /// Every reason, in alphabetical order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the reason as it is written in conditions and events.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Returns the places in which the reason appears.
            #[must_use]
            pub const fn scope(self) -> ReasonScope {
                match self {
                    $(Self::$name => ReasonScope::$scope,)*
                }
            }

            /// Returns a sentence for the reference page.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$name => $description,)*
                }
            }
        }
    };
}

reasons! {
    Abandoned: Conditions,
        "The restore was given up because its annotation `cassgate.db.orange.com/abandon` is set.";
    AnotherExecutor: Both,
        "Another executor wrote to the object or sent operations to its sidecars; the run is stopped until a person decides.";
    BackupCompleted: Events, "The backup completed on every node.";
    BackupEmpty: Conditions, "Every node completed the backup, but the bucket has no file of it.";
    BackupFailed: Both, "The backup failed on at least one node.";
    BackupInitiated: Events, "The backup begins.";
    BackupNotFound: Conditions, "The backup that the restore names does not exist.";
    BackupNotReady: Conditions, "The backup that the restore names has no completed run yet.";
    BackupPartial: Conditions, "The run covers only some of the nodes of the cluster; the others were not in the ring.";
    BackupReplaced: Events,
        "The run was cancelled because the next one was due and `spec.concurrencyPolicy` is `Replace`.";
    CleaningUp: Conditions, "The nodes delete the downloaded files.";
    ClusterNotFound: Conditions, "The CassandraCluster that the object names does not exist.";
    Completed: Conditions, "The run completed.";
    CopiesKept: Events, "The copies of the emptied tables are kept on the nodes; the message says why.";
    CrdNotOurs: Both,
        "The installed CRD is CassKop's: it has no status subresource or none of cassgate's fields, so nothing is sent.";
    DatacenterNotFound: Conditions, "The ring has no node in the datacenter that the object names.";
    Deleted: Conditions, "The restore was deleted before it emptied any table, and was given up.";
    Downloading: Conditions, "The nodes download the snapshot.";
    Following: Conditions, "Another executor began the run; its operation is followed to its end.";
    ImportStuck: Conditions,
        "An import fails on hard links of an earlier one, and the Cassandra node has to be restarted.";
    Importing: Conditions, "The nodes import the downloaded files into the emptied tables.";
    Initializing: Conditions, "The nodes check that the snapshot exists.";
    LeftBehind: Conditions, "Another executor began the run and left no operation id, so its outcome is unknown.";
    NeverDue: Conditions, "The schedule has no time in the next five years.";
    NoProgress: Conditions,
        "Neither the state nor the progress of the run has changed for as long as `--no-progress-timeout` allows; the message names the operation and what ends it.";
    NodeAway: Conditions, "A node that the restore needs has not been reached for 15 minutes.";
    NodeFails: Conditions, "An operation that has to succeed fails on a node again and again.";
    NodeNotFound: Conditions, "A node of the run is not in the ring.";
    NodeNotInBackup: Conditions,
        "A node of the ring, or one that `spec.nodes` names, is not in the backup, so the restore ended before it emptied any table.";
    NodesDown: Conditions,
        "A Cassandra node considers another one to be down, so the sidecars refuse `DOWNLOAD`, `TRUNCATE` and `IMPORT`.";
    NotReady: Events, "The next scheduled run would not begin; the message says what it lacks.";
    OperationFailed: Conditions, "An operation failed on a sidecar, and the run ended with it.";
    OperationUnknown: Both,
        "The sidecar no longer knows the operation of another executor, so its outcome is unknown.";
    PartUnproven: Both,
        "A sidecar lost the upload of its part, and the files in the bucket are not proven to be complete.";
    PodNotFound: Conditions, "No pod of the cluster has the address of a node of the ring.";
    PodNotRunning: Conditions, "The containers of a pod are unknown, so a restart could not be noticed.";
    Queued: Conditions, "Another backup or restore of the cluster comes first.";
    Ready: Events, "The next scheduled run has everything that it needs again.";
    ReconcileFailed: Events,
        "cassgate has not been able to reconcile the object for ten minutes; the message has the error.";
    Refused: Conditions, "The rules deny the object as it is stored.";
    Replaced: Conditions,
        "The run was cancelled because the next one was due and `spec.concurrencyPolicy` is `Replace`.";
    Resolved: Conditions, "Every object that this object names exists.";
    RestoreCompleted: Events, "The restore completed on every node.";
    RestoreFailed: Events, "The restore failed, or was given up; the message says what the tables hold.";
    RestoreIncomplete: Events,
        "The restore leaves parts of the backup out, as `spec.nodes` says, or nodes joined the ring while the rows were imported; the message names them and what is lost.";
    RestoreInitiated: Events, "The restore begins.";
    RestoreRepeats: Both, "The tables are emptied again, because an import failed, a container restarted during it, or the restore was given up.";
    RetentionUnsupported: Conditions,
        "The sidecar cannot remove snapshots from the storage, or not without damage to others, so `spec.retention` removes nothing.";
    RingChanged: Conditions,
        "The part of a node of the backup has no node in the ring that receives it, so the restore ended before it emptied any table.";
    RingUnsettled: Conditions,
        "A running pod of the cluster is not in the ring, or two sidecars report different rings.";
    RunMissed: Events, "Runs were due and did not take place.";
    ScheduleCorrected: Events,
        "`status.nextScheduleTime` was too late, because a clock was ahead, and was computed again.";
    ScheduleInvalid: Conditions, "`spec.schedule` or `spec.timeZone` is invalid.";
    Scheduled: Conditions, "The next run is scheduled.";
    SchemaMismatch: Conditions,
        "The snapshot has another schema version than `spec.exactSchemaVersion` requires.";
    SchemaUnknown: Conditions, "The ring reports no schema version.";
    SecretNotFound: Conditions, "The Secret that the object names does not exist.";
    SidecarBusy: Conditions, "A sidecar is running another operation.";
    SidecarUnreachable: Conditions, "A sidecar does not answer.";
    SnapshotNotFound: Conditions, "The bucket has no manifest of the snapshot for a node.";
    SnapshotNotRemoved: Both, "An expired snapshot could not be removed from the folder of a node yet.";
    SnapshotRemoved: Events, "An expired snapshot was removed from the folder of every node.";
    SnapshotsExpired: Events,
        "Snapshots that `spec.retention` would remove, with the annotation `cassgate.db.orange.com/retention: report`.";
    StatusUnreadable: Conditions, "The status has a value that cassgate does not know, so nothing is sent.";
    Suspended: Conditions, "`spec.suspend` is true.";
    TableMissing: Conditions,
        "A table of the snapshot does not exist, so the restore ended before it emptied any table.";
    TablesNotTruncated: Conditions,
        "Some tables could not be emptied; the message names them and the remedy.";
    TagInvalid: Conditions, "`spec.snapshotTag` is invalid.";
    TokensDiffer: Conditions,
        "A node has other tokens than the part of the backup that it should receive.";
    Truncating: Conditions, "One node empties the tables on all nodes.";
    Uploading: Conditions, "The nodes upload the snapshot.";
    Waiting: Events, "A run waits, or waits for something else than before; the message says for what.";
}

impl Reason {
    /// Parses a reason; `None` if the text is not one of cassgate's reasons.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|reason| reason.as_str() == text)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<str> for Reason {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Reason {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn every_reason_has_a_value_of_its_own_and_is_parsed_from_it() {
        let values: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(values.len(), Reason::ALL.len());
        assert!(Reason::ALL.iter().map(|reason| reason.as_str()).eq(values));
        for &reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
            assert_eq!(format!("{reason:?}"), reason.as_str());
            assert!(reason.description().ends_with('.'), "{reason}");
        }
        assert_eq!(Reason::parse("ready"), None);
    }

    #[test]
    fn the_reconciler_has_no_literal_of_a_reason() {
        let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reconcile"));
        assert!(sources.len() > 30, "the sources were not found");
        for path in sources {
            let text = fs::read_to_string(&path).unwrap();
            // Tests name the values that users see.
            let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for reason in Reason::ALL {
                let literal = format!("\"{reason}\"");
                assert!(!production.contains(&literal), "{}: {literal}", path.display());
            }
        }
    }

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                found.extend(sources(&path));
            } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
                found.push(path);
            }
        }
        found
    }
}
