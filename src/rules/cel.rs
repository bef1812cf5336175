//! Rules in CEL, for the `ValidatingAdmissionPolicy` that `cassgate policy` prints.
//!
//! They protect Kubernetes clusters that run the webhook with `failurePolicy: Ignore`, or without the webhook. An
//! expression that cannot be equivalent to its rule is narrower: it never denies an object that the rule admits.
//! `tests/kube/static_policy.rs` compares both on a real API server. This module holds data only.

mod backup;
mod both;
mod restore;
mod unsupported;

pub use unsupported::{UNSUPPORTED, Unsupported};

use std::collections::BTreeSet;

use super::catalogue::Rule;
use super::finding::{Cause, MAX_VALUE_CHARS};
use super::run_record;
use crate::api::{Kind, UNSCHEDULE_FINALIZER};

/// The requests that a policy rule applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppliesTo {
    /// Creations.
    Create,
    /// Creations, and updates that change the spec.
    SpecChange,
    /// All updates.
    Update,
}

/// A rule, or a part of one, as CEL expressions.
///
/// Expressions refer to the object as `object` and to the variables of its kind. With the prefix `old_` a variable has its
/// value for the stored object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyRule {
    /// The rule that it implements.
    pub rule: &'static Rule,
    /// The name of the variable that is true if the rule is violated.
    pub name: &'static str,
    /// The requests that it applies to.
    pub applies_to: AppliesTo,
    /// An expression that is true if the rule denies the object.
    pub violated: &'static str,
    /// An expression that is true on an update if the rule lowers its denial to a warning, or if that depends on other
    /// objects. Empty if this never happens.
    pub tolerated: &'static str,
    /// The path of the field.
    pub path: &'static str,
    /// The Kubernetes cause.
    pub cause: Cause,
    /// An expression for the value of the field; empty if the message does not repeat it.
    pub value: &'static str,
    /// The fact, the consequence and the remedy.
    pub message: &'static str,
    /// The cases of the rule that only the webhook covers; empty if there are none.
    pub gaps: &'static str,
}

/// A variable: its name, and an expression of `object`.
pub type Variable = (&'static str, &'static str);

/// A validation of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// An expression that is false if the request is denied.
    pub expression: String,
    /// The message if `message_expression` cannot be evaluated.
    pub message: String,
    /// An expression for the message with the value.
    pub message_expression: Option<String>,
    /// True if the status code is 403. On 422 `kubectl apply --force` and Flux's `force` delete and re-create the object,
    /// which would run a started object again.
    pub forbidden: bool,
}

/// The variables and validations of the policy for one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedPolicy {
    /// Variables with their expressions, each after the variables that it uses.
    pub variables: Vec<(String, String)>,
    /// Validations in order of evaluation. The API server reports only the first that fails.
    pub validations: Vec<Validation>,
}

/// Returns the policy rules for a kind, those about stored objects first.
#[must_use]
pub fn policy_rules(kind: Kind) -> &'static [PolicyRule] {
    match kind {
        Kind::Restore => restore::POLICY_RULES,
        Kind::Backup => backup::POLICY_RULES,
    }
}

/// Generates the policy for a kind.
#[must_use]
pub fn generate(kind: Kind) -> GeneratedPolicy {
    let validations: Vec<Validation> = policy_rules(kind).iter().flat_map(validations).collect();
    let texts = validations.iter().flat_map(|validation| {
        [
            Some(validation.expression.as_str()),
            validation.message_expression.as_deref(),
        ]
    });
    let used: BTreeSet<String> = texts.flatten().flat_map(names).collect();
    GeneratedPolicy {
        variables: Definitions::of(kind).closure(&used),
        validations,
    }
}

/// True if a field of `from` is not empty, and `to` does not have the same value.
///
/// An empty field counts as absent: CassKop's PUT drops it.
macro_rules! has_another_value {
    ($from:literal, $to:literal) => {
        concat!(
            $from,
            ".exists(f, !(",
            $from,
            "[f] == null || ",
            $from,
            "[f] == '' || ",
            $from,
            "[f] == {} || ",
            $from,
            "[f] == []) && !(f in ",
            $to,
            " && ",
            $to,
            "[f] == ",
            $from,
            "[f]))"
        )
    };
}

/// True if the object is new or its spec differs. It has no error for any value, since an error follows the failure
/// policy.
macro_rules! changed {
    () => {
        concat!(
            "request.operation == 'CREATE' || has(object.spec) != has(oldObject.spec) || (has(object.spec) && \
             (type(object.spec) == map && type(oldObject.spec) == map ? ",
            has_another_value!("object.spec", "oldObject.spec"),
            " || ",
            has_another_value!("oldObject.spec", "object.spec"),
            " : object.spec != oldObject.spec))"
        )
    };
}

