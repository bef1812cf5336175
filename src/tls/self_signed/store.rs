//! The reads and writes of mode `self`, as a trait that knows no Kubernetes client.

use std::{collections::BTreeMap, fmt};

use crate::telemetry::metrics::WebhookSide;

/// Reads and writes the Secret and the two webhook configurations. Every call returns within seconds.
pub trait Store: Send + Sync + 'static {
    /// Returns the Secret, and `None` if it does not exist.
    fn secret(&self) -> impl Future<Output = Result<Option<StoredSecret>, StoreError>> + Send;

    /// Replaces the data of the Secret and sets the label that marks it as owned by cassgate, if the Secret still has
    /// this `resourceVersion`.
    fn replace_secret(
        &self,
        resource_version: &str,
        data: BTreeMap<String, Vec<u8>>,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send;

    /// Returns the webhook configuration of one side, and `None` if it does not exist.
    fn configuration(
        &self,
        side: WebhookSide,
    ) -> impl Future<Output = Result<Option<StoredConfiguration>, StoreError>> + Send;

    /// Writes `bundle` into the `caBundle` of every webhook of the configuration, if it has not changed since it was
    /// read as `observed`.
    fn publish(
        &self,
        side: WebhookSide,
        observed: &StoredConfiguration,
        bundle: &str,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send;
}

/// The Secret as it was read.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct StoredSecret {
    /// The `resourceVersion`.
    pub resource_version: String,
    /// True if it has the label that allows cassgate to write it.
    pub is_labelled: bool,
    /// The data, private keys of authorities included.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// A webhook configuration as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredConfiguration {
    /// The `resourceVersion`.
    pub resource_version: String,
    /// The webhooks, in their order in the configuration.
    pub webhooks: Vec<StoredWebhook>,
}

/// One webhook of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredWebhook {
    /// The name.
    pub name: String,
    /// The `caBundle` as PEM; empty if it is not set.
    pub ca_bundle: Vec<u8>,
}

/// The outcome of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The object is stored.
    Stored,
    /// The object has changed since it was read, so it has to be read again.
    Conflict,
}

/// The reason why a read or write failed, in one line. It contains no data of the object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// Omits the data, because it contains private keys.
impl fmt::Debug for StoredSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoredSecret")
            .field("resource_version", &self.resource_version)
            .field("is_labelled", &self.is_labelled)
            .finish_non_exhaustive()
    }
}
