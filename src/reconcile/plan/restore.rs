//! The way of a restore: `INIT` and `DOWNLOAD` on all nodes, `TRUNCATE` by one, `IMPORT` and `CLEANUP` on all.
//!
//! Until `TRUNCATE` the tables are as they were, and giving up costs nothing. From then on a restore is carried to
//! its end, whatever is lost on the way: sidecars, Cassandra nodes, or we. What each loss leaves behind, and what mends
//! it, was tried on real rings of Icarus 1.1.3, 2.0.4 and 3.0.0.

mod begin;
mod ending;
mod phases;
mod reach;
pub mod source;

use super::builder::PlanBuilder;
use super::conditions::{self, Progress};
use super::conflict::{self, Ownership};
use super::foreign;
use super::{Finalizer, Observation, Phase, Plan, Task, Wait, is_held_by, node};
use crate::api::{CassandraRestore, NodeStatus, RESTORE_FINALIZER, Reason, RestoreSource, RestoreStatus};

/// What a restore does next, and what its status says meanwhile.
///
/// Guarantees: a finished restore is never run again. `TRUNCATE` is sent only when the download of every node is
/// complete and the nodes are still the same. Nothing is sent that may still be under way. `CLEANUP` keeps the copies
/// of the emptied tables unless the restore ended well. After a restart of any container between `TRUNCATE` and the
/// end there is another `TRUNCATE` and `IMPORT`.
///
/// `means`: what the restore takes over from its backup when it begins, and what others want of it.
#[must_use]
pub fn plan(
    restore: &CassandraRestore,
    look: &Observation<'_>,
    means: &RestoreInputs,
) -> Plan<RestoreStatus> {
    let mut course = RestorePlanner {
        restore,
        look,
        means,
        making: PlanBuilder::new(look, &restore.metadata),
        status: restore.status.clone().unwrap_or_default(),
    };
    match conflict::stand(&restore.metadata, &course.status) {
        Ownership::Ours => course.go_on(),
        Ownership::Stopped(sign) => return course.stop(sign.as_ref()),
        Ownership::Resumed => course.resume(),
    }
    match course.making.sign.take() {
        Some(sign) => course.stop(Some(&sign)),
        None => course.finish(),
    }
}

/// What a restore needs of other objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreInputs {
    /// What it restores, from where. Needed until it has begun; from then on the status has it.
    pub source: Option<RestoreSource>,
    /// Whether the copies of the emptied tables have to stay whatever the spec says: another restore of the cluster
    /// failed after it had emptied tables, and the copies are of both.
    pub keep_truncated: bool,
}

/// A plan in the making.
struct RestorePlanner<'a> {
    restore: &'a CassandraRestore,
    look: &'a Observation<'a>,
    means: &'a RestoreInputs,
    making: PlanBuilder<'a>,
    status: RestoreStatus,
}

