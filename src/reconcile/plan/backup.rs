//! The way of a backup: one snapshot under one tag, uploaded by every node for itself, all at once.
//!
//! A scheduled one goes it again for every time that is due (`schedule.rs`).

mod listing;

use jiff::{SignedDuration, Timestamp};

use super::builder::PlanBuilder;
use super::conditions::{self, Progress};
use super::conflict::{self, Ownership};
use super::foreign;
use super::needs;
use super::node::{self, View};
use super::schedule::{self, Slot};
use super::{Finalizer, LOOK_AGAIN, Observation, POLL, Phase, Plan, Task, Wait, moment};
use crate::api::{
    BackRestStatus, BackupStatus, CassandraBackup, CassandraBackupSpec, ConditionType, FailureCause,
    NodeStatus, PastRun, Reason,
};
use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::schema_version::SchemaVersion;
use crate::domain::snapshot_tag::SnapshotTag;
use crate::icarus::NodeFailure;

/// How often a node is sent a backup that was lost.
const MOST_TRIES: i32 = 5;

/// How often a part is sent that fails of what passes. The pauses between double, so that a Cassandra may be away for
/// eight minutes: a restart of a pod is shorter.
const MOST_FAILURES: i32 = 9;

/// What a node says that had not begun its part when the next run replaced this one.
const GIVEN_UP: &str = "not begun: the run was given up for the next one";

/// What a backup does next, and what its status says meanwhile.
///
/// Guarantees: a finished backup is never run again. All nodes use one tag, written to the status before the first
/// request. Nothing is sent that may still be under way: the same tag twice at once would destroy both.
#[must_use]
pub fn plan(backup: &CassandraBackup, look: &Observation<'_>) -> Plan<BackupStatus> {
    let mut course = RestorePlanner {
        backup,
        making: PlanBuilder::new(look, &backup.metadata),
        status: backup.status.clone().unwrap_or_default(),
        replaced: false,
        size: None,
        unlisted: None,
    };
    if backup.metadata.deletion_timestamp.is_some() && schedule::is_held(backup) {
        course.making.finalizer = Finalizer::Release;
        return course.making.plan(course.status);
    }
    match conflict::stand(&backup.metadata, &course.status) {
        Ownership::Ours => {}
        Ownership::Stopped(sign) => return course.stop(sign.as_ref()),
        Ownership::Resumed => {
            conflict::resume(&mut course.making, &backup.metadata, &mut course.status.common);
        }
    }
    if backup.spec.is_scheduled() {
        course.keep_time();
    } else {
        course.go_on();
    }
    match course.making.sign.take() {
        Some(sign) => course.stop(Some(&sign)),
        None => course.finish(),
    }
}

/// Whether a part that fails like this may come through the next time: a snapshot that is in the way is cleared by the
/// failure, and a Cassandra that is restarted comes back.
fn passes(failure: &NodeFailure) -> bool {
    matches!(
        failure,
        NodeFailure::SnapshotExists | NodeFailure::NodesDown | NodeFailure::CassandraUnreachable
    )
}

/// The name of the snapshot of a run that begins now.
fn resolved(spec: &CassandraBackupSpec, schema: &str, now: Timestamp) -> Result<String, Wait> {
    let text = spec.snapshot_tag.as_deref().unwrap_or_default();
    let tag = SnapshotTag::parse(text).map_err(|error| {
        let message = format!("spec.snapshotTag {text:?} {error}; correct it");
        Wait::stalled(Reason::TagInvalid, message)
    })?;
    let schema = SchemaVersion::parse(schema).map_err(|error| {
        let message = format!("the ring has the schema {schema:?}, which {error}");
        Wait::new(Reason::SchemaUnknown, message)
    })?;
    Ok(ResolvedTag::new(&tag, &schema, now).as_str().to_owned())
}

/// Whether its part of a run was never begun, for the next one.
fn is_given_up(node: &NodeStatus) -> bool {
    node.message.as_deref() == Some(GIVEN_UP)
}

struct RestorePlanner<'a> {
    backup: &'a CassandraBackup,
    making: PlanBuilder<'a>,
    status: BackupStatus,
    /// Whether the next run waits for the end of this one, and nothing more is begun for this one.
    replaced: bool,
    /// What the nodes have uploaded, in bytes, where their sidecars tell it.
    size: Option<i64>,
    /// Why nobody tells what the nodes have uploaded, where it was waited for in vain.
    unlisted: Option<String>,
}

