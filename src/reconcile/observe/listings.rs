//! Lists the shares of nodes in the bucket, with at most one listing per sidecar.
//!
//! A listing empties a folder of the sidecar and downloads all manifests of the bucket into it (read in the source of
//! Esop). Two listings into one folder break each other, and a listing breaks a removal that reads its folder. So a
//! listing that took too long has to end before the next one starts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, sleep};

use crate::icarus::{
    Operation, OperationFilter, OperationRequest, REQUEST_TIMEOUT, Refusal, SidecarApi, SidecarError,
};

/// The limit of the wait in one reconcile. The listing of a bucket with thousands of manifests takes minutes.
const LISTING_TIMEOUT: Duration = Duration::from_mins(3);

/// The time between two polls of a listing at first.
const FAST_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The age of a listing from which on it is polled more slowly.
const SLOW_POLL_AFTER: Duration = Duration::from_secs(20);

/// The time between two polls of an older listing.
const SLOW_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// One lock for each sidecar: two objects that find it idle at once would both start a listing.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Listings(Mutex<BTreeMap<SocketAddr, Arc<AsyncMutex<()>>>>);

impl Listings {
    /// Returns the lock of a sidecar. Locks that no task uses are dropped.
    fn lock(&self, at: SocketAddr) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(at).or_default().clone()
    }

    /// Lists a share and returns the operation, which may still be running. First waits for the listings and removals
    /// that the sidecar runs, also for those of another leader.
    ///
    /// # Errors
    /// The sidecar rejects a request or does not respond.
    pub(in crate::reconcile) async fn list<S: SidecarApi>(
        &self,
        sidecars: &S,
        at: SocketAddr,
        request: &OperationRequest,
    ) -> Result<Operation, SidecarError> {
        let deadline = Instant::now() + LISTING_TIMEOUT;
        let lock = self.lock(at);
        let guard = lock.lock().await;
        while let Some(earlier) = active_listings(sidecars, at).await?.pop() {
            match wait_for(sidecars, at, earlier, deadline).await {
                Ok(earlier) if !earlier.state.is_terminal() => return Ok(earlier),
                // The sidecar was restarted.
                Ok(_) | Err(SidecarError::UnknownOperation) => {}
                Err(error) => return Err(error),
            }
        }
        let listing = sidecars.submit(at, request, REQUEST_TIMEOUT).await?;
        drop(guard);
        wait_for(sidecars, at, listing, deadline).await
    }
}

/// Returns the listings and removals that a sidecar runs. They are asked for, and not remembered, so that a new leader
/// knows those of the last one. Sidecars that have neither reject the question.
///
/// # Errors
/// The sidecar does not respond.
async fn active_listings<S: SidecarApi>(
    sidecars: &S,
    at: SocketAddr,
) -> Result<Vec<Operation>, SidecarError> {
    let filter = OperationFilter::ActiveListingsAndRemovals;
    let mut operations = match sidecars.operations(at, filter, REQUEST_TIMEOUT).await {
        Ok(operations) => operations,
        Err(SidecarError::Refused(Refusal::Filter, _)) => Vec::new(),
        Err(error) => return Err(error),
    };
    operations.retain(|operation| !operation.state.is_terminal());
    Ok(operations)
}

