//! Metrics in the `OpenMetrics` text format, as `/metrics` returns them.
//!
//! [`Metrics`] has one method per event or gauge; label sets are private.

mod labels;
mod runs;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

pub use labels::{
    CacheKind, FindingSeverity, HandshakeFailure, LeaseRenewal, LeaseTransition, Listener, Operation,
    ReadKind, ReadOutcome, ReloadOutcome, ReviewKind, ReviewVerdict, RuleLabel, RunKind, RunOutcome,
    RunState, SidecarOutcome, SidecarRequest, WebhookSide,
};
pub use runs::{Census, MAX_SCHEDULED_BACKUPS, ScheduledBackup};

/// The content type of `/metrics`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper bounds of the duration buckets, in seconds. A review from the caches takes well under a millisecond, one with
/// live reads a few; kube-apiserver waits 10 s by default.
const REVIEW_BUCKETS: [f64; 15] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// All metrics of the process. A clone is another handle to the same ones.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

/// An open connection. It counts until this is dropped.
#[derive(Debug)]
#[must_use = "the connection counts as closed once this is dropped"]
pub struct OpenConnection(Gauge);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    durations: Family<DurationLabels, Histogram, fn() -> Histogram>,
    findings: Family<FindingLabels, Counter>,
    panics: Counter,
    certificate_not_after: Gauge,
    /// Has no series without an authority, because 0 would fire an alert.
    authority_not_after: Family<[(&'static str, &'static str); 0], Gauge>,
    /// Has series only in TLS mode `self`.
    bundle_vouches: Family<WebhookLabels, Gauge>,
    reloads: Family<ReloadLabels, Counter>,
    handshake_failures: Family<HandshakeLabels, Counter>,
    connections: Family<ConnectionLabels, Gauge>,
    cache_objects: Family<CacheLabels, Gauge>,
    cache_synced: Family<CacheLabels, Gauge>,
    cache_undecodable: Family<CacheLabels, Gauge>,
    live_reads: Family<ReadLabels, Counter>,
    sidecar_requests: Family<SidecarLabels, Counter>,
    /// Has no series without a lease, because 0 on every replica would fire an alert.
    leader: Family<[(&'static str, &'static str); 0], Gauge>,
    lease_transitions: Family<TransitionLabels, Counter>,
    lease_renewals: Family<RenewalLabels, Counter>,
    runs: runs::Families,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabels {
    kind: ReviewKind,
    operation: Operation,
    verdict: ReviewVerdict,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    kind: ReviewKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    rule: RuleLabel,
    severity: FindingSeverity,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    outcome: ReloadOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    webhooks: WebhookSide,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    reason: HandshakeFailure,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabels {
    listener: Listener,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabels {
    kind: CacheKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReadLabels {
    kind: ReadKind,
    outcome: ReadOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SidecarLabels {
    request: SidecarRequest,
    outcome: SidecarOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransitionLabels {
    transition: LeaseTransition,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RenewalLabels {
    outcome: LeaseRenewal,
}

impl Metrics {
    /// Registers every family under the prefix `cassgate`.
    ///
    /// The series that alerts use (panics, reloads, handshakes, caches) start at zero, because a series that first
    /// appears with its first failure has no rate.
    #[must_use]
    pub fn new() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("cassgate"),
            reviews: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(REVIEW_BUCKETS)),
            findings: Family::default(),
            panics: Counter::default(),
            certificate_not_after: Gauge::default(),
            authority_not_after: Family::default(),
            bundle_vouches: Family::default(),
            reloads: Family::default(),
            handshake_failures: Family::default(),
            connections: Family::default(),
            cache_objects: Family::default(),
            cache_synced: Family::default(),
            cache_undecodable: Family::default(),
            live_reads: Family::default(),
            sidecar_requests: Family::default(),
            leader: Family::default(),
            lease_transitions: Family::default(),
            lease_renewals: Family::default(),
            runs: runs::Families::default(),
        };
        inner.register();
        inner.start_at_zero();
        Self(Arc::new(inner))
    }

    /// Returns the `OpenMetrics` text of all metrics, with `# EOF` at the end.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Only the encoder of a label could fail, and those of this module write static text into a String.
        text::encode(&mut text, &self.0.registry)
            .map(|()| text)
            .unwrap_or_default()
    }

    /// Counts an admission review and records the time to its answer.
    pub fn reviewed(
        &self,
        kind: ReviewKind,
        operation: Operation,
        verdict: ReviewVerdict,
        elapsed: Duration,
    ) {
        self.0
            .reviews
            .get_or_create(&ReviewLabels {
                kind,
                operation,
                verdict,
            })
            .inc();
        self.0
            .durations
            .get_or_create(&DurationLabels { kind })
            .observe(elapsed.as_secs_f64());
    }

    /// Counts a finding of a rule in a reviewed object.
    pub fn found(&self, rule: RuleLabel, severity: FindingSeverity) {
        self.0
            .findings
            .get_or_create(&FindingLabels { rule, severity })
            .inc();
    }

    /// Counts a panic of a request handler.
    pub fn panicked(&self) {
        self.0.panics.inc();
    }

    /// Sets the expiry of the served certificate, in seconds since the epoch.
    pub fn certificate_not_after(&self, seconds: i64) {
        self.0.certificate_not_after.set(seconds);
    }

    /// Sets the expiry of the authority of TLS mode `self`, in seconds since the epoch.
    pub fn authority_not_after(&self, seconds: i64) {
        self.0.authority_not_after.get_or_create(&[]).set(seconds);
    }

    /// Sets if every `caBundle` of a configuration contains the authority of the served certificate. `None` removes the
    /// series: there is no such configuration.
    pub fn bundle_vouches(&self, webhooks: WebhookSide, vouches: Option<bool>) {
        let labels = WebhookLabels { webhooks };
        match vouches {
            Some(vouches) => {
                self.0
                    .bundle_vouches
                    .get_or_create(&labels)
                    .set(i64::from(vouches));
            }
            None => {
                self.0.bundle_vouches.remove(&labels);
            }
        }
    }

    /// Counts a reload of a changed certificate.
    pub fn reloaded(&self, outcome: ReloadOutcome) {
        self.0.reloads.get_or_create(&ReloadLabels { outcome }).inc();
    }

    /// Counts a failed TLS handshake.
    pub fn handshake_failed(&self, reason: HandshakeFailure) {
        self.0
            .handshake_failures
            .get_or_create(&HandshakeLabels { reason })
            .inc();
    }

    /// Counts an open connection until the result is dropped.
    pub fn connection_opened(&self, listener: Listener) -> OpenConnection {
        let open = self
            .0
            .connections
            .get_or_create_owned(&ConnectionLabels { listener });
        open.inc();
        OpenConnection(open)
    }

    /// Sets the number of objects in a cache.
    pub fn cache_objects(&self, kind: CacheKind, objects: usize) {
        let objects = i64::try_from(objects).unwrap_or(i64::MAX);
        self.0
            .cache_objects
            .get_or_create(&CacheLabels { kind })
            .set(objects);
    }

    /// Sets the number of objects that a cache leaves out because they cannot be decoded.
    pub fn cache_undecodable(&self, kind: CacheKind, objects: usize) {
        let objects = i64::try_from(objects).unwrap_or(i64::MAX);
        self.0
            .cache_undecodable
            .get_or_create(&CacheLabels { kind })
            .set(objects);
    }

    /// Sets if a cache is complete and up to date.
    pub fn cache_synced(&self, kind: CacheKind, synced: bool) {
        self.0
            .cache_synced
            .get_or_create(&CacheLabels { kind })
            .set(i64::from(synced));
    }

    /// Counts a live read from the API server.
    pub fn live_read(&self, kind: ReadKind, outcome: ReadOutcome) {
        self.0
            .live_reads
            .get_or_create(&ReadLabels { kind, outcome })
            .inc();
    }

    /// Counts a request to a sidecar.
    pub fn asked_sidecar(&self, request: SidecarRequest, outcome: SidecarOutcome) {
        self.0
            .sidecar_requests
            .get_or_create(&SidecarLabels { request, outcome })
            .inc();
    }

    /// Sets if this replica is the leader. The first call creates every series of the lease.
    pub fn leads(&self, leads: bool) {
        self.0.leader.get_or_create(&[]).set(i64::from(leads));
        for &transition in LeaseTransition::ALL {
            self.0
                .lease_transitions
                .get_or_create_owned(&TransitionLabels { transition });
        }
        for &outcome in LeaseRenewal::ALL {
            self.0
                .lease_renewals
                .get_or_create_owned(&RenewalLabels { outcome });
        }
    }

    /// Counts a change of the leader.
    pub fn lease_moved(&self, transition: LeaseTransition) {
        self.0
            .lease_transitions
            .get_or_create(&TransitionLabels { transition })
            .inc();
    }

    /// Counts an attempt to renew the lease.
    pub fn lease_renewed(&self, outcome: LeaseRenewal) {
        self.0
            .lease_renewals
            .get_or_create(&RenewalLabels { outcome })
            .inc();
    }

    /// Counts a finished run.
    pub fn run_finished(&self, kind: RunKind, outcome: RunOutcome) {
        self.0.runs.finish(kind, outcome);
    }

    /// Exports the unfinished runs and scheduled backups. Removes the series of backups that no longer exist.
    pub fn set_census(&self, census: &Census) {
        self.0.runs.set(census);
    }

    /// Removes the series, because another replica exports them now.
    pub fn clear_census(&self) {
        self.0.runs.clear();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn register(&mut self) {
        let Self { registry, .. } = self;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The version of cassgate", Info::new(version));
        registry.register(
            "admission_reviews",
            "Answered admission reviews",
            self.reviews.clone(),
        );
        registry.register_with_unit(
            "admission_duration",
            "Time from an admission review to its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register("rule_findings", "Findings of the rules", self.findings.clone());
        registry.register(
            "panics",
            "Panics of request handlers; each is a bug in cassgate",
            self.panics.clone(),
        );
        registry.register_with_unit(
            "tls_certificate_not_after",
            "Expiry of the served certificate, since the epoch",
            Unit::Seconds,
            self.certificate_not_after.clone(),
        );
        registry.register_with_unit(
            "tls_authority_not_after",
            "Expiry of the authority of --tls self, since the epoch",
            Unit::Seconds,
            self.authority_not_after.clone(),
        );
        registry.register(
            "tls_ca_bundle_vouches",
            "1 if every caBundle of the webhook configuration contains the authority of the served certificate",
            self.bundle_vouches.clone(),
        );
        registry.register(
            "tls_reloads",
            "Reloads of a changed certificate, by outcome",
            self.reloads.clone(),
        );
        registry.register(
            "tls_handshake_failures",
            "Failed TLS handshakes",
            self.handshake_failures.clone(),
        );
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "cache_objects",
            "Objects in the caches",
            self.cache_objects.clone(),
        );
        registry.register(
            "cache_synced",
            "1 if a cache is complete and up to date",
            self.cache_synced.clone(),
        );
        registry.register(
            "cache_undecodable_objects",
            "Objects that cannot be decoded: the caches leave them out, and they are not reconciled",
            self.cache_undecodable.clone(),
        );
        registry.register(
            "live_reads",
            "Live reads of objects from the API server",
            self.live_reads.clone(),
        );
        registry.register(
            "sidecar_requests",
            "Requests to the sidecars of Cassandra nodes",
            self.sidecar_requests.clone(),
        );
        registry.register(
            "leader",
            "1 if this replica runs backups and restores",
            self.leader.clone(),
        );
        registry.register(
            "lease_transitions",
            "Changes of the leader, as this replica observed them",
            self.lease_transitions.clone(),
        );
        registry.register(
            "lease_renewals",
            "Attempts to renew the lease",
            self.lease_renewals.clone(),
        );
        self.runs.register(registry);
    }

    fn start_at_zero(&self) {
        for &outcome in ReloadOutcome::ALL {
            self.reloads.get_or_create_owned(&ReloadLabels { outcome });
        }
        for &reason in HandshakeFailure::ALL {
            self.handshake_failures
                .get_or_create_owned(&HandshakeLabels { reason });
        }
        for &listener in Listener::ALL {
            self.connections
                .get_or_create_owned(&ConnectionLabels { listener });
        }
        for &kind in CacheKind::ALL {
            self.cache_objects.get_or_create_owned(&CacheLabels { kind });
            self.cache_synced.get_or_create_owned(&CacheLabels { kind });
            self.cache_undecodable.get_or_create_owned(&CacheLabels { kind });
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
