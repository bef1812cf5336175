//! Judges one resource as the mutating and then the validating webhook would.

use serde_json::{Map, Value};

use crate::api::Kind;
use crate::evaluate::Gatherer;
use crate::rules::catalogue::{BACKUP_NOT_FOUND, CLUSTER_NOT_FOUND, SECRET_NOT_FOUND, Severity};
use crate::rules::checks::{field_unknown, metadata as object_metadata, transition};
use crate::rules::facts::{FactSource, Facts, Freshness, Neighbours, Reference};
use crate::rules::finding::{Finding, Findings};
use crate::rules::policy::{Context, Executor};
use crate::rules::subject::{Metadata, Subject};
use crate::rules::{self, decode, defaults, status};

use super::last_applied::LastApplied;
use super::manifest::Resource;
use super::placeholder::{Placeholder, Placeholders};
use super::repeated;
use super::settings::Settings;
use super::tree::NOT_IN_THE_FILES;
use super::unknown_paths::UnknownPaths;
use super::update::Change;
use super::yaml::Node;

/// The verdict on a resource.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) findings: Findings,
    /// The values with placeholders.
    pub(super) placeholders: Vec<Placeholder>,
}

impl Judged {
    /// Returns true if the object names another one that is not in the files of the tree.
    pub(super) fn lacks_reference(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.unchecked && finding.message.contains(NOT_IN_THE_FILES))
    }

    /// Returns true if another verdict has the same findings.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let shown = |finding: &Finding| {
            let place = (finding.rule.id, finding.severity, finding.path.clone());
            (place, finding.message.clone(), finding.suppressed)
        };
        let own = self.findings.iter().map(shown);
        own.eq(other.findings.iter().map(shown))
    }
}

/// Judges a resource: its metadata and its fields, and its creation or, if `stored` is the stored object, its update.
pub(super) async fn judge(
    resource: &Resource,
    source: &dyn FactSource,
    stored: Option<&Value>,
    settings: &Settings,
) -> Judged {
    let Some(kind) = resource.manifest.kind.judged() else {
        return Judged::default();
    };
    let written = resource.manifest.object();
    let node = &*written.node;
    let last_applied = stored.map(LastApplied::of).unwrap_or_default();
    let meta = metadata(resource, node, stored, &last_applied);
    let known = settings.placeholders.of(node);
    let placeholders = placeholders(node, &known);
    let mut object = without_sops(node.to_json());
    let unknown_fields = field_unknown::check(kind, &object);
    let mut found = object_metadata::check(written_metadata(resource, &mut object).as_ref());
    found.extend(unknown_fields);
    found.extend(repeated::findings(node, resource.manifest.glued));
    let body = body(object);
    // If the namespace is a placeholder, no object in it is known.
    let gatherer = (!known.is_in(&meta.namespace)).then(|| Gatherer {
        source,
        namespace: &meta.namespace,
        deadline: None,
        looks_up_pods: settings.policy.executor == Executor::Casskop,
        had_no_turn: None,
    });
    found.extend(if let Some((old, gatherer)) = stored.zip(gatherer) {
        let change = Change {
            kind,
            old,
            last_applied: &last_applied,
            new: body,
            meta: meta.clone(),
            placeholders: &placeholders,
        };
        change.judge(gatherer, settings).await
    } else {
        let manifest = Object {
            kind,
            body,
            meta: &meta,
            placeholders: &placeholders,
        };
        manifest.judge_creation(gatherer, settings).await
    });
    let unknown = with_metadata(UnknownPaths::of(&placeholders), node, &known);
    let mut found: Findings = found
        .into_iter()
        .filter(|finding| !depends_on(finding, &unknown))
        .collect();
    found.suppress(|rule| meta.allows(rule));
    Judged {
        findings: found,
        placeholders,
    }
}

/// A backup or restore of the files.
struct Object<'a> {
    kind: Kind,
    /// The spec and the status.
    body: Value,
    meta: &'a Metadata,
    placeholders: &'a [Placeholder],
}

