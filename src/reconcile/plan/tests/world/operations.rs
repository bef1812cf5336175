//! The operations of the sidecars: requests that arrive, operations that end, and restarts.

use jiff::{SignedDuration, Timestamp};

use super::disruption::Silence;
use super::{Downloaded, Fault, Rows, World, index};
use crate::icarus::{OperationError, OperationState};
use crate::reconcile::plan::{OperationReport, Outcome, Phase, Request, Task};

/// The time for which a sidecar knows an operation after its end.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);

/// The length of an operation in seconds from which on its progress is modelled.
const LONG_OPERATION: f64 = 60.0;

/// The owner of the operations of another executor.
const FOREIGN: &str = "another executor";

/// An operation of a sidecar.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) report: OperationReport,
    pub(super) task: Task,
    /// The tag of the backup that sent it, or of the snapshot that it restores or removes.
    pub(super) tag: String,
    /// The object that sent it.
    pub(super) owner: String,
    /// The time at which it ends, unless a fault comes first.
    pub(super) ends: Timestamp,
}

impl Operation {
    pub(super) fn is_running(&self) -> bool {
        self.report.state == OperationState::Running
    }

    /// Returns true if the sidecar still knows it: it forgets an operation an hour after its end.
    pub(super) fn is_known(&self, now: Timestamp) -> bool {
        self.is_running() || now < self.ends.saturating_add(MEMORY).unwrap_or(Timestamp::MAX)
    }

    /// Returns what the sidecar reports of it. A long operation reports the part of its time that has passed.
    pub(super) fn reported(&self, now: Timestamp) -> OperationReport {
        let mut report = self.report.clone();
        let length = self.ends.duration_since(report.created).as_secs_f64();
        if self.is_running() && length > LONG_OPERATION && self.ends != Timestamp::MAX {
            let progress = now.duration_since(report.created).as_secs_f64() / length;
            report.progress = (progress * 10.0).floor() / 10.0;
        }
        report
    }
}

impl World {
    pub(in super::super) fn complete(&mut self, index: usize, place: usize) {
        let task = self.nodes[index].operations[place].task.clone();
        let mut error: Option<String> = None;
        match task {
            Task::Phase(Phase::Download) => self.nodes[index].downloaded = Downloaded::All,
            Task::Phase(Phase::Truncate) => {
                if self.may_not_empty() {
                    self.violations
                        .push("emptied before every file was downloaded".to_owned());
                }
                for node in &mut self.nodes {
                    node.copies |= node.rows == Rows::Users;
                    node.rows = Rows::None;
                    node.imported.clear();
                }
                self.truncated += 1;
                self.partly_emptied = !self.kept_tables.is_empty();
                if self.partly_emptied {
                    let failures = self.kept_tables.join("=Unknown keyspace/cf pair, ");
                    error = Some(format!(
                        "Some tables were unable to be truncated: {{{failures}=Unknown keyspace/cf pair}}"
                    ));
                }
            }
            Task::Phase(Phase::Import) if self.nodes[index].downloaded == Downloaded::All => {
                self.nodes[index].rows = Rows::Backup;
                self.record_import(index);
            }
            Task::Phase(Phase::Import) => {
                let missing = "Some local files were corrupted or they are missing, please consult the logs";
                error = Some(missing.to_owned());
            }
            Task::Cleanup { keep_truncated } => {
                self.nodes[index].downloaded = Downloaded::Nothing;
                if !keep_truncated {
                    self.nodes[index].copies = false;
                }
            }
            Task::Backup { .. } => {
                let tag = self.nodes[index].operations[place].tag.clone();
                self.uploads.complete(index, &tag);
                let is_whole = !self.uploads.cut.contains(&index);
                self.store_part(index, &tag, is_whole);
                self.nodes[index].uploaded = true;
            }
            Task::Remove => {
                let tag = self.nodes[index].operations[place].tag.clone();
                self.remove_part(index, &tag);
                self.nodes[index].uploaded = false;
            }
            _ => {}
        }
        let report = &mut self.nodes[index].operations[place].report;
        report.progress = 1.0;
        report.state = if error.is_none() {
            OperationState::Completed
        } else {
            OperationState::Failed
        };
        report.errors = errors(error.as_deref());
    }

