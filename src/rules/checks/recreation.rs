//! Restores that would run a second time, because a tool creates them again.
//!
//! Seen with Argo CD 3.5.7: a commit that changed another object deleted a completed restore with `Force=true,Replace=true` and
//! created it again. Seen with Flux: a file that was removed and put back. Each time the tables are emptied.

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;

use crate::api::{
    GO_ON_ANNOTATION, LAST_RESTORE_ANNOTATION, NOT_AFTER_ANNOTATION, PastRestore, RESTORES_ANNOTATION,
    entities_digest, spec_digest,
};
use crate::rules::catalogue::{RESTORE_EXPIRED, RESTORE_RECREATED, RESTORE_WITHOUT_EXPIRY};
use crate::rules::facts::{Facts, StoredBackup};
use crate::rules::finding::{Cause, Finding, Findings, entry};
use crate::rules::policy::Context;
use crate::rules::subject::{Restore, non_empty};
use crate::rules::tool::{RECREATING_ANNOTATIONS, Tool};

const ANNOTATIONS: &str = "metadata.annotations";
const LABELS: &str = "metadata.labels";

/// Denies the creation of a restore that a tool creates again or has created again, and of one that has expired.
pub(super) fn check(restore: &Restore, facts: &Facts, context: &Context, findings: &mut Findings) {
    if !context.creating {
        return;
    }
    let meta = &restore.meta;
    findings.extend(meta.velero_restore.is_some().then(velero));
    for (path, recreating) in [
        (ANNOTATIONS, &meta.recreating_annotations),
        (LABELS, &meta.recreating_labels),
    ] {
        let found = recreating.iter();
        findings.extend(found.filter_map(|(key, value)| created_again(path, key, value)));
    }
    findings.extend(has_run(restore, facts, context));
    findings.extend(match &meta.not_after {
        Some(time) => expired(time, context.now),
        None => meta.tool.map(without_expiry),
    });
}

/// Velero labels the objects that it restores, and restores them without their status.
fn velero() -> Finding {
    let message = "Velero re-creates this restore, and it would run again and overwrite everything written since; exclude it in \
                   Velero, or remove the label";
    Finding::deny(&RESTORE_RECREATED, LABELS, Cause::Forbidden, message)
}

/// A tool that creates an object again because of one of its annotations or labels.
struct Recreation {
    key: &'static str,
    tool: &'static str,
    /// The effect on the restore, and when the tool causes it.
    effect: &'static str,
    /// Returns true if the value has this effect.
    applies: fn(&str) -> bool,
}

const AT_EACH_SYNC: &str = "deletes this restore and creates it again at each sync";
const AT_EACH_HOOK: &str = "deletes this restore and creates it again at each run of the hook";
const AT_EACH_DEPLOYMENT: &str = "deletes this restore and creates it again at each deployment";
const AFTER_A_CHANGE: &str = "deletes this restore and creates it again after a change";
const UNDER_ANOTHER_NAME: &str = "creates this restore again under another name after each change";

/// The annotations and labels that make a tool create an object again, as the sources of the tools read them.
const RECREATIONS: [Recreation; RECREATING_ANNOTATIONS.len()] = [
    Recreation {
        key: "helm.sh/hook",
        tool: "Helm",
        effect: "deletes this restore and creates it again at each install, upgrade or test that runs the hook",
        applies: is_set,
    },
    Recreation {
        key: "helm.sh/hook-delete-policy",
        tool: "Helm",
        effect: AT_EACH_HOOK,
        applies: is_set,
    },
    Recreation {
        key: "argocd.argoproj.io/hook",
        tool: "Argo CD",
        effect: AT_EACH_SYNC,
        applies: |value| items(value).any(|hook| hook != "Skip"),
    },
    Recreation {
        key: "argocd.argoproj.io/hook-delete-policy",
        tool: "Argo CD",
        effect: AT_EACH_SYNC,
        applies: is_set,
    },
    Recreation {
        key: "argocd.argoproj.io/sync-options",
        tool: "Argo CD",
        effect: "deletes this restore and creates it again at a sync",
        applies: |value| items(value).any(|option| ["Force=true", "Replace=true"].contains(&option)),
    },
    // An annotation or a label, in any letter case (`AnyInMetadata` of fluxcd/pkg).
    Recreation {
        key: "kustomize.toolkit.fluxcd.io/force",
        tool: "Flux",
        effect: "deletes this restore and creates it again after a change that the API server rejects",
        applies: |value| value.eq_ignore_ascii_case("enabled"),
    },
    // kapp stops at any other value than these, an empty one and `skip`.
    Recreation {
        key: "kapp.k14s.io/update-strategy",
        tool: "kapp",
        effect: AFTER_A_CHANGE,
        applies: |value| ["fallback-on-replace", "always-replace"].contains(&value),
    },
    // kapp ignores the value.
    Recreation {
        key: "kapp.k14s.io/versioned",
        tool: "kapp",
        effect: UNDER_ANOTHER_NAME,
        applies: |_| true,
    },
    Recreation {
        key: "kluctl.io/hook",
        tool: "kluctl",
        effect: AT_EACH_HOOK,
        applies: is_set,
    },
    Recreation {
        key: "kluctl.io/hook-delete-policy",
        tool: "kluctl",
        effect: AT_EACH_HOOK,
        applies: is_set,
    },
    Recreation {
        key: "strategy.spinnaker.io/recreate",
        tool: "Spinnaker",
        effect: AT_EACH_DEPLOYMENT,
        applies: is_true,
    },
    Recreation {
        key: "strategy.spinnaker.io/replace",
        tool: "Spinnaker",
        effect: "replaces this restore at each deployment, without its status",
        applies: is_true,
    },
    Recreation {
        key: "strategy.spinnaker.io/versioned",
        tool: "Spinnaker",
        effect: UNDER_ANOTHER_NAME,
        applies: is_true,
    },
    // `before-creation`, `before-creation-if-immutable`, `succeeded` or `failed`.
    Recreation {
        key: "werf.io/delete-policy",
        tool: "werf",
        effect: AT_EACH_DEPLOYMENT,
        applies: is_set,
    },
];

