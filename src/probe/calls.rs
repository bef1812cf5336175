//! The webhook calls of the two dry runs, as far as the API server's answers show them.

use std::collections::BTreeSet;

use kube::core::Status;
use serde_json::Value;

use crate::rules::catalogue::AUTHOR;

use super::fault::Fault;
use super::observation::{DryRun, Observation};
use super::webhook::{Side, Webhook};

/// The rule that denies the bad object.
pub(super) const BAD_RULE: &str = "schedule-malformed";

/// The rules that may deny the good object, where missing references are denied in dry runs.
const REFERENCE_RULES: [&str; 2] = ["cluster-not-found", "secret-not-found"];

/// The field that the mutating webhook sets, and its value.
pub(super) const DEFAULTED_FIELD: (&str, u64) = ("concurrentConnections", 10);

/// The suffix of the names of the shipped webhooks.
const WEBHOOK_SUFFIX: &str = ".cassgate.db.orange.com";

/// A failed call.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) webhook: String,
    pub(super) fault: Fault,
    /// The message of the API server.
    pub(super) message: String,
}

/// The result of the calls to one side.
#[derive(Debug, Clone)]
pub(super) enum CallResult {
    /// The webhook of this name answered correctly.
    Answered { webhook: String, saw: String },
    /// The call failed.
    Failed(Failure),
    /// The webhook answered incorrectly, or was not called.
    Wrong(String),
    /// The answers of the API server do not show it, with the reason.
    Unknown(String),
}

/// The results of both sides.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    pub(super) validating: CallResult,
    pub(super) mutating: CallResult,
    kind_is_absent: bool,
    bad_is_admitted: bool,
}

impl Calls {
    /// Reads the results of the dry runs.
    pub(super) fn read(observation: &Observation, webhooks: &[Webhook]) -> Self {
        let validating = match bad(&observation.bad, webhooks) {
            // The webhook must also admit the good object.
            CallResult::Answered { webhook, saw } => good(&observation.good, webhooks, webhook, &saw),
            result => result,
        };
        Self {
            validating,
            mutating: mutating(observation, webhooks),
            kind_is_absent: matches!(&observation.bad, DryRun::Rejected(status)
                if status.code == 404 && !status.message.contains("namespaces")),
            bad_is_admitted: matches!(observation.bad, DryRun::Accepted(_)),
        }
    }

    /// Returns true if the API server does not serve `CassandraBackup`.
    pub(super) fn kind_is_absent(&self) -> bool {
        self.kind_is_absent
    }

    /// Returns true if the API server admitted the bad object.
    pub(super) fn bad_is_admitted(&self) -> bool {
        self.bad_is_admitted
    }

    fn results(&self) -> impl Iterator<Item = &CallResult> {
        [&self.validating, &self.mutating].into_iter()
    }

    /// Returns the first failed call with one of these faults.
    pub(super) fn failure(&self, faults: &[Fault]) -> Option<&Failure> {
        self.results()
            .filter_map(|result| match result {
                CallResult::Failed(failure) => Some(failure),
                _ => None,
            })
            .find(|failure| faults.contains(&failure.fault))
    }

    /// Returns the webhooks that answered. Their `caBundle` has verified the certificate of the server.
    pub(super) fn answered(&self) -> BTreeSet<&str> {
        self.results()
            .filter_map(|result| match result {
                CallResult::Answered { webhook, .. } => Some(webhook.as_str()),
                _ => None,
            })
            .collect()
    }
}

/// Reads the dry run of the bad object: the validating webhook must deny it by [`BAD_RULE`].
fn bad(dry_run: &DryRun, webhooks: &[Webhook]) -> CallResult {
    let status = match dry_run {
        DryRun::Accepted(_) => return CallResult::Wrong(bad_admitted(webhooks)),
        DryRun::Failed(why) => return CallResult::Unknown(why.clone()),
        DryRun::Rejected(status) => status,
    };
    match rejection(status, webhooks) {
        Rejection::Denied { webhook, rules } if rules.iter().any(|rule| rule == BAD_RULE) => {
            CallResult::Answered {
                saw: format!("{webhook} denies the bad object [{BAD_RULE}]"),
                webhook,
            }
        }
        Rejection::Denied { webhook, .. } => CallResult::Wrong(format!(
            "{webhook} denies the bad object, but not with a message of cassgate: {}",
            status.message
        )),
        Rejection::Other(result) => result,
    }
}

fn bad_admitted(webhooks: &[Webhook]) -> String {
    let ignore = webhooks.iter().any(|webhook| {
        webhook.side == Side::Validating && webhook.is_called() && webhook.failure_policy == "Ignore"
    });
    if ignore {
        "the bad object is admitted; with failurePolicy Ignore the API server does not say why".to_owned()
    } else {
        "the bad object is admitted".to_owned()
    }
}

