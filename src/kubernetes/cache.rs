//! All objects of a kind, kept up to date by a watch.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Api, Client, Error,
    runtime::{
        utils::Backoff,
        watcher::{self, DefaultBackoff, Event, watcher},
    },
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::telemetry::api_error::is_routine_end_of_watch;
use crate::telemetry::metrics::Metrics;

use super::kind::{Pruned, WatchedKind};
use super::reason::{UNREADABLE, reason, status_reason};
use super::store::{Store, Writer};
use super::undecodable::Undecodable;

/// The number of objects in one page of a list.
///
/// A page is in memory as a whole, with five kilobytes or more for each backup, and fragments the heap: with pages five
/// times as long it stays a third larger (measured).
const PAGE_SIZE: u32 = 50;

/// The time for which the API server keeps a watch open, in seconds. A connection that died silently is noticed five
/// seconds after that.
const WATCH_TIMEOUT_SECONDS: u32 = 120;

/// The time without an error after which a reopened watch counts as established.
///
/// kube does not report when a watch is open, so this is longer than
/// [`CONNECT_TIMEOUT`](super::client::CONNECT_TIMEOUT).
const ESTABLISHED_AFTER: Duration = Duration::from_secs(10);

/// The time for which a cache still answers after its watch broke.
///
/// It is short, so that no verdict rests on old objects. But while an API server restarts, not every review must wait
/// for a read.
const MAX_STALENESS: Duration = Duration::from_mins(1);

/// The maximum delay between two attempts.
///
/// kube's own backoff goes up to a minute. For so long a cache would be out of date, or a replica not ready, after the
/// API server is back. An attempt is one small request.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);

/// The time after which a broken watch is not resumed but the cache is listed again.
///
/// A complete list shows at once that the cache is up to date, while a resumed watch shows it only after
/// [`ESTABLISHED_AFTER`]. So the cache is up to date one retry delay after the API server is back, and before
/// [`MAX_STALENESS`] has passed.
const MAX_RESUME_AGE: Duration = Duration::from_secs(20);

/// The cache of a kind. Its watch must be [run](Self::run).
pub struct Cache<K: WatchedKind> {
    api: Api<Pruned<K>>,
    feed: Feed<K>,
}

/// The state of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheState {
    /// It has never been complete, for this reason in one line. Every object is read live.
    Incomplete(String),
    /// It has every object, and the watch is open.
    Synced,
    /// It was complete and the watch broke. Reviews are still answered: objects that the cache does not have, and after
    /// a minute all objects, are read live.
    Stale {
        /// The time at which the watch broke.
        since: Instant,
        /// The reason in one line.
        reason: String,
    },
}

/// The reader of a [`Cache`]. Clones read the same cache.
pub struct Cached<K: WatchedKind> {
    store: Arc<Store<K::Fact, K::Index>>,
    state: watch::Receiver<CacheState>,
}

/// Applies the events of a watch to the store. Needs no runtime.
struct Feed<K: WatchedKind> {
    writer: Writer<K::Fact, K::Index>,
    state: watch::Sender<CacheState>,
    /// The objects that the cache leaves out.
    undecodable: watch::Sender<Undecodable>,
    /// The same of the list that is being read.
    listed_undecodable: Undecodable,
    metrics: Metrics,
}

impl CacheState {
    /// Returns the reason why the replica is not ready: the text of a closed readiness gate. `None` once the cache has
    /// been complete.
    ///
    /// A broken watch closes no gate: it breaks on all replicas at once, and a webhook without endpoints fails every
    /// apply.
    #[must_use]
    pub fn unready(&self) -> Option<&str> {
        match self {
            Self::Incomplete(reason) => Some(reason),
            Self::Synced | Self::Stale { .. } => None,
        }
    }

    fn is_trusted(&self, now: Instant) -> bool {
        match self {
            Self::Incomplete(_) => false,
            Self::Synced => true,
            Self::Stale { since, .. } => now < *since + MAX_STALENESS,
        }
    }
}

impl<K: WatchedKind> Cache<K> {
    /// Returns a cache of the objects of all namespaces. It is empty until it [runs](Self::run).
    #[must_use]
    pub fn new(client: Client, metrics: Metrics) -> Self {
        Self {
            api: Api::all(client),
            feed: Feed::new(metrics),
        }
    }

