//! A model of a ring with its sidecars, small enough for thousands of restores in a second.
//!
//! It answers requests as Icarus 2.0.4 did on real rings: a restore operation excludes another one in the same sidecar
//! only; `TRUNCATE` checks nothing and empties all nodes; a restarted sidecar has forgotten everything; an import over
//! links that another content left loads nothing.

mod clock;
mod fault;
pub(super) mod parts;
mod ring;

use std::cell::Cell;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::uploads::Uploads;
use crate::api::NodeContainers;
use crate::domain::sidecar::Sidecar;
use crate::icarus::{NodeMode, OperationError, OperationState};
use crate::reconcile::plan::{
    Answer, Answers, Observation, OperationReport, Outcome, Phase, PodMember, Question, Request, Task,
};

pub(super) use fault::Fault;

/// The rows in the tables of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Those that the users wrote.
    Users,
    /// None.
    None,
    /// Those of the backup.
    Backup,
}

/// The downloaded files of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Downloaded {
    Nothing,
    /// Some files, one of them truncated.
    Partial,
    All,
}

#[derive(Debug, Clone)]
struct Operation {
    report: OperationReport,
    task: Task,
    /// The tag of the backup that sent it.
    tag: String,
    /// The time at which it ends, unless a fault comes first.
    ends: Timestamp,
}

/// The presence of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    /// Its pod runs, and the ring does not have it.
    OutsideRing,
    /// Its pod is gone for good.
    PodGone,
    /// The ring has forgotten it, too.
    LeftRing,
}

/// A Cassandra node with its sidecar.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) rows: Rows,
    pub(super) downloaded: Downloaded,
    /// True if the copies of the users' rows are still there.
    pub(super) copies: bool,
    /// True if its part of the backup is in the bucket.
    pub(super) uploaded: bool,
    /// The operations that others sent to its sidecar.
    pub(super) others: Vec<OperationReport>,
    pub(super) presence: Presence,
    /// The mode that it reports.
    pub(super) mode: NodeMode,
    /// The nodes that it does not know to be in the ring.
    pub(super) unseen: Vec<usize>,
    /// Its host id.
    pub(super) host: String,
    /// Its tokens, as one number.
    pub(super) tokens: u32,
    /// The folder of the part that it was told to restore.
    pub(super) folder: Option<String>,
    /// The folders of the parts that it imported since the tables were last emptied.
    pub(super) imported: Vec<String>,
    restarts: u32,
    down_until: Timestamp,
    operations: Vec<Operation>,
}

pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) nodes: Vec<Node>,
    /// The parts of the backup in the bucket: the tokens by the folder. `None`: every node has a part with its tokens.
    pub(super) bucket: Option<BTreeMap<String, u32>>,
    /// The folders that the next requests name, by host id.
    pub(super) folders: BTreeMap<String, String>,
    pub(super) faults: Vec<Fault>,
    /// The operations of this phase fail with this error, this many times.
    pub(super) failing: Option<(Phase, &'static str, usize)>,
    /// True while the nodes consider one to be down: `DOWNLOAD`, `TRUNCATE` and `IMPORT` fail their health check.
    pub(super) nodes_down: bool,
    /// The tables that `TRUNCATE` cannot empty. It empties all others.
    pub(super) kept_tables: Vec<&'static str>,
    /// True if the last `TRUNCATE` kept tables.
    partly_emptied: bool,
    /// The version of the sidecars.
    pub(super) sidecar: Sidecar,
    /// True while the `CassandraCluster` does not exist.
    pub(super) cluster_gone: bool,
    pub(super) uploads: Uploads,
    /// The time until which the bucket answers no sidecar.
    pub(super) unlisted_until: Timestamp,
    /// The broken guarantees.
    pub(super) violations: Vec<String>,
    /// The number of listings of a share for a removal.
    pub(super) listings: Cell<usize>,
    /// Every request that arrived, with the index of its node.
    pub(super) arrived: Vec<(usize, Task)>,
    delayed: Vec<(Timestamp, usize, Task)>,
    next_id: u32,
    /// The number of nodes that joined.
    joined: usize,
}

