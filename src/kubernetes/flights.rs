//! Reads in flight that several requests may wait for.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

use crate::rules::facts::Reference;

/// The reads of one kind that are under way. Whoever wants the same object joins the read that is there.
///
/// A read goes on as long as one of those who wait for it polls it, and stops with the last of them.
pub(super) struct Flights<T: Clone>(Mutex<HashMap<String, WeakShared<Read<T>>>>);

type Read<T> = BoxFuture<'static, Reference<T>>;

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// The read of this object that is under way, or else the one that `read` begins.
    ///
    /// It may have begun before the call, so it will do for what was asked lately and not for a refusal.
    pub(super) fn join<F>(&self, namespace: &str, name: &str, read: impl FnOnce() -> F) -> Shared<Read<T>>
    where
        F: Future<Output = Reference<T>> + Send + 'static,
    {
        let key = format!("{namespace}/{name}");
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key).and_then(under_way) {
            return flight;
        }
        flights.retain(|_, flight| under_way(flight).is_some());
        let flight = read().boxed().shared();
        flights.extend(flight.downgrade().map(|weak| (key, weak)));
        flight
    }
}

/// The read, unless it is over or nobody waits for it any more.
fn under_way<T: Clone>(flight: &WeakShared<Read<T>>) -> Option<Shared<Read<T>>> {
    flight.upgrade().filter(|flight| flight.peek().is_none())
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
    async fn two_who_want_the_same_share_one_read() {
        let (flights, reads) = (Flights::new(), Reads::default());
        let (answer, receiver) = oneshot::channel();
        let first = flights.join("prod", "s3", || reads.read(receiver));
        let second = flights.join("prod", "s3", || reads.read(oneshot::channel().1));
        answer.send(7).unwrap();
        assert_eq!(
            futures::join!(first, second),
            (Reference::Found(7), Reference::Found(7))
        );
        assert_eq!(reads.begun(), 1);
    }

    #[tokio::test]
    async fn objects_of_the_same_name_in_two_namespaces_are_two() {
        let (flights, reads) = (Flights::new(), Reads::default());
        let _first = flights.join("prod", "s3", || reads.read(oneshot::channel().1));
        let _second = flights.join("test", "s3", || reads.read(oneshot::channel().1));
        assert_eq!(reads.begun(), 2);
    }

    #[tokio::test]
    async fn a_read_that_is_over_is_not_joined() {
        let (flights, reads) = (Flights::new(), Reads::default());
        let (answer, receiver) = oneshot::channel();
        let first = flights.join("prod", "s3", || reads.read(receiver));
        answer.send(1).unwrap();
        assert_eq!(first.clone().await, Reference::Found(1));
        let (answer, receiver) = oneshot::channel();
        let second = flights.join("prod", "s3", || reads.read(receiver));
        answer.send(2).unwrap();
        assert_eq!(second.await, Reference::Found(2));
    }

    #[tokio::test]
    async fn one_who_gives_up_does_not_take_the_read_from_the_other() {
        let (flights, reads) = (Flights::new(), Reads::default());
        let (answer, receiver) = oneshot::channel();
        let mut first = flights.join("prod", "s3", || reads.read(receiver));
        assert!(futures::poll!(&mut first).is_pending());
        let second = flights.join("prod", "s3", || reads.read(oneshot::channel().1));
        drop(first);
        answer.send(1).unwrap();
        assert_eq!((second.await, reads.begun()), (Reference::Found(1), 1));
    }

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_is_forgotten() {
        let (flights, reads) = (Flights::new(), Reads::default());
        drop(flights.join("prod", "s3", || reads.read(oneshot::channel().1)));
        let _next = flights.join("prod", "other", || reads.read(oneshot::channel().1));
        assert_eq!(flights.0.lock().unwrap().len(), 1);
        assert_eq!(reads.begun(), 2);
    }
}
