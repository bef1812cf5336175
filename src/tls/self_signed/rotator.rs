//! Reconciles the authority, the `caBundle` and the certificate: observe, plan, execute, until nothing is left to do.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    bundle,
    plan::{
        Action, Authority, Bundles, Leaf, Observation, Published, SecretState, SecretUpdate, Timing,
        common_authorities, plan,
    },
    secret,
    signer::{SignError, Signer},
    store::{Store, StoreError, StoredConfiguration, StoredSecret, WriteOutcome},
};
use crate::{
    telemetry::metrics::{Metrics, ReloadOutcome, WebhookSide},
    tls::{CertificateState, Pair, SelfOptions, ServedPair},
};

/// The reason of unreadiness until a certificate is signed.
const NO_CERTIFICATE: &str = "no certificate yet";

/// The number of observations in one reconciliation. Six lead from an empty Secret to a certificate if no other replica
/// writes.
const MAX_OBSERVATIONS: usize = 12;

/// Keeps the authority, the two webhook configurations and the certificate of this replica.
///
/// Once it is dropped, the receivers of its [`state`](Self::state) see the end of the channel: the certificate is
/// renewed no longer.
#[derive(Debug)]
pub struct SelfRotator<S> {
    store: S,
    names: Vec<String>,
    timing: Timing,
    interval: Duration,
    served: Arc<ServedPair>,
    pair: Option<Pair>,
    leaf: Option<Leaf>,
    published: Published,
    state: watch::Sender<CertificateState>,
    metrics: Metrics,
    logged_problems: BTreeSet<String>,
}

/// The objects of one observation, with the problems met while they were read.
struct Observed {
    observation: Observation<Signer>,
    secret: Option<StoredSecret>,
    configurations: Vec<(WebhookSide, StoredConfiguration)>,
    problems: Vec<String>,
}

/// The reason why an action failed.
#[derive(Debug, thiserror::Error)]
enum ActionError {
    #[error("the authority's Secret cannot be written: {0}")]
    Secret(StoreError),
    #[error("the caBundle of the {} webhooks cannot be written: {reason}", side.as_str())]
    Bundle { side: WebhookSide, reason: StoreError },
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl<S: Store> SelfRotator<S> {
    /// Returns a rotator that serves no certificate yet. `namespace` is the namespace of the Service.
    pub fn new(options: &SelfOptions, namespace: &str, store: S, metrics: Metrics) -> Self {
        Self {
            store,
            names: options.names_in(namespace),
            timing: options.timing,
            interval: options.interval(),
            served: Arc::new(ServedPair::empty()),
            pair: None,
            leaf: None,
            published: Published::default(),
            state: watch::Sender::new(CertificateState::Unusable(NO_CERTIFICATE.to_owned())),
            metrics,
            logged_problems: BTreeSet::new(),
        }
    }

    /// Returns the pair that handshakes receive, from the first certificate on.
    #[must_use]
    pub fn served(&self) -> Arc<ServedPair> {
        Arc::clone(&self.served)
    }

    /// Returns the pair that is served now.
    #[must_use]
    pub fn pair(&self) -> Option<&Pair> {
        self.pair.as_ref()
    }

    /// Returns the state of the certificate, now and after every change.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<CertificateState> {
        self.state.subscribe()
    }