impl World {
    pub(super) fn new(nodes: usize) -> Self {
        let node = |index: usize| Node {
            rows: Rows::Users,
            downloaded: Downloaded::Nothing,
            copies: false,
            uploaded: false,
            others: Vec::new(),
            presence: Presence::Present,
            mode: NodeMode::Normal,
            unseen: Vec::new(),
            host: host_id(index),
            tokens: u32::try_from(index).unwrap(),
            folder: None,
            imported: Vec::new(),
            restarts: 0,
            down_until: Timestamp::MIN,
            operations: Vec::new(),
        };
        Self {
            now: "2028-02-29T10:00:00.123456Z".parse().unwrap(),
            nodes: (0..nodes).map(node).collect(),
            bucket: None,
            folders: BTreeMap::new(),
            faults: Vec::new(),
            failing: None,
            nodes_down: false,
            kept_tables: Vec::new(),
            partly_emptied: false,
            sidecar: Sidecar::from_image("icarus:2.0.4"),
            cluster_gone: false,
            uploads: Uploads::default(),
            unlisted_until: Timestamp::MIN,
            violations: Vec::new(),
            listings: Cell::new(0),
            arrived: Vec::new(),
            delayed: Vec::new(),
            next_id: 0,
            joined: 0,
        }
    }

    /// Returns an observation in which every object exists and the run has its turn.
    pub(super) fn observation<'a>(&self, members: &'a [PodMember], answers: &'a Answers) -> Observation<'a> {
        Observation {
            now: self.now,
            members,
            missing: None,
            wait: None,
            needs: None,
            stop: None,
            sidecar: self.sidecar.clone(),
            cluster_gone: self.cluster_gone,
            answers,
        }
    }

    pub(super) fn members(&self) -> Vec<PodMember> {
        let member = |(index, node): (usize, &Node)| PodMember {
            pod: format!("c1-dc1-rack1-{index}"),
            address: Some(format!("10.0.0.{index}")),
            containers: (self.now >= node.down_until).then(|| NodeContainers {
                cassandra: format!("containerd://c{index}#0"),
                sidecar: format!("containerd://s{index}#{}", node.restarts),
            }),
        };
        let present = self.nodes.iter().enumerate().filter(|(_, node)| node.runs());
        present.map(member).collect()
    }

