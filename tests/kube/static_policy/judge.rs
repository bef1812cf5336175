//! The rules' verdict on one object alone, without facts about any other object.

use std::collections::BTreeSet;

use cassgate::api::Kind;
use cassgate::api::{CassandraBackupSpec, CassandraRestoreSpec};
use cassgate::rules::checks::transition;
use cassgate::rules::facts::Facts;
use cassgate::rules::finding::Findings;
use cassgate::rules::policy::{Context, Executor, Policy};
use cassgate::rules::subject::{Backup, Metadata, Restore, Subject};
use cassgate::rules::{self, cel, status};
use serde_json::Value;

/// The verdict on one object, with the executor that adds no rules.
pub(super) struct Judged {
    kind: Kind,
    /// The rules that deny it.
    pub(super) denied: BTreeSet<&'static str>,
    /// The code of the denial.
    pub(super) code: u16,
    change: bool,
}

impl Judged {
    /// Judges a new object.
    pub(super) fn new(object: &Value) -> Self {
        Self::of(kind(object), &findings(object, true), 422, false)
    }

    /// Judges an update as the webhook combines the rules.
    pub(super) fn change(old: &Value, new: &Value) -> Self {
        let kind = kind(new);
        let started = status::has_started(old);
        let mut found: Findings = transition::status_reset(old, new).into_iter().collect();
        if old["spec"] != new["spec"] {
            found.extend(transition::spec_changed_after_start(kind, old, new));
            let source_changed = transition::source_changed(kind, old, new);
            if source_changed.is_empty() {
                let mut judged = findings(new, false);
                judged.ratchet(&findings(old, false), started);
                found.extend(judged);
            } else {
                found.extend(source_changed);
            }
        }
        Self::of(kind, &found, if started { 403 } else { 422 }, true)
    }

    fn of(kind: Kind, found: &Findings, code: u16, change: bool) -> Self {
        let denied = found.denials().map(|finding| finding.rule.id).collect();
        Self {
            kind,
            denied,
            code,
            change,
        }
    }

    /// Compares with the policy's answer and returns the difference.
    pub(super) fn against(&self, reported: Option<String>, object: &Value) -> Option<String> {
        match reported {
            Some(rule) if self.denied.contains(rule.as_str()) => None,
            Some(rule) => Some(format!("{rule}, and the rules say {:?}", self.denied)),
            None => {
                let missed: Vec<&str> = self
                    .denied
                    .iter()
                    .copied()
                    .filter(|rule| self.says(rule, object))
                    .collect();
                (!missed.is_empty()).then(|| format!("nothing, and the rules say {missed:?}"))
            }
        }
    }

    /// Returns true if the policy promises to apply this rule to this object.
    fn says(&self, rule: &str, object: &Value) -> bool {
        let Some(policy_rule) = cel::policy_rules(self.kind)
            .iter()
            .find(|policy_rule| policy_rule.rule.id == rule)
        else {
            return false;
        };
        let spec = &object["spec"];
        match rule {
            "schedule-malformed" => {
                let schedule = spec["schedule"].as_str().unwrap_or_default();
                spec.get("timeZone").is_some()
                    && (schedule.starts_with("TZ=") || schedule.starts_with("CRON_TZ="))
            }
            "duration-malformed" => spec["duration"].as_str().is_some_and(|text| text.len() <= 12),
            // The part of `gaps` that concerns updates.
            _ if self.change => {
                !policy_rule.gaps.contains("where the stored")
                    && !policy_rule.gaps.contains("leave `entities`")
            }
            _ => true,
        }
    }
}

fn kind(object: &Value) -> Kind {
    match object["kind"].as_str().unwrap() {
        "CassandraRestore" => Kind::Restore,
        _ => Kind::Backup,
    }
}

fn findings(object: &Value, creating: bool) -> Findings {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(ToOwned::to_owned)
    };
    let key = |map: &str, key: &str| text(&format!("/metadata/{map}/{}", key.replace('/', "~1")));
    let meta = Metadata {
        allows: None,
        ..Metadata::new(
            text("/metadata/namespace").unwrap_or_default(),
            text("/metadata/name").unwrap_or_default(),
            |annotation| key("annotations", annotation),
            |label| key("labels", label),
        )
    };
    let spec = object["spec"].clone();
    let subject = if kind(object) == Kind::Restore {
        let spec: CassandraRestoreSpec = serde_json::from_value(spec).unwrap();
        Subject::Restore(Box::new(Restore::new(meta, spec)))
    } else {
        let spec: CassandraBackupSpec = serde_json::from_value(spec).unwrap();
        Subject::Backup(Box::new(Backup::new(meta, spec)))
    };
    let context = Context {
        policy: Policy {
            executor: Executor::None,
            ..Policy::default()
        },
        dry_run: false,
        creating,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    rules::judge(&subject, &Facts::default(), &context)
}