    /// Returns a reader.
    #[must_use]
    pub fn reader(&self) -> Cached<K> {
        Cached {
            store: Arc::clone(self.feed.writer.store()),
            state: self.feed.state.subscribe(),
        }
    }

    /// Returns the state, now and on every change.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<CacheState> {
        self.feed.state.subscribe()
    }

    /// Returns the objects that cannot be decoded, now and on every change.
    #[must_use]
    pub fn undecodable(&self) -> watch::Receiver<Undecodable> {
        self.feed.undecodable.subscribe()
    }

    /// Lists and watches as long as it is polled; dropping it ends the watch.
    ///
    /// Failures appear in [`state`](Self::state) and, once per reason, in the log. They are retried after 1 to 5 s.
    pub async fn run(self) {
        let Self { api, mut feed } = self;
        let config = watcher::Config::default()
            .page_size(PAGE_SIZE)
            .timeout(WATCH_TIMEOUT_SECONDS);
        let begin = || watcher(api.clone(), config.clone());
        let mut events = pin!(begin());
        let mut delays = DefaultBackoff::default();
        loop {
            match feed.next(&mut events).await {
                Some(Ok(event)) => {
                    // Not after `Init`: kube sends it before each attempt to list, so the delays would never grow.
                    if !matches!(event, Event::Init | Event::InitApply(_)) {
                        delays.reset();
                    }
                    feed.apply_event(event);
                }
                Some(Err(error)) => {
                    let now = Instant::now();
                    feed.record_failure(&error, now);
                    if is_expired(&error) {
                        // The API server is healthy. kube does not list again by itself if the API server answers 410
                        // instead of opening the watch.
                        events.set(begin());
                        delays.reset();
                    } else if feed.is_too_old_to_resume(now) {
                        events.set(begin());
                    }
                    sleep(delays.next().unwrap_or(MAX_RETRY_DELAY).min(MAX_RETRY_DELAY)).await;
                }
                // kube's stream never ends.
                None => return,
            }
        }
    }
}

impl<K: WatchedKind> Cached<K> {
    /// Returns the cached object. `None` does not mean that the API server has none.
    pub(super) fn get(&self, namespace: &str, name: &str, now: Instant) -> Option<Arc<K::Fact>> {
        self.is_trusted(now)
            .then(|| self.store.get(namespace, name))
            .flatten()
    }

    /// Asks the index; `None` while the cache is not trusted.
    pub(super) fn ask<R>(&self, now: Instant, question: impl FnOnce(&K::Index) -> R) -> Option<R> {
        self.is_trusted(now).then(|| self.store.ask(question))
    }

    fn is_trusted(&self, now: Instant) -> bool {
        // Without a sender, no watch keeps the store up to date.
        self.state.has_changed().is_ok() && self.state.borrow().is_trusted(now)
    }
}

impl<K: WatchedKind> Clone for Cached<K> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            state: self.state.clone(),
        }
    }
}

impl<K: WatchedKind> Feed<K> {
    fn new(metrics: Metrics) -> Self {
        let state = watch::Sender::new(CacheState::Incomplete("not listed yet".to_owned()));
        Self {
            writer: Writer::new(Arc::default()),
            state,
            undecodable: watch::Sender::default(),
            listed_undecodable: Undecodable::default(),
            metrics,
        }
    }

    /// Returns the next event. If the watch was broken and is quiet for [`ESTABLISHED_AFTER`], it counts as open again.
    async fn next<S: Stream + Unpin>(&self, events: &mut S) -> Option<S::Item> {
        while self.awaits_silence() {
            match timeout(ESTABLISHED_AFTER, events.next()).await {
                Ok(event) => return event,
                Err(_) => _ = self.set_state(CacheState::Synced),
            }
        }
        events.next().await
    }

    /// Applies an event of the watch.
    fn apply_event(&mut self, event: Event<Pruned<K>>) {
        match event {
            Event::Init => {
                self.listed_undecodable = Undecodable::default();
                return self.writer.begin_list();
            }
            Event::InitApply(object) => return self.list(object),
            Event::InitDone => {
                self.writer.finish_list();
                let listed = std::mem::take(&mut self.listed_undecodable);
                self.undecodable.send_replace(listed);
            }
            Event::Apply(object) => self.apply(object),
            Event::Delete(object) => {
                let (namespace, name, _) = object.into_parts();
                self.writer.delete(&namespace, &name);
                self.decodes(&namespace, &name);
            }
        }
        self.metrics
            .cache_undecodable(K::CACHE, self.undecodable.borrow().len());
        self.metrics.cache_objects(K::CACHE, self.writer.store().len());
        self.set_state(CacheState::Synced);
    }

