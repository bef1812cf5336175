//! The reconcile of one object: observe, plan, execute.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use jiff::SignedDuration;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::requeue::{STALE_CACHE_REQUEUE_DELAY, remaining, requeue_after};
use super::{Controlled, LeaderContext, short_operations};
use crate::api::{CassandraBackup, Kind};
use crate::icarus::SidecarApi;
use crate::reconcile::execute::request::Unsendable;
use crate::reconcile::execute::{ExecuteError, Executed, Executor, events};
use crate::reconcile::object::{Plannable, ReconciledObject};
use crate::reconcile::observe::{BoundedSidecars, ClusterObservation, SidecarObserver, observe_cluster};
use crate::reconcile::plan::prune::PruneInputs;
use crate::reconcile::plan::readiness;
use crate::reconcile::plan::restore::RestoreInputs;
use crate::reconcile::plan::schedule::NextRun;
use crate::reconcile::plan::{Actions, Answers, Observation, Plan, Question};
use crate::telemetry::api_error::log_text;

/// The limit of rounds in which a plan may ask for more answers.
const MAX_QUESTION_ROUNDS: usize = 8;

/// The reasons why a reconcile failed. It is retried.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
    /// The API server did not return what an observation needs.
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    /// The plan was not carried out in full.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The operations of the object cannot be identified, because a field is not valid.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
    /// The plan keeps asking. This is a mistake in the planner.
    #[error("the plan still has questions after {MAX_QUESTION_ROUNDS} rounds of answers")]
    TooManyQuestions,
}

