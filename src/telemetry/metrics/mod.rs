//! Metrics: what `/metrics` shows, in the `OpenMetrics` text format.
//!
//! One method per thing that happens; callers never see a label set.

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
pub use runs::{Census, MOST_SCHEDULED, ScheduledBackup};

/// What `/metrics` is sent as.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds. A review from the caches takes well under a millisecond, one with live reads some;
/// kube-apiserver waits 10 s by default.
const REVIEW_BUCKETS: [f64; 15] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// All metrics of the process. A clone is another handle to the same ones.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

/// Counts an open connection for as long as it lives.
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
    /// Without a series where there is no authority: 0 would be an alert.
    authority_not_after: Family<[(&'static str, &'static str); 0], Gauge>,
    /// Without a series but in mode `self`.
    bundle_vouches: Family<WebhookLabels, Gauge>,
    reloads: Family<ReloadLabels, Counter>,
    handshake_failures: Family<HandshakeLabels, Counter>,
    connections: Family<ConnectionLabels, Gauge>,
    cache_objects: Family<CacheLabels, Gauge>,
    cache_synced: Family<CacheLabels, Gauge>,
    live_reads: Family<ReadLabels, Counter>,
    sidecar_requests: Family<SidecarLabels, Counter>,
    /// Without a series where no lease is kept: 0 everywhere would be an alert.
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
    /// What an alert watches (panics, reloads, handshakes, caches) stands at zero from the start: a series that
    /// first appears with its first failure has no rate.
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

    /// The `OpenMetrics` text of everything, ended by `# EOF`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Only a label's own encoder could fail, and ours write static text into a String.
        text::encode(&mut text, &self.0.registry)
            .map(|()| text)
            .unwrap_or_default()
    }

    /// An admission review was answered `elapsed` after it came.
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

    /// A rule found something in a reviewed object.
    pub fn found(&self, rule: RuleLabel, severity: FindingSeverity) {
        self.0
            .findings
            .get_or_create(&FindingLabels { rule, severity })
            .inc();
    }

    /// A handler panicked.
    pub fn panicked(&self) {
        self.0.panics.inc();
    }

    /// The served certificate is valid until then, in seconds since the epoch.
    pub fn certificate_not_after(&self, seconds: i64) {
        self.0.certificate_not_after.set(seconds);
    }

    /// The authority of mode `self` is valid until then, in seconds since the epoch.
    pub fn authority_not_after(&self, seconds: i64) {
        self.0.authority_not_after.get_or_create(&[]).set(seconds);
    }

    /// Whether every `caBundle` of a configuration vouches for the certificate that is served; nothing where there is
    /// no such configuration.
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

    /// A changed certificate was taken, or could not be.
    pub fn reloaded(&self, outcome: ReloadOutcome) {
        self.0.reloads.get_or_create(&ReloadLabels { outcome }).inc();
    }

    /// A TLS handshake came to nothing.
    pub fn handshake_failed(&self, reason: HandshakeFailure) {
        self.0
            .handshake_failures
            .get_or_create(&HandshakeLabels { reason })
            .inc();
    }

    /// A connection was accepted; it is open until the answer is dropped.
    pub fn connection_opened(&self, listener: Listener) -> OpenConnection {
        let open = self
            .0
            .connections
            .get_or_create_owned(&ConnectionLabels { listener });
        open.inc();
        OpenConnection(open)
    }

    /// So many objects are in a cache.
    pub fn cache_objects(&self, kind: CacheKind, objects: usize) {
        let objects = i64::try_from(objects).unwrap_or(i64::MAX);
        self.0
            .cache_objects
            .get_or_create(&CacheLabels { kind })
            .set(objects);
    }

    /// A cache holds everything (1), or is not complete yet or any more (0).
    pub fn cache_synced(&self, kind: CacheKind, synced: bool) {
        self.0
            .cache_synced
            .get_or_create(&CacheLabels { kind })
            .set(i64::from(synced));
    }

    /// An object was read from the API server for one request.
    pub fn live_read(&self, kind: ReadKind, outcome: ReadOutcome) {
        self.0
            .live_reads
            .get_or_create(&ReadLabels { kind, outcome })
            .inc();
    }

    /// A sidecar was asked something.
    pub fn asked_sidecar(&self, request: SidecarRequest, outcome: SidecarOutcome) {
        self.0
            .sidecar_requests
            .get_or_create(&SidecarLabels { request, outcome })
            .inc();
    }

    /// This replica acts (1), or another one does (0). From the first time on, every series of the lease is there.
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

    /// The lease came to this replica or went from it.
    pub fn lease_moved(&self, transition: LeaseTransition) {
        self.0
            .lease_transitions
            .get_or_create(&TransitionLabels { transition })
            .inc();
    }

    /// The lease was to be renewed.
    pub fn lease_renewed(&self, outcome: LeaseRenewal) {
        self.0
            .lease_renewals
            .get_or_create(&RenewalLabels { outcome })
            .inc();
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
        registry.register("build", "The version that runs", Info::new(version));
        registry.register(
            "admission_reviews",
            "Admission reviews answered",
            self.reviews.clone(),
        );
        registry.register_with_unit(
            "admission_duration",
            "Time from an admission review to its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register("rule_findings", "What the rules found", self.findings.clone());
        registry.register(
            "panics",
            "Handlers that panicked, each a bug",
            self.panics.clone(),
        );
        registry.register_with_unit(
            "tls_certificate_not_after",
            "End of the served certificate's validity, since the epoch",
            Unit::Seconds,
            self.certificate_not_after.clone(),
        );
        registry.register_with_unit(
            "tls_authority_not_after",
            "End of the validity of the authority that cassgate keeps, since the epoch",
            Unit::Seconds,
            self.authority_not_after.clone(),
        );
        registry.register(
            "tls_ca_bundle_vouches",
            "1 when every caBundle of the configuration that cassgate keeps vouches for its certificate",
            self.bundle_vouches.clone(),
        );
        registry.register(
            "tls_reloads",
            "Changed certificates, taken or not",
            self.reloads.clone(),
        );
        registry.register(
            "tls_handshake_failures",
            "TLS handshakes that came to nothing",
            self.handshake_failures.clone(),
        );
        registry.register("connections", "Connections open now", self.connections.clone());
        registry.register(
            "cache_objects",
            "Objects in the caches",
            self.cache_objects.clone(),
        );
        registry.register(
            "cache_synced",
            "1 when a cache holds everything",
            self.cache_synced.clone(),
        );
        registry.register(
            "live_reads",
            "Objects read from the API server for one request",
            self.live_reads.clone(),
        );
        registry.register(
            "sidecar_requests",
            "Requests to the sidecars of Cassandra nodes",
            self.sidecar_requests.clone(),
        );
        registry.register(
            "leader",
            "1 when this replica runs backups and restores",
            self.leader.clone(),
        );
        registry.register(
            "lease_transitions",
            "How often the lease came to this replica and went from it",
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
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
