//! Whose turn it is: one operation per Cassandra cluster at a time, restores before backups, else who waits longest.
//!
//! A backup during a restore can hold empty tables, and a second restore mixes with the first (seen). Whoever waits
//! for something else than its turn keeps nobody from going first.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::conditions::{FAILED, REFERENCES_RESOLVED, STALLED};
use crate::api::{BackRestStatus, CassandraBackup, CassandraRestore, Reason};
use crate::reconcile::plan::{Wait, conflict, needs, prune, schedule};

/// The two kinds, in the order of their turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Somebody waits for its rows.
    Restore,
    /// It can wait.
    Backup,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Backup => "backup",
        }
    }
}

/// How an object stands towards its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueState {
    /// It is at work on the cluster.
    Active,
    /// It would begin.
    Ready,
    /// It is over, or waits for something else.
    Aside,
}

/// An object that wants a cluster for itself. Two of one kind and name are one object: all are of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEntry {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Since when it wants to begin: since it was created, or since the time of its schedule that is due.
    pub since: Timestamp,
    /// When it was created.
    pub created: Timestamp,
    /// The cluster that it is about.
    pub cluster: String,
    /// How it stands.
    pub standing: QueueState,
}

impl From<&CassandraRestore> for QueueEntry {
    fn from(restore: &CassandraRestore) -> Self {
        let common = restore.status.as_ref().map(|status| &status.common);
        Self {
            kind: Kind::Restore,
            name: restore.metadata.name.clone().unwrap_or_default(),
            since: created(&restore.metadata),
            created: created(&restore.metadata),
            cluster: restore.spec.cassandra_cluster.clone(),
            standing: standing(common, restore.metadata.deletion_timestamp.is_some()),
        }
    }
}

impl QueueEntry {
    /// A backup as it stands at `now`. A scheduled one wants to begin when a time of its schedule is due.
    #[must_use]
    pub fn of_backup(backup: &CassandraBackup, now: Timestamp) -> Self {
        let common = backup.status.as_ref().map(|status| &status.common);
        let scheduled = backup.spec.is_scheduled();
        // What the last run left says nothing of the next one.
        let common =
            common.filter(|common| !(scheduled && common.is_terminal()) || conflict::is_stopped(common));
        let due = schedule::due(backup, now);
        let removes = backup.status.as_ref().is_some_and(prune::in_flight);
        let lacks = backup.status.as_ref().is_some_and(|status| {
            let common = &status.common;
            // A run that failed is over, and says so too.
            let stalled = common.true_condition(STALLED).is_some() && common.true_condition(FAILED).is_none();
            needs::told(common).is_some() || stalled
        });
        let rests = backup.spec.suspend == Some(true) || (scheduled && (due.is_none() || lacks));
        Self {
            kind: Kind::Backup,
            name: backup.metadata.name.clone().unwrap_or_default(),
            since: due.unwrap_or_else(|| created(&backup.metadata)),
            created: created(&backup.metadata),
            cluster: cluster(backup).to_owned(),
            standing: if removes {
                QueueState::Active
            } else {
                standing(common, rests || backup.metadata.deletion_timestamp.is_some())
            },
        }
    }
}

/// The cluster that a backup is about: a run under way stays with the one that it began with.
#[must_use]
pub fn cluster(backup: &CassandraBackup) -> &str {
    let status = backup.status.as_ref();
    let runs = status.filter(|status| schedule::is_under_way(&status.common));
    let run = runs.and_then(|status| status.run.as_ref());
    run.map_or(&backup.spec.cassandra_cluster, |run| &run.cassandra_cluster)
}

fn created(meta: &ObjectMeta) -> Timestamp {
    meta.creation_timestamp
        .as_ref()
        .map_or(Timestamp::MIN, |time| time.0)
}

/// `rests`: it would not begin even if it could.
fn standing(common: Option<&BackRestStatus>, rests: bool) -> QueueState {
    let Some(common) = common else {
        return if rests {
            QueueState::Aside
        } else {
            QueueState::Ready
        };
    };
    let is = |type_: &str, status: &str| {
        let mut conditions = common.conditions.iter();
        conditions.any(|condition| condition.type_ == type_ && condition.status == status)
    };
    if conflict::is_stopped(common) {
        // Another executor may have written its state, and it may have left tables empty.
        QueueState::Active
    } else if common.is_terminal() {
        QueueState::Aside
    } else if common.has_started() {
        QueueState::Active
    } else if rests || is(REFERENCES_RESOLVED, "False") || common.true_condition(STALLED).is_some() {
        QueueState::Aside
    } else {
        QueueState::Ready
    }
}

