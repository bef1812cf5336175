//! The turns of a cluster: one operation at a time, restores before backups, then the entry that has waited longest.
//!
//! A backup during a restore can hold empty tables, and a second restore mixes with the first (both observed). An entry
//! that waits for something other than its turn holds up no other entry.

use super::entry::{QueueEntry, QueueState};
use crate::api::{Kind, Reason};
use crate::reconcile::plan::Wait;

/// Returns the rank of a kind: restores go first, because users wait for their rows.
fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Restore => 0,
        Kind::Backup => 1,
    }
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Restore => "restore",
        Kind::Backup => "backup",
    }
}

/// Returns the reason why it is not the turn of `own` yet; `None` if it is. `all` may contain `own`.
#[must_use]
pub fn reason_to_wait(own: &QueueEntry, all: &[QueueEntry]) -> Option<Wait> {
    let is_other = |other: &&QueueEntry| other.may_run_on(&own.cluster) && !other.is_same_object(own);
    let others: Vec<_> = all.iter().filter(is_other).collect();
    let active = others.iter().filter(|other| other.state == QueueState::Active);
    // The one that a person has to act on comes first in the message.
    if let Some(active) = active.max_by_key(|active| active.stalled.is_some()) {
        return Some(queued_behind_active(active));
    }
    let mut undecodable = others
        .iter()
        .filter(|other| other.state == QueueState::Undecodable);
    if let Some(other) = undecodable.next() {
        return Some(behind_undecodable(other));
    }
    let place = |entry: &QueueEntry| (rank(entry.kind), entry.since, entry.created, entry.name.clone());
    let ready = others.iter().filter(|other| other.state == QueueState::Ready);
    let first = ready.min_by_key(|other| place(other))?;
    (place(first) < place(own)).then(|| queued_behind(first, "comes first"))
}

/// Returns the wait for an object that cannot be decoded.
///
/// A deletion does not end a restore: cassgate releases its finalizer only when it can read the status, and its operations
/// and the state of its tables stay. A run of a backup may be deleted: what its sidecars still do, they report as busy.
fn behind_undecodable(other: &QueueEntry) -> Wait {
    let (kind, name) = (noun(other.kind), &other.name);
    let (cluster, runs) = if other.cluster.is_empty() {
        (
            String::new(),
            ", and neither can the name of its cluster, so it may be running on any cluster of the namespace",
        )
    } else {
        (format!(" of cluster {}", other.cluster), " and may be running")
    };
    let remedy = match other.kind {
        Kind::Restore => "correct it: to delete it does not end it (cassgate's log has the error)",
        Kind::Backup => "correct it or delete it (cassgate's log has the error)",
    };
    let message = format!("{kind} {name}{cluster} cannot be decoded{runs}; {remedy}");
    Wait::stalled(Reason::Queued, message)
}

/// Returns the wait for a run under way. If that is stalled, so is the wait: nothing begins before a person has acted.
fn queued_behind_active(active: &QueueEntry) -> Wait {
    let Some(stalled) = &active.stalled else {
        return queued_behind(active, "is running");
    };
    let wait = queued_behind(active, "is running and stalled");
    Wait::stalled(wait.reason, format!("{} ({stalled})", wait.message))
}

fn queued_behind(other: &QueueEntry, why: &str) -> Wait {
    let message = format!(
        "{} {} of cluster {} {why}",
        noun(other.kind),
        other.name,
        other.cluster
    );
    Wait::new(Reason::Queued, message)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn entry(text: &str) -> QueueEntry {
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
            state: match next() {
                "active" => QueueState::Active,
                "ready" => QueueState::Ready,
                _ => QueueState::Idle,
            },
            stalled: None,
        }
    }

    #[test]
    fn one_operation_at_a_time_restores_first_then_by_creation_and_name() {
        let table: [(&str, &[&str], Option<&str>); 10] = [
            ("backup b 5 c1 ready", &[], None),
            ("backup b 5 c1 ready", &["backup b 5 c1 ready"], None),
            (
                "restore r 1 c1 ready",
                &["backup b 9 c1 active"],
                Some("backup b of cluster c1 is running"),
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
                &["restore r 1 c1 idle", "backup a 1 c1 idle"],
                None,
            ),
            // A backup and a restore of the same name are two objects.
            (
                "backup b 5 c1 ready",
                &["restore b 5 c1 active"],
                Some("restore b of cluster c1 is running"),
            ),
        ];
        for (own, others, expected) in table {
            let others: Vec<_> = others.iter().map(|other| entry(other)).collect();
            let wait = reason_to_wait(&entry(own), &others);
            assert_eq!(
                wait.as_ref().map(|wait| wait.message.as_str()),
                expected,
                "{own} {others:?}"
            );
            assert!(wait.is_none_or(|wait| wait.reason == Reason::Queued && !wait.stalled));
        }
    }

    #[test]
    fn a_run_behind_a_stalled_one_says_for_what_it_waits_and_what_ends_the_wait() {
        let stalled = "NoProgress: BACKUP on c1-dc1-rack1-1 at 40%; restart that container";
        let mut active = entry("backup nightly 5 c1 active");
        active.stalled = Some(stalled.to_owned());
        let others = [entry("backup first 1 c1 active"), active];
        let wait = reason_to_wait(&entry("restore monday 9 c1 ready"), &others).unwrap();
        assert_eq!((wait.reason, wait.stalled), (Reason::Queued, true));
        assert_eq!(
            wait.message,
            format!("backup nightly of cluster c1 is running and stalled ({stalled})")
        );
    }

    #[test]
    fn exactly_one_ready_entry_goes_first() {
        let all: Vec<_> = [
            "backup b 5 c1 ready",
            "restore z 7 c1 ready",
            "restore a 8 c1 ready",
            "backup a 5 c1 ready",
        ]
        .iter()
        .map(|text| entry(text))
        .collect();
        let first: Vec<_> = all
            .iter()
            .filter(|own| reason_to_wait(own, &all).is_none())
            .map(|own| own.name.as_str())
            .collect();
        assert_eq!(first, ["z"]);
    }
}
