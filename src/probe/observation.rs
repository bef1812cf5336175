//! The observation of the path: objects of the API server, and the results of two dry runs.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    core::v1::{Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::core::Status;
use serde_json::Value;

use super::webhook::Webhook;

/// The result of a read.
#[derive(Debug, Clone)]
pub(super) enum Lookup<T> {
    /// The object.
    Found(T),
    /// The object does not exist.
    Absent,
    /// The object could not be read, with the reason.
    Unknown(String),
}

/// The result of a create in a dry run.
#[derive(Debug, Clone)]
pub(super) enum DryRun {
    /// The object as it would be stored.
    Accepted(Value),
    /// The API server rejected it, for whatever reason.
    Rejected(Box<Status>),
    /// The API server did not answer.
    Failed(String),
}

/// A Service and its endpoints.
#[derive(Debug, Clone)]
pub(super) struct ServiceObservation {
    pub(super) service: Lookup<Service>,
    pub(super) slices: Lookup<Vec<EndpointSlice>>,
}

/// The namespace and the name of a Service.
pub(super) type ServiceName = (String, String);

/// Everything that the probe reads.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The name of the namespace of the dry runs.
    pub(super) namespace: String,
    /// The name of the webhook configurations.
    pub(super) configuration_name: String,
    pub(super) namespace_object: Lookup<Namespace>,
    pub(super) mutating: Lookup<MutatingWebhookConfiguration>,
    pub(super) validating: Lookup<ValidatingWebhookConfiguration>,
    /// Every Service that a webhook names.
    pub(super) services: BTreeMap<ServiceName, ServiceObservation>,
    /// The dry run of the object that cassgate denies.
    pub(super) bad: DryRun,
    /// The dry run of the object that cassgate admits.
    pub(super) good: DryRun,
}

impl Observation {
    /// Returns why the API server did not answer, if it answered neither dry run.
    #[must_use]
    pub fn unreachable(&self) -> Option<&str> {
        match (&self.bad, &self.good) {
            (DryRun::Failed(why), DryRun::Failed(_)) => Some(why),
            _ => None,
        }
    }

    /// Returns the webhooks of both configurations.
    pub(super) fn webhooks(&self) -> Vec<Webhook> {
        let mutating = match &self.mutating {
            Lookup::Found(found) => found.webhooks.clone().unwrap_or_default(),
            _ => Vec::new(),
        };
        let validating = match &self.validating {
            Lookup::Found(found) => found.webhooks.clone().unwrap_or_default(),
            _ => Vec::new(),
        };
        let mutating = mutating.into_iter().map(Webhook::from);
        mutating
            .chain(validating.into_iter().map(Webhook::from))
            .collect()
    }
}
