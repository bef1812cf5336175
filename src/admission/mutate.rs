//! `/mutate`: defaults, and a status that stays where it belongs. It never refuses.

use serde_json::Value;

use crate::evaluate::{Gatherer, Object};
use crate::rules::checks::transition;
use crate::rules::facts::{Freshness, Reference, StoredBackup};
use crate::rules::finding::Findings;
use crate::rules::subject::{Restore, Subject};
use crate::rules::{decode, defaults, status};

use super::review::{Operation, Review};
use super::verdict::Verdict;

/// Where a kind keeps its status: `Some(true)` in a subresource of its own, `Some(false)` in the object, `None` when
/// nobody could say.
pub(super) type StatusIsSubresource = Option<bool>;

/// The patch of a request, and a warning for what it did to the status.
///
/// The patch is a diff against the object as it came, so that unknown fields survive.
pub(super) async fn mutate(
    review: &Review<'_>,
    gatherer: Gatherer<'_>,
    apart: StatusIsSubresource,
    now_ms: i64,
) -> Verdict {
    let (Some(kind), Some(new)) = (review.kind.judged(), &review.object) else {
        return Verdict::silent();
    };
    let changed = matches!(review.operation, Operation::Create | Operation::Update);
    if !changed || review.subresource.is_some() || review.deleting() {
        return Verdict::silent();
    }
    let came = new.body();
    let mut object = came.clone();
    let old = review.old.as_ref().map(Object::body);
    let old = old.as_ref();
    let mut findings = mend_status(&mut object, old, apart);
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
    patched(&came, &object, findings)
}

/// Status that lives apart is dropped or kept by the API server itself.
fn mend_status(object: &mut Value, old: Option<&Value>, apart: StatusIsSubresource) -> Findings {
    let warning = match old {
        _ if apart == Some(true) => None,
        None => status::is_present(object).then(|| {
            defaults::strip_status(object);
            transition::status_stripped()
        }),
        Some(old) => status::is_reset(old, object).then(|| {
            defaults::keep_status(object, old);
            transition::status_kept(old)
        }),
    };
    warning.into_iter().collect()
}

/// The backup of a new restore that leaves something to it.
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

fn patched(came: &Value, object: &Value, findings: Findings) -> Verdict {
    let patch = json_patch::diff(came, object);
    if patch.is_empty() {
        Verdict::Allow(findings)
    } else {
        Verdict::Patch(patch, findings)
    }
}
