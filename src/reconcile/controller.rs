//! The loop around a plan: look, plan, ask, write, send, write what became of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::UnboundedReceiver;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::Instant;

use crate::api::Kind;
use crate::api::{CassandraBackup, CassandraRestore, Reason};
use crate::evaluate::Judge;
use crate::icarus::SidecarApi;
use crate::reconcile::census;
use crate::reconcile::condensed::{self, Condensed};
use crate::reconcile::execute::request::Unsendable;
use crate::reconcile::execute::store::StoreError;
use crate::reconcile::lease::{Leadership, LeaseLost};
use crate::reconcile::observe::Listings;
use crate::reconcile::observe::SidecarObserver;
use crate::reconcile::observe::{ClusterObservation, surroundings};
use crate::reconcile::plan::needs;
use crate::reconcile::plan::prune::PruneInputs;
use crate::reconcile::plan::restore::RestoreInputs;
use crate::reconcile::plan::schedule::NextRun;
use crate::reconcile::plan::{Actions, Answers, Observation, Plan, Wait};
use crate::reconcile::queue::waking::LONGEST_TIMER;
use crate::reconcile::queue::{Neighbours, Ring, Turns};
use crate::reconcile::watch::Watch;
use crate::reconcile::work::Work;
use crate::telemetry::metrics::Metrics;

/// How often a plan may ask before it is made again from the beginning.
const MOST_QUESTIONS: usize = 8;

/// How long to wait for a cache that is behind.
const AFTER_STALE: Duration = Duration::from_secs(1);

/// How long to wait after an error of the API server.
const AFTER_ERROR: Duration = Duration::from_secs(5);

/// The shortest pause after a look that took longer than what it asked for: whoever answers slowly is not asked without
/// any.
const SHORTEST_PAUSE: SignedDuration = SignedDuration::from_secs(1);

/// Objects in one answer of a list, which is in memory as a whole. A heap does not shrink much when it is gone.
const PAGE: u32 = 50;

/// How many objects of a kind are looked at together, those counted that wait for others of their cluster; more wait. What
/// kube and the log keep for each look is never given back, and after a start every object is looked at.
const MOST_LOOKS: u16 = 1024;

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
    pub status_is_subresource: Box<dyn Fn(Kind) -> Option<bool> + Send + Sync>,
    /// The one namespace whose objects are run; `None`: all of them.
    pub namespace: Option<String>,
    /// The time.
    pub now: fn() -> Timestamp,
}

/// Why an object was not brought further. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
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
        let (known_restores, restores) = reflector::store();
        let (known_backups, backups) = reflector::store();
        let (neighbours, turns) = Neighbours::new(known_backups.clone(), known_restores.clone(), self.now);
        let term = Arc::new(LeaderContext {
            reconciler: self,
            leadership,
            series,
            neighbours: Arc::new(neighbours),
            beginning: Mutex::default(),
            listings: Listings::default(),
        });
        let Turns {
            restores: next_restores,
            backups: next_backups,
        } = turns;
        let restores = term.controller((known_restores, restores), next_restores);
        let backups = term.controller((known_backups, backups), next_backups);
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
            term.neighbours.wake_the_rested(),
            census,
            watch,
        );
    }
}

/// One time as the leader.
pub(super) struct LeaderContext<S> {
    pub(super) reconciler: Arc<Reconciler<S>>,
    pub(super) leadership: Leadership,
    /// Who tells what is told again and again.
    pub(super) series: Recorder,
    pub(super) neighbours: Arc<Neighbours>,
    /// Who begins in a cluster: one after the other, so that the second sees the first.
    beginning: Mutex<HashMap<Ring, Arc<AsyncMutex<()>>>>,
    /// What sidecars may still be listing.
    listings: Listings,
}

/// Looks again so much later, at once when that is over. What lies further away has no timer until it is near.
fn requeue(after: SignedDuration) -> Action {
    if after > LONGEST_TIMER {
        return Action::await_change();
    }
    Action::requeue(Duration::try_from(after.max(SignedDuration::ZERO)).unwrap_or(AFTER_ERROR))
}

/// What is left of a pause when this much time has passed since the look that asked for it: what falls due meanwhile is
/// not to wait for the writes and events of that look as well.
fn left(again: SignedDuration, passed: Duration) -> SignedDuration {
    let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
    again.saturating_sub(passed).max(again.min(SHORTEST_PAUSE))
}

