//! What a plan says is done: written first, then sent, then what became of it written.

pub mod request;
pub(in crate::reconcile) mod store;

use futures::future::join_all;
use jiff::SignedDuration;
use kube::{Api, ResourceExt};

use crate::api::Kind;
use crate::api::{BackRestStatus, ConditionType, NodeStatus};
use crate::icarus::{ANSWER_WITHIN, SidecarApi};
use crate::reconcile::controller::{LeaderContext, ReconcileError};
use crate::reconcile::execute::request::Unsendable;
use crate::reconcile::observe::ClusterObservation;
use crate::reconcile::observe::{outcome, socket};
use crate::reconcile::plan::conflict::RunStatus;
use crate::reconcile::plan::{Actions, Finalizer, LOOK_AGAIN, Outcome, Request, newly_awaited, record};
use crate::reconcile::work::Work;
use crate::telemetry::metrics::{RunKind, RunOutcome};

impl<S: SidecarApi + 'static> LeaderContext<S> {
    /// The finalizer, the status, the requests, what became of them, the events: in this order.
    pub(in crate::reconcile) async fn carry_out<K: Work>(
        &self,
        api: &Api<K>,
        object: K,
        around: &ClusterObservation,
        deeds: Actions<K::Status>,
    ) -> Result<Option<SignedDuration>, ReconcileError> {
        let mut object = match deeds.finalizer {
            Finalizer::Add => store::write_finalizer(api, object, Finalizer::Add).await?,
            Finalizer::Keep | Finalizer::Release => object,
        };
        if deeds.take_over {
            object = store::take_over(api, &object).await?;
        }
        let mut events = deeds.events;
        if object.status() != Some(&deeds.status) {
            let before = object.status().map(RunStatus::common).cloned();
            let next = object.with_status(deeds.status.clone());
            if !object.has_begun() && next.has_begun() {
                self.neighbours.begins(&next);
            }
            object = store::write_status(api, &object, &deeds.status).await?;
            let after = deeds.status.common();
            events.extend(newly_awaited(before.as_ref(), after));
            if let Some(outcome) = finished(before.as_ref(), after) {
                self.reconciler.metrics.run_finished(run_kind(K::KIND), outcome);
            }
        }
        let mut again = deeds.again;
        if !deeds.requests.is_empty() {
            let outcomes = self.send(&object, around, &deeds.requests).await?;
            let mut status = deeds.status;
            for (host_id, outcome) in &outcomes {
                record(K::nodes(&mut status), host_id, outcome);
            }
            object = store::write_status(api, &object, &status).await?;
            again = Some(again.map_or(LOOK_AGAIN, |again| again.min(LOOK_AGAIN)));
        }
        store::publish(&self.reconciler.client, &self.series, &object, &events).await;
        if deeds.finalizer == Finalizer::Release {
            if let Some(backup) = object.restored() {
                let namespace = object.namespace().unwrap_or_default();
                let backups = Api::namespaced(self.reconciler.client.clone(), &namespace);
                store::remember_restore(&backups, backup, &object.name_any()).await?;
            }
            store::write_finalizer(api, object, Finalizer::Release).await?;
        }
        Ok(again)
    }

    /// Sends all requests at once. The lease was renewed and read back for it, and the last look before each one is
    /// whether that still holds.
    async fn send<K: Work>(
        &self,
        object: &K,
        around: &ClusterObservation,
        requests: &[Request],
    ) -> Result<Vec<(String, Outcome)>, ReconcileError> {
        let confirmation = self.leadership.confirm().await?;
        let mut status = object.status().cloned().unwrap_or_default();
        let nodes = K::nodes(&mut status);
        let sent = requests.iter().map(|request| {
            let prepared = prepare(object, nodes, request, around);
            let confirmation = &confirmation;
            async move {
                let became = match prepared {
                    Err(unsendable) => Outcome::Refused(unsendable.to_string()),
                    Ok(_) if !confirmation.holds() => {
                        Outcome::NotSent("the lease was not renewed in time".to_owned())
                    }
                    Ok(_) if self.stop(K::KIND).is_some() => {
                        Outcome::NotSent("the CRD is not cassgate's any more".to_owned())
                    }
                    Ok((at, body)) => {
                        outcome(self.reconciler.sidecars.submit(at, &body, ANSWER_WITHIN).await)
                    }
                };
                (request.host_id.clone(), became)
            }
        });
        Ok(join_all(sent).await)
    }
}

/// How a run ended that was not over before.
fn finished(before: Option<&BackRestStatus>, after: &BackRestStatus) -> Option<RunOutcome> {
    let outcome = match after.state()? {
        ConditionType::Completed => RunOutcome::Completed,
        ConditionType::Failed => RunOutcome::Failed,
        ConditionType::Cancelled => RunOutcome::Cancelled,
        _ => return None,
    };
    // A scheduled one may go from one end to the next.
    let known =
        before.is_some_and(|before| before.is_terminal() && before.time_completed == after.time_completed);
    (!known).then_some(outcome)
}

fn run_kind(kind: Kind) -> RunKind {
    match kind {
        Kind::Restore => RunKind::Restore,
        Kind::Backup => RunKind::Backup,
    }
}

fn prepare<K: Work>(
    object: &K,
    nodes: &[NodeStatus],
    request: &Request,
    around: &ClusterObservation,
) -> Result<(std::net::SocketAddr, crate::icarus::OperationRequest), Unsendable> {
    let unusable = |why: String| Unsendable {
        field: "status.nodes",
        why,
    };
    let node = nodes.iter().find(|node| node.host_id == request.host_id);
    let node = node.ok_or_else(|| unusable(format!("node {} is not in it", request.host_id)))?;
    let at =
        socket(&request.address).ok_or_else(|| unusable(format!("{:?} is no address", request.address)))?;
    Ok((at, object.request(node, &request.task, &around.sidecar)?))
}