impl Object<'_> {
    /// Judges the creation of the object. Without a gatherer, nothing else is known.
    async fn judge_creation(self, gatherer: Option<Gatherer<'_>>, settings: &Settings) -> Findings {
        let mut found = Findings::default();
        let unknown = UnknownPaths::of(self.placeholders);
        let mut object = self.body;
        if status::is_present(&object) {
            if settings.policy.executor == Executor::Casskop {
                found.push(transition::status_stripped());
            }
            defaults::strip_status(&mut object);
        }
        match decode_with_defaults(self.kind, &mut object, self.meta, &unknown, gatherer, settings).await {
            Ok(subject) => {
                let mut facts = match gatherer {
                    Some(gatherer) => gatherer.facts(&subject, Freshness::Live).await,
                    None => Facts::default(),
                };
                // Conflicts with neighbours may depend on the value of a placeholder, so none are reported.
                if !unknown.is_empty() {
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
        found
    }
}

/// Returns true if a finding may depend on a placeholder, in its own field or in another one that its rule reads.
fn depends_on(finding: &Finding, unknown: &UnknownPaths) -> bool {
    let others = finding.related_fields.iter().copied();
    let mut fields = others.chain([finding.path.as_str()]);
    !unknown.is_empty() && fields.any(|field| unknown.touch(field))
}

/// Sets the defaults and decodes the object. A field with a placeholder that does not decode is removed.
///
/// # Errors
/// Returns the fields that cannot be decoded.
async fn decode_with_defaults(
    kind: Kind,
    object: &mut Value,
    meta: &Metadata,
    unknown: &UnknownPaths,
    gatherer: Option<Gatherer<'_>>,
    settings: &Settings,
) -> Result<Subject, Findings> {
    let subject = loop {
        match decode::subject_from_value(kind, object.get("spec"), meta.clone()) {
            Ok(subject) => break subject,
            Err(errors) => {
                let has_placeholder = |finding: &&Finding| unknown.touch(&finding.path);
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
fn body(object: Value) -> Value {
    match object {
        Value::Object(mut fields) => {
            fields.retain(|name, _| matches!(name.as_str(), "spec" | "status"));
            Value::Object(fields)
        }
        _ => Value::Object(Map::new()),
    }
}

/// Returns the metadata that rules read. An apply keeps stored annotations and labels that no apply has set.
fn metadata(
    resource: &Resource,
    node: &Node,
    stored: Option<&Value>,
    last_applied: &LastApplied<'_>,
) -> Metadata {
    let kept = |map: &str, key: &str| {
        let value = stored?.get("metadata")?.get(map)?.get(key)?.as_str()?;
        (!last_applied.sets(&["metadata", map, key])).then(|| value.to_owned())
    };
    // An annotation has an effect also if its value is empty.
    let text = |keys: &[&str]| match node.at(keys)?.to_json() {
        Value::String(text) => Some(text),
        _ => None,
    };
    Metadata::new(
        resource.namespace.to_string(),
        text(&["metadata", "name"]).unwrap_or_default(),
        |annotation| {
            let own = text(&["metadata", "annotations", annotation]);
            own.or_else(|| kept("annotations", annotation))
        },
        |label| {
            let own = text(&["metadata", "labels", label]);
            own.or_else(|| kept("labels", label))
        },
    )
}

/// Takes the metadata from an object, with the name and the namespace under which it is applied.
fn written_metadata(resource: &Resource, object: &mut Value) -> Option<Value> {
    let mut metadata = object.get_mut("metadata").map(Value::take)?;
    if let Some(fields) = metadata.as_object_mut() {
        let mut set = |field: &str, text: &str| {
            if fields.get(field).is_none_or(Value::is_string) {
                fields.insert(field.to_owned(), text.into());
            }
        };
        set("namespace", &resource.namespace);
        if let Some(name) = &resource.renamed {
            set("name", name);
        }
    }
    Some(metadata)
}

/// Adds the paths of the placeholders in the metadata, on which only findings about the metadata depend.
fn with_metadata(mut paths: UnknownPaths, node: &Node, known: &Placeholders) -> UnknownPaths {
    let metadata = node.get("metadata");
    let found = metadata.map(|metadata| known.below(metadata, "metadata"));
    paths.add(found.into_iter().flatten().map(|value| value.path));
    paths
}

/// Returns an object without the map that SOPS adds to it. SOPS removes the map when it decrypts the object.
fn without_sops(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut()
        && fields.get("sops").is_some_and(Value::is_object)
    {
        fields.remove("sops");
    }
    object
}

/// Returns the values with placeholders that rules need: those of the spec, and the namespace.
fn placeholders(node: &Node, known: &Placeholders) -> Vec<Placeholder> {
    let below = |keys: &[&str], path: &str| {
        let node = node.at(keys);
        node.map(|node| known.below(node, path)).unwrap_or_default()
    };
    let mut all = below(&["spec"], "spec");
    all.extend(below(&["metadata", "namespace"], "metadata.namespace"));
    all
}
