//! `/validate`: which requests are judged, and the verdict of each.

use crate::api::Kind;
use crate::evaluate::{Evaluation, Gatherer};
use crate::rules::catalogue::{BACKUP_IN_USE, BACKUP_KIND_CHANGE, REQUEST_UNKNOWN};
use crate::rules::checks::transition;
use crate::rules::finding::{Cause, Finding};
use crate::rules::policy::Context;

use super::review::{Operation, Review};
use super::verdict::{DenialStatus, Verdict};

/// Returns the verdict of a review: the table of requests that are admitted at once and requests that are judged.
pub(super) async fn validate(review: &Review<'_>, gatherer: Gatherer<'_>, context: &Context) -> Verdict {
    let Some(kind) = review.kind.judged() else {
        return unknown(review);
    };
    if review.subresource.is_some() {
        return subresource(review, kind);
    }
    let evaluation = Evaluation {
        kind,
        gatherer,
        context,
        caller: &|| review.caller(),
    };
    match (review.operation, &review.object, &review.old) {
        (Operation::Create, Some(new), _) => {
            Verdict::from_findings(evaluation.create(new).await, DenialStatus::Invalid)
        }
        (Operation::Update, Some(_), Some(_)) if review.is_exempt(kind) => Verdict::admit(),
        // Boxed: a future is as large as its largest branch, and most reviews are creations.
        (Operation::Update, Some(new), Some(old)) => {
            let update = Box::pin(evaluation.update(old, new)).await;
            // kubectl apply --force deletes the object on 422. The deletion of a scheduled backup does not end.
            let is_kept = update
                .findings
                .denials()
                .any(|finding| [&BACKUP_IN_USE, &BACKUP_KIND_CHANGE].contains(&finding.rule));
            let status = if update.started || is_kept {
                DenialStatus::Forbidden
            } else {
                DenialStatus::Invalid
            };
            Verdict::from_findings(update.findings, status)
        }
        (Operation::Delete, _, Some(old)) => {
            let findings = Box::pin(evaluation.delete(old)).await;
            Verdict::from_findings(findings, DenialStatus::Forbidden)
        }
        (Operation::Delete, _, None) => Verdict::admit(),
        _ => unknown(review),
    }
}

/// Admits a request that this version does not know, with a warning.
pub(super) fn unknown(review: &Review<'_>) -> Verdict {
    let kind = &review.kind;
    let message = format!(
        "{}/{} {} is not judged by this cassgate",
        kind.group.0, kind.version.0, kind.kind.0
    );
    Verdict::Allow(
        [Finding::warn(
            &REQUEST_UNKNOWN,
            "kind",
            Cause::NotSupported,
            message,
        )]
        .into_iter()
        .collect(),
    )
}

/// Judges a subresource. Only `/status` matters: it must keep the record that a one-shot object has run.
fn subresource(review: &Review<'_>, kind: Kind) -> Verdict {
    let (Some("status"), Operation::Update) = (review.subresource.as_deref(), review.operation) else {
        return Verdict::admit();
    };
    let reset = match (&review.old, &review.object) {
        (Some(old), Some(new)) if !review.is_exempt(kind) => {
            transition::status_reset(&old.run_state(), &new.run_state())
        }
        _ => None,
    };
    Verdict::from_findings(reset.into_iter().collect(), DenialStatus::Forbidden)
}
