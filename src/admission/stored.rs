//! An object that is stored already, judged again: it may have come in past the webhook, and the world has moved on.

use serde_json::Value;
use tokio::time::Instant;

use crate::api::Kind;
use crate::rules::facts::FactSource;
use crate::rules::finding::Findings;
use crate::rules::policy::Context;
use crate::rules::subject::Metadata;
use crate::rules::{self, decode};

use super::gather::Gather;
use super::judge::settled;

/// What the rules say of a stored object, out of caches and, before anything is refused, out of live reads.
///
/// Who will read the findings is not known, so they tell nothing of what a Secret holds.
pub async fn judge_stored(
    source: &dyn FactSource,
    context: &Context,
    kind: Kind,
    meta: Metadata,
    spec: Option<&Value>,
    deadline: Instant,
) -> Findings {
    let namespace = meta.namespace.clone();
    let subject = match decode::subject_of_tree(kind, spec, meta) {
        Ok(subject) => subject,
        Err(misfits) => return misfits,
    };
    let gather = Gather {
        source,
        namespace: &namespace,
        deadline,
    };
    let mut found = settled(&subject, gather, |facts| rules::judge(&subject, facts, context)).await;
    found.withhold();
    found
}