    fn complete(&mut self, index: usize, place: usize) {
        let task = self.nodes[index].operations[place].task.clone();
        let mut error: Option<String> = None;
        match task {
            Task::Phase(Phase::Download) => self.nodes[index].downloaded = Downloaded::All,
            Task::Phase(Phase::Truncate) => {
                if self.participants().any(|node| node.downloaded != Downloaded::All) {
                    self.violations
                        .push("emptied before every file was downloaded".to_owned());
                }
                for node in &mut self.nodes {
                    node.copies |= node.rows == Rows::Users;
                    node.rows = Rows::None;
                    node.imported.clear();
                }
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
                self.nodes[index].uploaded = true;
            }
            Task::Remove => self.nodes[index].uploaded = false,
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
    pub(super) fn restart(&mut self, index: usize, seconds: i64) {
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
        if let Some(upload) = running.find(is_upload) {
            node.uploaded |= self.uploads.interrupt(index, &upload.tag);
        }
        node.operations.clear();
        node.others.clear();
        node.restarts += 1;
        node.down_until = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    pub(super) fn send(&mut self, request: &Request) -> Outcome {
        let index = index(&request.pod);
        let fault = if self.faults.is_empty() {
            Fault::None
        } else {
            self.faults.remove(0)
        };
        if self.now < self.nodes[index].down_until || fault == Fault::RefuseConnection {
            return Outcome::NotSent("connection refused".to_owned());
        }
        let task = request.task.clone();
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
            Fault::None | Fault::RefuseConnection => Outcome::Accepted(self.arrive(index, task, None)),
        }
    }

    fn arrive(&mut self, index: usize, task: Task, failure: Option<&str>) -> OperationReport {
        self.arrived.push((index, task.clone()));
        let is_backup = matches!(task, Task::Backup { .. });
        let node = &self.nodes[index];
        let excludes = |operation: &Operation| {
            operation.is_running() && matches!(operation.task, Task::Backup { .. }) == is_backup
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
        } else if self.nodes_down && has_health_check(&task) {
            Some(NODES_DOWN)
        } else if let Some(error) = self.uploads.proof_error(index, &task) {
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
            state: if error.is_some() {
                OperationState::Failed
            } else {
                OperationState::Running
            },
            progress: 0.0,
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
            ends: self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap(),
        });
        report
    }

    pub(super) fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::Ring => return Answer::Ring(self.ring()),
            Question::RingViews => return self.ring_views(),
            _ => {}
        }
        let (Question::Busy { pod }
        | Question::Mode { pod }
        | Question::Operation { pod, .. }
        | Question::Sent { pod, .. }
        | Question::Stored { pod, .. }
        | Question::Others { pod }
        | Question::Files { pod, .. }) = question
        else {
            unreachable!()
        };
        let node = &self.nodes[index(pod)];
        if self.now < node.down_until || !node.runs() {
            return Answer::Unavailable("connection refused".to_owned());
        }
        let matches = |operation: &&Operation| match question {
            Question::Operation { id, .. } => operation.report.id == *id,
            Question::Sent { phase, .. } => {
                operation.task.phase() == *phase && operation.tag == self.uploads.tag
            }
            _ => operation.is_running(),
        };
        match question {
            Question::Mode { .. } => Answer::Mode(node.mode.clone()),
            Question::Stored { .. } => {
                self.listings.set(self.listings.get() + 1);
                Answer::Stored(node.uploaded)
            }
            Question::Files { .. } if self.now < self.unlisted_until => {
                Answer::Unavailable("Access Denied".to_owned())
            }
            Question::Files { .. } => Answer::Files {
                count: u64::from(node.uploaded) * 8,
                bytes: u64::from(node.uploaded) * 4096,
            },
            Question::Others { .. } => Answer::Operations(node.others.clone()),
            _ => {
                let operations = node.operations.iter().filter(matches);
                Answer::Operations(operations.map(|operation| operation.report.clone()).collect())
            }
        }
    }

    /// Returns the number of requests of each phase that arrived.
    pub(super) fn counts(&self) -> BTreeMap<Phase, usize> {
        let mut counts = BTreeMap::new();
        for (_, task) in &self.arrived {
            *counts.entry(task.phase()).or_default() += 1;
        }
        counts
    }
}

impl Node {
    /// Returns true if its pod exists.
    fn runs(&self) -> bool {
        matches!(self.presence, Presence::Present | Presence::OutsideRing)
    }
}

impl Operation {
    fn is_running(&self) -> bool {
        self.report.state == OperationState::Running
    }
}

/// The error of an operation while the nodes consider one to be down.
pub(super) const NODES_DOWN: &str =
    "Failure detector of this node reports that 1 node(s) in a cluster are down!";

fn has_health_check(task: &Task) -> bool {
    matches!(
        task,
        Task::Phase(Phase::Download | Phase::Truncate | Phase::Import)
    )
}

/// Returns the host id of a node.
pub(super) fn host_id(index: usize) -> String {
    format!("9da86270-7a5c-4a0b-9e9b-{index:012}")
}

fn errors(message: Option<&str>) -> Vec<OperationError> {
    let message = message.map(|message| OperationError {
        source: None,
        message: Some(message.to_owned()),
    });
    message.into_iter().collect()
}

fn index(pod: &str) -> usize {
    pod.rsplit('-').next().unwrap().parse().unwrap()
}
