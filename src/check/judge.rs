//! One object through the rules, as the two webhooks would put it one after the other.

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

use super::manifest::{ManifestKind, Resource};
use super::placeholder;
use super::settings::Settings;
use super::tree::NOT_IN_THE_FILES;
use super::yaml::Node;

/// What came of an object.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) findings: Findings,
    /// Paths whose values are filled in later.
    pub(super) unknown: Vec<String>,
}

/// Judges a new object that looks like this.
pub(super) async fn judge(placed: &Resource, source: &dyn FactSource, settings: &Settings) -> Judged {
    let node = placed.manifest.node();
    let meta = metadata(placed);
    let unknown = unknown(node);
    let mut found = Findings::default();
    let mut object = body(node);
    if status::is_present(&object) {
        if settings.policy.executor == Executor::Casskop {
            found.push(transition::status_stripped());
        }
        defaults::strip_status(&mut object);
    }
    // Objects of a namespace that is filled in later are known to nobody.
    let gatherer = (!placeholder::is_in(&meta.namespace)).then(|| Gatherer {
        source,
        namespace: &meta.namespace,
        deadline: None,
    });
    match filled(placed.kinds(), &mut object, &meta, &unknown, gatherer, settings).await {
        Ok(subject) => {
            let mut facts = match gatherer {
                Some(gatherer) => gatherer.facts(&subject, Freshness::Live).await,
                None => Facts::default(),
            };
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
        Err(misfits) => found.extend(misfits),
    }
    let mut found: Findings = found
        .into_iter()
        .filter(|finding| !rests_on(finding, &unknown))
        .collect();
    found.suppress(|rule| meta.allows(rule));
    Judged {
        findings: found,
        unknown,
    }
}

/// Whether a finding may rest on what is filled in later: its own field, or another one that it names.
fn rests_on(finding: &Finding, unknown: &[String]) -> bool {
    let others = finding.rests_on.iter().copied();
    let mut fields = others.chain([finding.path.as_str()]);
    fields.any(|field| unknown.iter().any(|path| placeholder::touches(field, path)))
}

/// The object with its defaults, decoded. A field that is filled in later and does not fit as it stands is left out.
async fn filled(
    kind: Kind,
    object: &mut Value,
    meta: &Metadata,
    unknown: &[String],
    gatherer: Option<Gatherer<'_>>,
    settings: &Settings,
) -> Result<Subject, Findings> {
    let subject = loop {
        match decode::subject_of_tree(kind, object.get("spec"), meta.clone()) {
            Ok(subject) => break subject,
            Err(misfits) => {
                let later = |finding: &&Finding| {
                    unknown
                        .iter()
                        .any(|path| placeholder::touches(&finding.path, path))
                };
                let field = misfits
                    .iter()
                    .find(later)
                    .and_then(|finding| top_field(&finding.path));
                let spec = object.get_mut("spec").and_then(Value::as_object_mut);
                if spec
                    .zip(field)
                    .and_then(|(spec, field)| spec.remove(field))
                    .is_none()
                {
                    return Err(misfits);
                }
            }
        }
    };
    let backup = match subject.backup().zip(gatherer) {
        Some((name, gatherer)) => gatherer.backup(name, Freshness::Live).await,
        None => None,
    };
    let origin = defaults::Origin {
        old: None,
        backup: backup.as_ref().and_then(Reference::found),
        now_ms: settings.now.as_millisecond(),
    };
    defaults::fill(kind, object, origin);
    decode::subject_of_tree(kind, object.get("spec"), meta.clone())
}

/// `spec.retention.keepLast` is in `retention`.
fn top_field(path: &str) -> Option<&str> {
    path.strip_prefix("spec.")?.split(['.', '[']).next()
}

/// What nobody could say because the files do not hold it is refused where the files are all there is.
fn strict(finding: Finding, facts: &Facts) -> Finding {
    fn missing<T>(reference: Option<&Reference<T>>) -> bool {
        matches!(reference, Some(Reference::Unknown(why)) if why == NOT_IN_THE_FILES)
    }
    let refused = (finding.rule == &CLUSTER_NOT_FOUND && missing(facts.cluster.as_ref()))
        || (finding.rule == &BACKUP_NOT_FOUND && missing(facts.backup.as_ref()))
        || (finding.rule == &SECRET_NOT_FOUND && missing(facts.secret.as_ref()));
    if !refused {
        return finding;
    }
    Finding {
        severity: Severity::Deny,
        message: format!("{NOT_IN_THE_FILES}, which --strict takes for all there is; add its manifest"),
        ..finding
    }
}

fn body(node: &Node) -> Value {
    let field = |name: &str| node.get(name).map(|value| (name.to_owned(), value.to_json()));
    Value::Object([field("spec"), field("status")].into_iter().flatten().collect())
}

fn metadata(placed: &Resource) -> Metadata {
    let node = placed.manifest.node();
    let text = |keys: &[&str]| node.text_at(keys).map(ToOwned::to_owned);
    Metadata::new(
        placed.namespace.clone(),
        text(&["metadata", "name"]).unwrap_or_default(),
        |annotation| text(&["metadata", "annotations", annotation]),
        |label| text(&["metadata", "labels", label]),
    )
}

/// The fields whose values are filled in later.
fn unknown(node: &Node) -> Vec<String> {
    let spec = node.get("spec").map(|spec| placeholder::paths(spec, "spec"));
    let namespace = node
        .text_at(&["metadata", "namespace"])
        .filter(|text| placeholder::is_in(text));
    let mut all = spec.unwrap_or_default();
    all.extend(namespace.map(|_| "metadata.namespace".to_owned()));
    all
}

impl Resource {
    /// The kind in the words of the rules.
    pub(super) fn kinds(&self) -> Kind {
        match self.manifest.kind {
            ManifestKind::Restore => Kind::Restore,
            _ => Kind::Backup,
        }
    }
}
