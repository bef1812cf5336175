//! The way of a snapshot out of the bucket: by its name, one node after the other.
//!
//! A node is through when a listing of its share no longer has the name. So nothing that is lost on the way matters:
//! it is listed again, and a second removal of one name does nothing (seen). The status is all that is remembered.

pub mod retention;

use jiff::{SignedDuration, Timestamp};

use super::builder::PlanBuilder;
use super::node::{self, View};
use super::{
    Answer, IN_FLIGHT, LOOK_AGAIN, Observation, POLL, Phase, Plan, Question, Task, conflict, foreign,
};
use crate::api::{
    BackupStatus, CassandraBackup, ConditionType, NodeStatus, PastRun, RETENTION_ANNOTATION, Reason,
    RetentionStatus,
};
use retention::expired;

/// After how many tries on a node somebody is told.
const MOST_TRIES: i32 = 5;

/// How long a share that cannot be listed is left alone.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// How many names an event has.
const MOST_NAMES: usize = 5;

/// What is known of the surroundings, for removals alone.
#[derive(Debug, Clone, Default)]
pub struct PruneInputs {
    /// The snapshots that restores hold, by whole names or beginnings of names.
    pub in_use: Vec<String>,
    /// Whether the sidecar is known to be too old to list and remove.
    pub too_old: bool,
}

/// Whether there may be something to remove or to report, restores aside. It needs its turn then.
#[must_use]
pub fn is_wanted(backup: &CassandraBackup, now: Timestamp) -> bool {
    let Some(status) = backup.status.as_ref().filter(|_| may_be_wanted(backup)) else {
        return false;
    };
    if in_flight(status) {
        return true;
    }
    // A change of the spec is taken up first, and what is due by the schedule is run first.
    if status.common.observed_generation != backup.metadata.generation {
        return false;
    }
    if status
        .next_schedule_time
        .as_ref()
        .is_some_and(|next| next.0 <= now)
    {
        return false;
    }
    let going = going(backup, status, &[], now);
    if only_reports(backup) {
        !names(&going).eq(reported(status))
    } else {
        removing(status).is_some() || !going.is_empty() || reported(status).next().is_some()
    }
}

/// Whether a removal may be wanted now or later: a run of the schedule is over, and there is something to judge.
#[must_use]
pub fn may_be_wanted(backup: &CassandraBackup) -> bool {
    let deleted = backup.metadata.deletion_timestamp.is_some();
    let Some(status) = backup
        .status
        .as_ref()
        .filter(|_| backup.spec.is_scheduled() && !deleted)
    else {
        return false;
    };
    let asked = backup.spec.retention.is_some() && !status.history.is_empty();
    status.common.is_terminal() && (asked || status.retention.is_some())
}

/// Whether a sidecar may be removing a snapshot of it just now: then nobody else begins in the cluster.
#[must_use]
pub fn in_flight(status: &BackupStatus) -> bool {
    status
        .retention
        .as_deref()
        .is_some_and(RetentionStatus::is_in_flight)
}

/// What to remove next; `None`: nothing, and other plans have their way.
///
/// Guarantees: the run left the history before the first request, so no restore takes it from then on. One node has a
/// request at a time, and it goes out only when it is the backup's turn in its cluster and the node's sidecar is idle.
#[must_use]
pub fn plan(
    backup: &CassandraBackup,
    look: &Observation<'_>,
    room: &PruneInputs,
) -> Option<Plan<BackupStatus>> {
    let status = backup.status.clone()?;
    if !is_wanted(backup, look.now) || look.stop.is_some() || look.cluster_gone {
        return None;
    }
    if foreign::is_foreign(&status.common)
        || conflict::is_contested(&backup.metadata, Some(&status))
        || room.too_old
    {
        return None;
    }
    let mut making = PlanBuilder::new(look, &backup.metadata);
    if let Some(next) = &status.next_schedule_time {
        making.look_again(next.0.duration_since(look.now).max(POLL));
    }
    if only_reports(backup) && !in_flight(&status) {
        return report(backup, status, making, room);
    }
    let mut course = RestorePlanner {
        making,
        retention: status.retention.clone().unwrap_or_default(),
        status,
        unsupported: false,
    };
    course.go_on(backup, room)?;
    course.finish()
}

struct RestorePlanner<'a> {
    making: PlanBuilder<'a>,
    status: BackupStatus,
    retention: Box<RetentionStatus>,
    unsupported: bool,
}

