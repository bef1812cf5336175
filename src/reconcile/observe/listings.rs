//! The listings of the nodes' shares: one at a time in a sidecar.
//!
//! A listing fetches all manifests of the bucket into one folder of the sidecar, after it has emptied that folder (read
//! in Esop): two at once spoil each other, and one beside a removal spoils that. So whoever gave up waiting for one
//! waits for its end before the next one is begun.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::icarus::{ANSWER_WITHIN, Operation, OperationId, OperationRequest, SidecarApi, SidecarError};

/// How long a listing is waited for in one look. A bucket with thousands of manifests takes minutes.
const WITHIN: Duration = Duration::from_mins(3);

/// How often it is asked after: at first, from when on less often, and then.
const PAUSES: (Duration, Duration, Duration) = (
    Duration::from_secs(1),
    Duration::from_secs(20),
    Duration::from_secs(5),
);

/// The listings that nobody waits for any more and that may still be at work, by the sidecar.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Listings(Mutex<BTreeMap<SocketAddr, OperationId>>);

impl Listings {
    fn left(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, OperationId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The listing, over or not.
    ///
    /// # Errors
    /// What the sidecar refused or did not answer.
    pub(in crate::reconcile) async fn list<S: SidecarApi>(
        &self,
        sidecars: &S,
        at: SocketAddr,
        request: &OperationRequest,
    ) -> Result<Operation, SidecarError> {
        let deadline = Instant::now() + WITHIN;
        let earlier = self.left().get(&at).cloned();
        if let Some(id) = earlier {
            match sidecars.operation(at, &id, ANSWER_WITHIN).await {
                Ok(earlier) => {
                    let earlier = wait_for(sidecars, at, earlier, deadline).await?;
                    if !earlier.state.is_terminal() {
                        return Ok(earlier);
                    }
                }
                // Its sidecar was restarted, or it ended long ago.
                Err(SidecarError::UnknownOperation) => {}
                Err(error) => return Err(error),
            }
            self.left().remove(&at);
        }
        let listing = sidecars.submit(at, request, ANSWER_WITHIN).await?;
        self.left().insert(at, listing.id.clone());
        let listing = wait_for(sidecars, at, listing, deadline).await?;
        if listing.state.is_terminal() {
            self.left().remove(&at);
        }
        Ok(listing)
    }
}

/// The operation at its end, or at the deadline.
async fn wait_for<S: SidecarApi>(
    sidecars: &S,
    at: SocketAddr,
    mut operation: Operation,
    deadline: Instant,
) -> Result<Operation, SidecarError> {
    let (often, until, seldom) = PAUSES;
    let begun = Instant::now();
    while !operation.state.is_terminal() && Instant::now() < deadline {
        sleep(if begun.elapsed() < until { often } else { seldom }).await;
        operation = sidecars.operation(at, &operation.id, ANSWER_WITHIN).await?;
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
    use crate::icarus::{OperationFilter, OperationKind, OperationState, Topology};

    /// A sidecar whose listings end when a test says so.
    #[derive(Default)]
    struct Slow {
        begun: AtomicUsize,
        asked: AtomicUsize,
        ended: Mutex<BTreeSet<String>>,
        forgotten: Mutex<BTreeSet<String>>,
    }

    impl Slow {
        fn told(&self, id: &OperationId) -> Operation {
            let ended = self.ended.lock().unwrap().contains(id.as_str());
            let state = if ended {
                OperationState::Completed
            } else {
                OperationState::Running
            };
            Operation::new(id.clone(), OperationKind::List, state)
        }
    }

    impl SidecarApi for Slow {
        async fn submit(
            &self,
            _: SocketAddr,
            _: &OperationRequest,
            _: Duration,
        ) -> Result<Operation, SidecarError> {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            Ok(self.told(&OperationId::parse(&number.to_string()).unwrap()))
        }

        async fn operation(
            &self,
            _: SocketAddr,
            id: &OperationId,
            _: Duration,
        ) -> Result<Operation, SidecarError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.forgotten.lock().unwrap().contains(id.as_str()) {
                return Err(SidecarError::UnknownOperation);
            }
            Ok(self.told(id))
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

        async fn topology(&self, _: SocketAddr, _: Duration) -> Result<Topology, SidecarError> {
            unreachable!()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_that_was_given_up_is_over_before_the_next_one_is_begun() {
        let (listings, sidecar) = (Listings::default(), Slow::default());
        let request = OperationRequest::Refresh(Table::parse("k1.t1").unwrap());
        let list = |port: u16| {
            let at = SocketAddr::from(([10, 0, 0, 1], port));
            listings.list(&sidecar, at, &request)
        };
        let begun = || sidecar.begun.load(Ordering::Relaxed);
        for _ in 0..2 {
            let before = Instant::now();
            assert_eq!(list(1).await.unwrap().state, OperationState::Running);
            assert!(before.elapsed() >= WITHIN);
            assert_eq!(begun(), 1, "no second one beside it");
        }
        let asked = sidecar.asked.load(Ordering::Relaxed);
        assert!(asked < 120, "asked after {asked} times in six minutes");
        list(2).await.unwrap();
        assert_eq!(begun(), 2, "another sidecar has its own");

        sidecar.ended.lock().unwrap().insert("0".to_owned());
        list(1).await.unwrap();
        assert_eq!(begun(), 3, "what an old one found is not what there is now");
        sidecar.forgotten.lock().unwrap().insert("2".to_owned());
        list(1).await.unwrap();
        assert_eq!(begun(), 4, "its sidecar was restarted");
    }
}