fn is_set(value: &str) -> bool {
    !value.trim().is_empty()
}

fn is_true(value: &str) -> bool {
    value.trim().eq_ignore_ascii_case("true")
}

/// Returns the items of a list that is separated by commas.
fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Denies an annotation or label of the map at `path` that makes a tool create the restore again. No annotation confirms it: it
/// would stand beside the first one and confirm every later run too.
fn created_again(path: &str, key: &str, value: &str) -> Option<Finding> {
    let recreation = RECREATIONS.iter().find(|recreation| recreation.key == key)?;
    (recreation.applies)(value).then(|| {
        let Recreation { tool, effect, .. } = recreation;
        let noun = if path == LABELS { "label" } else { "annotation" };
        let message = format!(
            "{tool} {effect}, and each time it would run again and overwrite everything written since; remove the {noun}, and give \
             each restore a name of its own"
        );
        Finding::deny(&RESTORE_RECREATED, entry(path, key), Cause::Forbidden, message).value(value)
    })
}

/// Denies a restore that has run according to its backup. cassgate as executor records there which restores have used it.
///
/// The annotation that lets it run again names the time at which it ended. In a repository it confirms one more run only.
fn has_run(restore: &Restore, facts: &Facts, context: &Context) -> Option<Finding> {
    let name = Some(&restore.meta.name).filter(|name| context.cassgate_acts() && !name.is_empty())?;
    let backup = facts.found_backup()?;
    let message = match backup.past_restores.find(name) {
        Some(past)
            if !has_spec(restore, past, backup) || restore.meta.go_on.as_ref() == Some(&past.ended) =>
        {
            return None;
        }
        Some(PastRestore { ended, .. }) => format!(
            "a restore of this name and spec ended at {ended} ({RESTORES_ANNOTATION} of its backup), and would overwrite everything \
             written since; delete it from the manifests, or use another name; if it is to run again, annotate \
             {GO_ON_ANNOTATION}: \"{ended}\""
        ),
        None if backup.last_restore.as_ref() == Some(name) => format!(
            "a restore of this name has already run ({LAST_RESTORE_ANNOTATION} of its backup); delete it from the manifests, or \
             use another name"
        ),
        None => return None,
    };
    let finding = Finding::deny(&RESTORE_RECREATED, "metadata.name", Cause::Forbidden, message);
    Some(finding.related_object("CassandraBackup", &backup.name))
}

/// Returns true if a restore does the same to the tables as a past one.
///
/// Entities that the restore may have inherited from its backup make no difference: the backup may have had others then.
fn has_spec(restore: &Restore, past: &PastRestore, backup: &StoredBackup) -> bool {
    let own = non_empty(restore.spec.entities.as_deref()).map(entities_digest);
    let inherited = entities_digest(restore.coverage(backup).entities());
    let same_entities = own.is_none_or(|own| own == past.entities || own == inherited);
    same_entities && spec_digest(&restore.spec) == past.spec
}

/// Denies a restore after the time until which it may be created, and a time that is malformed.
fn expired(time: &str, now: Timestamp) -> Option<Finding> {
    let path = entry(ANNOTATIONS, NOT_AFTER_ANNOTATION);
    let finding =
        |message: &str| Finding::deny(&RESTORE_EXPIRED, path.clone(), Cause::Invalid, message).value(time);
    match time_of(time.trim()) {
        None => Some(finding(
            "is not a time of RFC 3339, so the restore could be created again at any time; write for example \
             2026-12-31T18:00:00Z",
        )),
        Some(not_after) if not_after < now => Some(finding(
            "this time has passed: the manifest is applied again, and the restore would overwrite everything written since; \
             remove it from the manifests, or create a restore with another name and a later time",
        )),
        Some(_) => None,
    }
}

/// Parses a time of RFC 3339. The last hours of the year 9999, which [`Timestamp`] does not have, become its maximum.
fn time_of(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    let time = pieces.date().to_datetime(pieces.time()?);
    Some(
        pieces
            .to_numeric_offset()?
            .to_timestamp(time)
            .unwrap_or(Timestamp::MAX),
    )
}