    /// Kills a sidecar. It is back after this many seconds and has forgotten everything.
    pub(in super::super) fn restart(&mut self, index: usize, seconds: i64) {
        let node = &mut self.nodes[index];
        let interrupted = node
            .operations
            .iter()
            .any(|operation| operation.is_running() && operation.task == Task::Phase(Phase::Download));
        if interrupted {
            node.downloaded = Downloaded::Partial;
        }
        let is_upload = |operation: &&Operation| matches!(operation.task, Task::Backup { .. });
        let mut running = node.operations.iter().filter(|operation| operation.is_running());
        let upload = running.find(is_upload).map(|upload| upload.tag.clone());
        if let Some(tag) = &upload {
            node.uploaded |= self.uploads.interrupt(index, tag);
        }
        node.operations.clear();
        node.others.clear();
        node.restarts += 1;
        node.hangs = false;
        node.down_until = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        if let Some(tag) = upload.filter(|_| self.uploads.early_manifest) {
            self.store_part(index, &tag, false);
        }
    }

    /// Begins an operation of another executor in a sidecar. Returns its pod and the id of the operation; `None` if the
    /// sidecar does not answer.
    pub(in super::super) fn begin_foreign(&mut self, index: usize, task: Task) -> Option<(String, String)> {
        let node = &self.nodes[index];
        if self.now < node.down_until || !node.runs() || node.silence != Silence::None {
            return None;
        }
        self.next_id += 1;
        let id = format!("op{}", self.next_id);
        let length = SignedDuration::from_secs(17 * self.slowness);
        let operation = Operation {
            report: OperationReport {
                id: id.clone(),
                description: "backup, snapshot theirs".to_owned(),
                state: OperationState::Running,
                progress: 0.0,
                created: self.now,
                errors: Vec::new(),
            },
            task,
            tag: format!("foreign-{id}"),
            owner: FOREIGN.to_owned(),
            ends: self.now.checked_add(length).unwrap(),
        };
        self.nodes[index].operations.push(operation);
        Some((format!("c1-dc1-rack1-{index}"), id))
    }

    /// Kills a sidecar after the next look has read its pod, and before it answers. It is back at once.
    pub(in super::super) fn restart_during_look(&mut self, index: usize) {
        if self.nodes[index].runs() && self.now >= self.nodes[index].down_until {
            self.restart(index, 0);
            self.nodes[index].hides_restart.set(true);
        }
    }

    pub(in super::super) fn send(&mut self, request: &Request) -> Outcome {
        self.sent += 1;
        let index = index(&request.pod);
        let fault = if self.faults.is_empty() {
            Fault::None
        } else {
            self.faults.remove(0)
        };
        if self.now < self.nodes[index].down_until || fault == Fault::RefuseConnection {
            return Outcome::NotSent("connection refused".to_owned());
        }
        if self.nodes[index].silence == Silence::DropsRequests {
            return Outcome::Unknown("no answer".to_owned());
        }
        if self.nodes[index].host != request.host_id {
            // The executor compares the host id that the sidecar reports.
            return Outcome::OtherNode(format!("the sidecar of {} is that of another node", request.pod));
        }
        let task = request.task.clone();
        let run = (
            request.host_id.clone(),
            self.owner.clone(),
            self.uploads.tag.clone(),
        );
        let mut operations = self.nodes[index].operations.iter();
        if self.reached.insert(run)
            && operations.any(|operation| operation.is_running() && operation.owner == FOREIGN)
        {
            self.violations.push(format!(
                "a run begins beside an operation of another executor on node {index}"
            ));
        }
        self.nodes[index].folder = self.folders.get(&request.host_id).cloned();
        match fault {
            Fault::DropResponse => {
                self.arrive(index, task, None);
                Outcome::Unknown("no answer".to_owned())
            }
            Fault::DropRequest => Outcome::Unknown("no answer".to_owned()),
            Fault::Delay(seconds) => {
                let when = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
                self.delayed.push((when, index, task));
                Outcome::Unknown("no answer".to_owned())
            }
            Fault::Reject(error) => Outcome::Rejected(error.to_owned()),
            Fault::Fail(error) => Outcome::Accepted(self.arrive(index, task, Some(error))),
            _ if self.nodes[index].silence == Silence::DropsResponses => {
                self.arrive(index, task, None);
                Outcome::Unknown("no answer".to_owned())
            }
            Fault::Last(seconds) => {
                let report = self.arrive(index, task, None);
                let operation = self.nodes[index].operations.last_mut();
                let operation = operation.filter(|operation| operation.is_running());
                if let Some(operation) = operation {
                    operation.ends = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
                }
                Outcome::Accepted(report)
            }
            Fault::None | Fault::RefuseConnection => Outcome::Accepted(self.arrive(index, task, None)),
        }
    }

