//! The controllers of both kinds: their watches, and the loop that observes, plans and executes.

mod failures;
mod next_run_watch;
mod reconcile;
mod requeue;
mod run_metrics;
mod short_operations;
mod streams;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector;
use kube::{Api, Client, Resource};
use tokio::sync::Mutex as AsyncMutex;

use self::failures::Failures;
use self::next_run_watch::NextRunWatch;
use crate::api::{CassandraBackup, CassandraRestore, Kind, Reason};
use crate::evaluate::Judge;
use crate::icarus::SidecarApi;
use crate::reconcile::execute::Sendable;
use crate::reconcile::lease::Leadership;
use crate::reconcile::object::{OwnWrites, Plannable};
use crate::reconcile::observe::Listings;
use crate::reconcile::plan::Wait;
use crate::reconcile::queue::order::Queued;
use crate::reconcile::queue::{ClusterKey, OperationQueue, WakeUps};
use crate::telemetry::metrics::Metrics;

/// An object that has a controller.
trait Controlled: Plannable + Queued + Sendable {}

impl<K: Plannable + Queued + Sendable> Controlled for K {}

/// Runs admitted backups and restores on the sidecars.
pub struct Reconciler<S> {
    /// The client of the API server.
    pub client: Client,
    /// The client of the sidecars.
    pub sidecars: S,
    /// The rules.
    pub judge: Arc<dyn Judge>,
    /// The metrics of runs.
    pub metrics: Metrics,
    /// Returns true if the status of a kind is a subresource; `None` if that is unknown.
    pub status_is_subresource: Box<dyn Fn(Kind) -> Option<bool> + Send + Sync>,
    /// The namespace to run in; `None` means all namespaces.
    pub namespace: Option<String>,
    /// The time without progress after which a run under way is reported as stalled.
    pub no_progress_timeout: SignedDuration,
    /// The wall clock.
    pub now: fn() -> Timestamp,
}

impl<S: SidecarApi + 'static> Reconciler<S> {
    /// Runs both controllers for as long as the future is polled. Only the holder of `leadership` may poll it.
    pub async fn run(self: Arc<Self>, leadership: Leadership) {
        let repeated_events = Recorder::new(self.client.clone(), Reporter::from("cassgate"));
        let (restore_store, restore_writer) = reflector::store();
        let (backup_store, backup_writer) = reflector::store();
        let (queue, wake_ups) = OperationQueue::new(backup_store.clone(), restore_store.clone(), self.now);
        let context = Arc::new(LeaderContext {
            reconciler: self,
            leadership,
            repeated_events,
            queue: Arc::new(queue),
            own_writes: Arc::default(),
            start_locks: Mutex::default(),
            listings: Listings::default(),
            failures: Failures::default(),
        });
        let WakeUps {
            restores: woken_restores,
            backups: woken_backups,
        } = wake_ups;
        let restores = LeaderContext::controller(&context, (restore_store, restore_writer), woken_restores);
        let backups = LeaderContext::controller(&context, (backup_store, backup_writer), woken_backups);
        let run_metrics = run_metrics::update(
            &context.reconciler.metrics,
            backups.store(),
            restores.store(),
            &context.failures,
            context.reconciler.now,
        );
        let next_run_watch = NextRunWatch {
            judge: context.reconciler.judge.as_ref(),
            backups: backups.store(),
            clusters: context.api(),
            now: context.reconciler.now,
        };
        let next_run_watch = next_run_watch.run(|backup| context.clone().report_needs(backup));
        tokio::join!(
            context.clone().run_controller::<CassandraRestore>(restores),
            context.clone().run_controller::<CassandraBackup>(backups),
            context.queue.wake_due_objects(),
            run_metrics,
            next_run_watch,
        );
    }
}

/// The state of the reconciler for as long as this replica leads.
struct LeaderContext<S> {
    reconciler: Arc<Reconciler<S>>,
    leadership: Leadership,
    /// The recorder of events that are repeated as a series.
    repeated_events: Recorder,
    queue: Arc<OperationQueue>,
    own_writes: Arc<OwnWrites>,
    /// One lock per cluster: objects start one after the other, so that the second sees the first.
    start_locks: Mutex<HashMap<ClusterKey, Arc<AsyncMutex<()>>>>,
    /// The listings that sidecars may still be running.
    listings: Listings,
    /// The objects whose last reconcile failed.
    failures: Failures,
}

impl<S> LeaderContext<S> {
    /// Returns an API for the objects of the namespaces that the reconciler runs in.
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

    /// Returns the reason why nothing may be sent for objects of a kind. If its status is not a subresource, the CRD is
    /// `CassKop`'s, and `CassKop` may act on the objects.
    fn crd_conflict(&self, kind: Kind) -> Option<Wait> {
        ((self.reconciler.status_is_subresource)(kind) != Some(true)).then(|| {
            let message = "the CRD has no status subresource, so it is CassKop's and CassKop may act: nothing is sent \
                           until cassgate's own CRDs are installed (docs/executor.md)";
            Wait::stalled(Reason::CrdNotOurs, message)
        })
    }
}
