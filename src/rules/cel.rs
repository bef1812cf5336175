//! Rules once more, in CEL: what a `ValidatingAdmissionPolicy` of the API server can say exactly as they do.
//!
//! For clusters that run the webhook with `failurePolicy: Ignore` or not at all. Data only: `cassgate policy` makes
//! manifests of it, and `tests/kube/static_policy.rs` holds it against the rules on a real API server. Where CEL
//! cannot say the same, it says less: nothing is refused here that the rules let pass.

mod backup;
mod both;
mod restore;
mod unsaid;

pub use unsaid::{UNSAID, Unsaid};

use std::collections::BTreeSet;

use super::catalogue::Rule;
use super::finding::Cause;
use crate::api::Kind;

/// When a statement is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Of a new object.
    Created,
    /// Of a new object, and of a stored one whose spec is changed.
    Written,
    /// Of a stored object, whatever is changed.
    Updated,
}

/// A part of a rule in CEL.
///
/// Expressions speak of the object by `object` and by the variables of its kind. Behind `old_` each variable is there
/// once more, of the stored object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// The rule that it states.
    pub rule: &'static Rule,
    /// The name of the variable that holds whether the rule is broken.
    pub name: &'static str,
    /// When it is asked.
    pub when: When,
    /// True where the rule refuses.
    pub broken: &'static str,
    /// On an update: true where the rules lower the refusal to a warning, or where nobody can say without facts. Empty:
    /// never.
    pub lowered: &'static str,
    /// The field.
    pub path: &'static str,
    /// Kubernetes' kind of cause.
    pub cause: Cause,
    /// The text that the user wrote; empty where the message does not repeat it.
    pub value: &'static str,
    /// What is wrong, why it matters, what to write instead.
    pub message: &'static str,
    /// What of the rule it leaves to the webhook; empty: nothing.
    pub leaves: &'static str,
}

/// A variable: its name, and its expression on `object`.
pub type Variable = (&'static str, &'static str);

/// A validation of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// False where the request is refused.
    pub expression: String,
    /// What is said where the other message cannot be made.
    pub message: String,
    /// What is said, with the value.
    pub message_expression: Option<String>,
    /// Whether the refusal is 403: what has started must not be deleted and made anew, as `kubectl apply --force` and
    /// Flux's `force` do it on 422.
    pub forbidden: bool,
}

/// What the policy of one kind says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// Variables with their expressions, each behind those that it rests on.
    pub variables: Vec<(String, String)>,
    /// Validations, in the order in which they are told: the API server tells the first that fails.
    pub validations: Vec<Validation>,
}

/// The statements about a kind, those about its past first.
#[must_use]
pub fn statements(kind: Kind) -> &'static [Statement] {
    match kind {
        Kind::Restore => restore::STATEMENTS,
        Kind::Backup => backup::STATEMENTS,
    }
}

/// The policy of a kind: `CassandraBackup` or `CassandraRestore`.
#[must_use]
pub fn stated(kind: Kind) -> Stated {
    let statements = statements(kind);
    let validations: Vec<Validation> = statements.iter().flat_map(validations).collect();
    let texts = validations.iter().flat_map(|validation| {
        [
            Some(validation.expression.as_str()),
            validation.message_expression.as_deref(),
        ]
    });
    let used: BTreeSet<String> = texts.flatten().flat_map(names).collect();
    Stated {
        variables: Definitions::of(kind).closure(&used),
        validations,
    }
}

/// When a policy is asked at all, with a name each: word for word as the webhook is (`manifests/base/webhooks.yaml`).
pub const CONDITIONS: [Variable; 2] = [
    (
        "not-being-deleted",
        "request.operation == 'CREATE' || !has(oldObject.metadata.deletionTimestamp)",
    ),
    (
        "spec-changed-or-run-forgotten",
        "request.operation == 'CREATE' || has(object.spec) != has(oldObject.spec) || (has(object.spec) && object.spec \
         != oldObject.spec) || (has(oldObject.status) && has(oldObject.status.condition) && \
         has(oldObject.status.condition.type) && !(has(oldObject.spec) && has(oldObject.spec.schedule) && \
         oldObject.spec.schedule != '') && (!has(object.status) || !has(object.status.condition) || \
         !has(object.status.condition.type) || (oldObject.status.condition.type in ['COMPLETED', 'FAILED', 'CANCELLED', \
         'CANCELED'] && !(object.status.condition.type in ['COMPLETED', 'FAILED', 'CANCELLED', 'CANCELED']))))",
    ),
];

