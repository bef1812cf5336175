//! Lists the shares of nodes in the bucket, with at most one listing per sidecar.
//!
//! A listing empties one folder of the sidecar and downloads all manifests of the bucket into it (read in the source of
//! Esop). Two listings at once break each other, and a listing breaks a removal that runs beside it. So a listing that
//! took too long has to end before the next one starts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::icarus::{Operation, OperationId, OperationRequest, REQUEST_TIMEOUT, SidecarApi, SidecarError};

/// The limit of the wait in one reconcile. The listing of a bucket with thousands of manifests takes minutes.
const LISTING_TIMEOUT: Duration = Duration::from_mins(3);

/// The time between two polls of a listing at first.
const FAST_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The age of a listing from which on it is polled more slowly.
const SLOW_POLL_AFTER: Duration = Duration::from_secs(20);

/// The time between two polls of an older listing.
const SLOW_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The listings that were given up and may still be running, by sidecar.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Listings(Mutex<BTreeMap<SocketAddr, OperationId>>);

impl Listings {
    fn unfinished(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, OperationId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a share and returns the operation, which may still be running.
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
        let earlier = self.unfinished().get(&at).cloned();
        if let Some(id) = earlier {
            match sidecars.operation(at, &id, REQUEST_TIMEOUT).await {
                Ok(earlier) => {
                    let earlier = wait_for(sidecars, at, earlier, deadline).await?;
                    if !earlier.state.is_terminal() {
                        return Ok(earlier);
                    }
                }
                // The sidecar was restarted, or the listing ended long ago.
                Err(SidecarError::UnknownOperation) => {}
                Err(error) => return Err(error),
            }
            self.unfinished().remove(&at);
        }
        let listing = sidecars.submit(at, request, REQUEST_TIMEOUT).await?;
        self.unfinished().insert(at, listing.id.clone());
        let listing = wait_for(sidecars, at, listing, deadline).await?;
        if listing.state.is_terminal() {
            self.unfinished().remove(&at);
        }
        Ok(listing)
    }
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
    use crate::domain::entities::Table;
    use crate::domain::schema_version::SchemaVersion;
    use crate::icarus::{NodeMode, OperationFilter, OperationKind, OperationState, Topology};

    /// A sidecar whose listings end when the test ends them.
    #[derive(Default)]
    struct SlowSidecar {
        started: AtomicUsize,
        polled: AtomicUsize,
        ended: Mutex<BTreeSet<String>>,
        forgotten: Mutex<BTreeSet<String>>,
    }

    impl SlowSidecar {
        fn listing(&self, id: &OperationId) -> Operation {
            let ended = self.ended.lock().unwrap().contains(id.as_str());
            let state = if ended {
                OperationState::Completed
            } else {
                OperationState::Running
            };
            Operation::new(id.clone(), OperationKind::List, state)
        }
    }

    impl SidecarApi for SlowSidecar {
        async fn submit(
            &self,
            _: SocketAddr,
            _: &OperationRequest,
            _: Duration,
        ) -> Result<Operation, SidecarError> {
            let number = self.started.fetch_add(1, Ordering::Relaxed);
            Ok(self.listing(&OperationId::parse(&number.to_string()).unwrap()))
        }

        async fn operation(
            &self,
            _: SocketAddr,
            id: &OperationId,
            _: Duration,
        ) -> Result<Operation, SidecarError> {
            self.polled.fetch_add(1, Ordering::Relaxed);
            if self.forgotten.lock().unwrap().contains(id.as_str()) {
                return Err(SidecarError::UnknownOperation);
            }
            Ok(self.listing(id))
        }

        async fn operations(
            &self,
            _: SocketAddr,
            _: OperationFilter,
            _: Duration,
        ) -> Result<Vec<Operation>, SidecarError> {
            unreachable!()
        }

        async fn schema_version(&self, _: SocketAddr, _: Duration) -> Result<SchemaVersion, SidecarError> {
            unreachable!()
        }

        async fn mode(&self, _: SocketAddr, _: Duration) -> Result<NodeMode, SidecarError> {
            unreachable!()
        }

        async fn topology(&self, _: SocketAddr, _: Duration) -> Result<Topology, SidecarError> {
            unreachable!()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_that_took_too_long_ends_before_the_next_one_starts() {
        let (listings, sidecar) = (Listings::default(), SlowSidecar::default());
        let request = OperationRequest::Refresh(Table::parse("k1.t1").unwrap());
        let list = |port: u16| {
            let at = SocketAddr::from(([10, 0, 0, 1], port));
            listings.list(&sidecar, at, &request)
        };
        let started = || sidecar.started.load(Ordering::Relaxed);
        for _ in 0..2 {
            let before = Instant::now();
            assert_eq!(list(1).await.unwrap().state, OperationState::Running);
            assert!(before.elapsed() >= LISTING_TIMEOUT);
            assert_eq!(started(), 1, "no second listing beside it");
        }
        let polled = sidecar.polled.load(Ordering::Relaxed);
        assert!(polled < 120, "polled {polled} times in six minutes");
        list(2).await.unwrap();
        assert_eq!(started(), 2, "another sidecar has a listing of its own");

        sidecar.ended.lock().unwrap().insert("0".to_owned());
        list(1).await.unwrap();
        assert_eq!(started(), 3, "the result of an old listing is not used");
        sidecar.forgotten.lock().unwrap().insert("2".to_owned());
        list(1).await.unwrap();
        assert_eq!(started(), 4, "the sidecar was restarted");
    }
}