impl RestorePlanner<'_> {
    fn go_on(&mut self) {
        if self.status.common.is_terminal() {
            self.let_go();
        } else if let Some(stop) = &self.look.stop {
            self.making.hold(stop.clone());
        } else if foreign::is_foreign(&self.status.common) {
            let generation = self.restore.metadata.generation;
            foreign::follow(&mut self.status.common, generation, &mut self.making);
        } else if !self.restore.has_started() {
            self.begin();
        } else {
            self.heed();
            self.pass_phases();
        }
    }

    /// Somebody else acts on it: it stays as it was.
    fn stop(mut self, sign: Option<&conflict::ConflictEvidence>) -> Plan<RestoreStatus> {
        let mut status = self.restore.status.clone().unwrap_or_default();
        conflict::stop(&mut self.making, &self.restore.metadata, &mut status, sign);
        self.making.plan(status)
    }

    /// Goes on after it was stopped. What the tables hold now nobody knows: where they had been emptied, they are
    /// emptied and filled once more.
    fn resume(&mut self) {
        conflict::resume(&mut self.making, &self.restore.metadata, &mut self.status.common);
        if self.status.common.nodes.is_empty() {
            self.lost_its_notes();
            return;
        }
        if self.status.truncation.is_some() && self.status.giving_up.is_none() {
            if self.status.phase.as_deref() == Some(Phase::Cleanup.as_str()) {
                self.enter(Phase::Import);
            }
            for node in &mut self.status.common.nodes {
                node.containers = None;
            }
        }
        self.go_on();
    }

    /// Goes from phase to phase as far as everything is there for it.
    fn pass_phases(&mut self) {
        // Five phases, and rounds only begin when something was restarted: a bound, should that ever be wrong.
        for _ in 0..8 {
            if self.status.common.is_terminal() || !self.pass() {
                return;
            }
        }
    }

    /// Whether the ring passed on to another phase.
    fn pass(&mut self) -> bool {
        match self.status.phase.as_deref().and_then(Phase::read) {
            Some(Phase::Init) => self.init(),
            Some(Phase::Download) => self.download(),
            Some(Phase::Truncate) => self.truncate(),
            Some(Phase::Import) => self.import(),
            Some(Phase::Cleanup) => self.clean_up(),
            _ => {
                let message = format!(
                    "status.phase is {:?}, which is none of INIT, DOWNLOAD, TRUNCATE, IMPORT, CLEANUP: \
                     nothing is sent until it is one again",
                    self.status.phase.as_deref().unwrap_or_default()
                );
                self.making.hold(Wait::stalled(Reason::StatusUnreadable, message));
                false
            }
        }
    }

    /// The whole ring begins with a phase.
    fn enter(&mut self, phase: Phase) {
        self.status.phase = Some(phase.as_str().to_owned());
        for node in &mut self.status.common.nodes {
            node::enter(node, phase);
        }
    }

    fn finish(mut self) -> Plan<RestoreStatus> {
        if self.making.ask.is_empty() && !self.status.common.is_terminal() {
            self.describe();
        }
        self.making.plan(self.status)
    }

    /// Tells what goes on: the state, how far it is, the first node's operation.
    fn describe(&mut self) {
        let now = self.look.now;
        let generation = self.restore.metadata.generation;
        if self.status.phase.is_none() {
            if let Some(wait) = self.making.wait.take() {
                conditions::tell(&mut self.status.common, generation, &Progress::Waits(wait), now);
            }
            return;
        }
        conditions::advance(&mut self.status.common, now);
        self.status.common.progress = Some(self.progress());
        let story = match self.making.wait.take() {
            Some(wait) if wait.stalled => Progress::Stalls(wait),
            Some(wait) => Progress::Waits(wait),
            None => Progress::Runs {
                reason: self.reason(),
                message: self.sentence(),
            },
        };
        conditions::tell(&mut self.status.common, generation, &story, now);
    }

    fn reason(&self) -> Reason {
        match self.status.phase.as_deref().and_then(Phase::read) {
            Some(Phase::Init) => Reason::Initializing,
            Some(Phase::Download) => Reason::Downloading,
            Some(Phase::Truncate) => Reason::Truncating,
            Some(Phase::Import | Phase::Refresh) => Reason::Importing,
            _ => Reason::CleaningUp,
        }
    }

    /// How many nodes are through with the phase, and what the others say.
    fn sentence(&self) -> String {
        let nodes = &self.status.common.nodes;
        let phase = self.status.phase.as_deref().unwrap_or_default();
        let taking_part = nodes
            .iter()
            .filter(|node| phase != Phase::Truncate.as_str() || node.phase.as_deref() == Some(phase));
        let (mut all, mut done, mut trouble) = (0_usize, 0_usize, Vec::new());
        for node in taking_part {
            all += 1;
            if node.phase.as_deref() == Some(phase) && node.is_completed() {
                done += 1;
            } else if let Some(message) = &node.message {
                trouble.push(format!("{}: {message}", node::name(node)));
            }
        }
        let mut sentence = format!("{phase}: {done} of {all} nodes are through");
        if let Some(giving_up) = &self.status.giving_up {
            sentence = format!("given up ({}); {sentence}", giving_up.message);
        }
        for words in trouble {
            sentence.push_str("; ");
            sentence.push_str(&words);
        }
        sentence
    }

    /// How far the whole is: each phase has its share, after the time that it takes for small tables.
    fn progress(&self) -> String {
        let (from, share) = match self.status.phase.as_deref().and_then(Phase::read) {
            Some(Phase::Download) => (0.05, 0.55),
            Some(Phase::Truncate) => (0.60, 0.10),
            Some(Phase::Import) => (0.70, 0.25),
            Some(Phase::Cleanup) => (0.95, 0.04),
            _ => (0.0, 0.05),
        };
        let nodes = &self.status.common.nodes;
        let phase = self.status.phase.as_deref();
        let part = node::mean_done(nodes.iter().filter(|node| node.phase.as_deref() == phase));
        node::percent(from + share * part)
    }

    fn nodes(&self) -> Vec<String> {
        let nodes = &self.status.common.nodes;
        nodes.iter().map(|node| node.host_id.clone()).collect()
    }

    fn node_mut(&mut self, host_id: &str) -> Option<&mut NodeStatus> {
        let nodes = &mut self.status.common.nodes;
        nodes.iter_mut().find(|node| node.host_id == host_id)
    }

    fn has_finalizer(&self) -> bool {
        is_held_by(RESTORE_FINALIZER, &self.restore.metadata)
    }

    fn is_deleted(&self) -> bool {
        self.restore.metadata.deletion_timestamp.is_some()
    }

    /// It is over: the object may go.
    fn let_go(&mut self) {
        if self.has_finalizer() {
            self.making.finalizer = Finalizer::Release;
        }
    }

    /// Sends what the node has to do now, when its time has come.
    fn send(&mut self, host_id: &str, task: Task) {
        let nodes = &mut self.status.common.nodes;
        if let Some(node) = nodes.iter_mut().find(|node| node.host_id == host_id) {
            self.making.send(node, task);
        }
    }
}
