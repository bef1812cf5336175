//! Judges stored objects again: they may have been stored without a review, or their references may have changed.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use crate::api::Kind;
use crate::rules::facts::FactSource;
use crate::rules::finding::Findings;
use crate::rules::policy::{Context, Policy};
use crate::rules::subject::Metadata;
use crate::rules::{self, decode};

use super::gather::Gatherer;
use super::judge::judge;

/// The time that the facts of one stored object may take.
const FACTS_TIMEOUT: Duration = Duration::from_secs(10);

/// Judges stored objects. A trait, so that tests of the reconciler can do without rules.
pub trait Judge: Send + Sync {
    /// Returns the findings of a stored object, without details of its Secret.
    fn judge<'a>(&'a self, kind: Kind, object: &'a Value) -> BoxFuture<'a, Findings>;
}

/// Judges stored objects by the rules.
pub struct StoredJudge {
    /// The source of the facts.
    pub facts: Arc<dyn FactSource>,
    /// The policy of the rules.
    pub policy: Policy,
    /// The clock.
    pub now: fn() -> Timestamp,
}

impl Judge for StoredJudge {
    fn judge<'a>(&'a self, kind: Kind, object: &'a Value) -> BoxFuture<'a, Findings> {
        Box::pin(self.judge_stored(kind, object))
    }
}

impl StoredJudge {
    async fn judge_stored(&self, kind: Kind, object: &Value) -> Findings {
        let meta = stored_metadata(object);
        let namespace = meta.namespace.clone();
        let subject = match decode::subject_from_value(kind, object.get("spec"), meta) {
            Ok(subject) => subject,
            Err(malformed) => return malformed,
        };
        let context = Context {
            policy: self.policy.clone(),
            dry_run: false,
            creating: false,
            now: (self.now)(),
        };
        let gatherer = Gatherer {
            source: self.facts.as_ref(),
            namespace: &namespace,
            deadline: Some(Instant::now() + FACTS_TIMEOUT),
            looks_up_pods: false,
            had_no_turn: None,
        };
        let rules = |facts: &_| rules::judge(&subject, facts, &context);
        let mut found = judge(&subject, gatherer, rules).await;
        // Findings go into events and conditions, whose readers need not have the right to read the Secret.
        found.redact_content();
        found
    }
}

/// Returns the metadata of a stored object that rules read. What is absent is empty.
#[must_use]
pub fn stored_metadata(object: &Value) -> Metadata {
    let text = |map: &str, key: &str| object.pointer(map)?.get(key)?.as_str().map(str::to_owned);
    Metadata::new(
        text("/metadata", "namespace").unwrap_or_default(),
        text("/metadata", "name").unwrap_or_default(),
        |annotation| text("/metadata/annotations", annotation),
        |label| text("/metadata/labels", label),
    )
}
