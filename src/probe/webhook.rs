//! A webhook of either configuration.

use k8s_openapi::{
    api::admissionregistration::v1::{
        MutatingWebhook, RuleWithOperations, ValidatingWebhook, WebhookClientConfig,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

/// One of the two configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Mutating,
    Validating,
}

impl Side {
    /// Returns the kind of the configuration.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Mutating => "MutatingWebhookConfiguration",
            Self::Validating => "ValidatingWebhookConfiguration",
        }
    }
}

/// A webhook of either configuration.
#[derive(Debug, Clone)]
pub(super) struct Webhook {
    pub(super) side: Side,
    pub(super) name: String,
    pub(super) client: WebhookClientConfig,
    rules: Vec<RuleWithOperations>,
    pub(super) failure_policy: String,
    pub(super) namespace_selector: Option<LabelSelector>,
    pub(super) object_selector: Option<LabelSelector>,
}

impl From<MutatingWebhook> for Webhook {
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

impl From<ValidatingWebhook> for Webhook {
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

impl Webhook {
    /// Returns true if its rules match this operation on this resource of `db.orange.com/v2`.
    pub(super) fn covers(&self, resource: &str, operation: &str) -> bool {
        let has = |list: &Option<Vec<String>>, wanted: &str| {
            list.iter().flatten().any(|item| item == "*" || item == wanted)
        };
        self.rules.iter().any(|rule| {
            has(&rule.api_groups, "db.orange.com")
                && has(&rule.api_versions, "v2")
                && (has(&rule.resources, resource) || has(&rule.resources, "*/*"))
                && has(&rule.operations, operation)
                && rule.scope.as_deref() != Some("Cluster")
        })
    }

    /// Returns true if the dry runs call it.
    pub(super) fn is_called(&self) -> bool {
        self.covers("cassandrabackups", "CREATE")
    }
}