/// Polls an operation until its end or the deadline.
async fn wait_for<S: SidecarApi>(
    sidecars: &S,
    at: SocketAddr,
    mut operation: Operation,
    deadline: Instant,
) -> Result<Operation, SidecarError> {
    let start = Instant::now();
    while !operation.state.is_terminal() && Instant::now() < deadline {
        let interval = if start.elapsed() < SLOW_POLL_AFTER {
            FAST_POLL_INTERVAL
        } else {
            SLOW_POLL_INTERVAL
        };
        sleep(interval).await;
        operation = sidecars.operation(at, &operation.id, REQUEST_TIMEOUT).await?;
    }
    Ok(operation)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::domain::cassandra_directory::CassandraDirectory;
    use crate::domain::entities::Table;
    use crate::domain::source_directory::SourceDirectory;
    use crate::icarus::partial::PartialSidecarApi;
    use crate::icarus::{OperationId, OperationKind, OperationState, PORT};
    use crate::reconcile::observe::{OperationOwner, SidecarObserver};
    use crate::reconcile::plan::{Answer, PodMember, Question};

    /// Sidecars whose listings end when the test ends them.
    #[derive(Default)]
    struct SlowSidecars {
        /// The sidecar of each operation, and its kind.
        started: Mutex<Vec<(SocketAddr, OperationKind)>>,
        polled: AtomicUsize,
        ended: Mutex<BTreeSet<usize>>,
        forgotten: Mutex<BTreeSet<usize>>,
    }

    impl SlowSidecars {
        fn operation(&self, number: usize) -> Operation {
            let kind = self.started.lock().unwrap()[number].1.clone();
            let state = if self.ended.lock().unwrap().contains(&number) {
                OperationState::Completed
            } else {
                OperationState::Running
            };
            Operation::new(OperationId::parse(&number.to_string()).unwrap(), kind, state)
        }

        fn start(&self, at: SocketAddr, kind: OperationKind) -> Operation {
            let mut started = self.started.lock().unwrap();
            started.push((at, kind));
            let number = started.len() - 1;
            drop(started);
            self.operation(number)
        }

        fn started(&self) -> usize {
            self.started.lock().unwrap().len()
        }

        fn end(&self, number: usize) {
            self.ended.lock().unwrap().insert(number);
        }

        fn forget(&self, number: usize) {
            self.forgotten.lock().unwrap().insert(number);
        }
    }

    impl PartialSidecarApi for SlowSidecars {
        async fn submit(
            &self,
            at: SocketAddr,
            _: &OperationRequest,
            _: Duration,
        ) -> Result<Operation, SidecarError> {
            Ok(self.start(at, OperationKind::List))
        }

        async fn operation(
            &self,
            _: SocketAddr,
            id: &OperationId,
            _: Duration,
        ) -> Result<Operation, SidecarError> {
            self.polled.fetch_add(1, Ordering::Relaxed);
            let number = id.as_str().parse().unwrap();
            if self.forgotten.lock().unwrap().contains(&number) {
                return Err(SidecarError::UnknownOperation);
            }
            Ok(Self::operation(self, number))
        }

        async fn operations(
            &self,
            at: SocketAddr,
            filter: OperationFilter,
            _: Duration,
        ) -> Result<Vec<Operation>, SidecarError> {
            if filter != OperationFilter::ActiveListingsAndRemovals && filter != OperationFilter::Active {
                return Ok(Vec::new());
            }
            if at.port() == OLD && filter == OperationFilter::ActiveListingsAndRemovals {
                let text = "Operation type is invalid".to_owned();
                return Err(SidecarError::Refused(Refusal::Filter, text));
            }
            // The question takes as long as in a real sidecar, so that two tasks may overlap.
            sleep(Duration::from_millis(10)).await;
            let forgotten = self.forgotten.lock().unwrap().clone();
            let started = self.started.lock().unwrap().clone();
            let here = (0..started.len()).filter(|number| started[*number].0 == at);
            Ok(here
                .filter(|number| !forgotten.contains(number))
                .map(|number| Self::operation(self, number))
                .collect())
        }
    }

    /// The port of a sidecar that has no listings.
    const OLD: u16 = 113;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn request() -> OperationRequest {
        OperationRequest::Refresh(Table::parse("k1.t1").unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_that_took_too_long_ends_before_the_next_one_starts() {
        let (listings, sidecar) = (Listings::default(), SlowSidecars::default());
        let request = request();
        let list = |port: u16| listings.list(&sidecar, at(port), &request);
        for _ in 0..2 {
            let before = Instant::now();
            assert_eq!(list(1).await.unwrap().state, OperationState::Running);
            assert!(before.elapsed() >= LISTING_TIMEOUT);
            assert_eq!(sidecar.started(), 1, "no second listing beside it");
        }
        let polled = sidecar.polled.load(Ordering::Relaxed);
        assert!(polled < 120, "polled {polled} times in six minutes");
        list(2).await.unwrap();
        assert_eq!(sidecar.started(), 2, "another sidecar has a listing of its own");

        sidecar.end(0);
        list(1).await.unwrap();
        assert_eq!(sidecar.started(), 3, "the result of an old listing is not used");
        sidecar.forget(2);
        list(1).await.unwrap();
        assert_eq!(sidecar.started(), 4, "the sidecar was restarted");
        // Another leader has no memory of the listing.
        let listing = Listings::default().list(&sidecar, at(1), &request).await.unwrap();
        assert_eq!((listing.id.as_str(), sidecar.started()), ("3", 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_waits_for_a_removal_of_any_client() {
        let (listings, sidecar) = (Listings::default(), SlowSidecars::default());
        sidecar.start(at(1), OperationKind::RemoveBackup);
        let request = request();
        let (listing, ()) = tokio::join!(listings.list(&sidecar, at(1), &request), async {
            sleep(Duration::from_secs(30)).await;
            assert_eq!(sidecar.started(), 1);
            sidecar.end(0);
        });
        assert_eq!(
            (listing.unwrap().kind, sidecar.started()),
            (OperationKind::List, 2)
        );
        listings.list(&sidecar, at(OLD), &request).await.unwrap();
        assert_eq!(
            sidecar.started(),
            3,
            "a sidecar that knows neither operation is asked"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn two_objects_start_one_listing_at_a_time() {
        let (listings, sidecar) = (Listings::default(), SlowSidecars::default());
        let request = request();
        let (one, other) = tokio::join!(
            listings.list(&sidecar, at(1), &request),
            listings.list(&sidecar, at(1), &request)
        );
        assert_eq!((one.unwrap().id, sidecar.started()), (other.unwrap().id, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sidecar_that_runs_an_operation_of_any_kind_is_busy() {
        let (listings, sidecars) = (Listings::default(), SlowSidecars::default());
        let directory = CassandraDirectory::parse("/var/lib/cassandra").unwrap();
        let members = [PodMember {
            pod: "c1-0".to_owned(),
            address: Some("10.0.0.1".to_owned()),
            containers: None,
        }];
        let observer = SidecarObserver {
            sidecars: &sidecars,
            members: &members,
            owner: OperationOwner::Restore(SourceDirectory::of_restore(&directory, "r1").unwrap()),
            listings: &listings,
            listing_request: &|_, _| None,
        };
        let question = Question::Busy {
            pod: "c1-0".to_owned(),
        };
        assert_eq!(observer.ask(&question).await, Answer::Operations(Vec::new()));
        let kinds = [
            OperationKind::List,
            OperationKind::RemoveBackup,
            OperationKind::Backup,
            OperationKind::Restore,
            OperationKind::Other("truncate".to_owned()),
        ];
        for (number, kind) in kinds.into_iter().enumerate() {
            sidecars.start(at(PORT), kind);
            let Answer::Operations(running) = observer.ask(&question).await else {
                panic!("no answer")
            };
            let ids: Vec<_> = running.iter().map(|operation| operation.id.clone()).collect();
            assert_eq!(ids, [number.to_string()]);
            sidecars.end(number);
        }
        assert_eq!(observer.ask(&question).await, Answer::Operations(Vec::new()));
    }
}
