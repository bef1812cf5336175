//! Which hop between a user's `kubectl apply` and cassgate's answer is broken.
//!
//! | hop | what it is |
//! |---|---|
//! | configuration | the two webhook configurations, their rules, and the namespace |
//! | ca | the `caBundle` by which the API server trusts what the server shows |
//! | service | the Service by which the API server calls, and its endpoints |
//! | certificate | what the server shows |
//! | server | who answers |
//!
//! Objects are read, and a bad and a good `CassandraBackup` are created in dry runs: nothing is stored. What the API
//! server then says of a call that came to nothing is the only view of the path that counts, and it names the hop.
//! [`look`] asks the API server; the rest is pure.
//!
//! The bad object has a schedule in a zone that does not exist. No flag of `cassgate run` lets it pass, no schema and
//! no policy of the overlay `static-policy` refuses it first, since both know nothing of zones: only cassgate's
//! validating side does. The good one names a cluster and a Secret that need not exist: in a dry run that is a
//! warning, or, with `--missing-references-on-dry-run=deny`, a refusal by exactly two rules. It leaves out
//! `concurrentConnections`, which only the mutating side fills in, and neither set of CRDs does.

mod authority;
mod call;
mod configuration;
pub mod look;
pub mod report;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        admissionregistration::v1::{
            MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ValidatingWebhook,
            ValidatingWebhookConfiguration, WebhookClientConfig,
        },
        core::v1::{Namespace, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::core::Status;
use serde_json::Value;

use call::Path;
use report::{Hop, HopName, Report, State};

/// What a read learnt.
#[derive(Debug, Clone)]
pub enum Read<T> {
    /// The object.
    Found(T),
    /// There is none.
    Absent,
    /// It could not be read, with the reason.
    Unknown(String),
}

/// What became of one dry-run create.
#[derive(Debug, Clone)]
pub enum Tried {
    /// It would be stored so.
    Accepted(Value),
    /// The API server said no, for whatever reason.
    Refused(Box<Status>),
    /// No answer of the API server.
    Failed(String),
}

/// A Service, and what is behind it.
#[derive(Debug, Clone)]
pub struct Behind {
    /// The Service.
    pub service: Read<Service>,
    /// Its slices.
    pub slices: Read<Vec<EndpointSlice>>,
}

/// The Service of a webhook by namespace and name.
pub type ServiceName = (String, String);

/// All that was looked at.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Where the objects were tried.
    pub namespace: String,
    /// The name of the webhook configurations.
    pub webhooks: String,
    /// That namespace.
    pub labels: Read<Namespace>,
    /// The mutating side.
    pub mutating: Read<MutatingWebhookConfiguration>,
    /// The validating side.
    pub validating: Read<ValidatingWebhookConfiguration>,
    /// Every Service that a webhook names.
    pub services: BTreeMap<ServiceName, Behind>,
    /// The object that has to be refused.
    pub bad: Tried,
    /// The object that has to pass.
    pub good: Tried,
}

/// What the installation is meant to be.
#[derive(Debug, Clone, Copy)]
pub struct Meant {
    /// The validating webhook lets pass what it cannot be asked about.
    pub ignore: bool,
    /// When it is looked at.
    pub now: Timestamp,
}

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Mutating,
    Validating,
}

impl Side {
    fn kind(self) -> &'static str {
        match self {
            Self::Mutating => "MutatingWebhookConfiguration",
            Self::Validating => "ValidatingWebhookConfiguration",
        }
    }
}

/// One webhook of a configuration, of whichever side.
#[derive(Debug, Clone)]
struct Entry {
    side: Side,
    name: String,
    client: WebhookClientConfig,
    rules: Vec<RuleWithOperations>,
    failure_policy: String,
    namespace_selector: Option<LabelSelector>,
    object_selector: Option<LabelSelector>,
}

impl From<MutatingWebhook> for Entry {
    fn from(webhook: MutatingWebhook) -> Self {
        Self {
            side: Side::Mutating,
            name: webhook.name,
            client: webhook.client_config,
            rules: webhook.rules.unwrap_or_default(),
            failure_policy: webhook.failure_policy.unwrap_or_default(),
            namespace_selector: webhook.namespace_selector,
            object_selector: webhook.object_selector,
        }
    }
}

impl From<ValidatingWebhook> for Entry {
    fn from(webhook: ValidatingWebhook) -> Self {
        Self {
            side: Side::Validating,
            name: webhook.name,
            client: webhook.client_config,
            rules: webhook.rules.unwrap_or_default(),
            failure_policy: webhook.failure_policy.unwrap_or_default(),
            namespace_selector: webhook.namespace_selector,
            object_selector: webhook.object_selector,
        }
    }
}

impl Entry {
    /// Whether it is called when a backup is created, as the two tries do.
    fn is_tried(&self) -> bool {
        configuration::covers(&self.rules, "cassandrabackups", "CREATE")
    }
}

impl Seen {
    /// Why the API server gave no answer at all, when it gave none.
    #[must_use]
    pub fn unreachable(&self) -> Option<&str> {
        match (&self.bad, &self.good) {
            (Tried::Failed(why), Tried::Failed(_)) => Some(why),
            _ => None,
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let mutating = match &self.mutating {
            Read::Found(found) => found.webhooks.clone().unwrap_or_default(),
            _ => Vec::new(),
        };
        let validating = match &self.validating {
            Read::Found(found) => found.webhooks.clone().unwrap_or_default(),
            _ => Vec::new(),
        };
        let mutating = mutating.into_iter().map(Entry::from);
        mutating.chain(validating.into_iter().map(Entry::from)).collect()
    }
}

/// Says of each hop how it stands.
#[must_use]
pub fn judge(seen: &Seen, meant: Meant) -> Report {
    let entries = seen.entries();
    let path = Path::read(seen, &entries);
    let configuration = configuration::judge(seen, &entries, &path, meant);
    let is_configured = matches!(configuration, State::Ok(_));
    let states = [
        (HopName::Configuration, configuration),
        (HopName::Ca, authority::judge(&entries, &path, meant.now)),
        (HopName::Service, service::judge(seen, &entries, &path)),
        (HopName::Certificate, call::certificate(&path)),
        (HopName::Server, call::server(&path, is_configured)),
    ];
    let hops = states
        .into_iter()
        .map(|(name, state)| Hop { name, state })
        .collect();
    Report::new(seen.namespace.clone(), hops)
}

/// The first of these troubles, if there is any: one line says one thing, and the next run says the next.
fn first(troubles: Vec<State>) -> Option<State> {
    let broken = troubles
        .iter()
        .position(|state| matches!(state, State::Broken { .. }));
    troubles.into_iter().nth(broken.unwrap_or(0))
}
