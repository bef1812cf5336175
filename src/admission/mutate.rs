//! `/mutate`: sets defaults and protects the status. It never denies.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation};
use serde_json::Value;

use crate::api::Kind;
use crate::evaluate::{Gatherer, Object, Part, parse_part};
use crate::rules::checks::transition;
use crate::rules::facts::{Freshness, Reference, StoredBackup};
use crate::rules::finding::{Finding, Findings};
use crate::rules::json_size::JsonLimits;
use crate::rules::subject::{Restore, Subject};
use crate::rules::{decode, defaults, run_record};

use super::review::{Operation, Review};
use super::verdict::Verdict;

/// `Some(true)` if the status of a kind is a subresource, `Some(false)` if it is part of the object, `None` if that is
/// unknown.
pub(super) type StatusIsSubresource = Option<bool>;

/// Returns the patch of a review, with a warning if it changes the status.
///
/// The patch changes single fields of the object as received, so that unknown fields are kept.
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
    let old = review.old.as_ref();
    let mut operations = Vec::new();
    let mut findings = Findings::default();
    // The API server itself drops or keeps a status that is a subresource.
    if status_is_subresource != Some(true)
        && let Some((operation, warning)) = protect_status(new, old)
    {
        operations.push(operation);
        findings.push(warning);
    }
    findings.suppress(|rule| new.meta.allows(rule));
    operations.extend(add_defaults(kind, new, old, gatherer, now_ms).await);
    if operations.is_empty() {
        Verdict::Allow(findings)
    } else {
        Verdict::Patch(Patch(operations), findings)
    }
}

/// Removes the status of a new object and restores a status that an update removed.
///
/// A stored status over the limits is not restored: the answer would repeat it. Validation denies such an update.
fn protect_status(new: &Object<'_>, old: Option<&Object<'_>>) -> Option<(PatchOperation, Finding)> {
    let path = PointerBuf::from_tokens(["status"]);
    let Some(old) = old else {
        let removal = PatchOperation::Remove(RemoveOperation { path });
        return new.has_status().then(|| (removal, transition::status_stripped()));
    };
    let before = old.run_state();
    run_record::lost(&before, &new.run_state())?;
    let status = old
        .status
        .filter(|status| JsonLimits::STATUS.check(status.get()).is_ok())?;
    let value = serde_json::from_str(status.get()).ok()?;
    let addition = PatchOperation::Add(AddOperation { path, value });
    Some((addition, transition::status_kept(&before)))
}

/// The fields that decide about the defaults of a new object.
const DEFAULTED: Part = Part::Fields(&[
    ("cassandraDirectory", Part::Presence),
    ("concurrentConnection", Part::Presence),
    ("concurrentConnections", Part::Presence),
    ("entities", Part::Presence),
    ("exactSchemaVersion", Part::Presence),
    ("noDeleteTruncates", Part::Presence),
    ("secret", Part::Presence),
    ("snapshot", Part::Text),
    ("snapshotTag", Part::Presence),
]);

/// Returns the operations that add the absent fields of the spec. A spec that does not decode gets none.
async fn add_defaults(
    kind: Kind,
    new: &Object<'_>,
    old: Option<&Object<'_>>,
    gatherer: Gatherer<'_>,
    now_ms: i64,
) -> Vec<PatchOperation> {
    if old.is_some_and(|old| new.has_spec_of(old)) {
        return Vec::new();
    }
    let (Some(text), Ok(subject)) = (new.spec, decode::subject(kind, new.spec, new.meta.clone())) else {
        return Vec::new();
    };
    let backup = match &subject {
        // Boxed: a backup never comes here.
        Subject::Restore(restore) if old.is_none() => Box::pin(inherited_from(restore, gatherer)).await,
        _ => None,
    };
    let spec = match old {
        Some(_) => serde_json::from_str(text.get()).unwrap_or_default(),
        None => parse_part(text, DEFAULTED),
    };
    let old = old.map(Object::body);
    let inputs = defaults::Inputs {
        old: old.as_ref(),
        backup: backup.as_ref(),
        now_ms,
    };
    let absent = defaults::absent(kind, &spec, inputs);
    absent
        .into_iter()
        .map(|(field, value)| add_field(field, value))
        .collect()
}

fn add_field(field: &'static str, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation {
        path: PointerBuf::from_tokens(["spec", field]),
        value,
    })
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
