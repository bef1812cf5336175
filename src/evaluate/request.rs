//! Creation, update and deletion of one object.

use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::api::Kind;
use crate::rules::checks::transition;
use crate::rules::facts::{Caller, Facts, Freshness, Neighbours, Reference};
use crate::rules::finding::Findings;
use crate::rules::json_size::JsonLimits;
use crate::rules::policy::Context;
use crate::rules::subject::{Metadata, Subject};
use crate::rules::{self, decode, run_record, spec_change};

use super::gather::Gatherer;
use super::judge::{judge, refresh_neighbours};
use super::partial::{self, Part};
use super::stored_spec;

/// An object of a request: the metadata that rules read, and its `spec` and `status` as JSON text.
///
/// The text is parsed only when it is needed. A typical creation parses its spec once, into a type.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    /// The metadata that rules read.
    pub meta: Metadata,
    /// The spec; `None` if it is absent or null.
    pub spec: Option<&'a RawValue>,
    /// The status; `None` if it is absent or null.
    pub status: Option<&'a RawValue>,
    /// True if the object has a deletion timestamp.
    pub deleting: bool,
    /// True if the object has the finalizer by which CassKop notices the deletion of a scheduled backup.
    pub has_unschedule_finalizer: bool,
}

/// The field of the spec without which a status cannot be understood.
const SCHEDULE: Part = Part::Fields(&[("schedule", Part::Text)]);

/// The parts of a status that rules read: those of [`run_record::Part`].
const RUN_RECORD: Part = Part::Fields(&[
    ("condition", Part::Fields(&[("type", Part::Text)])),
    ("coordinatorMember", Part::Text),
    ("id", Part::Text),
]);

impl Object<'_> {
    /// Returns `{"spec": …, "status": …}` with only the schedule of the spec and the record of the run, each only if it is
    /// present.
    #[must_use]
    pub fn run_state(&self) -> Value {
        self.with_status(self.spec.map(|spec| partial::parse(spec, SCHEDULE)))
    }

    /// Returns the same as [`run_state`](Self::run_state), with the whole spec.
    ///
    /// A spec that is too large, or that a JSON tree cannot hold (a number out of range, half of a surrogate pair), becomes
    /// null; [`decode`](crate::rules::decode) reports it.
    #[must_use]
    pub fn body(&self) -> Value {
        self.with_status(self.spec.map(|spec| {
            let is_read = JsonLimits::SPEC.check(spec.get()).is_ok();
            let tree = is_read.then(|| serde_json::from_str(spec.get()).ok());
            tree.flatten().unwrap_or_default()
        }))
    }

    /// Returns the body of a stored object for a comparison with `new`, whose body is `after`. A spec that is too large is read as
    /// far as the limits leave room.
    fn body_before(&self, new: &Object<'_>, after: &Value) -> Value {
        let body = self.body();
        match (self.spec, body.get("spec")) {
            (Some(spec), Some(Value::Null)) => {
                self.with_status(Some(stored_spec::read(spec, new.spec, after.get("spec"))))
            }
            _ => body,
        }
    }

    fn with_status(&self, spec: Option<Value>) -> Value {
        let status = self.status.map(|status| partial::parse(status, RUN_RECORD));
        match (spec, status) {
            (None, None) => json!({}),
            (Some(spec), None) => json!({ "spec": spec }),
            (None, Some(status)) => json!({ "status": status }),
            (Some(spec), Some(status)) => json!({ "spec": spec, "status": status }),
        }
    }

    /// Returns true if the status has at least one value.
    #[must_use]
    pub fn has_status(&self) -> bool {
        self.status.is_some_and(partial::has_value)
    }

    /// Returns true if the specs of both objects are the same text.
    #[must_use]
    pub fn has_spec_of(&self, other: &Object<'_>) -> bool {
        self.spec.map(RawValue::get) == other.spec.map(RawValue::get)
    }
}

/// The evaluation of one request.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    /// The kind of the object.
    pub kind: Kind,
    /// Reads the facts.
    pub gatherer: Gatherer<'a>,
    /// The policy and the circumstances of the request.
    pub context: &'a Context,
    /// Returns the caller. It is a function because the caller is parsed only if findings may have to be redacted.
    pub caller: &'a (dyn Fn() -> Caller + Sync),
}

/// The result of [`Evaluation::update`].
#[derive(Debug)]
pub struct Update {
    /// The findings.
    pub findings: Findings,
    /// True if the status of the stored object records a run.
    pub started: bool,
}

