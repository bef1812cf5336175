//! What has to be read and written in the cluster, without a word of Kubernetes' client.

use std::{collections::BTreeMap, fmt};

use crate::telemetry::metrics::WebhookSide;

/// The Secret and the two webhook configurations. Every answer comes within seconds, or is an error.
pub trait Store: Send + Sync + 'static {
    /// The Secret; nothing when there is none.
    fn secret(&self) -> impl Future<Output = Result<Option<SecretObject>, StoreError>> + Send;

    /// Replaces the Secret's data and marks it as ours, if it is still at this version.
    fn replace_secret(
        &self,
        version: &str,
        data: BTreeMap<String, Vec<u8>>,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// The webhook configuration of one side; nothing when there is none.
    fn configuration(
        &self,
        side: Configured,
    ) -> impl Future<Output = Result<Option<ConfigurationObject>, StoreError>> + Send;

    /// Makes this text the `caBundle` of every webhook of the configuration, if it is still as it was read.
    fn publish(
        &self,
        side: Configured,
        seen: &ConfigurationObject,
        bundle: &str,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;
}

/// Which of the two configurations.
pub type Configured = WebhookSide;

/// The Secret as it was read.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretObject {
    /// Its `resourceVersion`.
    pub version: String,
    /// Whether it has the label that says that cassgate may write it.
    pub marked: bool,
    /// Its data, keys of authorities among them.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// A webhook configuration as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigurationObject {
    /// Its `resourceVersion`.
    pub version: String,
    /// Its webhooks.
    pub entries: Vec<Entry>,
}

/// One webhook of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its `caBundle`: PEM, or nothing.
    pub bundle: Vec<u8>,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Done,
    /// Somebody else was quicker: look again.
    Conflict,
}

/// Why something could not be read or written: a line for people, without any content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// Without the data: there are keys in it.
impl fmt::Debug for SecretObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SecretObject")
            .field("version", &self.version)
            .field("marked", &self.marked)
            .finish_non_exhaustive()
    }
}