    fn list(&mut self, object: Pruned<K>) {
        let (namespace, name, fact) = object.into_parts();
        match fact {
            Ok(fact) => self.writer.list(&namespace, &name, fact),
            Err(error) => {
                log_skipped::<K>(&namespace, &name, &error);
                self.listed_undecodable.insert(namespace, name, &error);
            }
        }
    }

    fn apply(&mut self, object: Pruned<K>) {
        let (namespace, name, fact) = object.into_parts();
        match fact {
            Ok(fact) => {
                self.decodes(&namespace, &name);
                self.writer.apply(&namespace, &name, fact);
            }
            Err(error) => {
                // The previous version is out of date.
                self.writer.delete(&namespace, &name);
                log_skipped::<K>(&namespace, &name, &error);
                self.undecodable
                    .send_modify(|undecodable| undecodable.insert(namespace, name, &error));
            }
        }
    }

    /// Records that an object was deleted or can be decoded.
    fn decodes(&self, namespace: &str, name: &str) {
        self.undecodable
            .send_if_modified(|undecodable| undecodable.remove(namespace, name));
    }

    /// Records a failure of the watch.
    fn record_failure(&self, error: &watcher::Error, now: Instant) {
        let reason = watch_reason::<K>(error);
        let since = match &*self.state.borrow() {
            CacheState::Incomplete(_) => None,
            CacheState::Synced => Some(now),
            CacheState::Stale { since, .. } => Some(*since),
        };
        let is_new = self.set_state(match since {
            None => CacheState::Incomplete(reason.clone()),
            Some(since) => CacheState::Stale {
                since,
                reason: reason.clone(),
            },
        });
        let kind = K::plural(&());
        if is_new && is_routine_end_of_watch(error) {
            tracing::info!(%kind, reason, "the watch of a cache ended; it is opened again");
        } else if is_new {
            tracing::warn!(%kind, reason, "cache cannot be kept up to date; trying again");
        }
    }

    /// Returns true if the watch has been broken for too long to be resumed. A list in progress continues.
    fn is_too_old_to_resume(&self, now: Instant) -> bool {
        match &*self.state.borrow() {
            CacheState::Stale { since, .. } => !self.writer.is_listing() && now >= *since + MAX_RESUME_AGE,
            CacheState::Incomplete(_) | CacheState::Synced => false,
        }
    }

    /// Returns true if silence means that the watch is open again. It does not while a list is read.
    fn awaits_silence(&self) -> bool {
        !self.writer.is_listing() && matches!(&*self.state.borrow(), CacheState::Stale { .. })
    }

    /// Sets the state. Returns true if it was another one before.
    fn set_state(&self, new: CacheState) -> bool {
        self.metrics.cache_synced(K::CACHE, new == CacheState::Synced);
        self.state.send_if_modified(|state| {
            if *state == new {
                return false;
            }
            if new == CacheState::Synced {
                let kind = K::plural(&());
                tracing::info!(%kind, objects = self.writer.store().len(), "cache is up to date");
            }
            *state = new;
            true
        })
    }
}

fn log_skipped<K: WatchedKind>(namespace: &str, name: &str, error: &str) {
    let kind = K::kind(&());
    tracing::warn!(%kind, namespace, name, error, "object cannot be decoded and is left out of the cache");
}

/// Returns true if the API server no longer knows the resource version at which the watch would resume.
fn is_expired(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchError(status) | watcher::Error::WatchStartFailed(Error::Api(status)) => {
            status.code == 410
        }
        _ => false,
    }
}

/// Returns the reason why a watch failed, in one line.
fn watch_reason<K: WatchedKind>(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(Error::Api(status))
        | watcher::Error::WatchStartFailed(Error::Api(status)) => match status.code {
            403 => format!(
                "cassgate may not list and watch {} in all namespaces (403)",
                K::plural(&())
            ),
            404 => format!("the CRD of {} is not installed", K::kind(&())),
            _ => status_reason(status),
        },
        watcher::Error::WatchError(status) => status_reason(status),
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => reason(error),
        watcher::Error::NoResourceVersion => UNREADABLE.to_owned(),
    }
}
