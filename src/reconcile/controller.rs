//! The loop around a plan: look, plan, ask, write, send, write what became of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::ask::{Asker, outcome, socket};
use super::census;
use super::lease::{Leadership, LeaseLost};
use super::plan::needs;
use super::plan::rival::RunStatus;
use super::plan::schedule::Rest;
use super::plan::{
    Answers, Deeds, Finalizer, LOOK_AGAIN, Look, Outcome, Plan, Request, Wait, newly_awaited, record,
};
use super::request::Unsendable;
use super::store::{self, StoreError};
use super::surroundings::{Judge, Surroundings, surroundings};
use super::watch::Watch;
use super::work::Work;
use crate::api::{BackRestStatus, CassandraBackup, CassandraRestore, ConditionType, NodeStatus};
use crate::icarus::{ANSWER_WITHIN, SidecarApi};
use crate::observe::metrics::{Metrics, RunKind, RunOutcome};
use crate::rules::catalogue::Kinds;

/// How often a plan may ask before it is made again from the beginning.
const MOST_QUESTIONS: usize = 8;

/// How long to wait for a cache that is behind.
const AFTER_STALE: Duration = Duration::from_secs(1);

/// How long to wait after an error of the API server.
const AFTER_ERROR: Duration = Duration::from_secs(5);

/// How long a timer is trusted: the time of day may be set while it runs, and an old snapshot wait for a restore that
/// uses it. Looking costs no request where nothing is to be done.
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(1);

/// The shortest pause after a look that took longer than what it asked for: whoever answers slowly is not asked without
/// any.
const SHORTEST_PAUSE: SignedDuration = SignedDuration::from_secs(1);

/// Objects in one answer of a list, which is in memory as a whole.
const PAGE: u32 = 250;

/// What the reconciler needs.
pub struct Reconciler<S> {
    /// The API server.
    pub client: Client,
    /// The sidecars.
    pub sidecars: S,
    /// The rules.
    pub judge: Arc<dyn Judge>,
    /// What is told of the runs.
    pub metrics: Metrics,
    /// Whether the status of a kind is a subresource; `None` when nobody could say.
    pub status_is_subresource: Box<dyn Fn(Kinds) -> Option<bool> + Send + Sync>,
    /// The one namespace whose objects are run; `None`: all of them.
    pub namespace: Option<String>,
    /// The time.
    pub now: fn() -> Timestamp,
}

/// Why an object was not brought further. It is tried again.
#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lease(#[from] LeaseLost),
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
    #[error("the plan asks again and again")]
    Endless,
}

impl<S: SidecarApi + 'static> Reconciler<S> {
    /// Runs what is to be run for as long as it is polled. Whoever holds `leadership` polls it, and nobody else.
    pub async fn run(self: Arc<Self>, leadership: Leadership) {
        let series = Recorder::new(self.client.clone(), Reporter::from("cassgate"));
        let term = Arc::new(Term {
            reconciler: self,
            leadership,
            series,
            beginning: Mutex::default(),
        });
        let (restores, backups) = (term.controller(), term.controller());
        let census = census::count(
            &term.reconciler.metrics,
            backups.store(),
            restores.store(),
            term.reconciler.now,
        );
        let watch = Watch {
            judge: term.reconciler.judge.as_ref(),
            backups: backups.store(),
            clusters: term.api(),
            now: term.reconciler.now,
        };
        let watch = watch.run(|backup| term.clone().tell_needs(backup));
        tokio::join!(
            term.clone().follow::<CassandraRestore>(restores),
            term.clone().follow::<CassandraBackup>(backups),
            census,
            watch,
        );
    }
}

/// One time as the leader.
struct Term<S> {
    reconciler: Arc<Reconciler<S>>,
    leadership: Leadership,
    /// Who tells what is told again and again.
    series: Recorder,
    /// Who begins in a cluster: one after the other, so that the second sees the first.
    beginning: Mutex<HashMap<Ring, Arc<AsyncMutex<()>>>>,
}