/// Whether the object is new or its spec differs.
const CHANGED: &str = "request.operation == 'CREATE' || has(object.spec) != has(oldObject.spec) || (has(object.spec) && \
                       object.spec != oldObject.spec)";

/// The variables of every kind: what happens to the object.
const REQUEST: &[Variable] = &[
    ("updated", "request.operation == 'UPDATE'"),
    ("written", CHANGED),
    ("started", "variables.updated && variables.old_state != ''"),
];

/// Behind this each variable is that of the stored object.
const OLD: &str = "old_";

/// The validations of a statement: two where the code depends on whether the object has started.
fn validations(statement: &Statement) -> Vec<Validation> {
    let Statement { name, lowered, .. } = statement;
    let guard = match statement.when {
        When::Created => "variables.updated",
        When::Written => "!variables.written",
        When::Updated => "!variables.updated",
    };
    let mut passes = format!("{guard} || !variables.{name}");
    if !lowered.is_empty() {
        passes = format!("{passes} || (variables.updated && ({lowered}))");
    }
    let with = |expression: String, forbidden: bool| Validation {
        expression,
        message: message(statement),
        message_expression: message_expression(statement),
        forbidden,
    };
    match statement.when {
        When::Created => vec![with(passes, false)],
        When::Updated => vec![with(passes, true)],
        When::Written if statement.cause == Cause::Forbidden => vec![with(passes, true)],
        When::Written => vec![
            with(format!("variables.started || {passes}"), false),
            with(format!("!variables.started || {passes}"), true),
        ],
    }
}

fn message(statement: &Statement) -> String {
    let Statement {
        path,
        cause,
        message,
        rule,
        ..
    } = statement;
    format!("{path}: {}: {message} [{}]", cause.words(), rule.id)
}

/// The most of a value that a message repeats, in characters, as in [`Finding::text`](super::finding::Finding::text).
const LONGEST_VALUE: usize = 100;

fn message_expression(statement: &Statement) -> Option<String> {
    let Statement {
        path,
        cause,
        value,
        message,
        rule,
        ..
    } = statement;
    (!value.is_empty()).then(|| {
        let head = literal(&format!("{path}: {}: ", cause.words()));
        let tail = literal(&format!(": {message} [{}]", rule.id));
        format!(
            "{head} + (size({value}) > {LONGEST_VALUE} ? strings.quote({value}.substring(0, {LONGEST_VALUE})) + '…' : \
             strings.quote({value})) + {tail}"
        )
    })
}

/// A text as CEL writes it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Every variable that there can be, with its expression.
struct Definitions(Vec<(String, String)>);

impl Definitions {
    fn of(kind: Kind) -> Self {
        let own = match kind {
            Kind::Restore => restore::VARIABLES,
            Kind::Backup => backup::VARIABLES,
        };
        let broken = statements(kind)
            .iter()
            .map(|statement| (statement.name, statement.broken));
        let new: Vec<Variable> = own.iter().copied().chain(broken).collect();
        let texts = |(name, expression): &Variable| ((*name).to_owned(), (*expression).to_owned());
        let request = REQUEST.iter().map(texts);
        let stored = new.iter().map(|(name, expression)| {
            let expression = expression.replace("variables.", &format!("variables.{OLD}"));
            (
                format!("{OLD}{name}"),
                expression.replace("object.", "oldObject."),
            )
        });
        Self(request.chain(stored).chain(new.iter().map(texts)).collect())
    }

    /// Those that `used` rest on, each behind those that it rests on itself.
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

/// The variables that an expression names.
fn names(expression: &str) -> Vec<String> {
    let identifier = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let behind = expression.split("variables.").skip(1);
    behind
        .map(|rest| rest.chars().take_while(|c| identifier(*c)).collect())
        .collect()
}

#[cfg(test)]
mod tests;
