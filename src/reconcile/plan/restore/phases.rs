//! The phases: what each node does, what follows on a loss or a failure, when the ring passes on.

use super::super::node::{self, View};
use super::super::{Answer, LOOK_AGAIN, POLL, Phase, Question, Task, Wait, moment};
use super::RestorePlanner;
use crate::api::{Reason, Truncation};
use crate::domain::entities::{Entities, Table};
use crate::icarus::NodeFailure;

/// How often a node tries to fetch its files before the restore is given up. A cleanup between two tries counts too.
const MOST_DOWNLOADS: i32 = 6;

/// The same where its sidecar takes the operation and forgets it: for an hour and a half, by the pauses.
const MOST_LOSSES: i32 = 24;

/// After how many tries of what has to succeed, or rounds, a human is called. It is tried on all the same.
pub(super) const CALL_A_HUMAN: i32 = 5;

/// How often the tidying up after a restore that ended well is tried on a node. All rows are back then.
const MOST_CLEANUPS: i32 = 8;

/// How often an import is tried when the restore is to be abandoned.
const LAST_IMPORTS: i32 = 3;

impl RestorePlanner<'_> {
    pub(super) fn init(&mut self) -> bool {
        let through = self.drive(&self.nodes());
        through && self.still(Phase::Init) && {
            self.enter(Phase::Download);
            true
        }
    }

    pub(super) fn download(&mut self) -> bool {
        let through = self.drive(&self.nodes());
        through && self.still(Phase::Download) && self.begin_truncation()
    }

    pub(super) fn truncate(&mut self) -> bool {
        let Some(host_id) = self
            .status
            .truncation
            .as_ref()
            .map(|truncation| truncation.host_id.clone())
        else {
            let message =
                "status.phase is TRUNCATE and status.truncation is gone: nothing is sent until it is back";
            self.making.hold(Wait::stalled(Reason::StatusUnreadable, message));
            return false;
        };
        self.call_a_human_for_rounds();
        if !self.drive(std::slice::from_ref(&host_id)) {
            // Nobody else would ever empty them.
            return self.is_left_behind(&host_id) && self.truncate_again();
        }
        let next = if self.status.giving_up.is_some() {
            Phase::Cleanup
        } else {
            Phase::Import
        };
        self.enter(next);
        true
    }

    pub(super) fn import(&mut self) -> bool {
        self.call_a_human_for_rounds();
        if !self.drive(&self.nodes()) {
            return false;
        }
        let refreshed = self
            .status
            .common
            .nodes
            .iter()
            .any(|node| node::phase(node) == Some(Phase::Refresh));
        if refreshed || self.status.giving_up.is_some() {
            return self.truncate_again();
        }
        match self.undisturbed() {
            Some(true) => {
                self.enter(Phase::Cleanup);
                true
            }
            Some(false) => self.truncate_again(),
            None => false,
        }
    }

    pub(super) fn clean_up(&mut self) -> bool {
        let through = self.drive(&self.nodes());
        if through && self.making.ask.is_empty() {
            self.end();
        }
        false
    }

    /// Whether the ring is still in this phase: a failure may have led elsewhere.
    fn still(&self, phase: Phase) -> bool {
        self.status.phase.as_deref() == Some(phase.as_str())
    }

    /// Lets each of these nodes do its part; whether all are through.
    fn drive(&mut self, hosts: &[String]) -> bool {
        let phase = self.status.phase.clone();
        let mut all = true;
        for host_id in hosts {
            let through = self.drive_node(host_id);
            if self.status.phase != phase {
                return false;
            }
            all &= through;
        }
        all
    }

    /// Whether this node is through with its part in the ring's phase.
    fn drive_node(&mut self, host_id: &str) -> bool {
        let look = self.look;
        let Some(node) = self.node_mut(host_id) else {
            return true;
        };
        let view = node::view(node, look);
        let Some(phase) = node::phase(node) else {
            return true;
        };
        match view {
            View::Ask(question) => {
                self.making.ask.insert(question);
                return false;
            }
            View::Completed => return self.completed(host_id, phase),
            View::UnderWay => self.making.look_again(POLL),
            View::Silent => self.making.look_again(LOOK_AGAIN),
            View::Lost => self.lost(host_id, phase),
            View::Unsent => self.send_task(host_id, phase),
            View::Failed(failure) => return self.failed(host_id, phase, &failure),
        }
        // What was given up does not wait for ever for a node to be tidied.
        (phase == Phase::Cleanup && self.is_tired()) || self.goes_on_without(host_id)
    }

    /// The sidecar does not know the operation any more.
    fn lost(&mut self, host_id: &str, phase: Phase) {
        let untouched = self.status.truncation.is_none();
        let (mut tries, mut taken) = (0, false);
        if let Some(node) = self.node_mut(host_id) {
            node.silent_since = None;
            (tries, taken) = (node::attempts(node), node.operation.is_some());
            if tries >= CALL_A_HUMAN {
                node.message = Some(node::LOST_AGAIN.to_owned());
            }
        }
        if phase == Phase::Download && untouched && taken && tries >= MOST_LOSSES {
            self.give_up_for(host_id, &NodeFailure::Other(node::LOST_AGAIN.to_owned()));
            return;
        }
        if tries >= CALL_A_HUMAN && !untouched {
            self.call_a_human(host_id, phase);
        }
        if phase == Phase::Download {
            self.fetch_anew(host_id);
        } else {
            self.send_task(host_id, phase);
        }
    }

    /// A node is through with something; whether that is what the ring is at.
    fn completed(&mut self, host_id: &str, phase: Phase) -> bool {
        let ring = self.status.phase.as_deref().and_then(Phase::read);
        match (ring, phase) {
            (Some(Phase::Download | Phase::Import), Phase::Cleanup) => self.turn(host_id, Phase::Download),
            (Some(Phase::Import), Phase::Download) => self.turn(host_id, Phase::Import),
            (Some(Phase::Import), Phase::Refresh) => return self.next_table(host_id),
            _ => return true,
        }
        false
    }

    /// An operation failed; whether the node counts as through all the same.
    fn failed(&mut self, host_id: &str, phase: Phase, failure: &NodeFailure) -> bool {
        let untouched = self.status.truncation.is_none();
        let tries = self.node_mut(host_id).map_or(0, |node| node::attempts(node));
        if tries >= CALL_A_HUMAN && !untouched && self.status.giving_up.is_none() {
            self.call_a_human(host_id, phase);
        }
        match (phase, failure) {
            (Phase::Cleanup, _) if self.is_tired() => return true,
            (Phase::Cleanup, _) if self.still(Phase::Cleanup) && tries >= MOST_CLEANUPS => return true,
            (_, NodeFailure::TwoRestores | NodeFailure::NodesDown) => self.send_task(host_id, phase),
            (Phase::Init, _) | (Phase::Download, NodeFailure::NoManifest) if untouched => {
                self.give_up_for(host_id, failure);
            }
            (Phase::Download, _) if untouched && tries >= MOST_DOWNLOADS => {
                self.give_up_for(host_id, failure);
            }
            (Phase::Download, NodeFailure::DownloadCorrupt) => self.fetch_anew(host_id),
            (Phase::Import, _) if self.status.giving_up.is_some() && tries >= LAST_IMPORTS => return true,
            (Phase::Import, NodeFailure::FilesMissing) => self.turn(host_id, Phase::Download),
            (Phase::Import, NodeFailure::HardlinkingFailed) => self.refresh(host_id),
            (Phase::Import | Phase::Refresh, NodeFailure::CorruptCannotImport) => {
                self.call_a_human(host_id, phase);
                if phase == Phase::Refresh {
                    self.turn_back(host_id);
                }
                self.send_task(host_id, Phase::Import);
            }
            (_, _) => {
                if tries >= CALL_A_HUMAN {
                    self.call_a_human(host_id, phase);
                }
                self.send_task(host_id, phase);
            }
        }
        false
    }

    fn send_task(&mut self, host_id: &str, phase: Phase) {
        let task = match phase {
            Phase::Cleanup => Task::Cleanup {
                keep_truncated: !self.may_delete_copies(),
            },
            Phase::Refresh => {
                let table = self.node_mut(host_id).and_then(|node| node.table.clone());
                Task::Refresh {
                    table: table.unwrap_or_default(),
                }
            }
            phase => Task::Phase(phase),
        };
        self.send(host_id, task);
    }

    /// Only the last cleanup of a restore that ended well deletes the copies of the emptied tables.
    fn may_delete_copies(&self) -> bool {
        self.still(Phase::Cleanup)
            && self.status.giving_up.is_none()
            && self.restore.spec.no_delete_truncates != Some(true)
            && !self.means.keep_truncated
    }

    fn turn(&mut self, host_id: &str, phase: Phase) {
        if let Some(node) = self.node_mut(host_id) {
            node::turn_to(node, phase);
        }
        self.send_task(host_id, phase);
    }

    /// What a cut off download left is deleted first: the sidecar does not fetch a broken file again.
    fn fetch_anew(&mut self, host_id: &str) {
        self.turn(host_id, Phase::Cleanup);
    }

    fn give_up_for(&mut self, host_id: &str, failure: &NodeFailure) {
        let node = self
            .node_mut(host_id)
            .map(|node| (node.pod.clone(), node.message.clone()));
        let (pod, message) = node.unwrap_or_default();
        let reason = if *failure == NodeFailure::NoManifest {
            Reason::SnapshotNotFound
        } else {
            Reason::OperationFailed
        };
        let source = pod.unwrap_or_else(|| host_id.to_owned());
        self.give_up(reason, message.unwrap_or_default(), Some(source));
    }

    /// From a refresh back to the import; its failure stays to be seen, and the pause after it.
    fn turn_back(&mut self, host_id: &str) {
        if let Some(node) = self.node_mut(host_id) {
            node.phase = Some(Phase::Import.as_str().to_owned());
        }
    }

    /// Icarus 1 stumbles over links that an earlier import left. Cassandra is made to take them in, table by table;
    /// the next emptying then removes them.
    fn refresh(&mut self, host_id: &str) {
        let Some(first) = self.imported_tables().into_iter().next() else {
            let message = format!(
                "an import on node {host_id} is stuck on links of an earlier one, and the restore names no tables to \
                 refresh: restart that Cassandra node; it then takes the links in, and the restore goes on"
            );
            self.making.hold(Wait::stalled(Reason::ImportStuck, message));
            self.send_task(host_id, Phase::Import);
            return;
        };
        if let Some(node) = self.node_mut(host_id) {
            node::enter(node, Phase::Refresh);
            node.table = Some(first);
        }
        self.send_task(host_id, Phase::Refresh);
    }

    /// Goes on with the next table; whether there is none.
    fn next_table(&mut self, host_id: &str) -> bool {
        let tables = self.imported_tables();
        let Some(node) = self.node_mut(host_id) else {
            return true;
        };
        let mut after = tables
            .into_iter()
            .skip_while(|table| Some(table) != node.table.as_ref());
        let Some(next) = after.nth(1) else {
            return true;
        };
        node::enter(node, Phase::Refresh);
        node.table = Some(next);
        self.send_task(host_id, Phase::Refresh);
        false
    }

    /// The tables that get rows, where the restore names tables: after the renaming.
    fn imported_tables(&self) -> Vec<String> {
        let Some(source) = &self.status.source else {
            return Vec::new();
        };
        let entities = Entities::parse(source.entities.as_deref().unwrap_or_default());
        let Ok(Entities::Tables(tables)) = entities else {
            return Vec::new();
        };
        let renamed = |table: &Table| {
            let name = table.to_string();
            let target = source.rename.as_ref().and_then(|rename| rename.get(&name));
            target.cloned().unwrap_or(name)
        };
        tables.iter().map(renamed).collect()
    }

    /// Every file is there: the tables may be emptied, if the ring is still the one that fetched them.
    fn begin_truncation(&mut self) -> bool {
        let Some(nodes) = self.making.ring_of(self.restore.spec.datacenter.as_deref()) else {
            return false;
        };
        let mut now: Vec<_> = nodes.into_iter().map(|node| node.host_id.clone()).collect();
        let mut then = self.nodes();
        now.sort();
        then.sort();
        if now != then {
            let message = format!(
                "the nodes of the ring changed while the files were fetched: there were {}, now there are {}",
                then.join(", "),
                now.join(", ")
            );
            self.give_up(Reason::NodesChanged, message, None);
            return true;
        }
        self.truncate_again()
    }

    /// Empties the tables (again). Which containers there are is written down first: it is what tells later whether
    /// the import can be trusted.
    fn truncate_again(&mut self) -> bool {
        let look = self.look;
        let left: Vec<_> = self
            .nodes()
            .into_iter()
            .filter(|host_id| self.is_left_behind(host_id))
            .collect();
        let mut unknown = None;
        for node in &mut self.status.common.nodes {
            if left.contains(&node.host_id) {
                continue;
            }
            let pod = node.pod.clone().unwrap_or_default();
            match look.member(&pod).and_then(|member| member.containers.clone()) {
                Some(containers) => node.containers = Some(containers),
                None => unknown = Some(pod),
            }
        }
        if let Some(pod) = unknown {
            let message = format!(
                "the containers of {pod} are not known, so a restart of one could not be noticed; \
                 it goes on when the pod is running"
            );
            self.making.hold(Wait::new(Reason::PodNotRunning, message));
            return false;
        }
        let before = self.status.truncation.take();
        let usual = before.as_ref().map(|before| before.host_id.clone());
        let usual = usual.filter(|host_id| !left.contains(host_id));
        let mut others = self
            .nodes()
            .into_iter()
            .filter(|host_id| !left.contains(host_id) && !self.is_out_of_reach(host_id));
        let Some(host_id) = usual.or_else(|| others.next()) else {
            self.status.truncation = before;
            return false;
        };
        let rounds = before
            .as_ref()
            .map_or(1, |before| before.rounds.saturating_add(1));
        if let Some(node) = self.node_mut(&host_id) {
            node::enter(node, Phase::Truncate);
            // Rounds that follow one another are tries, with the pauses of tries.
            node.attempts = (rounds > 1).then(|| rounds.saturating_sub(1));
            node.sent = (rounds > 1).then(|| moment(look.now));
        }
        if rounds > 1 {
            let message = format!("the tables are emptied and filled once more (time {rounds})");
            self.making.say(false, Reason::RestoreRepeats, message);
        }
        self.status.truncation = Some(Truncation {
            begun: before.map_or_else(|| moment(look.now), |before| before.begun),
            host_id,
            rounds,
        });
        self.status.phase = Some(Phase::Truncate.as_str().to_owned());
        true
    }

    /// Whether nothing happened between the emptying and the end of the import that could have cost rows. `None`:
    /// that is not known yet.
    fn undisturbed(&mut self) -> Option<bool> {
        let look = self.look;
        for node in &self.status.common.nodes {
            let pod = node.pod.clone().unwrap_or_default();
            match look.member(&pod).map(|member| member.containers.clone()) {
                Some(Some(containers)) if Some(&containers) == node.containers.as_ref() => {}
                Some(Some(_)) => return Some(false),
                _ => {
                    let message =
                        format!("pod {pod} is away; whether it was restarted shows when it is back");
                    self.making.hold(Wait::new(Reason::PodNotRunning, message));
                    return None;
                }
            }
        }
        self.no_stray_truncation()
    }

    /// Whether the node that emptied the tables knows of no emptying but those that were waited for. One that was
    /// believed lost and came late has emptied what was imported.
    fn no_stray_truncation(&mut self) -> Option<bool> {
        let host_id = self.status.truncation.as_ref()?.host_id.clone();
        let pod = self.node_mut(&host_id)?.pod.clone()?;
        let question = Question::Sent {
            pod: pod.clone(),
            phase: Phase::Truncate,
        };
        match self.look.answer(&question) {
            None => {
                self.making.ask.insert(question);
                None
            }
            Some(Answer::Operations(known)) => {
                let node = self.node_mut(&host_id)?;
                let strays = known
                    .iter()
                    .filter(|said| !node.past_operations.contains(&said.id));
                let strays: Vec<_> = strays.cloned().collect();
                if strays.iter().any(|said| said.state.is_active()) {
                    self.making.look_again(POLL);
                    return None;
                }
                let ids = strays.into_iter().map(|said| said.id);
                node.past_operations.extend(ids.clone());
                Some(ids.count() == 0)
            }
            Some(_) => {
                let message = format!("the sidecar of {pod} does not say what it did; it is asked again");
                self.making.hold(Wait::new(Reason::SidecarUnreachable, message));
                None
            }
        }
    }
}