/// Looks again so much later, at once when that is over, and after [`LONGEST_REST`] at the latest.
fn requeue(after: SignedDuration) -> Action {
    let after = after.clamp(SignedDuration::ZERO, LONGEST_REST);
    Action::requeue(Duration::try_from(after).unwrap_or(AFTER_ERROR))
}

/// What is left of a pause when this much time has passed since the look that asked for it: what falls due meanwhile is
/// not to wait for the writes and events of that look as well.
fn left(again: SignedDuration, passed: Duration) -> SignedDuration {
    let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
    again.saturating_sub(passed).max(again.min(SHORTEST_PAUSE))
}

/// A Cassandra cluster: its namespace and its name.
type Ring = (String, String);

impl<S: SidecarApi + 'static> Term<S> {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let client = self.reconciler.client.clone();
        match &self.reconciler.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }

    /// Looks at every object of a kind as often as it changes. Of each only what two looks have in common is kept.
    fn controller<K: Work>(&self) -> Controller<K> {
        let (known, writer) = reflector::store();
        let objects = watcher(self.api(), watcher::Config::default().page_size(PAGE))
            .default_backoff()
            .modify(K::condense)
            .reflect(writer)
            .applied_objects();
        Controller::for_stream(objects, known)
    }

    async fn follow<K: Work>(self: Arc<Self>, controller: Controller<K>) {
        controller
            .run(
                |object, term| async move { term.reconcile(object).await },
                |object, error, _| {
                    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
                    tracing::warn!(kind = %K::kind(&()), namespace, name, %error, "not brought further");
                    Action::requeue(AFTER_ERROR)
                },
                self,
            )
            .for_each(|_| std::future::ready(()))
            .await;
    }

    async fn reconcile<K: Work>(&self, cached: Arc<K>) -> Result<Action, ReconcileError> {
        if let Some(action) = self.rest(cached.as_ref()) {
            return Ok(action);
        }
        let namespace = cached.namespace().unwrap_or_default();
        let api: Api<K> = Api::namespaced(self.reconciler.client.clone(), &namespace);
        let lock = self.lock(&namespace, cached.cluster());
        let guard = if cached.has_begun() {
            None
        } else {
            Some(lock.lock().await)
        };
        let Some(object) = api.get_opt(&cached.name_any()).await? else {
            return Ok(Action::await_change());
        };
        if object.uid() != cached.uid() {
            return Ok(Action::await_change());
        }
        if let Some(action) = self.rest(&object) {
            return Ok(action);
        }
        if guard.is_none() && !object.has_begun() {
            // The cache was behind; nothing begins without the lock.
            return Ok(Action::requeue(AFTER_STALE));
        }
        let again = self.bring_further(&api, object).await?;
        drop(guard);
        Ok(again.map_or_else(Action::await_change, requeue))
    }

    /// Tells what the next run of a backup lacks, or lacks no more; whether that is told.
    async fn tell_needs(self: Arc<Self>, cached: Arc<CassandraBackup>) -> bool {
        let told = self.look_at_rest(&cached).await;
        if let Err(error) = &told {
            let (namespace, name) = (cached.namespace().unwrap_or_default(), cached.name_any());
            tracing::warn!(namespace, name, %error, "what the next run lacks is not told");
        }
        told.is_ok()
    }

    /// A full look at a backup that rests until its next time. Any other one has its own.
    async fn look_at_rest(&self, cached: &CassandraBackup) -> Result<(), ReconcileError> {
        if self.stop(Kinds::Backup).is_some() {
            return Ok(());
        }
        let namespace = cached.namespace().unwrap_or_default();
        let api: Api<CassandraBackup> = Api::namespaced(self.reconciler.client.clone(), &namespace);
        // What rests begins with this lock only, so nobody else is at it now.
        let lock = self.lock(&namespace, cached.cluster());
        let _guard = lock.lock().await;
        let object = api.get_opt(&cached.name_any()).await?;
        let same = object.filter(|object| object.uid() == cached.uid());
        if let Some(object) = same.filter(|object| needs::are_watched(object, (self.reconciler.now)())) {
            self.bring_further(&api, object).await?;
        }
        Ok(())
    }

    /// What comes of an object that nothing is to be done for now.
    fn rest<K: Work>(&self, object: &K) -> Option<Action> {
        let now = (self.reconciler.now)();
        match object.rest(now) {
            Rest::None => None,
            Rest::ForEver => Some(Action::await_change()),
            Rest::Until(next) => Some(requeue(next.duration_since(now))),
        }
    }

    fn lock(&self, namespace: &str, cluster: &str) -> Arc<AsyncMutex<()>> {
        let mut locks = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks
            .entry((namespace.to_owned(), cluster.to_owned()))
            .or_default()
            .clone()
    }

    async fn bring_further<K: Work>(
        &self,
        api: &Api<K>,
        object: K,
    ) -> Result<Option<SignedDuration>, ReconcileError> {
        let around = surroundings(
            &self.reconciler.client,
            self.reconciler.judge.as_ref(),
            &object,
            (self.reconciler.now)(),
        )
        .await?;
        let (deeds, looked) = self.decide(&object, &around).await?;
        let again = self.carry_out(api, object, &around, deeds).await?;
        Ok(again.map(|again| left(again, looked.elapsed())))
    }

    /// Makes the plan, with as many questions as it takes, and says when the look began that it was made of.
    async fn decide<K: Work>(
        &self,
        object: &K,
        around: &Surroundings,
    ) -> Result<(Deeds<K::Status>, Instant), ReconcileError> {
        let mut answers = Answers::new();
        let mark = object.mark()?;
        let listing = |host_id: &str, datacenter: Option<&str>| object.listing(host_id, datacenter);
        let asker = Asker {
            sidecars: &self.reconciler.sidecars,
            members: &around.members,
            mark,
            listing: &listing,
        };
        for _ in 0..MOST_QUESTIONS {
            let looked = Instant::now();
            let look = Look {
                now: (self.reconciler.now)(),
                members: &around.members,
                missing: around.missing.clone(),
                wait: around.wait.clone(),
                needs: around.needs.clone(),
                stop: self.stop(K::KIND),
                cluster_gone: around.cluster_gone,
                answers: &answers,
            };
            match object.plan(&look, &around.means, &around.room) {
                Plan::Do(deeds) => return Ok((deeds, looked)),
                Plan::Ask(questions) => {
                    let replies = questions.into_iter().map(|question| async {
                        let answer = asker.ask(&question).await;
                        (question, answer)
                    });
                    answers.extend(join_all(replies).await);
                }
            }
        }
        Err(ReconcileError::Endless)
    }

    /// Where status is no subresource, CassKop's CRDs are installed and CassKop may act.
    fn stop(&self, kind: Kinds) -> Option<Wait> {
        ((self.reconciler.status_is_subresource)(kind) != Some(true)).then(|| {
            let message = "the CRD has no status subresource, so it is CassKop's and CassKop may act: nothing is sent \
                           until cassgate's own CRDs are installed (docs/executor.md)";
            Wait::stalled("CrdNotOurs", message)
        })
    }

    /// The finalizer, the status, the requests, what became of them, the events: in this order.
    async fn carry_out<K: Work>(
        &self,
        api: &Api<K>,
        object: K,
        around: &Surroundings,
        deeds: Deeds<K::Status>,
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
        around: &Surroundings,
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

fn run_kind(kind: Kinds) -> RunKind {
    match kind {
        Kinds::Restore => RunKind::Restore,
        _ => RunKind::Backup,
    }
}

fn prepare<K: Work>(
    object: &K,
    nodes: &[NodeStatus],
    request: &Request,
    around: &Surroundings,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_counted_from_when_the_look_began() {
        let table = [
            (3_600_000, 0, 3_600_000),
            (3_600_000, 250, 3_599_750),
            (10_000, 6_000, 4_000),
            // An API server that takes longer than that is still given a pause.
            (10_000, 12_000, 1_000),
            (500, 12_000, 500),
            (0, 12_000, 0),
        ];
        for (again, passed, expected) in table {
            let left = left(SignedDuration::from_millis(again), Duration::from_millis(passed));
            assert_eq!(left, SignedDuration::from_millis(expected), "{again} {passed}");
        }
    }
}
