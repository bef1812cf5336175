//! An object as an entry of the queue.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::conditions::{FAILED, REFERENCES_RESOLVED, STALLED};
use crate::api::{BackRestStatus, CassandraBackup, CassandraRestore, Kind, Reason};
use crate::reconcile::object::ReconciledObject;
use crate::reconcile::plan::{conflict, needs, prune, schedule};

/// The state of an object in the queue of its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueState {
    /// It runs on the cluster.
    Active,
    /// It is ready to run.
    Ready,
    /// It cannot be decoded, and may run on the cluster.
    Undecodable,
    /// It is over, or it waits for something other than its turn.
    Idle,
}

/// A backup or restore that needs its cluster for itself.
///
/// All entries of one queue are of one namespace, so kind and name identify an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEntry {
    /// The kind of the object.
    pub kind: Kind,
    /// The name of the object.
    pub name: String,
    /// Start of the wait: the time of the schedule that is due, else the creation of the object.
    pub since: Timestamp,
    /// The creation of the object.
    pub created: Timestamp,
    /// The name of the `CassandraCluster`; empty if it cannot be read. Then the object may run on any cluster of its
    /// namespace.
    pub cluster: String,
    /// The state in the queue.
    pub state: QueueState,
    /// The reason and the message of `Stalled`, if it runs and a person has to act.
    pub stalled: Option<String>,
}

impl QueueEntry {
    /// Returns true if the object is of this cluster, or may be.
    #[must_use]
    pub fn may_run_on(&self, cluster: &str) -> bool {
        self.cluster == cluster || (self.state == QueueState::Undecodable && self.cluster.is_empty())
    }

    /// Returns true if both entries are of the same object.
    #[must_use]
    pub fn is_same_object(&self, other: &Self) -> bool {
        (self.kind, &self.name) == (other.kind, &other.name)
    }
}

/// An object that takes part in the queue of its cluster.
pub(in crate::reconcile) trait Queued: ReconciledObject {
    /// Returns the entry of the object at `now`.
    fn queue_entry(&self, now: Timestamp) -> QueueEntry;
}

impl Queued for CassandraRestore {
    fn queue_entry(&self, _: Timestamp) -> QueueEntry {
        let common = self.status.as_ref().map(|status| &status.common);
        QueueEntry {
            kind: Kind::Restore,
            name: self.metadata.name.clone().unwrap_or_default(),
            since: created(&self.metadata),
            created: created(&self.metadata),
            cluster: self.cluster().to_owned(),
            state: state(common, self.metadata.deletion_timestamp.is_some()),
            stalled: common.and_then(stalled_run),
        }
    }
}

impl Queued for CassandraBackup {
    fn queue_entry(&self, now: Timestamp) -> QueueEntry {
        let common = self.status.as_ref().map(|status| &status.common);
        let is_scheduled = self.spec.is_scheduled();
        // The outcome of the last run says nothing about the next one.
        let common =
            common.filter(|common| !(is_scheduled && common.is_terminal()) || conflict::is_stopped(common));
        let due = schedule::due(self, now);
        let is_pruning = self.status.as_ref().is_some_and(prune::in_flight);
        let is_blocked = self.status.as_ref().is_some_and(|status| {
            let common = &status.common;
            // `Stalled` beside `Failed` is about the run that is over.
            let is_stalled = is_stalled(common) && common.true_condition(FAILED).is_none();
            needs::recorded(common).is_some() || is_stalled
        });
        let is_idle = self.spec.suspend == Some(true) || (is_scheduled && (due.is_none() || is_blocked));
        QueueEntry {
            kind: Kind::Backup,
            name: self.metadata.name.clone().unwrap_or_default(),
            since: due.unwrap_or_else(|| created(&self.metadata)),
            created: created(&self.metadata),
            cluster: self.cluster().to_owned(),
            state: if is_pruning {
                QueueState::Active
            } else {
                state(common, is_idle || self.metadata.deletion_timestamp.is_some())
            },
            stalled: if is_pruning {
                self.status
                    .as_ref()
                    .and_then(|status| stalled_text(&status.common))
            } else {
                common.and_then(stalled_run)
            },
        }
    }
}

/// Returns true if a person has to act before an object can begin. An object behind a stalled run keeps its place.
fn is_stalled(common: &BackRestStatus) -> bool {
    let stalled = common.true_condition(STALLED);
    stalled.is_some_and(|stalled| Reason::Queued != *stalled.reason)
}

/// Returns the reason and the message of `Stalled` of a run under way.
fn stalled_run(common: &BackRestStatus) -> Option<String> {
    let runs = common.has_started() && (!common.is_terminal() || conflict::is_stopped(common));
    stalled_text(common).filter(|_| runs)
}

