//! Carries out a plan: writes the status, sends the requests, and records their outcome. It decides nothing about
//! Cassandra.

pub(in crate::reconcile) mod events;
mod finalizer;
mod identity;
pub mod request;
mod sendable;
mod status;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::events::Recorder;
use kube::{Api, Client, ResourceExt};

use self::request::Unsendable;
pub(in crate::reconcile) use self::sendable::Sendable;
use self::status::StatusError;
use crate::api::{BackRestStatus, ConditionType, Kind, NodeStatus};
use crate::domain::sidecar::Sidecar;
use crate::icarus::{OperationId, OperationRequest, OperationState, REQUEST_TIMEOUT, SidecarApi};
use crate::reconcile::lease::{Confirmation, Leadership, LeaseLost};
use crate::reconcile::object::OwnWrites;
use crate::reconcile::observe::{outcome, sidecar_address};
use crate::reconcile::plan::conflict::RunStatus;
use crate::reconcile::plan::{
    Actions, Finalizer, Outcome, REQUEUE_INTERVAL, Request, Task, is_current, record, wait_event,
};
use crate::reconcile::queue::OperationQueue;
use crate::reconcile::queue::order::Queued;
use crate::telemetry::metrics::{Metrics, RunKind, RunOutcome};

/// The reasons why a plan was not carried out in full. The object is planned again after a delay.
#[derive(Debug, thiserror::Error)]
pub(in crate::reconcile) enum ExecuteError {
    /// The API server denied a write or did not respond.
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    /// The status was not written.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// Another replica may lead by now.
    #[error(transparent)]
    Lease(#[from] LeaseLost),
}

impl ExecuteError {
    /// Returns true if another client has written or deleted the object since it was read.
    pub(in crate::reconcile) fn is_outdated(&self) -> bool {
        let (Self::Kubernetes(error) | Self::Status(StatusError::Kubernetes(error))) = self else {
            return false;
        };
        matches!(error, kube::Error::Api(status) if matches!(status.code, 404 | 409))
    }
}

/// The result of a plan that was carried out.
pub(in crate::reconcile) struct Executed<K> {
    /// The object as it is stored.
    pub(in crate::reconcile) object: K,
    /// The requeue delay of the plan.
    pub(in crate::reconcile) requeue_after: Option<SignedDuration>,
    /// True if the object was written.
    pub(in crate::reconcile) has_written: bool,
    /// The operations that the sidecars accepted.
    pub(in crate::reconcile) accepted: Vec<AcceptedOperation>,
}

/// An operation that a sidecar accepted.
pub(in crate::reconcile) struct AcceptedOperation {
    /// The address of the sidecar.
    pub(in crate::reconcile) at: SocketAddr,
    /// The id.
    pub(in crate::reconcile) id: OperationId,
}

/// Carries out plans on behalf of the leader.
pub(in crate::reconcile) struct Executor<'a, S> {
    pub(in crate::reconcile) client: &'a Client,
    pub(in crate::reconcile) sidecars: &'a S,
    pub(in crate::reconcile) metrics: &'a Metrics,
    pub(in crate::reconcile) leadership: &'a Leadership,
    pub(in crate::reconcile) queue: &'a OperationQueue,
    pub(in crate::reconcile) own_writes: &'a OwnWrites,
    /// The recorder of events that are repeated as a series.
    pub(in crate::reconcile) repeated_events: &'a Recorder,
    /// The wall clock.
    pub(in crate::reconcile) now: fn() -> Timestamp,
    /// Returns true while requests may be sent for objects of this kind.
    pub(in crate::reconcile) may_send: &'a (dyn Fn(Kind) -> bool + Sync),
}

