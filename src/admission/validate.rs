//! `/validate`: which request is judged, and what becomes of it.

use crate::rules::catalogue::{Kinds, REQUEST_UNKNOWN};
use crate::rules::facts::Freshness;
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::Subject;
use crate::rules::{self, status, transition};

use super::decode;
use super::gather::Gather;
use super::review::{Object, Operation, Review};
use super::verdict::{Refusal, Verdict};

/// The table of requests: what passes at once, and what is judged.
pub(super) async fn validate(review: &Review<'_>, gather: Gather<'_>, context: &Context) -> Verdict {
    let Some(kind) = review.kind.judged() else {
        return unknown(review);
    };
    if review.subresource.is_some() {
        return subresource(review);
    }
    match (review.operation, &review.object, &review.old) {
        (Operation::Create, Some(new), _) => create(kind, new, gather, context).await,
        (Operation::Update, Some(new), Some(old)) => {
            if review.deleting() {
                return Verdict::silent();
            }
            update(kind, old, new, gather, context).await
        }
        (Operation::Delete, _, old) => {
            let warning = old
                .as_ref()
                .and_then(|old| transition::deleted_while_running(kind, &old.body()));
            Verdict::Allow(warning.into_iter().collect())
        }
        _ => unknown(review),
    }
}

/// What cassgate was not made for passes, and is told.
pub(super) fn unknown(review: &Review<'_>) -> Verdict {
    let kind = &review.kind;
    let message = format!(
        "{}/{} {} is not judged by this cassgate",
        kind.group, kind.version, kind.kind
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

/// Only `/status` matters: it must not lose the record that a one-shot has run.
fn subresource(review: &Review<'_>) -> Verdict {
    let (Some("status"), Operation::Update) = (review.subresource.as_deref(), review.operation) else {
        return Verdict::silent();
    };
    let reset = match (&review.old, &review.object) {
        (Some(old), Some(new)) if !review.deleting() => transition::status_reset(&old.body(), &new.body()),
        _ => None,
    };
    Verdict::of(reset.into_iter().collect(), Refusal::Forbidden)
}

async fn create(kind: Kinds, new: &Object<'_>, gather: Gather<'_>, context: &Context) -> Verdict {
    let mut findings = Findings::default();
    if new.status.is_some() {
        findings.extend(transition::status_on_create(&new.body()));
    }
    match decode::subject(kind, new.spec) {
        Ok(subject) => findings.extend(judge(&subject, gather, context).await.iter().cloned()),
        Err(misfits) => findings.extend(misfits.iter().cloned()),
    }
    Verdict::of(findings, Refusal::Invalid)
}

async fn update(
    kind: Kinds,
    old: &Object<'_>,
    new: &Object<'_>,
    gather: Gather<'_>,
    context: &Context,
) -> Verdict {
    let (before, after) = (old.body(), new.body());
    let started = status::has_started(&before);
    let refusal = if started {
        Refusal::Forbidden
    } else {
        Refusal::Invalid
    };
    let mut findings: Findings = transition::status_reset(&before, &after).into_iter().collect();
    if before.get("spec") == after.get("spec") {
        return Verdict::of(findings, refusal);
    }
    findings.extend(transition::spec_of_started(kind, &before, &after).iter().cloned());
    let judged = match decode::subject(kind, new.spec) {
        Ok(subject) => ratcheted(kind, &subject, old, started, gather, context).await,
        Err(misfits) => misfits,
    };
    findings.extend(judged.iter().cloned());
    Verdict::of(findings, refusal)
}

/// The findings of `subject`, each refusal lowered that the stored object has as well.
async fn ratcheted(
    kind: Kinds,
    subject: &Subject,
    old: &Object<'_>,
    started: bool,
    gather: Gather<'_>,
    context: &Context,
) -> Findings {
    let mut findings = judge(subject, gather, context).await;
    if findings.denied()
        && let Ok(before) = decode::subject(kind, old.spec)
    {
        let facts = gather.facts(&before, Freshness::Cached).await;
        findings.ratchet(&rules::judge(&before, &facts, context), started);
    }
    findings
}

/// No refusal rests on what was only remembered: it is judged again by what the API server says now.
async fn judge(subject: &Subject, gather: Gather<'_>, context: &Context) -> Findings {
    let facts = gather.facts(subject, Freshness::Cached).await;
    let findings = rules::judge(subject, &facts, context);
    if !findings.denied() {
        return findings;
    }
    let facts = gather.facts(subject, Freshness::Live).await;
    rules::judge(subject, &facts, context)
}