/// Returns the reason and the message of `Stalled`. `Stalled` beside `Failed` is about the run that is over, unless a
/// removal makes no progress.
fn stalled_text(common: &BackRestStatus) -> Option<String> {
    let stalled = common.true_condition(STALLED)?;
    let is_of_failure = common.is_terminal()
        && common
            .true_condition(FAILED)
            .is_some_and(|failed| failed.reason == stalled.reason);
    (!is_of_failure).then(|| format!("{}: {}", stalled.reason, stalled.message))
}

fn created(meta: &ObjectMeta) -> Timestamp {
    meta.creation_timestamp
        .as_ref()
        .map_or(Timestamp::MIN, |time| time.0)
}

/// Returns the state of an entry. `is_idle`: it would not start even if it were its turn.
fn state(common: Option<&BackRestStatus>, is_idle: bool) -> QueueState {
    let Some(common) = common else {
        return if is_idle {
            QueueState::Idle
        } else {
            QueueState::Ready
        };
    };
    let has_condition = |type_: &str, status: &str| {
        let mut conditions = common.conditions.iter();
        conditions.any(|condition| condition.type_ == type_ && condition.status == status)
    };
    if conflict::is_stopped(common) {
        // Another executor may have written the state, and it may have left tables empty.
        QueueState::Active
    } else if common.is_terminal() {
        QueueState::Idle
    } else if common.has_started() {
        QueueState::Active
    } else if is_idle || has_condition(REFERENCES_RESOLVED, "False") || is_stalled(common) {
        QueueState::Idle
    } else {
        QueueState::Ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A blocked schedule that took its turn would keep the other backups of the cluster waiting for ever.
    #[test]
    fn a_due_schedule_that_lacks_something_steps_aside() {
        let object = serde_json::json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
            "metadata": { "name": "nightly", "creationTimestamp": "2028-02-01T00:00:00Z" },
            "spec": { "cassandraCluster": "c1", "storageLocation": "s3://b", "schedule": "0 3 * * *" },
            "status": {
                "schedule": "0 3 * * *", "nextScheduleTime": "2028-02-29T03:00:00Z",
                "condition": { "type": "COMPLETED" },
                "conditions": [{
                    "type": "Ready", "status": "True", "reason": "SecretNotFound", "message": "",
                    "lastTransitionTime": "2028-02-29T03:00:00Z",
                }],
            },
        });
        let mut backup: CassandraBackup = serde_json::from_value(object).unwrap();
        let now = "2028-02-29T04:00:00Z".parse().unwrap();
        assert_eq!(backup.queue_entry(now).state, QueueState::Ready);
        let conditions = &mut backup.status.as_mut().unwrap().common.conditions;
        conditions[0].status = "False".to_owned();
        assert_eq!(backup.queue_entry(now).state, QueueState::Idle);
        // `Stalled` is for what a human has to change, such as a datacenter without nodes. A failed run has it, too.
        let conditions = &mut backup.status.as_mut().unwrap().common.conditions;
        conditions[0].reason = "DatacenterNotFound".to_owned();
        let mut state_with = |type_: &str| {
            let mut condition = backup.status.as_ref().unwrap().common.conditions[0].clone();
            (condition.type_, condition.status) = (type_.to_owned(), "True".to_owned());
            backup.status.as_mut().unwrap().common.conditions.push(condition);
            backup.queue_entry(now).state
        };
        assert_eq!(state_with(STALLED), QueueState::Idle);
        assert_eq!(state_with(FAILED), QueueState::Ready);
    }

    /// An entry that stepped aside because of a stalled run would lose its place to one that comes later.
    #[test]
    fn an_object_behind_a_stalled_run_keeps_its_place_and_a_stalled_run_keeps_the_queue() {
        let object = |state: &str, reason: &str| -> CassandraRestore {
            let condition = if state.is_empty() {
                serde_json::Value::Null
            } else {
                serde_json::json!({ "type": state })
            };
            let object = serde_json::json!({
                "apiVersion": "db.orange.com/v2", "kind": "CassandraRestore",
                "metadata": { "name": "monday" },
                "spec": { "cassandraCluster": "c1", "cassandraBackup": "nightly" },
                "status": {
                    "condition": condition,
                    "conditions": [{
                        "type": "Stalled", "status": "True", "reason": reason, "message": "restart it",
                        "lastTransitionTime": "2028-02-29T03:00:00Z",
                    }],
                },
            });
            serde_json::from_value(object).unwrap()
        };
        let now = "2028-02-29T04:00:00Z".parse().unwrap();
        let entry = |state, reason| {
            let entry = object(state, reason).queue_entry(now);
            (entry.state, entry.stalled)
        };
        assert_eq!(entry("", "Queued"), (QueueState::Ready, None));
        assert_eq!(entry("", "SidecarBusy"), (QueueState::Idle, None));
        let stalled = Some("NoProgress: restart it".to_owned());
        assert_eq!(entry("RUNNING", "NoProgress"), (QueueState::Active, stalled));
        assert_eq!(entry("FAILED", "BackupFailed"), (QueueState::Idle, None));
    }
}