/// Warns about a restore that a tool creates from a repository and that has no time limit.
fn without_expiry(tool: Tool) -> Finding {
    let message = format!(
        "{} creates this restore again after a prune or in a new Kubernetes cluster, and it would run again; set {NOT_AFTER_ANNOTATION} \
         to a time soon after now",
        tool.as_str()
    );
    Finding::warn(&RESTORE_WITHOUT_EXPIRY, ANNOTATIONS, Cause::Required, message)
}

#[cfg(test)]
mod tests {
    use super::{ANNOTATIONS, LABELS, RECREATIONS, created_again, expired};
    use crate::rules::tool::{RECREATING_ANNOTATIONS, RECREATING_LABELS};

    #[test]
    fn each_annotation_that_is_read_has_a_tool() {
        assert_eq!(
            RECREATIONS.map(|recreation| recreation.key),
            RECREATING_ANNOTATIONS
        );
        for label in RECREATING_LABELS {
            assert!(RECREATING_ANNOTATIONS.contains(&label), "{label}");
        }
    }

    #[test]
    fn the_value_decides_if_a_tool_creates_the_object_again() {
        for (key, value, denied) in [
            ("helm.sh/hook", "post-install,post-upgrade", true),
            ("helm.sh/hook", "test", true),
            ("helm.sh/hook", " ", false),
            ("helm.sh/hook-delete-policy", "before-hook-creation", true),
            ("argocd.argoproj.io/hook", "PostSync", true),
            ("argocd.argoproj.io/hook", "Skip", false),
            ("argocd.argoproj.io/hook", "Skip, Sync", true),
            ("argocd.argoproj.io/hook-delete-policy", "HookSucceeded", true),
            ("argocd.argoproj.io/sync-options", "Force=true,Replace=true", true),
            (
                "argocd.argoproj.io/sync-options",
                "Prune=false, Replace=true",
                true,
            ),
            ("argocd.argoproj.io/sync-options", "Force=true", true),
            (
                "argocd.argoproj.io/sync-options",
                "Prune=false,Force=false,ServerSideApply=true",
                false,
            ),
            ("kustomize.toolkit.fluxcd.io/force", "Enabled", true),
            ("kustomize.toolkit.fluxcd.io/force", "disabled", false),
            ("kapp.k14s.io/update-strategy", "fallback-on-replace", true),
            ("kapp.k14s.io/update-strategy", "always-replace", true),
            ("kapp.k14s.io/update-strategy", "skip", false),
            ("kapp.k14s.io/update-strategy", "", false),
            ("kapp.k14s.io/versioned", "", true),
            ("kluctl.io/hook", "post-deploy", true),
            ("kluctl.io/hook-delete-policy", "hook-succeeded", true),
            ("strategy.spinnaker.io/recreate", "true", true),
            ("strategy.spinnaker.io/recreate", "false", false),
            ("strategy.spinnaker.io/replace", "True", true),
            ("strategy.spinnaker.io/versioned", "true", true),
            ("werf.io/delete-policy", "before-creation", true),
            ("werf.io/delete-policy", "succeeded,failed", true),
            ("example.com/hook", "PostSync", false),
        ] {
            let finding = created_again(ANNOTATIONS, key, value);
            assert_eq!(finding.is_some(), denied, "{key}: {value}");
            if let Some(finding) = finding {
                assert_eq!(finding.path, format!("metadata.annotations[{key}]"));
                assert!(
                    !finding.rule.confirmable,
                    "an annotation in a repository would confirm every later run"
                );
            }
        }
    }

    #[test]
    fn flux_also_reads_a_label() {
        let finding = created_again(LABELS, "kustomize.toolkit.fluxcd.io/force", "ENABLED").unwrap();
        assert_eq!(finding.path, "metadata.labels[kustomize.toolkit.fluxcd.io/force]");
        assert!(
            finding.message.contains("remove the label"),
            "{}",
            finding.message
        );
    }

    #[test]
    fn a_restore_may_be_created_until_its_time() {
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        for (time, says) in [
            ("2026-11-30T12:00:00Z", None),
            ("2026-11-30T13:30:00+01:00", None),
            ("2026-11-30T11:59:59Z", Some("this time has passed")),
            ("2026-11-30T12:59:59+01:00", Some("this time has passed")),
            ("9999-12-31T23:59:59Z", None),
            ("2026-11-30T12:00:00", Some("is not a time of RFC 3339")),
            ("2026-11-30", Some("is not a time of RFC 3339")),
            ("tomorrow", Some("is not a time of RFC 3339")),
            ("", Some("is not a time of RFC 3339")),
        ] {
            let message = expired(time, now).map(|finding| finding.message);
            match (message, says) {
                (None, None) => {}
                (Some(message), Some(says)) => assert!(message.starts_with(says), "{time}: {message}"),
                other => panic!("{time}: {other:?}"),
            }
        }
    }
}
