//! The reconciler and what it rests on: the lease, the sidecars, the rules.

use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::admission::judge_stored;
use crate::api::Kind;
use crate::api::{ALLOW_ANNOTATION, CONFIRM_ANNOTATION};
use crate::icarus::ANSWER_WITHIN;
use crate::icarus::client::HttpSidecars;
use crate::kubernetes::reason;
use crate::reconcile::lease::{
    ApiServerLease, Clocks, LeaseKeeper, LeaseOptions, LeaseOptionsError, LeaseState, Timing, identity,
};
use crate::reconcile::{Judge, Reconciler};
use crate::rules::facts::FactSource;
use crate::rules::finding::Findings;
use crate::rules::policy::{Context, Policy};
use crate::rules::subject::Metadata;
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

/// How long the facts of one judgement may take.
const BUDGET: Duration = Duration::from_secs(10);

/// The rules, for objects that are stored.
pub struct StoredJudge {
    /// Who knows what the cluster holds.
    pub facts: Arc<dyn FactSource>,
    /// What the platform team decides.
    pub policy: Policy,
    /// The time.
    pub now: fn() -> Timestamp,
}

impl Judge for StoredJudge {
    fn judge<'a>(
        &'a self,
        kind: Kind,
        object: &'a Value,
    ) -> Pin<Box<dyn Future<Output = Findings> + Send + 'a>> {
        let context = Context {
            policy: self.policy.clone(),
            dry_run: false,
            creating: false,
            now: (self.now)(),
        };
        Box::pin(async move {
            let deadline = Instant::now() + BUDGET;
            let spec = object.get("spec");
            judge_stored(
                self.facts.as_ref(),
                &context,
                kind,
                metadata(object),
                spec,
                deadline,
            )
            .await
        })
    }
}

fn metadata(object: &Value) -> Metadata {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let annotation = |name: &str| {
        object
            .pointer("/metadata/annotations")?
            .get(name)?
            .as_str()
            .map(str::to_owned)
    };
    Metadata {
        namespace: text("/metadata/namespace").unwrap_or_default(),
        name: text("/metadata/name").unwrap_or_default(),
        confirms: annotation(CONFIRM_ANNOTATION),
        allows: annotation(ALLOW_ANNOTATION),
        // Only a creation is asked for it.
        velero_restore: None,
    }
}