    /// Reconciles at an interval until `stop`. Reads the clock each time, because a machine can sleep in between.
    pub async fn run(mut self, clock: fn() -> Timestamp, stop: CancellationToken) {
        loop {
            self.reconcile(clock).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(self.interval) => {}
            }
        }
    }

    /// Observes, plans and executes until no action is left.
    pub async fn reconcile(&mut self, clock: impl Fn() -> Timestamp) {
        let mut problems = Vec::new();
        for _ in 0..MAX_OBSERVATIONS {
            let observed = self.observe(&clock).await;
            let actions = plan(
                &observed.observation,
                self.leaf.as_ref(),
                &self.published,
                &self.timing,
                clock(),
            );
            let mut progressed = false;
            problems.clone_from(&observed.problems);
            for action in actions {
                match self.execute(&action, &observed, clock()).await {
                    Ok(()) => progressed = true,
                    Err(error) => problems.push(error.to_string()),
                }
            }
            self.export_trust(&observed);
            self.state_at(&observed.observation, &problems, clock())
                .publish(&self.state);
            if !progressed {
                break;
            }
        }
        self.log_problems(problems);
    }

    async fn observe(&mut self, clock: &impl Fn() -> Timestamp) -> Observed {
        let mut problems = Vec::new();
        let (stored, secret) = self.observe_secret(&mut problems).await;
        let mut configurations = Vec::new();
        let mut all_readable = true;
        for &side in WebhookSide::ALL {
            match self.store.configuration(side).await {
                Ok(Some(configuration)) => configurations.push((side, configuration)),
                Ok(None) => problems.push(format!(
                    "the configuration of the {} webhooks does not exist",
                    side.as_str()
                )),
                Err(error) => {
                    all_readable = false;
                    problems.push(format!(
                        "the configuration of the {} webhooks cannot be read: {error}",
                        side.as_str()
                    ));
                }
            }
        }
        let bundles: Vec<Bundles> = configurations
            .iter()
            .map(|(_, configuration)| bundles_of(configuration))
            .collect();
        // With one configuration unread, "every caBundle contains it" can be neither confirmed nor refuted.
        if all_readable {
            self.published.record(&common_authorities(&bundles), clock());
        }
        if let Some(not_after) = secret::current_not_after(&secret) {
            self.metrics.authority_not_after(not_after.as_second());
        }
        Observed {
            observation: Observation {
                secret,
                configurations: all_readable.then_some(bundles),
            },
            secret: stored,
            configurations,
            problems,
        }
    }

    async fn observe_secret(
        &self,
        problems: &mut Vec<String>,
    ) -> (Option<StoredSecret>, SecretState<Signer>) {
        let stored = match self.store.secret().await {
            Ok(Some(stored)) => stored,
            Ok(None) => {
                problems.push("the authority's Secret does not exist; apply the manifests again".to_owned());
                return (None, SecretState::Unavailable);
            }
            Err(error) => {
                problems.push(format!("the authority's Secret cannot be read: {error}"));
                return (None, SecretState::Unavailable);
            }
        };
        match secret::read(&stored) {
            Ok((secret, damages)) => {
                let damages = damages.iter();
                problems.extend(damages.map(|damage| format!("the authority's Secret is damaged: {damage}")));
                (Some(stored), secret)
            }
            Err(foreign) => {
                problems.push(format!("the authority's Secret is not used: {foreign}"));
                (None, SecretState::Unavailable)
            }
        }
    }

    async fn execute(
        &mut self,
        action: &Action,
        observed: &Observed,
        now: Timestamp,
    ) -> Result<(), ActionError> {
        match action {
            Action::UpdateSecret(update) => self.update_secret(*update, observed, now).await,
            Action::Publish(index, authorities) => self.publish(*index, authorities, observed).await,
            Action::Issue => self.issue(observed, now),
        }
    }

    async fn update_secret(
        &self,
        update: SecretUpdate,
        observed: &Observed,
        now: Timestamp,
    ) -> Result<(), ActionError> {
        let (SecretState::Owned { authorities, .. }, Some(stored)) =
            (&observed.observation.secret, &observed.secret)
        else {
            return Ok(());
        };
        let generate = || Signer::generate(now, self.timing.authority_lifetime);
        let updated = authorities.clone().updated(update, now, generate)?;
        let data = secret::write(stored.data.clone(), &updated);
        let outcome = self.store.replace_secret(&stored.resource_version, data).await;
        if outcome.map_err(ActionError::Secret)? == WriteOutcome::Stored {
            tracing::info!(update = ?update, "authority's Secret written");
        }
        Ok(())
    }

    async fn publish(
        &self,
        index: usize,
        authorities: &BTreeSet<Authority>,
        observed: &Observed,
    ) -> Result<(), ActionError> {
        let Some((side, configuration)) = observed.configurations.get(index) else {
            return Ok(());
        };
        let bundle = bundle::write(authorities);
        let outcome = self.store.publish(*side, configuration, &bundle).await;
        let failed = |reason| ActionError::Bundle { side: *side, reason };
        if outcome.map_err(failed)? == WriteOutcome::Stored {
            tracing::info!(
                webhooks = side.as_str(),
                authorities = authorities.len(),
                "caBundle written"
            );
        }
        Ok(())
    }

    fn issue(&mut self, observed: &Observed, now: Timestamp) -> Result<(), ActionError> {
        let SecretState::Owned { authorities, .. } = &observed.observation.secret else {
            return Ok(());
        };
        let Some(current) = &authorities.current else {
            return Ok(());
        };
        let (pair, leaf) = current.sign(&self.names, &self.timing, now)?;
        self.served.replace(pair.key());
        self.metrics.certificate_not_after(pair.not_after().as_second());
        // The first certificate replaces none, so it is not a reload.
        if self.pair.is_some() {
            self.metrics.reloaded(ReloadOutcome::Swapped);
        }
        tracing::info!(
            names = pair.names().join(","),
            serial = pair.serial(),
            not_after = %pair.not_after(),
            authority_not_after = %leaf.issuer.not_after,
            "certificate signed"
        );
        self.pair = Some(pair);
        self.leaf = Some(leaf);
        Ok(())
    }

    /// Exports for each configuration if every `caBundle` contains the issuer of the served certificate. The gauges keep
    /// their values while a configuration cannot be read.
    fn export_trust(&self, observed: &Observed) {
        let (Some(leaf), Some(configurations)) = (&self.leaf, &observed.observation.configurations) else {
            return;
        };
        for &side in WebhookSide::ALL {
            let index = observed
                .configurations
                .iter()
                .position(|(observed_side, _)| *observed_side == side);
            let bundles = index.and_then(|index| configurations.get(index));
            let vouches = bundles.map(|bundles| bundles.0.iter().all(|bundle| bundle.contains(&leaf.issuer)));
            self.metrics.bundle_vouches(side, vouches);
        }
    }

    /// Returns the state of the certificate at `now`.
    ///
    /// The certificate is usable if it is valid and at least one `caBundle` contains its issuer. One configuration that
    /// lost the issuer must not take the replica away from the webhooks of the other; metrics and log report it instead.
    fn state_at(
        &self,
        observation: &Observation<Signer>,
        problems: &[String],
        now: Timestamp,
    ) -> CertificateState {
        let unusable = |reason: &str| {
            let problems = problems.join("; ");
            CertificateState::Unusable(if problems.is_empty() {
                reason.to_owned()
            } else {
                format!("{reason}: {problems}")
            })
        };
        let (Some(pair), Some(leaf)) = (&self.pair, &self.leaf) else {
            return unusable(NO_CERTIFICATE);
        };
        if let Some(reason) = pair.invalid_at(now) {
            return unusable(&reason);
        }
        let is_trusted = observation.configurations.as_ref().is_none_or(|configurations| {
            let mut bundles = configurations.iter().flat_map(|bundles| &bundles.0);
            configurations.is_empty() || bundles.any(|bundle| bundle.contains(&leaf.issuer))
        });
        if is_trusted {
            CertificateState::Usable
        } else {
            unusable("no caBundle contains the authority of the certificate")
        }
    }

    /// Logs each problem once for as long as it lasts, and the end of all problems.
    fn log_problems(&mut self, problems: Vec<String>) {
        if !problems.is_empty() {
            self.metrics.reloaded(ReloadOutcome::Failed);
        }
        let problems: BTreeSet<String> = problems.into_iter().collect();
        for problem in problems.difference(&self.logged_problems) {
            tracing::error!(
                error = problem,
                "the webhook's certificate, authority or caBundle cannot be maintained"
            );
        }
        if problems.is_empty() && !self.logged_problems.is_empty() {
            tracing::info!("the webhook's certificate, authority and caBundle are maintained again");
        }
        self.logged_problems = problems;
    }
}

fn bundles_of(configuration: &StoredConfiguration) -> Bundles {
    let webhooks = configuration.webhooks.iter();
    Bundles(webhooks.map(|webhook| bundle::read(&webhook.ca_bundle)).collect())
}