impl<S: SidecarApi + 'static> LeaderContext<S> {
    /// Reconciles an object of the cache.
    pub(super) async fn reconcile<K: Controlled>(&self, cached: Arc<K>) -> Result<Action, ReconcileError> {
        let idle = self
            .idle_action(cached.as_ref())
            .or_else(|| self.queued_action(cached.as_ref()));
        if let Some(action) = idle {
            return Ok(action);
        }
        let guard = if cached.run_has_started() {
            None
        } else if self.queue.is_synced() {
            let lock = self.start_lock(&cached.namespace().unwrap_or_default(), cached.cluster());
            Some(lock.lock_owned().await)
        } else {
            return Ok(Action::requeue(STALE_CACHE_REQUEUE_DELAY));
        };
        // Many tasks are idle or wait for the lock. The box keeps them small.
        Box::pin(self.reconcile_live(cached, guard)).await
    }

    /// Reconciles an object of the cache as [`reconcile`](Self::reconcile) does, and records a failure. One that persists is
    /// reported by an event, because the status may be what cannot be written.
    pub(super) async fn reconcile_and_record<K: Controlled>(
        &self,
        cached: Arc<K>,
    ) -> Result<Action, ReconcileError> {
        let result = self.reconcile(Arc::clone(&cached)).await;
        match &result {
            Ok(_) => self.failures.clear(cached.as_ref()),
            // Another replica leads by now.
            Err(ReconcileError::Execute(ExecuteError::Lease(_))) => {}
            Err(error) => {
                let now = (self.reconciler.now)();
                let event = self.failures.record(cached.as_ref(), &error.to_string(), now);
                let events: Vec<_> = event.into_iter().collect();
                let client = &self.reconciler.client;
                events::publish(client, &self.repeated_events, cached.as_ref(), &events).await;
            }
        }
        result
    }

    /// Reads the object live and reconciles that. `guard` is the lock of its cluster.
    async fn reconcile_live<K: Controlled>(
        &self,
        cached: Arc<K>,
        guard: Option<OwnedMutexGuard<()>>,
    ) -> Result<Action, ReconcileError> {
        let namespace = cached.namespace().unwrap_or_default();
        let api: Api<K> = Api::namespaced(self.reconciler.client.clone(), &namespace);
        let Some(object) = api.get_opt(&cached.name_any()).await? else {
            return Ok(Action::await_change());
        };
        // The object was created anew under its name. The watch reports the new one, too.
        if object.uid() != cached.uid() {
            return Ok(Action::await_change());
        }
        if let Some(action) = self.idle_action(&object) {
            return Ok(action);
        }
        if guard.is_none() && !object.run_has_started() {
            // The cache lagged behind, and a run starts only under the lock.
            return Ok(Action::requeue(STALE_CACHE_REQUEUE_DELAY));
        }
        let mut had_started = object.run_has_started();
        let mut executed = self.step(&api, object).await?;
        drop(guard);
        if !executed.accepted.is_empty() {
            short_operations::wait(&self.reconciler.sidecars, executed.accepted).await;
            // The object was written just before, so it is read again only if it has changed since.
            had_started = executed.object.run_has_started();
            executed = match self.step(&api, executed.object).await {
                Err(ReconcileError::Execute(error)) if error.is_outdated() => {
                    return Ok(Action::requeue(Duration::ZERO));
                }
                result => result?,
            };
            if !executed.accepted.is_empty() {
                return Ok(Action::requeue(Duration::ZERO));
            }
        }
        let has_ended = had_started && !executed.object.run_has_started();
        let delay = executed.requeue_after.filter(|_| !has_ended);
        Ok(self.next_action(&executed.object, delay, executed.has_written))
    }

    /// Returns the action after a reconcile. The event of its own write causes no reconcile. A plan that names no delay, or
    /// the end of a run, may have more to do at once, and is made again.
    fn next_action<K: Plannable>(
        &self,
        object: &K,
        delay: Option<SignedDuration>,
        has_written: bool,
    ) -> Action {
        if let Some(delay) = delay {
            return requeue_after(delay);
        }
        if !has_written {
            return Action::await_change();
        }
        self.idle_action(object)
            .unwrap_or_else(|| Action::requeue(Duration::ZERO))
    }

    /// Reports what the next run of a backup lacks, or that it lacks nothing any more. Returns true on success.
    pub(super) async fn report_needs(self: Arc<Self>, cached: Arc<CassandraBackup>) -> bool {
        let result = Box::pin(self.reconcile_between_runs(&cached)).await;
        if let Err(error) = &result {
            let (namespace, name) = (cached.namespace().unwrap_or_default(), cached.name_any());
            tracing::warn!(
                namespace,
                name,
                error = log_text(error),
                "failed to report what the next run lacks"
            );
        }
        result.is_ok()
    }

    /// Reconciles a backup that waits for the next time of its schedule. Other backups are left to their controller.
    async fn reconcile_between_runs(&self, cached: &CassandraBackup) -> Result<(), ReconcileError> {
        if self.crd_conflict(Kind::Backup).is_some() {
            return Ok(());
        }
        let namespace = cached.namespace().unwrap_or_default();
        let api: Api<CassandraBackup> = Api::namespaced(self.reconciler.client.clone(), &namespace);
        // The controller reconciles a backup between two runs only under this lock.
        let lock = self.start_lock(&namespace, cached.cluster());
        let _guard = lock.lock().await;
        let object = api.get_opt(&cached.name_any()).await?;
        let same = object.filter(|object| object.uid() == cached.uid());
        if let Some(object) = same.filter(|object| readiness::is_checked(object, (self.reconciler.now)())) {
            let executed = self.step(&api, object).await?;
            // The event of its own write causes no reconcile, so the next look has to be requested.
            if self.idle_action(&executed.object).is_none() {
                self.queue.wake_backup(&executed.object);
            }
        }
        Ok(())
    }

    /// Returns the action for an object that has nothing to do now; `None` if it has.
    fn idle_action<K: Plannable>(&self, object: &K) -> Option<Action> {
        let now = (self.reconciler.now)();
        match object.next_wake(now) {
            NextRun::Now => None,
            NextRun::Never => Some(Action::await_change()),
            NextRun::At(next) => Some(requeue_after(next.duration_since(now))),
        }
    }

    /// Returns the action for an object whose status already says that it waits for its turn, if the watches show that
    /// it still does. This costs no request.
    fn queued_action<K: Controlled>(&self, object: &K) -> Option<Action> {
        let now = (self.reconciler.now)();
        let may_wait = !object.run_has_started() && object.needs_nodes(now);
        let status = object.status().filter(|_| may_wait)?;
        let wait = self.queue.cached_reason_to_wait(object)?;
        let stop = self.crd_conflict(K::KIND);
        let report_due = object.queue_report_due(now);
        let unreported = report_due.filter(|due| *due > now && stop.is_none() && !wait.stalled);
        if let Some(due) = unreported {
            return Some(requeue_after(due.duration_since(now)));
        }
        let observation = Observation {
            now,
            members: &[],
            missing: None,
            wait: Some(wait),
            needs: None,
            stop,
            sidecar: ClusterObservation::default().sidecar,
            cluster_gone: false,
            no_progress_timeout: self.reconciler.no_progress_timeout,
            unproven_elsewhere: Vec::new(),
            answers: &Answers::new(),
        };
        let plan = object.plan(&observation, &RestoreInputs::default(), &PruneInputs::default());
        let Plan::Do(actions) = plan else {
            return None;
        };
        let delay = actions.requeue_after.filter(|_| actions.is_empty(status))?;
        Some(requeue_after(delay))
    }

    /// Returns the lock under which objects of a cluster start. Locks that no task uses are dropped.
    fn start_lock(&self, namespace: &str, cluster: &str) -> Arc<AsyncMutex<()>> {
        let mut locks = self.start_locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks
            .entry((namespace.to_owned(), cluster.to_owned()))
            .or_default()
            .clone()
    }

    /// Observes, plans and executes one step.
    async fn step<K: Controlled>(&self, api: &Api<K>, object: K) -> Result<Executed<K>, ReconcileError> {
        let mut observation = observe_cluster(
            &self.reconciler.client,
            self.reconciler.judge.as_ref(),
            &self.queue,
            &object,
            (self.reconciler.now)(),
        )
        .await?;
        let (mut actions, mut observed_at) = self.plan(&object, &observation).await?;
        if actions
            .requests
            .iter()
            .any(|request| request.task.deletes_copies())
        {
            // The cache may lack a restore that needs its copies.
            observation.read_copies(&self.reconciler.client, &object).await?;
            (actions, observed_at) = self.plan(&object, &observation).await?;
        }
        let executor = Executor {
            client: &self.reconciler.client,
            sidecars: &self.reconciler.sidecars,
            metrics: &self.reconciler.metrics,
            leadership: &self.leadership,
            queue: &self.queue,
            own_writes: &self.own_writes,
            repeated_events: &self.repeated_events,
            now: self.reconciler.now,
            may_send: &|kind| self.crd_conflict(kind).is_none(),
        };
        let executed = executor
            .execute(api, object, &observation.sidecar, actions)
            .await?;
        let delay = executed.requeue_after;
        Ok(Executed {
            requeue_after: delay.map(|delay| remaining(delay, observed_at.elapsed())),
            ..executed
        })
    }

    /// Plans with as many rounds of questions as it takes. Returns the actions and the time of the last observation.
    async fn plan<K: Controlled>(
        &self,
        object: &K,
        cluster: &ClusterObservation,
    ) -> Result<(Actions<K::Status>, Instant), ReconcileError> {
        let mut answers = Answers::new();
        for _ in 0..MAX_QUESTION_ROUNDS {
            let observed_at = Instant::now();
            let observation = Observation {
                now: cluster.without_nodes_at.unwrap_or_else(self.reconciler.now),
                members: &cluster.members,
                missing: cluster.missing.clone(),
                wait: cluster.wait.clone(),
                needs: cluster.needs.clone(),
                stop: self.crd_conflict(K::KIND),
                sidecar: cluster.sidecar.clone(),
                cluster_gone: cluster.cluster_gone,
                no_progress_timeout: self.reconciler.no_progress_timeout,
                unproven_elsewhere: cluster.unproven_elsewhere.clone(),
                answers: &answers,
            };
            match object.plan(&observation, &cluster.restore_inputs, &cluster.prune_inputs) {
                Plan::Do(actions) => return Ok((actions, observed_at)),
                Plan::Ask(questions) => answers.extend(self.ask(object, cluster, questions).await?),
            }
        }
        Err(ReconcileError::TooManyQuestions)
    }

    /// Asks the sidecars all questions, with a limit of concurrent requests.
    async fn ask<K: Controlled>(
        &self,
        object: &K,
        cluster: &ClusterObservation,
        questions: impl IntoIterator<Item = Question>,
    ) -> Result<Answers, Unsendable> {
        let sidecars = BoundedSidecars::new(&self.reconciler.sidecars);
        let observer = SidecarObserver {
            sidecars: &sidecars,
            members: &cluster.members,
            owner: object.operation_owner()?,
            listings: &self.listings,
            listing_request: &|host_id, datacenter| object.listing_request(host_id, datacenter),
        };
        let observer = &observer;
        let answers = questions.into_iter().map(|question| async {
            let answer = observer.ask(&question).await;
            (question, answer)
        });
        Ok(join_all(answers).await.into_iter().collect())
    }
}
