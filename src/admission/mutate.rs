//! `/mutate`: sets defaults and protects the status. It never denies.

use serde_json::Value;

use crate::evaluate::{Gatherer, Object};
use crate::rules::checks::transition;
use crate::rules::facts::{Freshness, Reference, StoredBackup};
use crate::rules::finding::Findings;
use crate::rules::subject::{Restore, Subject};
use crate::rules::{decode, defaults, run_record, status};

use super::review::{Operation, Review};
use super::verdict::Verdict;

/// `Some(true)` if the status of a kind is a subresource, `Some(false)` if it is part of the object, `None` if that is
/// unknown.
pub(super) type StatusIsSubresource = Option<bool>;

/// Returns the patch of a review, with a warning if it changes the status.
///
/// The patch is a diff against the object as received, so that unknown fields are kept.
pub(super) async fn mutate(
    review: &Review<'_>,
    gatherer: Gatherer<'_>,
    status_is_subresource: StatusIsSubresource,
    now_ms: i64,
) -> Verdict {
    let (Some(kind), Some(new)) = (review.kind.judged(), &review.object) else {
        return Verdict::admit();
    };
    let changed = matches!(review.operation, Operation::Create | Operation::Update);
    if !changed || review.subresource.is_some() || review.is_exempt(kind) {
        return Verdict::admit();
    }
    let received = new.body();
    let mut object = received.clone();
    let old = review.old.as_ref().map(Object::body);
    let old = old.as_ref();
    let mut findings = protect_status(&mut object, old, status_is_subresource);
    findings.suppress(|rule| new.meta.allows(rule));
    if let Ok(subject) = decode::subject(kind, new.spec, new.meta.clone()) {
        let backup = match &subject {
            // Boxed: a backup never comes here.
            Subject::Restore(restore) if old.is_none() => Box::pin(inherited_from(restore, gatherer)).await,
            _ => None,
        };
        let origin = defaults::Inputs {
            old,
            backup: backup.as_ref(),
            now_ms,
        };
        defaults::fill(kind, &mut object, origin);
    }
    patched(&received, &object, findings)
}

/// Removes the status of a new object and restores a status that an update removed.
///
/// If the status is a subresource, the API server itself drops or keeps it.
fn protect_status(
    object: &mut Value,
    old: Option<&Value>,
    status_is_subresource: StatusIsSubresource,
) -> Findings {
    let warning = match old {
        _ if status_is_subresource == Some(true) => None,
        None => status::is_present(object).then(|| {
            defaults::strip_status(object);
            transition::status_stripped()
        }),
        Some(old) => run_record::lost(old, object).map(|_| {
            defaults::keep_status(object, old);
            transition::status_kept(old)
        }),
    };
    warning.into_iter().collect()
}

/// Returns the backup of a restore that inherits fields from it.
async fn inherited_from(restore: &Restore, gatherer: Gatherer<'_>) -> Option<StoredBackup> {
    if restore.spec.entities.is_some() && restore.spec.secret.is_some() {
        return None;
    }
    match gatherer
        .backup(&restore.spec.cassandra_backup, Freshness::Cached)
        .await
    {
        Some(Reference::Found(backup)) => Some(backup),
        _ => None,
    }
}

fn patched(received: &Value, object: &Value, findings: Findings) -> Verdict {
    let patch = json_patch::diff(received, object);
    if patch.is_empty() {
        Verdict::Allow(findings)
    } else {
        Verdict::Patch(patch, findings)
    }
}