impl<S: SidecarApi> Executor<'_, S> {
    /// Carries out `actions`.
    ///
    /// The order: ask the sidecars for their host ids, add the finalizer, take over the status, write the status, send the
    /// requests, write their outcome, publish the events, record the restore on its backup, release the finalizer.
    ///
    /// # Errors
    /// [`ExecuteError`]. A request is sent only after the status that announces it was written. Nothing is written once
    /// the lease is lost: another replica may have planned the object anew. The events are published even if the outcome of
    /// the requests could not be written.
    pub(in crate::reconcile) async fn execute<K: Queued + Sendable>(
        &self,
        api: &Api<K>,
        object: K,
        sidecar: &Sidecar,
        actions: Actions<K::Status>,
    ) -> Result<Executed<K>, ExecuteError> {
        let mismatches = identity::mismatches(self.sidecars, &actions.requests).await;
        self.leadership.check()?;
        let version = object.resource_version();
        let mut object = match actions.finalizer {
            Finalizer::Add => finalizer::write(api, object, Finalizer::Add).await?,
            Finalizer::Keep | Finalizer::Release => object,
        };
        if actions.take_over {
            self.leadership.check()?;
            object = status::take_over(api, &object).await?;
        }
        let mut events = actions.events;
        let before = object.status().cloned();
        // Both have to succeed before the first request. A write may outlast the renewal; then nothing is sent, because the
        // renewal is checked again at each request.
        let (written, confirmation) = tokio::try_join!(
            self.write_status(api, object, &actions.status),
            self.confirmation(&actions.requests),
        )?;
        object = written;
        if before.as_ref() != Some(&actions.status) {
            let before = before.as_ref().map(RunStatus::common);
            let after = actions.status.common();
            events.extend(wait_event(before, after));
            if let Some(outcome) = run_outcome(before, after) {
                if outcome == RunOutcome::Completed {
                    self.queue.record_completed(&object);
                }
                self.metrics.run_finished(run_kind(K::KIND), outcome);
            }
        }
        let mut requeue_after = actions.requeue_after;
        let mut accepted = Vec::new();
        let mut unwritten = None;
        if let Some(confirmation) = confirmation {
            let outcomes = self
                .send(&object, sidecar, &actions.requests, &mismatches, &confirmation)
                .await;
            accepted = accepted_operations(&actions.requests, &outcomes);
            if !are_found_again(&actions.requests, &outcomes) {
                let mut status = actions.status;
                for (host_id, outcome) in &outcomes {
                    record(K::nodes(&mut status), host_id, outcome);
                }
                status.fit();
                match self.write_status(api, object.clone(), &status).await {
                    Ok(written) => object = written,
                    Err(error) => unwritten = Some(error),
                }
            }
            requeue_after = Some(requeue_after.map_or(REQUEUE_INTERVAL, |delay| delay.min(REQUEUE_INTERVAL)));
        }
        self.leadership.check()?;
        events::publish(self.client, self.repeated_events, &object, &events).await;
        if let Some(error) = unwritten {
            return Err(error);
        }
        if actions.finalizer == Finalizer::Release {
            self.leadership.check()?;
            if let (Some(backup), Some(restore)) = (object.restored_backup(), object.as_restore()) {
                let namespace = object.namespace().unwrap_or_default();
                let backups = Api::namespaced(self.client.clone(), &namespace);
                finalizer::record_restore(&backups, backup, restore).await?;
            }
            object = finalizer::write(api, object, Finalizer::Release).await?;
        }
        Ok(Executed {
            has_written: object.resource_version() != version,
            object,
            requeue_after,
            accepted,
        })
    }

    /// Writes the status if it differs from the stored one, and returns the object as it is stored.
    async fn write_status<K: Queued>(
        &self,
        api: &Api<K>,
        object: K,
        status: &K::Status,
    ) -> Result<K, ExecuteError> {
        if object.status() == Some(status) {
            return Ok(object);
        }
        let next = object.with_status(status.clone());
        if !object.run_has_started() && next.run_has_started() {
            self.queue.record_start(&next);
        }
        self.leadership.check()?;
        self.own_writes.record(&next);
        let stored = status::write(api, &object, status).await?;
        self.queue.record_stored(&stored);
        Ok(stored)
    }

    /// Renews the lease if there is something to send.
    async fn confirmation(&self, requests: &[Request]) -> Result<Option<Confirmation>, ExecuteError> {
        if requests.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.leadership.confirm().await?))
    }

    /// Sends all requests at once and returns their outcomes by host id.
    ///
    /// The lease was renewed and read back before. A request is sent only if, once its connection is established, the lease
    /// is still held, `may_send` is true, and the request is not older than its time in the status allows. `mismatches` has
    /// the outcomes of the nodes that get no request.
    async fn send<K: Sendable>(
        &self,
        object: &K,
        sidecar: &Sidecar,
        requests: &[Request],
        mismatches: &BTreeMap<String, Outcome>,
        confirmation: &Confirmation,
    ) -> Vec<(String, Outcome)> {
        let mut status = object.status().cloned().unwrap_or_default();
        let nodes = K::nodes(&mut status);
        let permitted = |sent: Option<&Time>| {
            if !sent.is_some_and(|sent| is_current(sent, (self.now)())) {
                return Err(
                    "the time of the request in the status is not that of the clock any more".to_owned(),
                );
            }
            if !confirmation.holds() {
                return Err("the lease was not renewed in time".to_owned());
            }
            if !(self.may_send)(K::KIND) {
                return Err("the CRD is no longer cassgate's".to_owned());
            }
            Ok(())
        };
        let permitted = &permitted;
        let sent = requests.iter().map(|request| {
            let built = build_request(object, nodes, request, sidecar);
            let mismatch = mismatches.get(&request.host_id);
            let node = nodes.iter().find(|node| node.host_id == request.host_id);
            let recorded = node.and_then(|node| node.sent.clone());
            async move {
                let outcome = match (built, mismatch) {
                    (Err(unsendable), _) => Outcome::Rejected(unsendable.to_string()),
                    (Ok(_), Some(outcome)) => outcome.clone(),
                    (Ok((address, body)), None) => {
                        let permitted = || permitted(recorded.as_ref());
                        let sent = self
                            .sidecars
                            .submit_if(address, &body, REQUEST_TIMEOUT, &permitted);
                        outcome(sent.await)
                    }
                };
                (request.host_id.clone(), outcome)
            }
        });
        join_all(sent).await
    }
}

