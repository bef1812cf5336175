//! Looks, plans, does, and looks again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    authority::{SignError, Signer},
    bundle, content,
    plan::{Authority, Change, Configuration, Leaf, Look, Secret, Seen, Step, Timing, plan, published},
    store::{ConfigurationObject, Configured, SecretObject, Store, StoreError, Written},
};
use crate::{
    telemetry::metrics::{Metrics, ReloadOutcome},
    tls::{CertificateState, Pair, SelfOptions, ServedPair},
};

/// The reason of unreadiness until a certificate is signed.
const NO_CERTIFICATE: &str = "no certificate yet";

/// The most looks in a row. Without others that write, six are enough from an empty Secret to a certificate.
const LOOKS: usize = 12;

/// Keeps the authority, the two configurations and the certificate of this replica. Once it is dropped, the receivers
/// of its [`state`](Self::state) see the end of the channel.
#[derive(Debug)]
pub struct SelfRotator<S> {
    store: S,
    names: Vec<String>,
    timing: Timing,
    pause: Duration,
    served: Arc<ServedPair>,
    pair: Option<Pair>,
    leaf: Option<Leaf>,
    seen: Seen,
    state: watch::Sender<CertificateState>,
    metrics: Metrics,
    told: BTreeSet<String>,
}

/// One look, with what is needed to write.
struct Looked {
    look: Look<Signer>,
    secret: Option<SecretObject>,
    configurations: Vec<(Configured, ConfigurationObject)>,
    troubles: Vec<String>,
}

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("the authority's Secret cannot be written: {0}")]
    Secret(StoreError),
    #[error("the caBundle of the {} webhooks cannot be written: {reason}", side.as_str())]
    Bundle { side: Configured, reason: StoreError },
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl<S: Store> SelfRotator<S> {
    /// Serves nothing yet. `namespace` is that of the Service.
    pub fn new(options: &SelfOptions, namespace: &str, store: S, metrics: Metrics) -> Self {
        Self {
            store,
            names: options.names_in(namespace),
            timing: options.timing,
            pause: options.interval(),
            served: Arc::new(ServedPair::empty()),
            pair: None,
            leaf: None,
            seen: Seen::default(),
            state: watch::Sender::new(CertificateState::Unusable(NO_CERTIFICATE.to_owned())),
            metrics,
            told: BTreeSet::new(),
        }
    }

    /// The certificate as handshakes see it, from the first one on.
    #[must_use]
    pub fn served(&self) -> Arc<ServedPair> {
        Arc::clone(&self.served)
    }

    /// The certificate that is served.
    #[must_use]
    pub fn pair(&self) -> Option<&Pair> {
        self.pair.as_ref()
    }

    /// Returns the state of the certificate, now and after every change.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<CertificateState> {
        self.state.subscribe()
    }

    /// Looks every so often, until `stop`. The clock is asked each time: a machine that slept has a new time.
    pub async fn run(mut self, clock: fn() -> Timestamp, stop: CancellationToken) {
        loop {
            self.pass(clock).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(self.pause) => {}
            }
        }
    }

    /// Looks and does what is to be done, until nothing is.
    pub async fn pass(&mut self, clock: impl Fn() -> Timestamp) {
        let mut troubles = Vec::new();
        for _ in 0..LOOKS {
            let looked = self.look(&clock).await;
            let steps = plan(
                &looked.look,
                self.leaf.as_ref(),
                &self.seen,
                &self.timing,
                clock(),
            );
            let mut again = false;
            troubles.clone_from(&looked.troubles);
            for step in steps {
                match self.execute(&step, &looked, clock()).await {
                    Ok(()) => again = true,
                    Err(error) => troubles.push(error.to_string()),
                }
            }
            self.show(&looked);
            self.state_at(&looked.look, &troubles, clock())
                .publish(&self.state);
            if !again {
                break;
            }
        }
        self.tell(troubles);
    }

    async fn look(&mut self, clock: &impl Fn() -> Timestamp) -> Looked {
        let mut troubles = Vec::new();
        let (secret, look) = match self.store.secret().await {
            Ok(None) => {
                troubles.push("the authority's Secret does not exist; apply the manifests again".to_owned());
                (None, Secret::Closed)
            }
            Ok(Some(object)) => match content::read(&object) {
                Ok((secret, damage)) => {
                    let damaged = damage.iter().map(ToString::to_string);
                    troubles
                        .extend(damaged.map(|damage| format!("the authority's Secret is damaged: {damage}")));
                    (Some(object), secret)
                }
                Err(foreign) => {
                    troubles.push(format!("the authority's Secret is not used: {foreign}"));
                    (None, Secret::Closed)
                }
            },
            Err(error) => {
                troubles.push(format!("the authority's Secret cannot be read: {error}"));
                (None, Secret::Closed)
            }
        };
        let mut configurations = Vec::new();
        let mut readable = true;
        for &side in Configured::ALL {
            match self.store.configuration(side).await {
                Ok(Some(object)) => configurations.push((side, object)),
                Ok(None) => troubles.push(format!("there is no configuration of {} webhooks", side.as_str())),
                Err(error) => {
                    readable = false;
                    troubles.push(format!(
                        "the configuration of {} webhooks cannot be read: {error}",
                        side.as_str()
                    ));
                }
            }
        }
        let read: Vec<Configuration> = configurations.iter().map(|(_, object)| bundles(object)).collect();
        if readable {
            self.seen.note(&published(&read), clock());
        }
        if let Some(end) = content::end_of_current(&look) {
            self.metrics.authority_not_after(end.as_second());
        }
        Looked {
            look: Look {
                secret: look,
                configurations: readable.then_some(read),
            },
            secret,
            configurations,
            troubles,
        }
    }

    async fn execute(&mut self, step: &Step, looked: &Looked, now: Timestamp) -> Result<(), StepError> {
        match step {
            Step::Write(change) => self.write(*change, looked, now).await,
            Step::Publish(place, wanted) => self.publish(*place, wanted, looked).await,
            Step::Issue => self.issue(looked, now),
        }
    }

    async fn write(&self, change: Change, looked: &Looked, now: Timestamp) -> Result<(), StepError> {
        let (Secret::Ours { authorities, .. }, Some(object)) = (&looked.look.secret, &looked.secret) else {
            return Ok(());
        };
        let fresh = || Signer::make(now, self.timing.authority);
        let after = authorities.clone().after(change, now, fresh)?;
        let data = content::write(object.data.clone(), &after);
        let written = self.store.replace_secret(&object.version, data).await;
        if written.map_err(StepError::Secret)? == Written::Done {
            tracing::info!(change = ?change, "the authority's Secret was written");
        }
        Ok(())
    }

    async fn publish(
        &self,
        place: usize,
        wanted: &BTreeSet<Authority>,
        looked: &Looked,
    ) -> Result<(), StepError> {
        let Some((side, object)) = looked.configurations.get(place) else {
            return Ok(());
        };
        let written = self.store.publish(*side, object, &bundle::write(wanted)).await;
        let refused = |reason| StepError::Bundle { side: *side, reason };
        if written.map_err(refused)? == Written::Done {
            tracing::info!(
                webhooks = side.as_str(),
                authorities = wanted.len(),
                "the caBundle was written"
            );
        }
        Ok(())
    }

    fn issue(&mut self, looked: &Looked, now: Timestamp) -> Result<(), StepError> {
        let Secret::Ours { authorities, .. } = &looked.look.secret else {
            return Ok(());
        };
        let Some(current) = &authorities.current else {
            return Ok(());
        };
        let (pair, leaf) = current.sign(&self.names, &self.timing, now)?;
        self.served.replace(pair.key());
        self.metrics.certificate_not_after(pair.not_after().as_second());
        if self.pair.is_some() {
            self.metrics.reloaded(ReloadOutcome::Swapped);
        }
        tracing::info!(
            names = pair.names().join(","),
            serial = pair.serial(),
            not_after = %pair.not_after(),
            authority_not_after = %leaf.issuer.until,
            "certificate signed"
        );
        self.pair = Some(pair);
        self.leaf = Some(leaf);
        Ok(())
    }

    /// Which configurations vouch for the certificate. What could not be read stays as it was shown.
    fn show(&self, looked: &Looked) {
        let (Some(leaf), Some(configurations)) = (&self.leaf, &looked.look.configurations) else {
            return;
        };
        for &side in Configured::ALL {
            let place = looked.configurations.iter().position(|(found, _)| *found == side);
            let configuration = place.and_then(|place| configurations.get(place));
            let vouches = configuration
                .map(|configuration| configuration.0.iter().all(|entry| entry.contains(&leaf.issuer)));
            self.metrics.bundle_vouches(side, vouches);
        }
    }

    /// Ready: the certificate's time is right, and some `caBundle` vouches for it. One that lost it does not take the
    /// others' replica away; it is told instead.
    fn state_at(&self, look: &Look<Signer>, troubles: &[String], now: Timestamp) -> CertificateState {
        let unusable = |reason: &str| {
            let troubles = troubles.join("; ");
            CertificateState::Unusable(if troubles.is_empty() {
                reason.to_owned()
            } else {
                format!("{reason}: {troubles}")
            })
        };
        let (Some(pair), Some(leaf)) = (&self.pair, &self.leaf) else {
            return unusable(NO_CERTIFICATE);
        };
        if let Some(reason) = pair.invalid_at(now) {
            return unusable(&reason);
        }
        let vouched = look.configurations.as_ref().is_none_or(|configurations| {
            let mut entries = configurations.iter().flat_map(|configuration| &configuration.0);
            configurations.is_empty() || entries.any(|entry| entry.contains(&leaf.issuer))
        });
        if vouched {
            CertificateState::Usable
        } else {
            unusable("no caBundle vouches for the certificate")
        }
    }

    /// Each trouble is logged once, until it is over.
    fn tell(&mut self, troubles: Vec<String>) {
        if !troubles.is_empty() {
            self.metrics.reloaded(ReloadOutcome::Failed);
        }
        let now: BTreeSet<String> = troubles.into_iter().collect();
        for trouble in now.difference(&self.told) {
            tracing::error!(
                error = trouble,
                "the webhook's certificate is not kept as it should be"
            );
        }
        if now.is_empty() && !self.told.is_empty() {
            tracing::info!("the webhook's certificate is kept again");
        }
        self.told = now;
    }
}

fn bundles(object: &ConfigurationObject) -> Configuration {
    let entries = object.entries.iter();
    Configuration(entries.map(|entry| bundle::read(&entry.bundle)).collect())
}
