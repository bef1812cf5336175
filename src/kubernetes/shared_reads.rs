//! Reads in flight that several requests share.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

use crate::rules::facts::Reference;

/// The reads of one kind in flight. A request for the same object joins the read instead of starting another.
///
/// A read continues as long as one of its waiters polls it, and is cancelled when the last one is dropped.
pub(super) struct SharedReads<T: Clone>(Mutex<HashMap<String, WeakShared<Read<T>>>>);

type Read<T> = BoxFuture<'static, Reference<T>>;

impl<T: Clone + Send + Sync + 'static> SharedReads<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Returns the read of this object in flight, or else the one that `read` starts.
    ///
    /// It may have started before the call, so a denial must not rest on it.
    pub(super) fn join<F>(&self, namespace: &str, name: &str, read: impl FnOnce() -> F) -> Shared<Read<T>>
    where
        F: Future<Output = Reference<T>> + Send + 'static,
    {
        let key = format!("{namespace}/{name}");
        let mut reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = reads.get(&key).and_then(in_flight) {
            return shared;
        }
        reads.retain(|_, other| in_flight(other).is_some());
        let shared = read().boxed().shared();
        reads.extend(shared.downgrade().map(|weak| (key, weak)));
        shared
    }
}

/// Returns the read unless it is finished or has no waiter left.
fn in_flight<T: Clone>(read: &WeakShared<Read<T>>) -> Option<Shared<Read<T>>> {
    read.upgrade().filter(|read| read.peek().is_none())
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use tokio::sync::oneshot;

    use super::*;

    #[derive(Default)]
    struct Reads(Arc<AtomicU32>);

    impl Reads {
        fn read(&self, answer: oneshot::Receiver<u32>) -> impl Future<Output = Reference<u32>> + use<> {
            self.0.fetch_add(1, Ordering::Relaxed);
            async { answer.await.map_or(Reference::Absent, Reference::Found) }
        }

        fn begun(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn two_requests_for_one_object_share_a_read() {
        let (shared, reads) = (SharedReads::new(), Reads::default());
        let (answer, receiver) = oneshot::channel();
        let first = shared.join("prod", "s3", || reads.read(receiver));
        let second = shared.join("prod", "s3", || reads.read(oneshot::channel().1));
        answer.send(7).unwrap();
        assert_eq!(
            futures::join!(first, second),
            (Reference::Found(7), Reference::Found(7))
        );
        assert_eq!(reads.begun(), 1);
    }

    #[tokio::test]
    async fn objects_of_the_same_name_in_two_namespaces_are_read_separately() {
        let (shared, reads) = (SharedReads::new(), Reads::default());
        let _first = shared.join("prod", "s3", || reads.read(oneshot::channel().1));
        let _second = shared.join("test", "s3", || reads.read(oneshot::channel().1));
        assert_eq!(reads.begun(), 2);
    }

    #[tokio::test]
    async fn a_finished_read_is_not_joined() {
        let (shared, reads) = (SharedReads::new(), Reads::default());
        let (answer, receiver) = oneshot::channel();
        let first = shared.join("prod", "s3", || reads.read(receiver));
        answer.send(1).unwrap();
        assert_eq!(first.clone().await, Reference::Found(1));
        let (answer, receiver) = oneshot::channel();
        let second = shared.join("prod", "s3", || reads.read(receiver));
        answer.send(2).unwrap();
        assert_eq!(second.await, Reference::Found(2));
    }

    #[tokio::test]
    async fn a_cancelled_request_does_not_cancel_the_read_of_another() {
        let (shared, reads) = (SharedReads::new(), Reads::default());
        let (answer, receiver) = oneshot::channel();
        let mut first = shared.join("prod", "s3", || reads.read(receiver));
        assert!(futures::poll!(&mut first).is_pending());
        let second = shared.join("prod", "s3", || reads.read(oneshot::channel().1));
        drop(first);
        answer.send(1).unwrap();
        assert_eq!((second.await, reads.begun()), (Reference::Found(1), 1));
    }

    #[tokio::test]
    async fn a_read_without_waiters_is_dropped() {
        let (shared, reads) = (SharedReads::new(), Reads::default());
        drop(shared.join("prod", "s3", || reads.read(oneshot::channel().1)));
        let _next = shared.join("prod", "other", || reads.read(oneshot::channel().1));
        assert_eq!(shared.0.lock().unwrap().len(), 1);
        assert_eq!(reads.begun(), 2);
    }
}
