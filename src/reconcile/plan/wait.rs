//! The reason why a run waits, and the limit of each wait.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::observation::Observation;
use super::timing::add;
use crate::api::{BackRestStatus, Reason};

/// The time without progress after which a person should look at a wait that usually ends by itself. A restart of a pod
/// takes less.
const SHORT_WAIT: SignedDuration = SignedDuration::from_mins(15);

/// The reason why a run waits. The run continues by itself as soon as the reason no longer applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The reason of the condition.
    pub reason: Reason,
    /// A sentence for people: what the run waits for, and what to do if it never comes.
    pub message: String,
    /// True if a person has to act before the run continues.
    pub stalled: bool,
}

/// The limit of a wait, by its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitLimit {
    /// The wait is stalled from the start, or its planner decides when it is. Its message has the remedy.
    Planner,
    /// The wait is stalled after 15 minutes without progress. The remedy is added to the message then.
    Short(&'static str),
    /// The wait is stalled when the run has made no progress for as long as an operation may take without any. The remedy
    /// is added to the message then.
    Operation(&'static str),
    /// The limit is that of the run that comes first, whose message the wait repeats once that run is stalled.
    OtherRun,
    /// The user asked for the wait.
    User,
    /// The reason is never that of a wait.
    Never,
}

impl Wait {
    /// Creates a wait for something that needs no person yet. It becomes stalled at the limit of its reason.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            stalled: false,
        }
    }

    /// Creates a wait for a person to act.
    #[must_use]
    pub fn stalled(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            stalled: true,
            ..Self::new(reason, message)
        }
    }

    /// Returns the wait as the status reports it: as stalled, with the remedy, if the run has made no progress for as long
    /// as the reason allows.
    ///
    /// A short limit counts from the begin of the wait: the operation before it may have been slow, as it may be.
    pub(super) fn bounded(self, common: &BackRestStatus, observation: &Observation<'_>) -> Self {
        match limit(self.reason) {
            WaitLimit::Short(remedy) | WaitLimit::Operation(remedy) => {
                self.bounded_with(remedy, common, observation)
            }
            WaitLimit::Planner | WaitLimit::OtherRun | WaitLimit::User | WaitLimit::Never => self,
        }
    }

    /// Returns the wait as [`bounded`](Self::bounded) does, with another remedy.
    pub(super) fn bounded_with(
        self,
        remedy: &str,
        common: &BackRestStatus,
        observation: &Observation<'_>,
    ) -> Self {
        let now = observation.now;
        let Some(since) = common.no_progress_since.as_ref().filter(|_| !self.stalled) else {
            return self;
        };
        let begun = common
            .waiting_since
            .as_ref()
            .map_or(since.0, |begun| begun.0.max(since.0));
        let has_waited =
            matches!(limit(self.reason), WaitLimit::Short(_)) && add(&Time(begun), SHORT_WAIT) <= now;
        if !has_waited && add(since, observation.no_progress_timeout) > now {
            return self;
        }
        let message = format!(
            "{}; the run has made no progress since {}: {remedy}",
            self.message, since.0
        );
        Self::stalled(self.reason, message)
    }

    /// Returns the wait with its remedy if `since` is longer ago than the limit of its reason. It says what has not happened
    /// since then.
    ///
    /// For waits of something beside the run, which has a time without progress of its own.
    pub(super) fn with_remedy_after(
        self,
        since: Option<&Time>,
        not_done: &str,
        observation: &Observation<'_>,
    ) -> Self {
        let (remedy, allowed) = match limit(self.reason) {
            WaitLimit::Short(remedy) => (remedy, SHORT_WAIT),
            WaitLimit::Operation(remedy) => (remedy, observation.no_progress_timeout),
            WaitLimit::Planner | WaitLimit::OtherRun | WaitLimit::User | WaitLimit::Never => return self,
        };
        let Some(since) = since.filter(|since| add(since, allowed) <= observation.now) else {
            return self;
        };
        let message = format!("{}; {not_done} since {}: {remedy}", self.message, since.0);
        Self { message, ..self }
    }
}

