//! Reloads the served pair from its files, and watches its expiry.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    CertificateState, DevError, DevOptions, FilesError, Pair, PairFiles, PairSource, ServedPair,
    files::Contents,
};
use crate::telemetry::metrics::{Metrics, ReloadOutcome};

/// The number of distinct errors that are remembered, so that each is logged once.
const MAX_LOGGED_ERRORS: usize = 16;

/// Owns the pair of mode `files` or `dev`.
///
/// Once it is dropped, the receivers of its [`state`](Self::state) see the end of the channel: the certificate is
/// watched no longer.
#[derive(Debug)]
pub struct Reloader {
    served: Arc<ServedPair>,
    pair: Pair,
    watched: Option<WatchedFiles>,
    state: watch::Sender<CertificateState>,
    metrics: Metrics,
}

/// Two files and the contents that were last accepted.
#[derive(Debug)]
struct WatchedFiles {
    files: PairFiles,
    accepted: Contents,
    logged_errors: BTreeSet<String>,
}

/// The outcome of one reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The files have not changed.
    Unchanged,
    /// The files hold a new pair, which is served from now on.
    Swapped,
    /// The new contents are unusable; the old pair is still served.
    Failed,
}

/// The reason why there is no certificate at start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Mode `files`.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Mode `dev`.
    #[error(transparent)]
    Dev(#[from] DevError),
}

impl Reloader {
    /// Reads or generates the first pair. The state is usable if the pair is valid at `now`.
    ///
    /// # Errors
    /// Returns an error if there is no usable pair; the text names the file and the reason.
    pub fn start(source: PairSource, metrics: Metrics, now: Timestamp) -> Result<Self, StartError> {
        let (pair, watched) = match source {
            PairSource::Files(files) => {
                let contents = files.read()?;
                let pair = files.parse(&contents)?;
                let watched = WatchedFiles {
                    files,
                    accepted: contents,
                    logged_errors: BTreeSet::new(),
                };
                (pair, Some(watched))
            }
            PairSource::Dev(options) => (generate(&options, now)?, None),
        };
        let reloader = Self {
            served: Arc::new(ServedPair::new(pair.key())),
            state: watch::Sender::new(state_at(&pair, now)),
            pair,
            watched,
            metrics,
        };
        reloader.report_pair();
        Ok(reloader)
    }

    /// Returns the pair that handshakes receive, now and after every change.
    #[must_use]
    pub fn served(&self) -> Arc<ServedPair> {
        Arc::clone(&self.served)
    }

    /// Returns the pair that is served now.
    #[must_use]
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// Returns the state of the certificate, now and after every change.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<CertificateState> {
        self.state.subscribe()
    }

    /// Reads the files once, takes a new pair, and compares the validity of the pair with the clock.
    pub fn reload(&mut self, now: Timestamp) -> Reload {
        let reload = self.take_new_pair(now);
        match reload {
            Reload::Unchanged => {}
            Reload::Swapped => {
                self.metrics.reloaded(ReloadOutcome::Swapped);
                self.report_pair();
            }
            Reload::Failed => self.metrics.reloaded(ReloadOutcome::Failed),
        }
        state_at(&self.pair, now).publish(&self.state);
        reload
    }

    /// Reloads at every `interval` until `stop`.
    ///
    /// Polling is deliberate: kubelet takes up to a minute to update a mounted Secret, so watching the files would win
    /// nothing, and a watch can lose its file.
    pub async fn run(mut self, interval: Duration, clock: fn() -> Timestamp, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(interval) => {}
            }
            // A mount can be slow or hang, and requests must not wait for it.
            let task = spawn_blocking(move || {
                self.reload(clock());
                self
            });
            match task.await {
                Ok(reloader) => self = reloader,
                // The reload panicked (the panic hook logs it) or the runtime ends. The reloader is dropped.
                Err(_) => return,
            }
        }
    }

    fn take_new_pair(&mut self, now: Timestamp) -> Reload {
        let Some(watched) = &mut self.watched else {
            return Reload::Unchanged;
        };
        match watched.read_new_pair(now) {
            Ok(None) => Reload::Unchanged,
            Ok(Some(pair)) => {
                self.served.replace(pair.key());
                self.pair = pair;
                Reload::Swapped
            }
            Err(error) => {
                watched.log_once(&error);
                Reload::Failed
            }
        }
    }

    /// Logs the served pair and exports its expiry.
    fn report_pair(&self) {
        let pair = &self.pair;
        self.metrics.certificate_not_after(pair.not_after().as_second());
        tracing::info!(
            names = pair.names().join(","),
            serial = pair.serial(),
            not_after = %pair.not_after(),
            "certificate loaded"
        );
        if pair.names().is_empty() {
            tracing::warn!(
                "the certificate has no subjectAltName; kube-apiserver rejects such a certificate"
            );
        }
    }
}

fn state_at(pair: &Pair, now: Timestamp) -> CertificateState {
    match pair.invalid_at(now) {
        None => CertificateState::Usable,
        Some(reason) => CertificateState::Unusable(reason),
    }
}

fn generate(options: &DevOptions, now: Timestamp) -> Result<Pair, DevError> {
    let generated = options.generate(now)?;
    if let Some(path) = options.write(&generated.ca_pem)? {
        tracing::info!(ca = %path.display(), "dev authority written; use it as the caBundle");
    } else {
        tracing::warn!("no --tls-dir: the dev authority is not written, so no client can trust it");
    }
    Ok(generated.pair)
}

impl WatchedFiles {
    /// Returns the new pair if the files have changed.
    fn read_new_pair(&mut self, now: Timestamp) -> Result<Option<Pair>, FilesError> {
        let contents = self.files.read()?;
        if contents == self.accepted {
            self.logged_errors.clear();
            return Ok(None);
        }
        let pair = self.files.parse_valid(&contents, now)?;
        self.accepted = contents;
        self.logged_errors.clear();
        Ok(Some(pair))
    }

    fn log_once(&mut self, error: &FilesError) {
        let text = error.to_string();
        if self.logged_errors.contains(&text) {
            return;
        }
        tracing::error!(
            error = text,
            "the new certificate is unusable; the old one is still served"
        );
        if self.logged_errors.len() == MAX_LOGGED_ERRORS {
            self.logged_errors.clear();
        }
        self.logged_errors.insert(text);
    }
}