impl<S: SidecarApi + 'static> LeaderContext<S> {
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
    fn controller<K: Work>(
        &self,
        (known, writer): (Store<K>, Writer<K>),
        next: UnboundedReceiver<ObjectRef<K>>,
    ) -> Controller<K> {
        let neighbours = self.neighbours.clone();
        let api: Api<Condensed<K>> = self.api();
        let objects = watcher(api, watcher::Config::default().page_size(PAGE))
            .default_backoff()
            .map_ok(condensed::event)
            .reflect(writer)
            .inspect_ok(move |event| neighbours.heard(event))
            .applied_objects();
        Controller::for_stream(objects, known)
            .reconcile_on(next)
            .with_config(controller::Config::default().concurrency(MOST_LOOKS))
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
            .for_each(|looked| {
                // What a look failed of was told there.
                if let Err(controller::Error::QueueError(error)) = looked {
                    tracing::warn!(kind = %K::kind(&()), %error, "the watch broke; it is opened again");
                }
                std::future::ready(())
            })
            .await;
    }

    async fn reconcile<K: Work>(&self, cached: Arc<K>) -> Result<Action, ReconcileError> {
        let at_rest = self
            .rest(cached.as_ref())
            .or_else(|| self.queued(cached.as_ref()));
        if let Some(action) = at_rest {
            return Ok(action);
        }
        let guard = if cached.has_begun() {
            None
        } else if self.neighbours.are_known() {
            let lock = self.lock(&cached.namespace().unwrap_or_default(), cached.cluster());
            Some(lock.lock_owned().await)
        } else {
            return Ok(Action::requeue(AFTER_STALE));
        };
        // Many rest or wait together: without a box each task would have the size of all that a look may ever need.
        Box::pin(self.look(cached, guard)).await
    }

    /// Reads an object that may have to be brought further, and does so.
    async fn look<K: Work>(
        &self,
        cached: Arc<K>,
        guard: Option<OwnedMutexGuard<()>>,
    ) -> Result<Action, ReconcileError> {
        let namespace = cached.namespace().unwrap_or_default();
        let api: Api<K> = Api::namespaced(self.reconciler.client.clone(), &namespace);
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
        if self.stop(Kind::Backup).is_some() {
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
            NextRun::None => None,
            NextRun::ForEver => Some(Action::await_change()),
            NextRun::Until(next) => Some(requeue(next.duration_since(now))),
        }
    }

    /// What comes of an object that waits for its turn and says so: as long as the watches know that it has not come,
    /// nobody is asked anything.
    fn queued<K: Work>(&self, object: &K) -> Option<Action> {
        let now = (self.reconciler.now)();
        let waits = !object.has_begun() && object.is_after_nodes(now);
        let status = object.status().filter(|_| waits)?;
        let look = Observation {
            now,
            members: &[],
            missing: None,
            wait: Some(self.neighbours.known_turn(object)?),
            needs: None,
            stop: self.stop(K::KIND),
            cluster_gone: false,
            answers: &Answers::new(),
        };
        let Plan::Do(deeds) = object.plan(&look, &RestoreInputs::default(), &PruneInputs::default()) else {
            return None;
        };
        let again = deeds.again.filter(|_| deeds.is_nothing(status))?;
        Some(requeue(again))
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
            &self.neighbours,
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
        around: &ClusterObservation,
    ) -> Result<(Actions<K::Status>, Instant), ReconcileError> {
        let mut answers = Answers::new();
        for _ in 0..MOST_QUESTIONS {
            let looked = Instant::now();
            let look = Observation {
                now: around.only_at.unwrap_or_else(self.reconciler.now),
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
                    let asker = SidecarObserver {
                        sidecars: &self.reconciler.sidecars,
                        members: &around.members,
                        mark: object.mark()?,
                        listings: &self.listings,
                        listing: &|host_id, datacenter| object.listing(host_id, datacenter),
                    };
                    let asker = &asker;
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
    pub(super) fn stop(&self, kind: Kind) -> Option<Wait> {
        ((self.reconciler.status_is_subresource)(kind) != Some(true)).then(|| {
            let message = "the CRD has no status subresource, so it is CassKop's and CassKop may act: nothing is sent \
                           until cassgate's own CRDs are installed (docs/executor.md)";
            Wait::stalled(Reason::CrdNotOurs, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_due_within_the_hour_has_a_timer_and_nobody_else() {
        let timer = |seconds| Action::requeue(Duration::from_secs(seconds));
        let table = [
            (-5, timer(0)),
            (10, timer(10)),
            (3_600, timer(3_600)),
            (3_601, Action::await_change()),
        ];
        for (after, expected) in table {
            assert_eq!(requeue(SignedDuration::from_secs(after)), expected, "{after}");
        }
    }

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
