//! Operations and their remaining steps.

use std::collections::VecDeque;

use cassgate::icarus::{
    Operation, OperationError, OperationId, OperationKind, OperationRequest, OperationState, RestorePhase,
    Snapshot,
};
use jiff::Timestamp;

use super::effects::Effect;
use super::{State, Torn};

/// An operation of a sidecar.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) public: Operation,
    pub(super) request: Option<OperationRequest>,
    queue: VecDeque<Effect>,
    done: usize,
    /// Files that the download could not bring in order.
    pub(super) corrupt: Vec<String>,
}

impl Job {
    /// Returns an operation of another client, which never advances.
    pub(super) fn foreign(operation: Operation) -> Self {
        Self {
            public: operation,
            request: None,
            queue: VecDeque::new(),
            done: 0,
            corrupt: Vec::new(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.public.state.is_terminal()
    }

    /// Returns true for an unfinished phase of a restore.
    pub(super) fn restores(&self) -> bool {
        self.public.kind == OperationKind::Restore && !self.is_over()
    }

    pub(super) fn in_phase(&self, phase: RestorePhase) -> bool {
        self.restores() && self.public.phase == Some(phase)
    }

    fn fail(&mut self, message: &str, now: Timestamp) {
        self.public.state = OperationState::Failed;
        self.public.errors.push(OperationError {
            source: Some("stand-in".to_owned()),
            message: Some(message.to_owned()),
        });
        self.end(now);
    }

    fn end(&mut self, now: Timestamp) {
        self.queue.clear();
        self.public.progress = 1.0;
        self.public.completed = Some(now);
    }
}

impl State {
    pub(super) fn time(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now).unwrap()
    }

    /// Accepts an operation.
    pub(super) fn accept(&mut self, node: usize, request: &OperationRequest) -> Operation {
        self.watch(node, request);
        self.ids += 1;
        let id = OperationId::parse(&format!("d8bbb89e-1b2a-404d-b4b2-{:012x}", self.ids)).unwrap();
        let others = self.nodes[node].jobs.iter().filter(|job| job.restores()).count();
        let mut job = Job {
            public: described(id, request, self.time()),
            request: Some(request.clone()),
            queue: Effect::beginning(request),
            done: 0,
            corrupt: Vec::new(),
        };
        // It runs until it checks for another one.
        if matches!(request, OperationRequest::Restore(_)) && others > 0 {
            let message = if others > 1 {
                "There are more than two concurrent restore operations running!"
            } else {
                "We can not run two normal restoration requests simultaneously."
            };
            job.fail(message, self.time());
        }
        let answer = job.public.clone();
        self.nodes[node].jobs.push(job);
        answer
    }

    /// Performs one step of each running operation of a node.
    pub(super) fn step(&mut self, node: usize) -> bool {
        if !self.nodes[node].sidecar_up {
            return false;
        }
        let running: Vec<usize> = (0..self.nodes[node].jobs.len())
            .filter(|job| {
                let job = &self.nodes[node].jobs[*job];
                job.request.is_some() && !job.is_over()
            })
            .collect();
        for job in &running {
            self.step_job(node, *job);
        }
        !running.is_empty()
    }

    fn step_job(&mut self, node: usize, index: usize) {
        let now = self.time();
        // The job leaves the list meanwhile, so that the step can borrow everything else.
        let mut job = self.nodes[node].jobs[index].clone();
        job.public.state = OperationState::Running;
        job.public.started.get_or_insert(now);
        if self.nodes[node].hangs {
            self.nodes[node].jobs[index] = job;
            return;
        }
        if job.done == 0
            && let Some(message) = job.request.clone().and_then(|request| self.failure(&request))
        {
            job.fail(&message, now);
            self.nodes[node].jobs[index] = job;
            return;
        }
        match job.queue.pop_front() {
            None => {
                job.public.state = OperationState::Completed;
                job.end(now);
            }
            Some(effect) => match self.perform(node, &mut job, effect) {
                Ok(next) => {
                    for effect in next.into_iter().rev() {
                        job.queue.push_front(effect);
                    }
                    job.done += 1;
                    let left = f64::from(u32::try_from(job.queue.len()).unwrap());
                    let done = f64::from(u32::try_from(job.done).unwrap());
                    job.public.progress = done / (done + left + 1.0);
                }
                Err(message) => job.fail(&message, now),
            },
        }
        self.nodes[node].jobs[index] = job;
    }

    pub(super) fn kill_sidecar(&mut self, node: usize, torn: Torn) {
        self.nodes[node].sidecar_up = false;
        self.nodes[node].caches.clear();
        let jobs = std::mem::take(&mut self.nodes[node].jobs);
        if torn == Torn::Half {
            for mut job in jobs.into_iter().filter(|job| !job.is_over()) {
                if let Some(effect) = job.queue.pop_front() {
                    self.tear(node, &job, &effect);
                }
            }
        }
    }
}

/// Returns the operation as the sidecar shows it at first.
fn described(id: OperationId, request: &OperationRequest, now: Timestamp) -> Operation {
    let mut operation = Operation {
        created: Some(now),
        ..Operation::new(id, OperationKind::Backup, OperationState::Pending)
    };
    match request {
        OperationRequest::Backup(backup) => {
            operation.storage_location = Some(backup.store.location.to_string());
            operation.snapshot_tag = Some(backup.snapshot.to_string());
        }
        OperationRequest::Restore(restore) => {
            operation.kind = OperationKind::Restore;
            operation.storage_location = Some(restore.store.location.to_string());
            operation.snapshot_tag = Some(match &restore.snapshot {
                Snapshot::Resolved(name) => name.to_string(),
                Snapshot::Newest { tag, .. } => tag.to_string(),
            });
            operation.phase = Some(restore.phase);
            // In the form that the sidecar shows once the directory exists.
            operation.source_directory = Some(format!("file://{}/", restore.source));
        }
        OperationRequest::Refresh(table) => {
            operation.kind = OperationKind::Refresh;
            operation.keyspace = Some(table.keyspace.to_string());
            operation.table = Some(table.table.to_string());
        }
        OperationRequest::List(list) => {
            operation.kind = OperationKind::List;
            operation.storage_location = Some(list.store.location.to_string());
        }
        OperationRequest::RemoveBackup(remove) => {
            operation.kind = OperationKind::RemoveBackup;
            operation.storage_location = Some(remove.store.location.to_string());
        }
    }
    operation
}
