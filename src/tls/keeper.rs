//! Keeps the served pair good: takes new ones, keeps old ones, and says when none is good any more.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{DevError, DevOptions, FilesError, Pair, PairFiles, Served, TlsSource, files::Contents};
use crate::{
    server::readiness::Gate,
    telemetry::metrics::{Metrics, ReloadOutcome},
};

/// How many distinct complaints are remembered, so that each is logged once.
const COMPLAINTS: usize = 16;

/// Owns the pair. Dropped, it closes its gate: nobody watches over the certificate any more.
#[derive(Debug)]
pub struct Keeper {
    served: Arc<Served>,
    current: Pair,
    watched: Option<Watched>,
    gate: Gate,
    metrics: Metrics,
}

/// Two files and what was last taken from them.
#[derive(Debug)]
struct Watched {
    files: PairFiles,
    taken: Contents,
    complaints: BTreeSet<String>,
}

/// What one look at the files led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing new.
    Unchanged,
    /// The new pair is served.
    Swapped,
    /// What is new is unusable; the old pair is served on.
    Failed,
}

/// Why there is no certificate to start with.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Mode `files`.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Mode `dev`.
    #[error(transparent)]
    Dev(#[from] DevError),
}

impl Keeper {
    /// Reads or makes the first pair. The gate opens if the pair is valid at `now`.
    ///
    /// # Errors
    /// When there is no usable pair; the text names the file and the reason.
    pub fn start(
        source: TlsSource,
        gate: Gate,
        metrics: Metrics,
        now: Timestamp,
    ) -> Result<Self, StartError> {
        let (current, watched) = match source {
            TlsSource::Files(files) => {
                let taken = files.read()?;
                let pair = files.parse(&taken)?;
                (
                    pair,
                    Some(Watched {
                        files,
                        taken,
                        complaints: BTreeSet::new(),
                    }),
                )
            }
            TlsSource::Dev(options) => (made(&options, now)?, None),
        };
        let keeper = Self {
            served: Arc::new(Served::new(current.key())),
            current,
            watched,
            gate,
            metrics,
        };
        keeper.tell();
        keeper.judge(now);
        Ok(keeper)
    }

    /// The pair as handshakes see it, now and after every change.
    #[must_use]
    pub fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served)
    }

    /// The pair that is served.
    #[must_use]
    pub fn pair(&self) -> &Pair {
        &self.current
    }

    /// Looks at the files once and at the clock.
    pub fn step(&mut self, now: Timestamp) -> Step {
        let step = self.look(now);
        match step {
            Step::Unchanged => {}
            Step::Swapped => {
                self.metrics.reloaded(ReloadOutcome::Swapped);
                self.tell();
            }
            Step::Failed => self.metrics.reloaded(ReloadOutcome::Failed),
        }
        self.judge(now);
        step
    }

    /// Looks every so often, until `stop`. A watch of the files would win nothing, since kubelet takes up to a minute to
    /// bring a changed Secret; and it can lose its file. An end before that is a bug, and closes the gate.
    pub async fn run(mut self, every: Duration, clock: fn() -> Timestamp, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(every) => {}
            }
            // The files may lie on a slow or hanging mount; requests must not wait for it.
            let looked = spawn_blocking(move || {
                self.step(clock());
                self
            });
            match looked.await {
                Ok(keeper) => self = keeper,
                // It panicked (logged by the hook) or the runtime ends; the gate went down with it.
                Err(_) => return,
            }
        }
    }

    fn look(&mut self, now: Timestamp) -> Step {
        let Some(watched) = &mut self.watched else {
            return Step::Unchanged;
        };
        match watched.take(now) {
            Ok(None) => Step::Unchanged,
            Ok(Some(pair)) => {
                self.served.replace(pair.key());
                self.current = pair;
                Step::Swapped
            }
            Err(error) => {
                watched.complain(&error);
                Step::Failed
            }
        }
    }

    /// Says what is served.
    fn tell(&self) {
        let pair = &self.current;
        self.metrics.certificate_not_after(pair.not_after().as_second());
        tracing::info!(
            names = pair.names().join(","),
            serial = pair.serial(),
            not_after = %pair.not_after(),
            "certificate loaded"
        );
        if pair.names().is_empty() {
            tracing::warn!(
                "the certificate has no subjectAltName; kube-apiserver refuses such a certificate"
            );
        }
    }

    fn judge(&self, now: Timestamp) {
        match self.current.out_of_time(now) {
            None => self.gate.open(),
            Some(reason) => self.gate.close(reason),
        }
    }
}

fn made(options: &DevOptions, now: Timestamp) -> Result<Pair, DevError> {
    let made = options.make(now)?;
    if let Some(path) = options.write(&made.ca_pem)? {
        tracing::info!(ca = %path.display(), "dev authority written; it is the caBundle");
    } else {
        tracing::warn!("no --tls-dir: no client can learn the dev authority");
    }
    Ok(made.pair)
}

impl Watched {
    /// The new pair when the files hold another one than before.
    fn take(&mut self, now: Timestamp) -> Result<Option<Pair>, FilesError> {
        let contents = self.files.read()?;
        if contents == self.taken {
            self.complaints.clear();
            return Ok(None);
        }
        let pair = self.files.parse_valid(&contents, now)?;
        self.taken = contents;
        self.complaints.clear();
        Ok(Some(pair))
    }

    fn complain(&mut self, error: &FilesError) {
        let text = error.to_string();
        if self.complaints.contains(&text) {
            return;
        }
        tracing::error!(
            error = text,
            "the new certificate is unusable; the old one is served on"
        );
        if self.complaints.len() == COMPLAINTS {
            self.complaints.clear();
        }
        self.complaints.insert(text);
    }
}
