//! What is known of all objects of a kind, kept up to date by a watch.

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

use crate::telemetry::metrics::Metrics;

use super::kind::{Pruned, WatchedKind};
use super::reason::{UNREADABLE, reason, refused};
use super::store::{Store, Writer};

/// Objects in one answer of a list. The answer is in memory as a whole, with five kilobytes or more of each backup, and
/// what is kept of it lies among what is not: of pages five times as long a heap stays a third larger (seen).
const PAGE: u32 = 50;

/// How long the API server keeps a watch open, in seconds. A connection that died without a word is noticed five
/// seconds after that.
const WATCH_SECONDS: u32 = 120;

/// A watch that was opened again and has not failed for so long stands. It is longer than
/// [`CONNECT_TIMEOUT`](super::client::CONNECT_TIMEOUT), since kube does not tell when a watch is open.
const SETTLED: Duration = Duration::from_secs(10);

/// For how long a cache still answers whose watch is broken. Short, so that no verdict rests on a world long gone; but
/// an API server that restarts must not cost every review a read that waits for it.
const TRUSTED_WHILE_STALE: Duration = Duration::from_mins(1);

/// The longest pause between two attempts. kube's own backoff goes up to a minute, and for so long a cache would stay
/// behind, or a replica not ready, after an API server has come back. An attempt is one small request.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A watch that has been broken for so long is not resumed: the cache is listed anew. A list says at once that all is
/// there, where a resumed watch says nothing for [`SETTLED`]; so a cache is complete again one pause after the API
/// server is back, and before it is no longer trusted.
const RESUMED_WITHIN: Duration = Duration::from_secs(20);

/// A cache of a kind: the watch, which has to be [run](Self::run), and what it fills.
pub struct Cache<K: WatchedKind> {
    api: Api<Pruned<K>>,
    feed: Feed<K>,
}

/// How a cache stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheState {
    /// It has never been complete; why, in one line. Everything is read live.
    Incomplete(String),
    /// It holds every object, and the watch stands.
    Synced,
    /// It was complete and the watch broke. That is no reason to stop answering reviews: what the cache does not
    /// know, or has not known for a minute, is read live.
    Stale {
        /// When the watch broke.
        since: Instant,
        /// Why, in one line.
        reason: String,
    },
}

/// The reading end of a [`Cache`]. A clone is another handle to the same one.
pub struct Cached<K: WatchedKind> {
    store: Arc<Store<K::Fact, K::Index>>,
    state: watch::Receiver<CacheState>,
}

/// What the events of a watch do. No runtime is needed for it.
struct Feed<K: WatchedKind> {
    writer: Writer<K::Fact, K::Index>,
    state: watch::Sender<CacheState>,
    metrics: Metrics,
}

impl CacheState {
    /// Why reviews should not come yet: the text of a closed readiness gate. `None` once the cache has been complete.
    ///
    /// A broken watch closes nothing: it breaks on all replicas at once, and a gate without endpoints refuses every
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
            Self::Stale { since, .. } => now < *since + TRUSTED_WHILE_STALE,
        }
    }
}

impl<K: WatchedKind> Cache<K> {
    /// A cache of the objects of all namespaces. It is empty until it [runs](Self::run).
    #[must_use]
    pub fn new(client: Client, metrics: Metrics) -> Self {
        Self {
            api: Api::all(client),
            feed: Feed::new(metrics),
        }
    }

    /// The reading end.
    #[must_use]
    pub fn reader(&self) -> Cached<K> {
        Cached {
            store: Arc::clone(self.feed.writer.store()),
            state: self.feed.state.subscribe(),
        }
    }

    /// How the cache stands, now and whenever that changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<CacheState> {
        self.feed.state.subscribe()
    }

    /// Lists and watches for as long as it is polled; dropping it ends the watch. Failures are told by
    /// [`state`](Self::state) and the log, once per reason, and tried again after 1 to 5 s.
    pub async fn run(self) {
        let Self { api, mut feed } = self;
        let config = watcher::Config::default().page_size(PAGE).timeout(WATCH_SECONDS);
        let begin = || watcher(api.clone(), config.clone());
        let mut events = pin!(begin());
        let mut pauses = DefaultBackoff::default();
        loop {
            match feed.next(&mut events).await {
                Some(Ok(event)) => {
                    // Not after `Init`: kube sends that before each attempt to list, so the pauses would never grow.
                    if !matches!(event, Event::Init | Event::InitApply(_)) {
                        pauses.reset();
                    }
                    feed.take(event);
                }
                Some(Err(error)) => {
                    let now = Instant::now();
                    feed.failed(&error, now);
                    if is_expired(&error) {
                        // Nothing is wrong with the API server. kube itself would not list again if it said so
                        // instead of opening the watch.
                        events.set(begin());
                        pauses.reset();
                    } else if feed.is_past_resuming(now) {
                        events.set(begin());
                    }
                    sleep(pauses.next().unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)).await;
                }
                // The stream of kube has no end.
                None => return,
            }
        }
    }
}

