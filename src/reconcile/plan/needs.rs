//! The verdict of the rules on a stored object, as the reason why its next run would wait.
//!
//! The conditions are the record of the last verdict. A reconcile that finds the same verdict writes and publishes
//! nothing, and neither does the due run that waits for the same reason.

use super::conditions;
use super::wait::Wait;
use crate::api::conditions::{READY, STALLED};
use crate::api::{BackRestStatus, Reason};
use crate::rules::catalogue::{BACKUP_NOT_FOUND, CLUSTER_NOT_FOUND, Rule, SECRET_NOT_FOUND};
use crate::rules::finding::{Finding, Findings};

/// The rules about a missing object, and the reason of the condition.
static MISSING: [(&Rule, Reason); 3] = [
    (&CLUSTER_NOT_FOUND, Reason::ClusterNotFound),
    (&BACKUP_NOT_FOUND, Reason::BackupNotFound),
    (&SECRET_NOT_FOUND, Reason::SecretNotFound),
];

/// The needs of an object's next run that are not met, by the verdict of the rules on the stored object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The first object that it names and that does not exist.
    pub missing: Option<Wait>,
    /// Everything that the rules deny.
    pub refused: Option<Wait>,
    /// The objects that it names and that could not be looked up, by field. They may or may not exist.
    pub unchecked: Vec<(String, Wait)>,
}

impl Needs {
    /// Creates the needs from the findings of the rules. An object may have been stored without the webhook, or the
    /// objects that it names have changed since.
    #[must_use]
    pub fn from_findings(findings: &Findings) -> Self {
        let mut needs = Self::default();
        for (rule, reason) in MISSING {
            for finding in findings.iter().filter(|finding| finding.rule == rule) {
                let wait = Wait::new(reason, conditions::truncate(&message(finding)));
                if finding.unchecked {
                    needs.unchecked.push((finding.path.clone(), wait));
                } else {
                    needs.missing.get_or_insert(wait);
                }
            }
        }
        let denials: Vec<_> = findings.denials().map(message).collect();
        if !denials.is_empty() {
            let denials = conditions::truncate(&denials.join("; "));
            needs.refused = Some(Wait::stalled(Reason::Refused, denials));
        }
        needs
    }

    /// Returns what a run that is due waits for: a missing object, or one that could not be looked up.
    ///
    /// A Secret that cassgate may not read is no reason to wait: the sidecar reads it with rights of its own, and
    /// reports an error if it cannot.
    #[must_use]
    pub fn missing_or_unchecked(&self) -> Option<Wait> {
        let mut unchecked = self.unchecked.iter().map(|(_, wait)| wait);
        let unchecked = || {
            unchecked
                .find(|wait| wait.reason != Reason::SecretNotFound)
                .cloned()
        };
        self.missing.clone().or_else(unchecked)
    }

    /// Returns what the next run lacks by this verdict and the recorded one.
    ///
    /// Keeps the recorded need if the lookup of the object that it names failed, or that of the cluster, on which every
    /// other verdict depends.
    pub(super) fn unmet(&self, recorded: Option<&Wait>) -> Option<Wait> {
        let cannot_tell = self.unchecked.iter().any(|(field, wait)| {
            let names_field = |recorded: &Wait| recorded.message.contains(&format!("{field}: "));
            wait.reason == Reason::ClusterNotFound || recorded.is_some_and(names_field)
        });
        if cannot_tell {
            return recorded.cloned();
        }
        self.missing.clone().or_else(|| self.refused.clone())
    }
}

fn message(finding: &Finding) -> String {
    format!("{}: {}", finding.path, finding.text())
}

/// Returns the unmet need that the conditions record; `None` if the next run would begin, or if they are about
/// something else.
#[must_use]
pub fn recorded(common: &BackRestStatus) -> Option<Wait> {
    let mut conditions = common.conditions.iter();
    let ready = conditions.find(|condition| condition.type_ == READY && condition.status == "False")?;
    let mut reasons = MISSING.iter().map(|(_, reason)| *reason).chain([Reason::Refused]);
    let reason = reasons.find(|reason| *reason == *ready.reason)?;
    Some(Wait {
        reason,
        message: ready.message.clone(),
        stalled: common.true_condition(STALLED).is_some(),
    })
}
