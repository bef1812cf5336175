//! Judges one resource as the mutating and then the validating webhook would.

use serde_json::Value;

use crate::api::Kind;
use crate::evaluate::Gatherer;
use crate::rules::catalogue::{BACKUP_NOT_FOUND, CLUSTER_NOT_FOUND, SECRET_NOT_FOUND, Severity};
use crate::rules::checks::transition;
use crate::rules::facts::{FactSource, Facts, Freshness, Neighbours, Reference};
use crate::rules::finding::{Finding, Findings};
use crate::rules::policy::{Context, Executor};
use crate::rules::subject::{Metadata, Subject};
use crate::rules::{self, decode, defaults, status};

use super::manifest::Resource;
use super::placeholder;
use super::settings::Settings;
use super::tree::NOT_IN_THE_FILES;
use super::yaml::Node;

/// The verdict on a resource.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) findings: Findings,
    /// The paths of values with placeholders.
    pub(super) placeholders: Vec<String>,
}

/// Judges the creation of a resource.
pub(super) async fn judge(resource: &Resource, source: &dyn FactSource, settings: &Settings) -> Judged {
    let Some(kind) = resource.manifest.kind.judged() else {
        return Judged::default();
    };
    let node = resource.manifest.node();
    let meta = metadata(resource);
    let placeholders = placeholders(node);
    let mut found = Findings::default();
    let mut object = body(node);
    if status::is_present(&object) {
        if settings.policy.executor == Executor::Casskop {
            found.push(transition::status_stripped());
        }
        defaults::strip_status(&mut object);
    }
    // If the namespace is a placeholder, no object in it is known.
    let gatherer = (!placeholder::is_in(&meta.namespace)).then(|| Gatherer {
        source,
        namespace: &meta.namespace,
        deadline: None,
    });
    match decode_with_defaults(kind, &mut object, &meta, &placeholders, gatherer, settings).await {
        Ok(subject) => {
            let mut facts = match gatherer {
                Some(gatherer) => gatherer.facts(&subject, Freshness::Live).await,
                None => Facts::default(),
            };
            // Conflicts with neighbours may depend on the value of a placeholder, so none are reported.
            if !placeholders.is_empty() {
                facts.neighbours = Neighbours::default();
            }
            let context = Context {
                policy: settings.policy.clone(),
                dry_run: false,
                creating: true,
                now: settings.now,
            };
            let judged = rules::judge(&subject, &facts, &context);
            found.extend(judged.into_iter().map(|finding| {
                if settings.strict {
                    strict(finding, &facts)
                } else {
                    finding
                }
            }));
        }
        Err(errors) => found.extend(errors),
    }
    let mut found: Findings = found
        .into_iter()
        .filter(|finding| !depends_on(finding, &placeholders))
        .collect();
    found.suppress(|rule| meta.allows(rule));
    Judged {
        findings: found,
        placeholders,
    }
}

/// Returns true if a finding may depend on a placeholder, in its own field or in another one that its rule reads.
fn depends_on(finding: &Finding, placeholders: &[String]) -> bool {
    let others = finding.related_fields.iter().copied();
    let mut fields = others.chain([finding.path.as_str()]);
    fields.any(|field| placeholders.iter().any(|path| placeholder::touches(field, path)))
}

/// Sets the defaults and decodes the object. A field with a placeholder that does not decode is removed.
///
/// # Errors
/// Returns the fields that cannot be decoded.
async fn decode_with_defaults(
    kind: Kind,
    object: &mut Value,
    meta: &Metadata,
    placeholders: &[String],
    gatherer: Option<Gatherer<'_>>,
    settings: &Settings,
) -> Result<Subject, Findings> {
    let subject = loop {
        match decode::subject_from_value(kind, object.get("spec"), meta.clone()) {
            Ok(subject) => break subject,
            Err(errors) => {
                let has_placeholder = |finding: &&Finding| {
                    placeholders
                        .iter()
                        .any(|path| placeholder::touches(&finding.path, path))
                };
                let field = errors
                    .iter()
                    .find(has_placeholder)
                    .and_then(|finding| top_field(&finding.path));
                let spec = object.get_mut("spec").and_then(Value::as_object_mut);
                if spec
                    .zip(field)
                    .and_then(|(spec, field)| spec.remove(field))
                    .is_none()
                {
                    return Err(errors);
                }
            }
        }
    };
    let backup = match subject.backup().zip(gatherer) {
        Some((name, gatherer)) => gatherer.backup(name, Freshness::Live).await,
        None => None,
    };
    let origin = defaults::Inputs {
        old: None,
        backup: backup.as_ref().and_then(Reference::found),
        now_ms: settings.now.as_millisecond(),
    };
    defaults::fill(kind, object, origin);
    decode::subject_from_value(kind, object.get("spec"), meta.clone())
}

/// Returns the field of the spec that contains `path`: `retention` for `spec.retention.keepLast`.
fn top_field(path: &str) -> Option<&str> {
    path.strip_prefix("spec.")?.split(['.', '[']).next()
}

/// Turns a warning about an object outside the files into a denial.
fn strict(finding: Finding, facts: &Facts) -> Finding {
    fn missing<T>(reference: Option<&Reference<T>>) -> bool {
        matches!(reference, Some(Reference::Unknown(why)) if why == NOT_IN_THE_FILES)
    }
    let denied = (finding.rule == &CLUSTER_NOT_FOUND && missing(facts.cluster.as_ref()))
        || (finding.rule == &BACKUP_NOT_FOUND && missing(facts.backup.as_ref()))
        || (finding.rule == &SECRET_NOT_FOUND && missing(facts.secret.as_ref()));
    if !denied {
        return finding;
    }
    Finding {
        severity: Severity::Deny,
        message: format!("{NOT_IN_THE_FILES}, and --strict allows no other references; add its manifest"),
        ..finding
    }
}

/// Returns the spec and the status.
fn body(node: &Node) -> Value {
    let field = |name: &str| node.get(name).map(|value| (name.to_owned(), value.to_json()));
    Value::Object([field("spec"), field("status")].into_iter().flatten().collect())
}

fn metadata(resource: &Resource) -> Metadata {
    let node = resource.manifest.node();
    let text = |keys: &[&str]| node.text_at(keys).map(ToOwned::to_owned);
    Metadata::new(
        resource.namespace.clone(),
        text(&["metadata", "name"]).unwrap_or_default(),
        |annotation| text(&["metadata", "annotations", annotation]),
        |label| text(&["metadata", "labels", label]),
    )
}

/// Returns the paths of the values with placeholders.
fn placeholders(node: &Node) -> Vec<String> {
    let spec = node.get("spec").map(|spec| placeholder::paths(spec, "spec"));
    let namespace = node
        .text_at(&["metadata", "namespace"])
        .filter(|text| placeholder::is_in(text));
    let mut all = spec.unwrap_or_default();
    all.extend(namespace.map(|_| "metadata.namespace".to_owned()));
    all
}