impl<K: WatchedKind> Cached<K> {
    /// What was lately known of the object. Nothing does not mean that there is none.
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
        // Without a sender nothing runs that would keep the store up to date.
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
            metrics,
        }
    }

    /// The next event. If the watch was broken and stays quiet, it stands again.
    async fn next<S: Stream + Unpin>(&self, events: &mut S) -> Option<S::Item> {
        while self.awaits_settling() {
            match timeout(SETTLED, events.next()).await {
                Ok(event) => return event,
                Err(_) => self.turn(CacheState::Synced),
            }
        }
        events.next().await
    }

    /// An event of the watch.
    fn take(&mut self, event: Event<Pruned<K>>) {
        match event {
            Event::Init => return self.writer.begin_list(),
            Event::InitApply(object) => return self.list(object),
            Event::InitDone => self.writer.finish_list(),
            Event::Apply(object) => self.apply(object),
            Event::Delete(object) => {
                let (namespace, name, _) = object.into_parts();
                self.writer.delete(&namespace, &name);
            }
        }
        self.metrics.cache_objects(K::CACHE, self.writer.store().len());
        self.turn(CacheState::Synced);
    }

    fn list(&mut self, object: Pruned<K>) {
        let (namespace, name, fact) = object.into_parts();
        match fact {
            Ok(fact) => self.writer.list(&namespace, &name, fact),
            Err(error) => skipped::<K>(&namespace, &name, &error),
        }
    }

    fn apply(&mut self, object: Pruned<K>) {
        let (namespace, name, fact) = object.into_parts();
        match fact {
            Ok(fact) => self.writer.apply(&namespace, &name, fact),
            Err(error) => {
                // What it was before is not true any more.
                self.writer.delete(&namespace, &name);
                skipped::<K>(&namespace, &name, &error);
            }
        }
    }

    /// The watch failed and will be tried again.
    fn failed(&self, error: &watcher::Error, now: Instant) {
        let reason = why::<K>(error);
        let since = match &*self.state.borrow() {
            CacheState::Incomplete(_) => None,
            CacheState::Synced => Some(now),
            CacheState::Stale { since, .. } => Some(*since),
        };
        self.turn(match since {
            None => CacheState::Incomplete(reason),
            Some(since) => CacheState::Stale { since, reason },
        });
    }

    /// Whether the watch has been broken for too long. A list that is under way goes on by itself.
    fn is_past_resuming(&self, now: Instant) -> bool {
        match &*self.state.borrow() {
            CacheState::Stale { since, .. } => !self.writer.is_listing() && now >= *since + RESUMED_WITHIN,
            CacheState::Incomplete(_) | CacheState::Synced => false,
        }
    }

    /// Whether silence would mean that the watch stands again. While a list is read it would not.
    fn awaits_settling(&self) -> bool {
        !self.writer.is_listing() && matches!(&*self.state.borrow(), CacheState::Stale { .. })
    }

    fn turn(&self, new: CacheState) {
        let kind = K::plural(&());
        self.metrics.cache_synced(K::CACHE, new == CacheState::Synced);
        self.state.send_if_modified(|state| {
            if *state == new {
                return false;
            }
            match &new {
                CacheState::Synced => {
                    tracing::info!(%kind, objects = self.writer.store().len(), "cache is up to date");
                }
                CacheState::Incomplete(reason) | CacheState::Stale { reason, .. } => {
                    tracing::warn!(%kind, reason, "cache cannot be kept up to date; trying again");
                }
            }
            *state = new;
            true
        });
    }
}

fn skipped<K: WatchedKind>(namespace: &str, name: &str, error: &str) {
    let kind = K::kind(&());
    tracing::warn!(%kind, namespace, name, error, "object cannot be read and is left out of the cache");
}

/// Whether the place where the watch would go on is no longer known.
fn is_expired(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchError(status) | watcher::Error::WatchStartFailed(Error::Api(status)) => {
            status.code == 410
        }
        _ => false,
    }
}

/// Why a watch failed, in one line.
fn why<K: WatchedKind>(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(Error::Api(status))
        | watcher::Error::WatchStartFailed(Error::Api(status)) => match status.code {
            403 => format!(
                "cassgate may not list and watch {} in all namespaces (403)",
                K::plural(&())
            ),
            404 => format!("the CRD of {} is not installed", K::kind(&())),
            _ => refused(status),
        },
        watcher::Error::WatchError(status) => refused(status),
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => reason(error),
        watcher::Error::NoResourceVersion => UNREADABLE.to_owned(),
    }
}
