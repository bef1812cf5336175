//! The reconciler with its dependencies: the lease, the sidecars and the rules.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::evaluate::StoredJudge;
use crate::icarus::REQUEST_TIMEOUT;
use crate::icarus::client::HttpSidecars;
use crate::kubernetes::reason;
use crate::reconcile::Reconciler;
use crate::reconcile::lease::{
    ApiServerLease, Clocks, LeaseKeeper, LeaseOptions, LeaseOptionsError, Timing, identity,
};
use crate::rules::policy::Policy;
use crate::server::readiness::Readiness;
use crate::telemetry::metrics::Metrics;

use super::background::Background;
use super::caches::ClusterState;

/// The name of the Lease that the leading replica holds.
const LEASE: &str = "cassgate";

/// The environment variable with the name of the pod.
const POD_NAME: &str = "HOSTNAME";

/// The dependencies of the reconciler.
pub(super) struct Parts<'a> {
    pub(super) client: Client,
    pub(super) cluster: &'a ClusterState,
    pub(super) policy: Policy,
    /// The time without progress after which a run is reported as stalled.
    pub(super) no_progress_timeout: SignedDuration,
    pub(super) metrics: Metrics,
}

impl Parts<'_> {
    /// Starts the reconciler, which runs while this replica holds the lease. On `stop` it releases the lease and ends.
    ///
    /// # Errors
    /// Returns an error if the durations of the lease contradict each other, which is a bug.
    pub(super) fn start(
        self,
        readiness: &Readiness,
        stop: CancellationToken,
        background: &mut Background,
    ) -> Result<(), LeaseOptionsError> {
        let store = ApiServerLease::new(
            self.client.clone(),
            self.client.default_namespace(),
            LEASE,
            reason,
        );
        let pod = std::env::var(POD_NAME).unwrap_or_else(|_| "cassgate".to_owned());
        let options = LeaseOptions {
            // A restarted pod keeps its name, so the name alone does not identify the process.
            identity: identity(&pod, RandomState::new().hash_one(())),
            timing: Timing::standard(REQUEST_TIMEOUT),
        };
        let keeper = LeaseKeeper::new(options, store, Clocks::system(), self.metrics.clone())?;
        let state = keeper.state();
        let note = readiness.note("lease", state.borrow().to_string());
        background.spawn("note of the lease", note.follow(state));
        let reconciler = Arc::new(self.reconciler());
        let run = keeper.run(stop, move |leadership| reconciler.clone().run(leadership));
        background.spawn_to_completion("reconciler", run);
        Ok(())
    }

    fn reconciler(self) -> Reconciler<HttpSidecars> {
        Reconciler {
            client: self.client,
            sidecars: HttpSidecars::new(self.metrics.clone()),
            judge: Arc::new(StoredJudge {
                facts: self.cluster.facts.clone(),
                policy: self.policy,
                now: Timestamp::now,
            }),
            metrics: self.metrics,
            status_is_subresource: self.cluster.status_is_subresource(),
            namespace: None,
            no_progress_timeout: self.no_progress_timeout,
            now: Timestamp::now,
        }
    }
}
