//! The options of mode `self`.

use std::time::Duration;

use super::plan::Timing;
use crate::tls::SubjectAltName;

/// The longest interval between two reconciliations.
const MAX_INTERVAL: Duration = Duration::from_secs(10);

/// The number of reconciliations in the lifetime of a certificate, at least.
const RECONCILIATIONS_PER_LEAF: i32 = 20;

/// The options of mode `self`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfOptions {
    /// The name of the Secret that holds the authority.
    pub secret: String,
    /// The namespace of the Secret and the Service; `None` for the namespace of the client.
    pub namespace: Option<String>,
    /// The name of the Service through which the API server calls the webhook.
    pub service: String,
    /// The name of the two webhook configurations.
    pub webhooks: String,
    /// Names in the certificate beside those of the Service.
    pub names: Vec<SubjectAltName>,
    /// The lifetimes of the authority and the certificate.
    pub timing: Timing,
}

impl SelfOptions {
    /// Returns every name that the certificate contains: the names of the Service as clients in the Kubernetes cluster
    /// write them, and the additional names.
    #[must_use]
    pub fn names_in(&self, namespace: &str) -> Vec<String> {
        let service = &self.service;
        let of_service = [
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.cluster.local"),
            format!("{service}.{namespace}"),
            service.clone(),
        ];
        let additional = self.names.iter().map(|name| name.as_str().to_owned());
        of_service.into_iter().chain(additional).collect()
    }

    /// Returns the interval between two reconciliations: ten seconds, or less if certificates are short-lived.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let of_leaf = self.timing.leaf_lifetime / RECONCILIATIONS_PER_LEAF;
        Duration::try_from(of_leaf).map_or(MAX_INTERVAL, |of_leaf| of_leaf.min(MAX_INTERVAL))
    }
}