impl Evaluation<'_> {
    /// Returns the findings of an object that is created.
    pub async fn create(&self, new: &Object<'_>) -> Findings {
        let mut found = Findings::default();
        if new.has_status() {
            found.push(transition::status_on_create());
        }
        match self.subject(new) {
            Ok(subject) => {
                let rules = |facts: &_| rules::judge(&subject, facts, self.context);
                let judged = judge(&subject, self.gatherer, rules).await;
                found.extend(self.redact(judged, &subject).await);
            }
            Err(malformed) => found.extend(malformed),
        }
        found.suppress(|rule| new.meta.allows(rule));
        found
    }

    /// Returns the findings of an object that replaces `old`. A spec of the same meaning is not judged, and neither is metadata
    /// other than CassKop's finalizer.
    pub async fn update(&self, old: &Object<'_>, new: &Object<'_>) -> Update {
        let (before, after) = (old.run_state(), new.run_state());
        let started = run_record::exists(&before);
        let mut found: Findings = transition::status_reset(&before, &after).into_iter().collect();
        if !new.has_spec_of(old) {
            found.extend(Box::pin(self.changed_spec(old, new, started)).await);
        }
        if old.has_unschedule_finalizer && !new.has_unschedule_finalizer && !found.denied() {
            found.extend(transition::unschedule_finalizer_removed(
                self.kind,
                &after,
                self.context,
            ));
        }
        found.suppress(|rule| new.meta.allows(rule));
        Update {
            findings: found,
            started,
        }
    }

    /// Returns the findings of a spec whose text differs from that of `old`.
    async fn changed_spec(&self, old: &Object<'_>, new: &Object<'_>, started: bool) -> Findings {
        let after = new.body();
        let mut found = Findings::default();
        // Two specs that cannot be read as trees would be equal.
        let is_unread = after.get("spec").is_some_and(Value::is_null);
        if is_unread && let Err(malformed) = self.subject(new) {
            return malformed;
        }
        let before = old.body_before(new, &after);
        if !is_unread && !spec_change::is_changed(self.kind, &before, &after) {
            return found;
        }
        found.extend(transition::spec_changed_after_start(self.kind, &before, &after));
        found.extend(transition::schedule_removed_before_its_first_run(
            self.kind,
            &before,
            &after,
            self.context,
        ));
        let source_changed = transition::source_changed(self.kind, &before, &after);
        match self.subject(new) {
            // The fields that were filled in from the first source would cause denials about fields that the manifest does not
            // have.
            Ok(_) if !source_changed.is_empty() => found.extend(source_changed),
            Ok(subject) => {
                let judged = self.judge_change(&subject, (&before, &after)).await;
                let judged = self.lower_old_denials(judged, old, started).await;
                found.extend(self.redact(judged, &subject).await);
            }
            Err(malformed) => found.extend(malformed),
        }
        // The warning applies only to a change that is stored.
        if !found.denied() {
            let missed = transition::update_missed_by_casskop(self.kind, &before, &after, self.context);
            found.extend(missed);
        }
        found
    }

    async fn judge_change(&self, subject: &Subject, (before, after): (&Value, &Value)) -> Findings {
        let rules = |facts: &Facts| {
            let mut found = rules::judge(subject, facts, self.context);
            if self.kind == Kind::Backup {
                let mut in_use = transition::identity_changed_while_in_use(before, after, &facts.neighbours);
                in_use.mark_unconfirmed(&facts.neighbours.unreadable);
                found.extend(in_use);
            }
            found
        };
        judge(subject, self.gatherer, rules).await
    }

    /// Lowers each denial that the stored object already has to a warning, except denials that prevent the loss of data.
    async fn lower_old_denials(&self, mut found: Findings, old: &Object<'_>, started: bool) -> Findings {
        if found.denied()
            && let Ok(before) = self.subject(old)
        {
            let facts = self.gatherer.facts(&before, Freshness::Cached).await;
            found.ratchet(&rules::judge(&before, &facts, self.context), started);
        }
        found
    }

    /// Returns the findings of the deletion of the object `old`.
    ///
    /// A backup that an unfinished restore needs is kept. Nothing may block the deletion of a namespace, so a backup
    /// can be deleted if its namespace is terminating or cannot be read.
    pub async fn delete(&self, old: &Object<'_>) -> Findings {
        let body = old.run_state();
        let mut found = Findings::default();
        if self.kind == Kind::Backup {
            let neighbours = self.gatherer.neighbours_of_backup(&old.meta.name);
            let has_users = self
                .context
                .casskop_acts()
                .then(|| transition::deleted_before_its_restores(&neighbours));
            found.extend(self.backup_in_use(neighbours).await);
            found.extend(has_users.flatten());
        }
        found.extend(transition::deleted_while_running(self.kind, &body, self.context));
        found.extend(transition::deletion_missed_by_casskop(
            self.kind,
            &body,
            old.has_unschedule_finalizer,
            self.context,
        ));
        found
    }

    async fn backup_in_use(&self, mut neighbours: Neighbours) -> Findings {
        if neighbours.users.is_empty() {
            return Findings::default();
        }
        let namespace = self.gatherer.namespace(Freshness::Live).await;
        if !matches!(namespace, Reference::Found(namespace) if !namespace.terminating) {
            return Findings::default();
        }
        let mut already_read = Vec::new();
        loop {
            let mut found: Findings = transition::deleted_while_in_use(&neighbours)
                .into_iter()
                .collect();
            found.mark_unconfirmed(&neighbours.unreadable);
            if !refresh_neighbours(&mut neighbours, &found, self.gatherer, &mut already_read).await {
                return found;
            }
        }
    }

    fn subject(&self, object: &Object<'_>) -> Result<Subject, Findings> {
        decode::subject(self.kind, object.spec, object.meta.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;

    #[test]
    fn every_part_of_the_record_of_a_run_is_read_from_a_status() {
        let status = json!({"condition": {"type": "COMPLETED"}, "coordinatorMember": "c1-0", "id": "7"});
        let state = |status: &Value| {
            let status = to_raw_value(status).unwrap();
            let object = Object {
                meta: Metadata::default(),
                spec: None,
                status: Some(&status),
                deleting: false,
                has_unschedule_finalizer: false,
            };
            object.run_state()
        };
        for part in run_record::Part::ALL {
            let mut without = status.clone();
            let field = part.field().strip_prefix("status.").unwrap();
            assert!(
                without.as_object_mut().unwrap().remove(field).is_some(),
                "{field}"
            );
            assert_eq!(run_record::lost(&state(&status), &state(&without)), Some(part));
        }
    }
}
