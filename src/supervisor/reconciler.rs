//! The reconciler and what it rests on: the lease, the sidecars, the rules.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use futures::future::BoxFuture;
use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::icarus::ANSWER_WITHIN;
use crate::icarus::client::HttpSidecars;
use crate::kubernetes::reason;
use crate::reconcile::Reconciler;
use crate::reconcile::lease::{
    ApiServerLease, Clocks, LeaseKeeper, LeaseOptions, LeaseOptionsError, LeaseState, Timing, identity,
};
use crate::telemetry::metrics::Metrics;

/// The Lease that only one replica holds.
const LEASE: &str = "cassgate";

/// Where a pod's name stands.
const POD_NAME: &str = "HOSTNAME";

/// How the lease stands, and what has to run.
type Kept = (watch::Receiver<LeaseState>, BoxFuture<'static, ()>);

/// Runs what is let through whenever this replica holds the lease, until `stop`.
///
/// # Errors
/// The times of the lease do not go together: a mistake of ours.
pub(super) fn keep(
    client: &Client,
    reconciler: Reconciler<HttpSidecars>,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<Kept, LeaseOptionsError> {
    let store = ApiServerLease::new(client.clone(), client.default_namespace(), LEASE, reason);
    let pod = std::env::var(POD_NAME).unwrap_or_else(|_| "cassgate".to_owned());
    let options = LeaseOptions {
        identity: identity(&pod, RandomState::new().hash_one(())),
        timing: Timing::standard(ANSWER_WITHIN),
    };
    let keeper = LeaseKeeper::new(options, store, Clocks::system(), metrics)?;
    let (state, reconciler) = (keeper.state(), Arc::new(reconciler));
    let run = keeper.run(stop, move |leadership| reconciler.clone().run(leadership));
    Ok((state, Box::pin(run)))
}