/// Returns the `matchConditions` of the policies and of the webhooks for creations and updates, with their names
/// (`manifests/base/webhooks.yaml`).
///
/// An object that is being deleted is exempt, so that its finalizers can be removed whatever it contains. A restore with a
/// finalizer of another program is exempt only from its start on, as long as its record stays: CassKop does not look at the
/// deletion, and would run it as it is then (`cassandrarestore/reconcile.go`).
#[must_use]
pub fn match_conditions() -> [(&'static str, String); 2] {
    let lost = run_record::lost_expression();
    [
        (
            "not-being-deleted-or-still-to-run",
            format!(
                "request.operation == 'CREATE' || !has(oldObject.metadata.deletionTimestamp) || \
                 (request.resource.resource == 'cassandrarestores' && (!({}) || ({lost})))",
                run_record::exists_expression()
            ),
        ),
        (
            "spec-changed-or-run-forgotten",
            format!("{} || ({lost})", changed!()),
        ),
    ]
}

/// Returns a CEL expression that is true if `object` has CassKop's finalizer.
fn has_unschedule_finalizer(object: &str) -> String {
    format!("has({object}.metadata.finalizers) && '{UNSCHEDULE_FINALIZER}' in {object}.metadata.finalizers")
}

/// Returns the `matchConditions` of the webhook whose outage blocks nothing, with their names: for deletions, and for updates that
/// only remove CassKop's finalizer, of which a webhook warns.
#[must_use]
pub fn deletion_match_conditions() -> [(&'static str, String); 2] {
    let [_, (_, judged)] = match_conditions();
    let is_removed = format!(
        "{} && !({})",
        has_unschedule_finalizer("oldObject"),
        has_unschedule_finalizer("object")
    );
    [
        (
            "not-deleted-before",
            "oldObject == null || !has(oldObject.metadata.deletionTimestamp)".to_owned(),
        ),
        (
            "backup-or-unfinished-restore",
            format!(
                "request.operation == 'UPDATE' ? ({is_removed} && !({judged})) : (request.resource.resource == \
                 'cassandrabackups' || ({}))",
                run_record::unfinished_expression()
            ),
        ),
    ]
}

/// The variables of both kinds that describe the request.
const REQUEST: &[Variable] = &[
    ("updated", "request.operation == 'UPDATE'"),
    ("written", changed!()),
    ("started", "variables.updated && variables.old_state != ''"),
];

/// The prefix of variables of the stored object.
const OLD: &str = "old_";

/// Returns the validations of a policy rule: two if the status code depends on whether the object has started.
fn validations(policy_rule: &PolicyRule) -> Vec<Validation> {
    let PolicyRule { name, tolerated, .. } = policy_rule;
    let skipped = match policy_rule.applies_to {
        AppliesTo::Create => "variables.updated",
        AppliesTo::SpecChange => "!variables.written",
        AppliesTo::Update => "!variables.updated",
    };
    let mut passes = format!("{skipped} || !variables.{name}");
    if !tolerated.is_empty() {
        passes = format!("{passes} || (variables.updated && ({tolerated}))");
    }
    let with = |expression: String, forbidden: bool| Validation {
        expression,
        message: message(policy_rule),
        message_expression: message_expression(policy_rule),
        forbidden,
    };
    match policy_rule.applies_to {
        AppliesTo::Create => vec![with(passes, false)],
        AppliesTo::Update => vec![with(passes, true)],
        AppliesTo::SpecChange if policy_rule.cause == Cause::Forbidden => vec![with(passes, true)],
        AppliesTo::SpecChange => vec![
            with(format!("variables.started || {passes}"), false),
            with(format!("!variables.started || {passes}"), true),
        ],
    }
}

fn message(policy_rule: &PolicyRule) -> String {
    let PolicyRule {
        path,
        cause,
        message,
        rule,
        ..
    } = policy_rule;
    format!("{path}: {}{message} {}", cause.prefix(false), rule.mark())
}

fn message_expression(policy_rule: &PolicyRule) -> Option<String> {
    let PolicyRule {
        path,
        cause,
        value,
        message,
        rule,
        ..
    } = policy_rule;
    (!value.is_empty()).then(|| {
        let head = literal(&format!("{path}: {}", cause.prefix(true)));
        let tail = literal(&format!(": {message} {}", rule.mark()));
        format!(
            "{head} + (size({value}) > {MAX_VALUE_CHARS} ? strings.quote({value}.substring(0, {MAX_VALUE_CHARS})) + '…' : \
             strings.quote({value})) + {tail}"
        )
    })
}

/// Returns `text` as a CEL string literal.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// All variables of a kind, with their expressions.
struct Definitions(Vec<(String, String)>);

impl Definitions {
    fn of(kind: Kind) -> Self {
        let own = match kind {
            Kind::Restore => restore::VARIABLES,
            Kind::Backup => backup::VARIABLES,
        };
        let violated = policy_rules(kind)
            .iter()
            .map(|policy_rule| (policy_rule.name, policy_rule.violated));
        let new: Vec<Variable> = own.iter().copied().chain(violated).collect();
        let texts = |(name, expression): &Variable| ((*name).to_owned(), (*expression).to_owned());
        let request = REQUEST.iter().map(texts);
        let run_forgotten = ("runForgotten".to_owned(), run_record::lost_expression());
        let stored = new.iter().map(|(name, expression)| {
            let expression = expression.replace("variables.", &format!("variables.{OLD}"));
            (
                format!("{OLD}{name}"),
                expression.replace("object.", "oldObject."),
            )
        });
        let request = request.chain([run_forgotten]);
        Self(request.chain(stored).chain(new.iter().map(texts)).collect())
    }

    /// Returns the variables in `used` and all variables that they use, in order of dependency.
    fn closure(&self, used: &BTreeSet<String>) -> Vec<(String, String)> {
        let mut done = Vec::new();
        for (name, _) in &self.0 {
            if used.contains(name) {
                self.define(name, &mut done);
            }
        }
        done
    }

    fn define(&self, name: &str, done: &mut Vec<(String, String)>) {
        if done.iter().any(|(known, _)| known == name) {
            return;
        }
        let Some((name, expression)) = self.0.iter().find(|(known, _)| known == name) else {
            return;
        };
        for other in names(expression) {
            self.define(&other, done);
        }
        done.push((name.clone(), expression.clone()));
    }
}

/// Returns the variables that an expression uses.
fn names(expression: &str) -> Vec<String> {
    let identifier = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let rests = expression.split("variables.").skip(1);
    rests
        .map(|rest| rest.chars().take_while(|c| identifier(*c)).collect())
        .collect()
}

#[cfg(test)]
mod tests;
