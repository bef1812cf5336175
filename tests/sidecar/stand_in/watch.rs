//! Requests that no coordinator may send.

use cassgate::icarus::{OperationKind, OperationRequest, RestorePhase, RestoreRequest};

use super::State;

impl State {
    /// Checks a request before it is accepted. A real sidecar would accept it silently.
    pub(super) fn watch(&mut self, node: usize, request: &OperationRequest) {
        let wrong = match request {
            OperationRequest::Restore(restore) => self
                .repeated(node, restore)
                .or_else(|| self.wrong_restore(restore)),
            OperationRequest::Backup(backup) => {
                let jobs = &self.nodes[node].jobs;
                let same = jobs
                    .iter()
                    .any(|job| !job.is_over() && job.public.is_backup(&backup.snapshot));
                let restoring = self.nodes.iter().flat_map(|node| &node.jobs);
                if same {
                    Some(format!("{} is backed up twice at once", backup.snapshot))
                } else if restoring.into_iter().any(super::jobs::Job::restores) {
                    Some("a backup while a restore runs".to_owned())
                } else {
                    None
                }
            }
            _ => None,
        };
        self.violations.extend(wrong);
    }

    /// Returns the violation of a request for an operation that the sidecar still runs.
    fn repeated(&self, node: usize, restore: &RestoreRequest) -> Option<String> {
        let mut jobs = self.nodes[node].jobs.iter();
        let same = jobs.any(|job| {
            let running = job.in_phase(restore.phase);
            let request = job.request.as_ref();
            running
                && matches!(request, Some(OperationRequest::Restore(other)) if other.source == restore.source)
        });
        same.then(|| format!("{:?} is sent to node {node} while it runs there", restore.phase))
    }

    fn wrong_restore(&self, restore: &RestoreRequest) -> Option<String> {
        let running = |phase: RestorePhase| {
            self.nodes
                .iter()
                .flat_map(|node| &node.jobs)
                .any(|job| job.in_phase(phase))
        };
        match restore.phase {
            RestorePhase::Truncate => {
                if running(RestorePhase::Import) {
                    return Some("TRUNCATE while IMPORT runs".to_owned());
                }
                if running(RestorePhase::Download) {
                    return Some("TRUNCATE while DOWNLOAD runs".to_owned());
                }
                let backing_up = self.nodes.iter().flat_map(|node| &node.jobs).any(|job| {
                    job.public.kind == OperationKind::Backup && !job.is_over() && job.request.is_some()
                });
                if backing_up {
                    return Some("TRUNCATE while a backup runs".to_owned());
                }
                self.nodes
                    .iter()
                    .enumerate()
                    .filter(|(_, node)| node.in_ring)
                    .find(|(number, _)| self.has_downloads(*number, restore) == Ok(false))
                    .map(|(number, _)| format!("TRUNCATE before the downloads of node {number} were whole"))
            }
            RestorePhase::Import if running(RestorePhase::Truncate) => {
                Some("IMPORT while TRUNCATE runs".to_owned())
            }
            _ => None,
        }
    }
}