impl RestorePlanner<'_> {
    /// `None`: everything stays.
    fn go_on(&mut self, backup: &CassandraBackup, room: &PruneInputs) -> Option<()> {
        let stale = !std::mem::take(&mut self.retention.reported).is_empty();
        if self.retention.removing.is_none() {
            let going = going(backup, &self.status, &room.in_use, self.making.look.now);
            match going.first() {
                Some(oldest) => self.begin(backup, (*oldest).clone()),
                None if stale => self.status.retention = None,
                None => return None,
            }
        }
        let mut nodes = std::mem::take(&mut self.retention.nodes);
        let next = nodes.iter_mut().find(|node| !node.is_completed());
        if let (Some(node), Some(run)) = (next, self.retention.removing.clone()) {
            self.part(node, &run.snapshot);
        }
        self.retention.nodes = nodes;
        Some(())
    }

    fn begin(&mut self, backup: &CassandraBackup, run: PastRun) {
        if self.waits() {
            return;
        }
        let Some(mut nodes) = self.making.taking_part(backup.spec.datacenter.as_deref()) else {
            return;
        };
        for node in &mut nodes {
            node::enter(node, Phase::Remove);
        }
        self.retention.nodes = nodes;
        self.retention.removing = Some(run);
    }

    /// Whether something is missing, or it is not the backup's turn; then it is looked at again.
    fn waits(&mut self) -> bool {
        let waits = self.making.look.missing.is_some() || self.making.look.wait.is_some();
        if waits {
            self.making.look_again(LOOK_AGAIN);
        }
        waits
    }

    /// Brings a node further that is not through.
    fn part(&mut self, node: &mut NodeStatus, snapshot: &str) {
        if self.is_under_way(node) {
            return;
        }
        let question = Question::Stored {
            pod: node.pod.clone().unwrap_or_default(),
            host_id: node.host_id.clone(),
            datacenter: node.datacenter.clone().unwrap_or_default(),
            snapshot: snapshot.to_owned(),
        };
        let look = self.making.look;
        // A listing in a sidecar wipes what a removal there reads (read in Esop), so it has its turn too.
        if self.waits() {
            return;
        }
        match look.answer(&question) {
            None => {
                self.making.ask.insert(question);
            }
            Some(Answer::Stored(true)) => {
                node.silent_since = None;
                self.send(node, snapshot);
            }
            Some(Answer::Stored(false)) => self.through(node),
            Some(Answer::Unsupported) => self.unsupported = true,
            Some(Answer::Silence(why)) => self.unlisted(node, snapshot, why),
            Some(_) => self.making.look_again(LOOK_AGAIN),
        }
    }

    fn through(&mut self, node: &mut NodeStatus) {
        node::through(node);
        self.making.look_again(SignedDuration::ZERO);
    }

    /// Nobody tells what the node's share has. A node that left the ring is not waited for; of another one it is told,
    /// once, and from then on it is asked less often.
    fn unlisted(&mut self, node: &mut NodeStatus, snapshot: &str, why: &str) {
        let look = self.making.look;
        node::silent(node, why, look.now);
        if !node::is_out_of_reach(node, look.now) {
            self.making.look_again(LOOK_AGAIN);
            return;
        }
        match look.answers.get(&Question::Ring) {
            None => {
                self.making.ask.insert(Question::Ring);
                return;
            }
            Some(Answer::Ring(ring)) if ring.node(&node.host_id).is_none() => {
                self.through(node);
                return;
            }
            Some(_) => {}
        }
        if node.state() != Some(ConditionType::Failed) {
            let pod = node::name(node);
            let message = format!(
                "Snapshot {snapshot} stays for now: what the share of {pod} has could not be listed for 15 minutes: \
                 {why}; it is tried again every few minutes"
            );
            self.making.say(true, Reason::SnapshotNotRemoved, message);
            node::set_state(node, ConditionType::Failed);
        }
        self.making.look_again(LONGEST_PAUSE);
    }

    /// Whether a request may still be at work on the node. When it is not, the node's `state` says so.
    fn is_under_way(&mut self, node: &mut NodeStatus) -> bool {
        if !node.is_active() {
            return false;
        }
        let look = self.making.look;
        if node.operation.is_none() {
            let arrived = node
                .sent
                .as_ref()
                .and_then(|sent| sent.0.checked_add(IN_FLIGHT).ok());
            if arrived.is_some_and(|arrived| look.now < arrived) {
                self.making.look_again(POLL);
                return true;
            }
            node.state = None;
            return false;
        }
        match node::view(node, look) {
            View::Ask(question) => {
                self.making.ask.insert(question);
                true
            }
            View::UnderWay => {
                self.making.look_again(POLL);
                true
            }
            View::Silent if !node::is_out_of_reach(node, look.now) => {
                self.making.look_again(LOOK_AGAIN);
                true
            }
            View::Failed(_) => false,
            View::Silent | View::Completed | View::Lost | View::Unsent => {
                node.state = None;
                false
            }
        }
    }

    fn send(&mut self, node: &mut NodeStatus, snapshot: &str) {
        if in_flight(&self.status) {
            // Whose turn it is was not asked in this look.
            self.making.look_again(SignedDuration::ZERO);
            return;
        }
        if !self.making.is_idle(node) {
            self.making.look_again(LOOK_AGAIN);
            return;
        }
        let tries = node::attempts(node);
        let words = node.message.clone();
        let before = self.making.requests.len();
        self.making.send(node, Task::Remove);
        if tries == MOST_TRIES && self.making.requests.len() > before {
            let pod = node::name(node);
            let words = words.unwrap_or_else(|| "the listing still has it".to_owned());
            let message = format!(
                "Snapshot {snapshot} is still in the share of {pod} after {tries} tries: {words}; it is tried again \
                 every few minutes"
            );
            self.making.say(true, Reason::SnapshotNotRemoved, message);
        }
    }

    /// `None`: the sidecar cannot, so everything stays.
    fn finish(mut self) -> Option<Plan<BackupStatus>> {
        if self.unsupported && self.making.ask.is_empty() {
            return None;
        }
        let touched =
            |node: &NodeStatus| node.state.is_some() || node.sent.is_some() || node.silent_since.is_some();
        if self.retention.nodes.iter().any(touched) {
            self.write();
        }
        Some(self.making.plan(self.status))
    }

    fn write(&mut self) {
        let Some(run) = self.retention.removing.clone() else {
            return;
        };
        self.status.history.retain(|past| past.snapshot != run.snapshot);
        let mut nodes = self.retention.nodes.iter();
        if nodes.all(NodeStatus::is_completed) {
            let message = format!(
                "Snapshot {} does not stay by spec.retention: it was removed from the share of each node.",
                run.snapshot,
            );
            self.making.say(false, Reason::SnapshotRemoved, message);
            *self.retention = RetentionStatus::default();
        }
        self.status.retention = told(std::mem::take(&mut self.retention));
    }
}

