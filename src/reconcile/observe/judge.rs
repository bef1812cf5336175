//! The rules, as the reconciler asks for them.

use std::pin::Pin;

use serde_json::Value;

use crate::api::Kind;
use crate::rules::finding::Findings;

/// Judges stored objects by the rules.
pub trait Judge: Send + Sync {
    /// Returns the findings of an object. They reveal nothing about the content of a Secret.
    fn judge<'a>(
        &'a self,
        kind: Kind,
        object: &'a Value,
    ) -> Pin<Box<dyn Future<Output = Findings> + Send + 'a>>;
}
