//! `/validate`: which request is judged, and what becomes of it.

use serde_json::Value;

use crate::api::Kind;
use crate::rules::catalogue::{BACKUP_IN_USE, REQUEST_UNKNOWN};
use crate::rules::checks::transition;
use crate::rules::facts::{Facts, Freshness, Reference};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::Subject;
use crate::rules::{self, decode, status};

use super::gather::Gather;
use super::judge::{discreet, read_witnesses, settled};
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
    let judge = Judge {
        kind,
        gather,
        context,
        review,
    };
    match (review.operation, &review.object, &review.old) {
        (Operation::Create, Some(new), _) => judge.create(new).await,
        (Operation::Update, Some(_), Some(_)) if review.deleting() => Verdict::silent(),
        // Apart: a future is as large as its longest way.
        (Operation::Update, Some(new), Some(old)) => Box::pin(judge.update(old, new)).await,
        (Operation::Delete, _, Some(old)) => Box::pin(judge.delete(old, &review.name)).await,
        (Operation::Delete, _, None) => Verdict::silent(),
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

/// Judges one request.
struct Judge<'a> {
    kind: Kind,
    gather: Gather<'a>,
    context: &'a Context,
    review: &'a Review<'a>,
}

impl Judge<'_> {
    async fn create(&self, new: &Object<'_>) -> Verdict {
        let mut found = Findings::default();
        if new.status.is_some() {
            found.extend(transition::status_on_create(&new.body()));
        }
        match self.subject(new) {
            Ok(subject) => {
                let rules = |facts: &_| rules::judge(&subject, facts, self.context);
                let judged = settled(&subject, self.gather, rules).await;
                found.extend(self.discreet(judged, &subject).await);
            }
            Err(misfits) => found.extend(misfits),
        }
        found.suppress(|rule| new.meta.allows(rule));
        Verdict::of(found, Refusal::Invalid)
    }

    async fn update(&self, old: &Object<'_>, new: &Object<'_>) -> Verdict {
        let (before, after) = (old.body(), new.body());
        let started = status::has_started(&before);
        let mut found: Findings = transition::status_reset(&before, &after).into_iter().collect();
        if before.get("spec") != after.get("spec") {
            found.extend(transition::spec_of_started(self.kind, &before, &after));
            match self.subject(new) {
                Ok(subject) => {
                    let judged = self.changed(&subject, (&before, &after)).await;
                    let judged = self.ratcheted(judged, old, started).await;
                    found.extend(self.discreet(judged, &subject).await);
                }
                Err(misfits) => found.extend(misfits),
            }
            // A refused change needs no restart.
            if !found.denied() {
                found.extend(transition::unseen_update(self.kind, self.context));
            }
        }
        found.suppress(|rule| new.meta.allows(rule));
        let in_use = found.denials().any(|finding| finding.rule == &BACKUP_IN_USE);
        let refusal = if started || in_use {
            Refusal::Forbidden
        } else {
            Refusal::Invalid
        };
        Verdict::of(found, refusal)
    }

    async fn changed(&self, subject: &Subject, (before, after): (&Value, &Value)) -> Findings {
        let rules = |facts: &Facts| {
            let mut found = rules::judge(subject, facts, self.context);
            if self.kind == Kind::Backup {
                let mut in_use = transition::identity_in_use(before, after, &facts.neighbours);
                in_use.doubt(&facts.neighbours.doubtful);
                found.extend(in_use);
            }
            found
        };
        settled(subject, self.gather, rules).await
    }

    /// The findings, each refusal lowered that the stored object has as well.
    async fn ratcheted(&self, mut found: Findings, old: &Object<'_>, started: bool) -> Findings {
        if found.denied()
            && let Ok(before) = self.subject(old)
        {
            let facts = self.gather.facts(&before, Freshness::Cached).await;
            found.ratchet(&rules::judge(&before, &facts, self.context), started);
        }
        found
    }

    /// A backup stays while a restore needs it, unless its namespace goes or cannot be read: nothing may keep a
    /// namespace from being deleted.
    async fn delete(&self, old: &Object<'_>, name: &str) -> Verdict {
        let body = old.body();
        let mut found = Findings::default();
        if self.kind == Kind::Backup {
            found.extend(self.in_use(name).await);
        }
        found.extend(transition::deleted_while_running(self.kind, &body));
        found.extend(transition::unseen_deletion(self.kind, &body, self.context));
        Verdict::of(found, Refusal::Forbidden)
    }

    async fn in_use(&self, name: &str) -> Findings {
        let mut neighbours = self.gather.neighbours_of_backup(name);
        if neighbours.users.is_empty() {
            return Findings::default();
        }
        let namespace = self.gather.namespace_facts(Freshness::Live).await;
        if !matches!(namespace, Reference::Found(namespace) if !namespace.terminating) {
            return Findings::default();
        }
        let mut read = Vec::new();
        loop {
            let mut found: Findings = transition::deleted_while_in_use(&neighbours)
                .into_iter()
                .collect();
            found.doubt(&neighbours.doubtful);
            if !read_witnesses(&mut neighbours, &found, self.gather, &mut read).await {
                return found;
            }
        }
    }

    fn subject(&self, object: &Object<'_>) -> Result<Subject, Findings> {
        decode::subject(self.kind, object.spec, object.meta.clone())
    }

    async fn discreet(&self, found: Findings, subject: &Subject) -> Findings {
        if found.tell_of_a_secret() {
            // Apart, as in `judge::settled`.
            Box::pin(self.veiled(found, subject)).await
        } else {
            found
        }
    }

    async fn veiled(&self, found: Findings, subject: &Subject) -> Findings {
        let inherited = match subject.backup() {
            Some(name) if subject.secret(None).is_none() => self.gather.backup(name, Freshness::Cached).await,
            _ => None,
        };
        let backup = inherited.as_ref().and_then(Reference::found);
        discreet(
            found,
            subject.secret(backup),
            &self.review.caller(),
            self.gather,
            self.context,
        )
        .await
    }
}