/// Returns the operations that the sidecars accepted, with their addresses.
fn accepted_operations(requests: &[Request], outcomes: &[(String, Outcome)]) -> Vec<AcceptedOperation> {
    let accepted = requests
        .iter()
        .zip(outcomes)
        .filter_map(|(request, (_, outcome))| {
            let Outcome::Accepted(operation) = outcome else {
                return None;
            };
            Some(AcceptedOperation {
                at: sidecar_address(&request.address)?,
                id: OperationId::parse(&operation.id)?,
            })
        });
    accepted.collect()
}

/// Returns true if the outcomes need no write of their own: every upload is under way, and the next reconcile finds it by
/// its tag, as it does after a crash. Its write then has the progress too.
fn are_found_again(requests: &[Request], outcomes: &[(String, Outcome)]) -> bool {
    let are_uploads = requests
        .iter()
        .all(|request| matches!(request.task, Task::Backup { .. }));
    are_uploads
        && outcomes.iter().all(|(_, outcome)| {
            matches!(outcome, Outcome::Accepted(operation) if matches!(operation.state, OperationState::Pending | OperationState::Running) && operation.errors.is_empty())
        })
}

/// Returns the outcome of a run if the run ended with this change of the status.
fn run_outcome(before: Option<&BackRestStatus>, after: &BackRestStatus) -> Option<RunOutcome> {
    let outcome = match after.state()? {
        ConditionType::Completed => RunOutcome::Completed,
        ConditionType::Failed => RunOutcome::Failed,
        ConditionType::Cancelled => RunOutcome::Cancelled,
        _ => return None,
    };
    // The status of a schedule may go from the end of one run to the end of the next.
    let was_known =
        before.is_some_and(|before| before.is_terminal() && before.time_completed == after.time_completed);
    (!was_known).then_some(outcome)
}

fn run_kind(kind: Kind) -> RunKind {
    match kind {
        Kind::Restore => RunKind::Restore,
        Kind::Backup => RunKind::Backup,
    }
}

/// Builds a request and returns it with the address of its sidecar.
fn build_request<K: Sendable>(
    object: &K,
    nodes: &[NodeStatus],
    request: &Request,
    sidecar: &Sidecar,
) -> Result<(SocketAddr, OperationRequest), Unsendable> {
    let unsendable = |why: String| Unsendable {
        field: "status.nodes",
        why,
    };
    let node = nodes.iter().find(|node| node.host_id == request.host_id);
    let node = node.ok_or_else(|| unsendable(format!("there is no node {}", request.host_id)))?;
    let address = sidecar_address(&request.address)
        .ok_or_else(|| unsendable(format!("{:?} is not an IP address", request.address)))?;
    Ok((address, object.request(node, &request.task, sidecar)?))
}