impl RestorePlanner<'_> {
    /// Brings the schedule up to date, and then the run under way, or the one that is due.
    fn keep_time(&mut self) {
        let runs = schedule::is_under_way(&self.status.common);
        let deleted = self.backup.metadata.deletion_timestamp.is_some();
        let slot = if deleted {
            Ok(Slot::default())
        } else {
            schedule::advance(self.backup, &mut self.status, self.making.look.now)
        };
        let slot = slot.unwrap_or_else(|wait| {
            // A run under way ends with what it began with.
            self.making.wait = Some(wait).filter(|_| !runs);
            Slot::default()
        });
        self.tell_missed(slot.missed);
        self.replaced = slot.replaces;
        if runs {
            self.go_on();
        } else if let Some(due) = slot.due {
            self.begin_due(due);
        }
    }

    fn tell_missed(&mut self, missed: i64) {
        if missed > 0 {
            let all = self.status.missed_runs.unwrap_or_default();
            let message = format!(
                "{missed} runs were due and did not take place, {all} since the schedule is this one"
            );
            self.making.say(true, Reason::RunMissed, message);
        }
    }

    fn begin_due(&mut self, due: Timestamp) {
        if let Some(stop) = &self.making.look.stop {
            self.making.hold(stop.clone());
        } else if self.begin() {
            schedule::taken(self.backup, &mut self.status, due);
        }
    }

    fn go_on(&mut self) {
        let deleted = self.backup.metadata.deletion_timestamp.is_some();
        if self.status.common.is_terminal() || (deleted && !self.backup.has_started()) {
            return;
        }
        if let Some(stop) = &self.making.look.stop {
            self.making.hold(stop.clone());
        } else if foreign::is_foreign(&self.status.common) {
            let generation = self.backup.metadata.generation;
            foreign::follow(&mut self.status.common, generation, &mut self.making);
        } else if !self.backup.has_started() {
            self.begin_once();
        } else if self.making.look.cluster_gone {
            self.over(Some((
                Reason::ClusterNotFound,
                "the CassandraCluster is gone, and its nodes with it".to_owned(),
            )));
        } else {
            self.upload();
        }
    }

    fn begin_once(&mut self) {
        if self.backup.spec.suspend == Some(true) {
            let message = "spec.suspend is true: it describes what is in the bucket already and never runs";
            self.making.wait = Some(Wait::new(Reason::Suspended, message));
        } else {
            self.begin();
        }
    }

    /// Whether a run begins now.
    fn begin(&mut self) -> bool {
        let generation = self.backup.metadata.generation;
        if !self.making.may_begin(&mut self.status.common, generation) {
            return false;
        }
        let Some(mut nodes) = self.making.taking_part(self.backup.spec.datacenter.as_deref()) else {
            return false;
        };
        let Some(ring) = self.making.ring() else {
            return false;
        };
        let spec = &self.backup.spec;
        let tag = match resolved(spec, &ring.schema_version, self.making.look.now) {
            Ok(tag) => tag,
            Err(wait) => {
                self.making.hold(wait);
                return false;
            }
        };
        let message = format!(
            "Task initiated to backup cluster {} to {} under snapshot {tag} on {} nodes",
            spec.cassandra_cluster,
            spec.storage_location,
            nodes.len()
        );
        for node in &mut nodes {
            node::enter(node, Phase::Backup);
        }
        self.making.say(false, Reason::BackupInitiated, message);
        self.making.take_over = conflict::is_shared(&self.backup.metadata);
        self.status.snapshot_tag = Some(tag);
        self.status.run = Some(Box::new(spec.run()));
        // Nothing of the run before this one is left; what it came to stands in the history.
        self.status.common = BackRestStatus {
            cluster_name: Some(ring.cluster_name.clone()),
            time_created: Some(self.making.look.now.to_string()),
            observed_generation: self.status.common.observed_generation,
            conditions: std::mem::take(&mut self.status.common.conditions),
            nodes,
            ..BackRestStatus::default()
        };
        self.upload();
        true
    }

    /// Lets every node do its part; when all are through, well or not, the backup is over.
    fn upload(&mut self) {
        let mut all = true;
        let mut nodes = std::mem::take(&mut self.status.common.nodes);
        for (place, node) in nodes.iter_mut().enumerate() {
            let task = Task::Backup {
                with_topology: place == 0,
            };
            all &= self.part(node, task);
        }
        self.status.common.nodes = nodes;
        if !all || !self.making.ask.is_empty() {
            return;
        }
        if self.status.common.nodes.iter().any(is_given_up) {
            let message = "given up, since the next run was due and spec.concurrencyPolicy is Replace; what was \
                           uploaded of it stays in the bucket";
            self.end(
                ConditionType::Cancelled,
                Some((Reason::Replaced, message.to_owned())),
            );
            return;
        }
        let failed = self.status.common.nodes.iter().find(|node| !node.is_completed());
        let why = failed.map(|node| {
            let pod = node::name(node);
            let words = node.message.as_deref().unwrap_or("the sidecar gives no reason");
            (
                Reason::BackupFailed,
                format!("{pod}: {words}; {}", self.way_out()),
            )
        });
        match why {
            Some(why) => self.over(Some(why)),
            None => self.look_into(),
        }
    }

    /// Whether the node is through, well or not.
    fn part(&mut self, node: &mut NodeStatus, task: Task) -> bool {
        let look = self.making.look;
        match node::view(node, look) {
            View::Ask(question) => {
                self.making.ask.insert(question);
            }
            View::UnderWay => self.making.look_again(POLL),
            View::Silent | View::Unsent if node::is_out_of_reach(node, look.now) => {
                let words = node.message.take();
                let words = words.as_deref().unwrap_or("its pod is away");
                node::failed(
                    node,
                    &format!("its sidecar did not answer for 15 minutes: {words}"),
                );
                return true;
            }
            View::Silent => self.making.look_again(LOOK_AGAIN),
            View::Unsent => return self.send_or_give_up(node, task),
            View::Lost => return self.lost(node, task),
            View::Failed(failure)
                if passes(&failure)
                    && node::attempts(node) < MOST_FAILURES
                    && !node::is_out_of_reach(node, look.now)
                    && !self.replaced =>
            {
                self.making.send(node, task);
            }
            View::Completed | View::Failed(_) => return true,
        }
        false
    }

    /// Whether the node is through because the next run waits: then nothing is begun for this one.
    fn send_or_give_up(&mut self, node: &mut NodeStatus, task: Task) -> bool {
        if self.replaced {
            node::set_state(node, ConditionType::Cancelled);
            node.message = Some(GIVEN_UP.to_owned());
        } else {
            self.making.send(node, task);
        }
        self.replaced
    }

    fn way_out(&self) -> &'static str {
        if self.backup.spec.is_scheduled() {
            "mend it; the next run comes by the schedule"
        } else {
            "mend it and create the backup again under another name"
        }
    }

    fn over(&mut self, why_not: Option<(Reason, String)>) {
        let state = if why_not.is_some() {
            ConditionType::Failed
        } else {
            ConditionType::Completed
        };
        self.end(state, why_not);
    }

    fn end(&mut self, state: ConditionType<'static>, why_not: Option<(Reason, String)>) {
        let now = self.making.look.now;
        let generation = self.backup.metadata.generation;
        let snapshot = self.status.snapshot_tag.clone().unwrap_or_default();
        let causes = if why_not.is_some() {
            self.causes()
        } else {
            Vec::new()
        };
        let common = &mut self.status.common;
        common.time_completed = Some(now.to_string());
        common.progress = Some("100%".to_owned());
        self.making.close();
        conditions::stand(common, state, causes, now);
        if let Some((reason, message)) = why_not {
            if state == ConditionType::Cancelled {
                let message = format!("Backup under snapshot {snapshot} was {message}");
                self.making.say(true, Reason::BackupReplaced, message);
            } else {
                let message = format!("Backup under snapshot {snapshot} has failed: {message}");
                self.making.say(true, Reason::BackupFailed, message);
            }
            let story = Progress::Failed {
                reason: reason.as_str().to_owned(),
                message,
            };
            conditions::tell(common, generation, &story, now);
        } else {
            let unlisted = self.unlisted.take().map_or_else(String::new, |why| {
                format!("; what it holds could not be listed for 15 minutes, so its size is not known: {why}")
            });
            let message = format!(
                "{} nodes have uploaded snapshot {snapshot}{unlisted}",
                common.nodes.len()
            );
            self.making.say(
                false,
                Reason::BackupCompleted,
                format!("Backup was completed: {message}."),
            );
            conditions::tell(common, generation, &Progress::Complete(message), now);
        }
        self.remember(state);
    }

    fn remember(&mut self, outcome: ConditionType<'_>) {
        let Some(snapshot) = self.status.snapshot_tag.clone() else {
            return;
        };
        let common = &self.status.common;
        let time = |text: &Option<String>| text.as_ref()?.parse().ok().map(moment);
        let run = PastRun {
            snapshot,
            storage_location: self.status.run.as_ref().map(|run| run.storage_location.clone()),
            outcome: outcome.as_str().to_owned(),
            started: time(&common.time_created),
            completed: time(&common.time_completed),
            size: self.size,
        };
        let judged = self.backup.spec.retention.is_some();
        schedule::remember(&mut self.status.history, run, judged);
    }

    /// Somebody else acts on it: it stays as it was.
    fn stop(mut self, sign: Option<&conflict::ConflictEvidence>) -> Plan<BackupStatus> {
        let mut status = self.backup.status.clone().unwrap_or_default();
        conflict::stop(&mut self.making, &self.backup.metadata, &mut status, sign);
        self.making.plan(status)
    }

    fn finish(mut self) -> Plan<BackupStatus> {
        let common = &self.status.common;
        let begun = common.has_started() || !common.nodes.is_empty();
        let runs = begun && !common.is_terminal();
        let deleted = self.backup.metadata.deletion_timestamp.is_some();
        if !self.making.ask.is_empty() {
            return self.making.plan(self.status);
        }
        if runs || (!self.backup.spec.is_scheduled() && !common.is_terminal()) {
            self.describe();
        } else if self.backup.spec.is_scheduled() && !deleted {
            self.describe_schedule();
        }
        self.making.plan(self.status)
    }

    /// Nothing is under way: it waits for its turn, or for its time.
    fn describe_schedule(&mut self) {
        let now = self.making.look.now;
        let next = self.status.next_schedule_time.as_ref().map(|next| next.0);
        // What waits with its time behind it is looked at again as its reason to wait wants it.
        if let Some(next) = next.filter(|next| *next > now || self.making.wait.is_none()) {
            self.making
                .look_again(next.duration_since(now).max(SignedDuration::ZERO));
        }
        let story = match (self.making.wait.take(), next) {
            (Some(wait), _) => Progress::Waits(wait),
            (None, _) if self.backup.spec.suspend == Some(true) => Progress::Armed {
                ready: false,
                stalled: false,
                reason: Reason::Suspended,
                message: "spec.suspend is true: no run starts until it is false".to_owned(),
            },
            (None, Some(next)) => needs::armed(self.backup, &mut self.making, &mut self.status.common, next),
            (None, None) => {
                let message = "spec.schedule has no time in the next five years; correct it";
                Progress::Waits(Wait::stalled(Reason::NeverDue, message))
            }
        };
        let generation = self.backup.metadata.generation;
        conditions::tell(&mut self.status.common, generation, &story, now);
    }

    fn describe(&mut self) {
        let now = self.making.look.now;
        let generation = self.backup.metadata.generation;
        let wait = self.making.wait.take();
        let common = &mut self.status.common;
        if common.nodes.is_empty() {
            if let Some(wait) = wait {
                conditions::tell(common, generation, &Progress::Waits(wait), now);
            }
            return;
        }
        conditions::advance(common, now);
        common.progress = Some(node::percent(node::mean_done(common.nodes.iter())));
        let done = common.nodes.iter().filter(|node| node.is_completed()).count();
        let story = wait.map_or_else(
            || Progress::Runs {
                reason: Reason::Uploading,
                message: format!("{done} of {} nodes are through", common.nodes.len()),
            },
            Progress::Waits,
        );
        conditions::tell(common, generation, &story, now);
    }

    fn causes(&self) -> Vec<FailureCause> {
        node::causes(&self.status.common.nodes)
    }
}
