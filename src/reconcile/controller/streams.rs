//! The watch of a kind, and the kube controller that is fed by it.

use std::sync::Arc;

use futures::channel::mpsc::UnboundedReceiver;
use futures::{StreamExt, TryStreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};

use super::{Controlled, LeaderContext};
use crate::icarus::SidecarApi;
use crate::reconcile::object::CachedObject;
use crate::telemetry::api_error::{is_routine_end_of_watch, log_text};

/// Objects per page of a list. A page is in memory as a whole, and the heap hardly shrinks afterwards.
const PAGE_SIZE: u32 = 50;

/// The limit of concurrent reconciles per kind, including those that wait for the lock of a cluster. kube and the log
/// never give back what they allocate for a reconcile, and every object is reconciled after a start.
const MAX_CONCURRENT_RECONCILES: u16 = 1024;

impl<S: SidecarApi + 'static> LeaderContext<S> {
    /// Returns the controller of a kind, which also reconciles the objects that `woken` names. Its store holds trimmed
    /// objects.
    pub(super) fn controller<K: Controlled>(
        self: &Arc<Self>,
        (store, writer): (Store<K>, Writer<K>),
        woken: UnboundedReceiver<ObjectRef<K>>,
    ) -> Controller<K> {
        let (queue, admitting) = (self.queue.clone(), self.queue.clone());
        let (own_writes, forgetting) = (self.own_writes.clone(), Arc::clone(self));
        let api: Api<CachedObject<K>> = self.api();
        let objects = watcher(api, watcher::Config::default().page_size(PAGE_SIZE))
            .default_backoff()
            .try_filter_map(move |event| std::future::ready(Ok(admitting.admit(event))))
            .reflect(writer)
            .inspect_ok(move |event| {
                queue.handle_event(event);
                if let Event::Delete(object) = event {
                    forgetting.own_writes.forget(object);
                    forgetting.failures.clear(object);
                }
            })
            .applied_objects()
            .try_filter(move |object| std::future::ready(!own_writes.is_own(object)));
        Controller::for_stream(objects, store)
            .reconcile_on(woken)
            .with_config(controller::Config::default().concurrency(MAX_CONCURRENT_RECONCILES))
    }

    /// Runs a controller for as long as the future is polled.
    pub(super) async fn run_controller<K: Controlled>(self: Arc<Self>, controller: Controller<K>) {
        controller
            .run(
                |object, context| async move { context.reconcile_and_record(object).await },
                |object, error, context| {
                    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
                    tracing::warn!(kind = %K::kind(&()), namespace, name, error = log_text(error), "reconcile failed");
                    Action::requeue(context.failures.delay(object.as_ref()))
                },
                self,
            )
            .for_each(|result| {
                // The error of a reconcile has been logged above.
                if let Err(controller::Error::QueueError(error)) = result {
                    let (kind, error_text) = (K::kind(&()), log_text(&error));
                    if is_routine_end_of_watch(&error) {
                        tracing::info!(%kind, error = error_text, "the watch ended; it is opened again");
                    } else {
                        tracing::warn!(%kind, error = error_text, "the watch failed; it is opened again");
                    }
                }
                std::future::ready(())
            })
            .await;
    }
}