/// Why it is not yet the turn of `own`; `None`: it is. `all` may hold `own` itself.
#[must_use]
pub fn turn(own: &QueueEntry, all: &[QueueEntry]) -> Option<Wait> {
    let is_other = |other: &&QueueEntry| {
        other.cluster == own.cluster && (other.kind, &other.name) != (own.kind, &own.name)
    };
    let others: Vec<_> = all.iter().filter(is_other).collect();
    if let Some(active) = others.iter().find(|other| other.standing == QueueState::Active) {
        return Some(behind(active, "is at work"));
    }
    let place = |contender: &QueueEntry| {
        let QueueEntry {
            kind, since, created, ..
        } = *contender;
        (kind, since, created, contender.name.clone())
    };
    let ready = others.iter().filter(|other| other.standing == QueueState::Ready);
    let first = ready.min_by_key(|other| place(other))?;
    (place(first) < place(own)).then(|| behind(first, "comes first"))
}

fn behind(other: &QueueEntry, why: &str) -> Wait {
    let message = format!(
        "{} {} of cluster {} {why}",
        other.kind.as_str(),
        other.name,
        other.cluster
    );
    Wait::new(Reason::Queued, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(text: &str) -> QueueEntry {
        let mut words = text.split(' ');
        let mut next = || words.next().unwrap();
        let kind = if next() == "restore" {
            Kind::Restore
        } else {
            Kind::Backup
        };
        let name = next().to_owned();
        let created = Timestamp::from_second(next().parse().unwrap()).unwrap();
        QueueEntry {
            kind,
            name,
            since: created,
            created,
            cluster: next().to_owned(),
            standing: match next() {
                "active" => QueueState::Active,
                "ready" => QueueState::Ready,
                _ => QueueState::Aside,
            },
        }
    }

    #[test]
    fn one_at_a_time_restores_first_then_in_order_of_creation_and_name() {
        let table: [(&str, &[&str], Option<&str>); 10] = [
            ("backup b 5 c1 ready", &[], None),
            ("backup b 5 c1 ready", &["backup b 5 c1 ready"], None),
            (
                "restore r 1 c1 ready",
                &["backup b 9 c1 active"],
                Some("backup b of cluster c1 is at work"),
            ),
            (
                "backup b 1 c1 ready",
                &["restore r 9 c1 ready"],
                Some("restore r of cluster c1 comes first"),
            ),
            ("restore r 9 c1 ready", &["backup b 1 c1 ready"], None),
            (
                "backup b 5 c1 ready",
                &["backup a 5 c1 ready", "backup z 6 c1 ready"],
                Some("backup a of cluster c1 comes first"),
            ),
            ("backup b 5 c1 ready", &["backup c 5 c1 ready"], None),
            ("backup b 5 c1 ready", &["restore r 1 c2 active"], None),
            (
                "backup b 5 c1 ready",
                &["restore r 1 c1 aside", "backup a 1 c1 aside"],
                None,
            ),
            // A backup and a restore of one name are two objects.
            (
                "backup b 5 c1 ready",
                &["restore b 5 c1 active"],
                Some("restore b of cluster c1 is at work"),
            ),
        ];
        for (own, others, expected) in table {
            let others: Vec<_> = others.iter().map(|other| contender(other)).collect();
            let wait = turn(&contender(own), &others);
            assert_eq!(
                wait.as_ref().map(|wait| wait.message.as_str()),
                expected,
                "{own} {others:?}"
            );
            assert!(wait.is_none_or(|wait| wait.reason == "Queued" && !wait.stalled));
        }
    }

    #[test]
    fn exactly_one_of_those_that_are_ready_goes_first() {
        let all: Vec<_> = [
            "backup b 5 c1 ready",
            "restore z 7 c1 ready",
            "restore a 8 c1 ready",
            "backup a 5 c1 ready",
        ]
        .iter()
        .map(|text| contender(text))
        .collect();
        let first: Vec<_> = all
            .iter()
            .filter(|own| turn(own, &all).is_none())
            .map(|own| own.name.as_str())
            .collect();
        assert_eq!(first, ["z"]);
    }

    /// It would keep the cluster's other backups waiting for ever.
    #[test]
    fn a_schedule_whose_run_is_due_and_lacks_something_keeps_nobody_from_going_first() {
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
        assert_eq!(QueueEntry::of_backup(&backup, now).standing, QueueState::Ready);
        let conditions = &mut backup.status.as_mut().unwrap().common.conditions;
        conditions[0].status = "False".to_owned();
        assert_eq!(QueueEntry::of_backup(&backup, now).standing, QueueState::Aside);
        // What only a human can change, such as a datacenter without a node; a run that failed says that, too.
        let conditions = &mut backup.status.as_mut().unwrap().common.conditions;
        conditions[0].reason = "DatacenterNotFound".to_owned();
        let mut more = |type_: &str| {
            let mut condition = backup.status.as_ref().unwrap().common.conditions[0].clone();
            (condition.type_, condition.status) = (type_.to_owned(), "True".to_owned());
            backup.status.as_mut().unwrap().common.conditions.push(condition);
            QueueEntry::of_backup(&backup, now).standing
        };
        assert_eq!(more("Stalled"), QueueState::Aside);
        assert_eq!(more("Failed"), QueueState::Ready);
    }
}