/// What stands in the status: nothing where there is nothing to tell.
fn told(retention: Box<RetentionStatus>) -> Option<Box<RetentionStatus>> {
    (*retention != RetentionStatus::default()).then_some(retention)
}

fn report(
    backup: &CassandraBackup,
    mut status: BackupStatus,
    mut making: PlanBuilder<'_>,
    room: &PruneInputs,
) -> Option<Plan<BackupStatus>> {
    let going = going(backup, &status, &room.in_use, making.look.now);
    if names(&going).eq(reported(&status)) {
        return None;
    }
    let names: Vec<String> = names(&going).map(str::to_owned).collect();
    let few = names
        .iter()
        .take(MOST_NAMES)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let message = if names.is_empty() {
        "No snapshot would be removed by spec.retention.".to_owned()
    } else {
        format!(
            "{} would be removed by spec.retention: {few}{}; take the annotation {RETENTION_ANNOTATION} off to have that \
             done.",
            counted(names.len()),
            if names.len() > MOST_NAMES { ", …" } else { "" },
        )
    };
    making.say(false, Reason::SnapshotsExpired, message);
    let mut retention = status.retention.take().unwrap_or_default();
    retention.reported = names;
    status.retention = told(retention);
    Some(making.plan(status))
}

fn going<'a>(
    backup: &CassandraBackup,
    status: &'a BackupStatus,
    in_use: &[String],
    now: Timestamp,
) -> Vec<&'a PastRun> {
    let retention = backup.spec.retention.unwrap_or_default();
    let run = status.run.as_deref();
    if run.is_some_and(|run| run.cassandra_cluster != backup.spec.cassandra_cluster) {
        return Vec::new();
    }
    let written = run.map_or(&backup.spec.storage_location, |run| &run.storage_location);
    let mut going = expired(&status.history, &retention, in_use, now);
    // Where the last run did not write, nobody knows whose keys would open it.
    going.retain(|past| {
        let place = past.storage_location.as_ref();
        place.is_none_or(|place| place == written)
    });
    going
}

fn names<'a>(runs: &'a [&'a PastRun]) -> impl Iterator<Item = &'a str> {
    runs.iter().map(|run| run.snapshot.as_str())
}

fn counted(snapshots: usize) -> String {
    match snapshots {
        1 => "1 snapshot".to_owned(),
        more => format!("{more} snapshots, the oldest first,"),
    }
}

fn reported(status: &BackupStatus) -> impl Iterator<Item = &str> {
    let reported = status.retention.as_ref().map(|retention| &retention.reported);
    reported.into_iter().flatten().map(String::as_str)
}

fn removing(status: &BackupStatus) -> Option<&PastRun> {
    status.retention.as_ref()?.removing.as_ref()
}

fn only_reports(backup: &CassandraBackup) -> bool {
    let annotations = backup.metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(RETENTION_ANNOTATION))
        .is_some_and(|value| value.trim() == "report")
}