/// Reads the dry run of the good object: it is admitted, or denied only for its missing references.
fn good(dry_run: &DryRun, webhooks: &[Webhook], webhook: String, saw: &str) -> CallResult {
    let status = match dry_run {
        DryRun::Accepted(_) => {
            return CallResult::Answered {
                webhook,
                saw: format!("{saw} and admits the good one"),
            };
        }
        DryRun::Failed(why) => return CallResult::Unknown(why.clone()),
        DryRun::Rejected(status) => status,
    };
    match rejection(status, webhooks) {
        Rejection::Denied { rules, .. } => {
            let only_references = rules.iter().all(|rule| REFERENCE_RULES.contains(&rule.as_str()));
            if only_references && !rules.is_empty() {
                let rules = rules.join(", ");
                let saw = format!("{saw}, and the good one only for its missing references [{rules}]");
                CallResult::Answered { webhook, saw }
            } else {
                CallResult::Wrong(format!("the good object is denied: {}", status.message))
            }
        }
        Rejection::Other(result) => result,
    }
}

/// Reads the result of the mutating webhook from the field that it sets.
///
/// Its failures are invisible otherwise: with `failurePolicy: Ignore` the API server does not report them.
fn mutating(observation: &Observation, webhooks: &[Webhook]) -> CallResult {
    let is_mutating = |name: &str| {
        webhooks
            .iter()
            .any(|webhook| webhook.side == Side::Mutating && webhook.name == name)
    };
    let (field, value) = DEFAULTED_FIELD;
    let has_default = |object: &Value| {
        object
            .pointer("/spec")
            .and_then(|spec| spec.get(field))
            .and_then(Value::as_u64)
            == Some(value)
    };
    match &observation.good {
        DryRun::Accepted(object) if has_default(object) => {
            let webhook = webhooks
                .iter()
                .find(|webhook| webhook.side == Side::Mutating && webhook.is_called())
                .map_or_else(
                    || "the mutating webhook".to_owned(),
                    |webhook| webhook.name.clone(),
                );
            let saw = format!("{webhook} sets {field}");
            CallResult::Answered { webhook, saw }
        }
        DryRun::Accepted(_) => CallResult::Wrong(format!(
            "the mutating webhook was not called, or its answer was not used: {field} is not set"
        )),
        DryRun::Rejected(status) => match rejection(status, webhooks) {
            Rejection::Other(CallResult::Failed(failure)) if is_mutating(&failure.webhook) => {
                CallResult::Failed(failure)
            }
            _ => CallResult::Unknown(
                "a rejected object does not show what the mutating webhook sets".to_owned(),
            ),
        },
        DryRun::Failed(why) => CallResult::Unknown(why.clone()),
    }
}

/// The origin of a rejection.
enum Rejection {
    /// A webhook of cassgate, with the rules that it names.
    Denied { webhook: String, rules: Vec<String> },
    /// A failed call, another webhook, or the API server itself.
    Other(CallResult),
}

fn rejection(status: &Status, webhooks: &[Webhook]) -> Rejection {
    let text = status.message.as_str();
    // A user who may not read the configurations still recognizes the names of the shipped webhooks.
    let is_own = |name: &str| {
        webhooks.iter().any(|webhook| webhook.name == name)
            || (webhooks.is_empty() && name.ends_with(WEBHOOK_SUFFIX))
    };
    let unknown = |text: String| Rejection::Other(CallResult::Unknown(text));
    if let Some((webhook, rest)) = named(text, "failed calling webhook \"") {
        if !is_own(webhook) {
            return unknown(format!("another webhook prevents the dry run: {text}"));
        }
        let message = rest.trim_start_matches([':', ' ']).to_owned();
        return Rejection::Other(CallResult::Failed(Failure {
            webhook: webhook.to_owned(),
            fault: Fault::classify(&message),
            message,
        }));
    }
    if let Some((webhook, _)) = named(text, "admission webhook \"") {
        if !is_own(webhook) {
            return unknown(format!("another webhook prevents the dry run: {text}"));
        }
        return Rejection::Denied {
            webhook: webhook.to_owned(),
            rules: rules(status),
        };
    }
    unknown(match status.code {
        401 => "the API server does not accept your credentials (401)".to_owned(),
        403 if text.contains("cannot create resource") => {
            "your account may not create cassandrabackups here, and a dry run needs that right".to_owned()
        }
        _ => format!("the API server rejects the dry run before it calls the webhooks: {text}"),
    })
}

/// Returns the quoted name after `prefix`, and the text behind it.
fn named<'a>(text: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    text.split_once(prefix)?.1.split_once('"')
}

/// Returns the rules of a denial by cassgate: the message of each cause ends with its author and rule in square brackets.
fn rules(status: &Status) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter_map(|cause| {
            let (_, mark) = cause.message.strip_suffix(']')?.rsplit_once('[')?;
            let rule = mark.strip_prefix(AUTHOR)?.strip_prefix(' ')?;
            Some(rule.to_owned())
        })
        .collect()
}