/// Returns the limit of a wait with this reason. Every reason has to be listed here, so that no wait is without a limit.
#[must_use]
pub fn limit(reason: Reason) -> WaitLimit {
    match reason {
        Reason::AnotherExecutor
        | Reason::CrdNotOurs
        | Reason::DatacenterNotFound
        | Reason::ImportStuck
        | Reason::NeverDue
        | Reason::NoProgress
        | Reason::NodeAway
        | Reason::NodeFails
        | Reason::NodesDown
        | Reason::Refused
        | Reason::RestoreRepeats
        | Reason::ScheduleInvalid
        | Reason::StatusUnreadable
        | Reason::TablesNotTruncated
        | Reason::TagInvalid => WaitLimit::Planner,
        Reason::BackupNotFound => WaitLimit::Short("create the backup, or delete this object"),
        Reason::ClusterNotFound => WaitLimit::Short("create the CassandraCluster, or delete this object"),
        Reason::SecretNotFound => WaitLimit::Short("create the Secret, or delete this object"),
        Reason::NodeNotFound => WaitLimit::Short(
            "start the Cassandra of that node; if it left the ring for good, delete this object and create another",
        ),
        Reason::PodNotFound => WaitLimit::Short(
            "see why the pod does not run (kubectl describe pod); every node of the ring has to be a pod of the \
             CassandraCluster",
        ),
        Reason::PodNotRunning => {
            WaitLimit::Short("see why the containers of the pod do not run (kubectl describe pod)")
        }
        Reason::RingUnsettled => WaitLimit::Short(
            "see why these nodes do not agree on the ring (nodetool status, nodetool gossipinfo)",
        ),
        Reason::SchemaUnknown => {
            WaitLimit::Short("see why the nodes do not agree on a schema version (nodetool describecluster)")
        }
        Reason::SidecarUnreachable => WaitLimit::Short(
            "see why the container backrest-sidecar does not answer (its log, the NetworkPolicy of port 4567)",
        ),
        Reason::BackupNotReady => WaitLimit::Operation(
            "wait for a run of the backup, or name a finished one in spec.snapshot of a new restore",
        ),
        Reason::SidecarBusy => WaitLimit::Operation(
            "read the log of that sidecar; if the operation hangs, restart the container backrest-sidecar of that pod, \
             which ends the operation; if CassKop sends such operations, close the sidecars to it and restart it \
             (docs/install.md)",
        ),
        Reason::Queued => WaitLimit::OtherRun,
        Reason::Suspended => WaitLimit::User,
        Reason::Abandoned
        | Reason::BackupCompleted
        | Reason::BackupEmpty
        | Reason::BackupFailed
        | Reason::BackupInitiated
        | Reason::BackupPartial
        | Reason::BackupReplaced
        | Reason::CleaningUp
        | Reason::Completed
        | Reason::CopiesKept
        | Reason::Deleted
        | Reason::Downloading
        | Reason::Following
        | Reason::Importing
        | Reason::Initializing
        | Reason::LeftBehind
        | Reason::NodeNotInBackup
        | Reason::NotReady
        | Reason::OperationFailed
        | Reason::OperationUnknown
        | Reason::PartUnproven
        | Reason::Ready
        | Reason::ReconcileFailed
        | Reason::Replaced
        | Reason::Resolved
        | Reason::RetentionUnsupported
        | Reason::RestoreCompleted
        | Reason::RestoreFailed
        | Reason::RestoreIncomplete
        | Reason::RestoreInitiated
        | Reason::RingChanged
        | Reason::RunMissed
        | Reason::ScheduleCorrected
        | Reason::Scheduled
        | Reason::SchemaMismatch
        | Reason::SnapshotNotFound
        | Reason::SnapshotNotRemoved
        | Reason::SnapshotRemoved
        | Reason::SnapshotsExpired
        | Reason::TableMissing
        | Reason::TokensDiffer
        | Reason::Truncating
        | Reason::Uploading
        | Reason::Waiting => WaitLimit::Never,
    }
}
