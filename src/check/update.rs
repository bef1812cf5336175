//! Judges a manifest as an update of the stored object, as the mutating and then the validating webhook would.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::api::Kind;
use crate::evaluate::{Evaluation, Gatherer, Object, stored_metadata};
use crate::rules::checks::transition;
use crate::rules::facts::Caller;
use crate::rules::finding::Findings;
use crate::rules::policy::{Context, Executor, Policy, SecretDetails};
use crate::rules::subject::Metadata;
use crate::rules::{defaults, run_record};

use super::last_applied::LastApplied;
use super::placeholder::Placeholder;
use super::settings::Settings;

/// The stored object and the manifest that replaces it.
pub(super) struct Change<'a> {
    pub(super) kind: Kind,
    /// The stored object, whole.
    pub(super) old: &'a Value,
    /// The fields of the stored object that an apply has set.
    pub(super) last_applied: &'a LastApplied<'a>,
    /// The spec and the status of the manifest.
    pub(super) new: Value,
    /// The metadata of the manifest.
    pub(super) meta: Metadata,
    /// The values of the manifest that are unknown.
    pub(super) placeholders: &'a [Placeholder],
}

impl Change<'_> {
    /// Returns the findings of the update. An object that is being deleted is not judged, as in the webhook.
    pub(super) async fn judge(self, gatherer: Gatherer<'_>, settings: &Settings) -> Findings {
        if is_deleting(self.old) {
            return Findings::default();
        }
        let mut found = Findings::default();
        let new = self.after(settings, &mut found);
        let context = Context {
            policy: Policy {
                // The user may read the files.
                secret_details: SecretDetails::Always,
                ..settings.policy.clone()
            },
            dry_run: false,
            creating: false,
            now: settings.now,
        };
        let evaluation = Evaluation {
            kind: self.kind,
            gatherer,
            context: &context,
            caller: &Caller::default,
        };
        let old_parts = Parts::of(self.old);
        let new_parts = Parts::of(&new);
        let old = old_parts.object(stored_metadata(self.old));
        let new = new_parts.object(self.meta);
        found.extend(evaluation.update(&old, &new).await.findings);
        found
    }

    /// Returns the object as the validating webhook would see it.
    ///
    /// An apply keeps the fields of the status that the manifest does not have, and those of the spec that no apply has set. An
    /// unknown value is taken for the stored one, so that it denies nothing.
    fn after(&self, settings: &Settings, found: &mut Findings) -> Value {
        let old = self.old;
        let mut new = Map::new();
        if let Some(spec) = self.new.get("spec") {
            let mut spec = self.last_applied.applied(spec, old.get("spec"), &["spec"]);
            for placeholder in self.placeholders {
                keep_stored(&mut spec, old.get("spec"), &placeholder.path);
            }
            new.insert("spec".to_owned(), spec);
        }
        let mut new = Value::Object(new);
        defaults::keep_status(&mut new, old);
        if settings.policy.executor == Executor::Casskop
            && let Some(status) = self.new.get("status").filter(|status| status.is_object())
        {
            merge(&mut new, "status", status);
        }
        if run_record::lost(old, &new).is_some() {
            defaults::keep_status(&mut new, old);
            found.push(transition::status_kept(old));
        }
        let inputs = defaults::Inputs {
            old: Some(old),
            backup: None,
            now_ms: settings.now.as_millisecond(),
        };
        defaults::fill(self.kind, &mut new, inputs);
        new
    }
}

/// The spec and the status of an object as JSON texts.
struct Parts {
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
}

impl Parts {
    fn of(object: &Value) -> Self {
        let part = |field: &str| {
            let value = object.get(field).filter(|value| !value.is_null())?;
            to_raw_value(value).ok()
        };
        Self {
            spec: part("spec"),
            status: part("status"),
        }
    }

    fn object(&self, meta: Metadata) -> Object<'_> {
        Object {
            meta,
            spec: self.spec.as_deref(),
            status: self.status.as_deref(),
            deleting: false,
            // `kubectl apply` removes no finalizer of another program.
            has_unschedule_finalizer: false,
        }
    }
}

/// Returns true if the API server deletes an object as soon as its finalizers are gone.
pub(super) fn is_deleting(object: &Value) -> bool {
    let timestamp = object.pointer("/metadata/deletionTimestamp");
    timestamp.is_some_and(|timestamp| !timestamp.is_null())
}

/// Replaces the field of the spec that contains `path` by the stored one.
fn keep_stored(spec: &mut Value, stored: Option<&Value>, path: &str) {
    let field = path
        .strip_prefix("spec.")
        .and_then(|path| path.split(['.', '[']).next());
    let (Some(field), Some(fields)) = (field, spec.as_object_mut()) else {
        return;
    };
    match stored.and_then(|stored| stored.get(field)) {
        Some(value) => drop(fields.insert(field.to_owned(), value.clone())),
        None => drop(fields.remove(field)),
    }
}

/// Merges maps into the field of an object, and replaces other values.
fn merge(into: &mut Value, field: &str, value: &Value) {
    let Some(fields) = into.as_object_mut() else {
        return;
    };
    match (fields.get_mut(field), value) {
        (Some(own @ Value::Object(_)), Value::Object(inner)) => {
            for (key, value) in inner {
                merge(own, key, value);
            }
        }
        _ => drop(fields.insert(field.to_owned(), value.clone())),
    }
}