    pub(super) fn arrive(&mut self, index: usize, task: Task, failure: Option<&str>) -> OperationReport {
        self.arrived.push((index, task.clone()));
        let is_backup = matches!(task, Task::Backup { .. });
        let node = &self.nodes[index];
        let excludes = |operation: &Operation| {
            let is_same_kind = matches!(operation.task, Task::Backup { .. }) == is_backup;
            operation.is_running() && operation.owner != FOREIGN && is_same_kind
        };
        let busy = node.operations.iter().any(excludes);
        let removes = |operation: &Operation| operation.is_running() && operation.task == Task::Remove;
        let mut others = self.nodes.iter().enumerate().filter(|(other, _)| *other != index);
        if task == Task::Remove && others.any(|(_, node)| node.operations.iter().any(removes)) {
            self.violations.push("removed on two nodes at once".to_owned());
        }
        if self.partly_emptied && task == Task::Phase(Phase::Import) {
            self.violations
                .push("imported into tables that kept rows".to_owned());
        }
        if busy && is_backup {
            self.violations
                .push(format!("two backups of one tag at once on node {index}"));
        }
        let failure = failure.or_else(|| self.part_error(index, &task));
        let error = if busy {
            Some("We can not run two normal restoration requests simultaneously.")
        } else if has_health_check(&task) && self.is_unhealthy() {
            Some(NODES_DOWN)
        } else if let Some(error) = self.stored_part_error(index, &task) {
            Some(error)
        } else if task == Task::Phase(Phase::Download) && node.downloaded == Downloaded::Partial {
            Some("Unable to download files successfully: data/k1/t1/nb-5-big-Data.db")
        } else if let Some((phase, error, times)) = self.failing.as_mut()
            && *phase == task.phase()
            && *times > 0
        {
            *times -= 1;
            Some(*error)
        } else {
            failure
        };
        self.next_id += 1;
        let report = OperationReport {
            id: format!("op{}", self.next_id),
            description: String::new(),
            state: if error.is_some() {
                OperationState::Failed
            } else {
                OperationState::Running
            },
            // Sidecars report 1.0 for what failed at once (observed).
            progress: if error.is_some() { 1.0 } else { 0.0 },
            created: self.now,
            errors: errors(error),
        };
        let seconds = match task {
            Task::Backup { .. } | Task::Phase(Phase::Download) => 17,
            Task::Phase(Phase::Truncate | Phase::Import) => 10,
            _ => 1,
        };
        self.nodes[index].operations.push(Operation {
            report: report.clone(),
            task,
            tag: self.uploads.tag.clone(),
            owner: self.owner.clone(),
            ends: self
                .now
                .checked_add(SignedDuration::from_secs(seconds * self.slowness))
                .unwrap(),
        });
        report
    }
}

/// The error of an operation while the nodes consider one to be down.
pub(in super::super) const NODES_DOWN: &str =
    "Failure detector of this node reports that 1 node(s) in a cluster are down!";

fn has_health_check(task: &Task) -> bool {
    matches!(
        task,
        Task::Phase(Phase::Download | Phase::Truncate | Phase::Import)
    )
}

fn errors(message: Option<&str>) -> Vec<OperationError> {
    let message = message.map(|message| OperationError {
        source: None,
        message: Some(message.to_owned()),
    });
    message.into_iter().collect()
}
