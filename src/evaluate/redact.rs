//! Removes details of a Secret from findings.

use crate::rules::facts::{Caller, Freshness, Reference};
use crate::rules::finding::Findings;
use crate::rules::policy::SecretDetails;
use crate::rules::subject::Subject;

use super::request::Evaluation;

impl Evaluation<'_> {
    /// Replaces the findings about the object's Secret, so that they reveal neither its content nor its existence, unless the
    /// caller may read the Secret or the policy shows details to everyone.
    pub(super) async fn redact(&self, found: Findings, subject: &Subject) -> Findings {
        if !found.depends_on_secret() || self.context.policy.secret_details == SecretDetails::Always {
            return found;
        }
        // Boxed, as in `judge`: most reviews have nothing to redact.
        Box::pin(self.redact_for_caller(found, subject)).await
    }

    async fn redact_for_caller(&self, mut found: Findings, subject: &Subject) -> Findings {
        let backup = match subject.backup() {
            Some(name) if subject.secret(None).is_none() => {
                self.gatherer.backup(name, Freshness::Cached).await
            }
            _ => None,
        };
        let secret = subject.secret(backup.as_ref().and_then(Reference::found));
        if !self.may_read(&(self.caller)(), secret).await {
            found.redact();
        }
        found
    }

    async fn may_read(&self, caller: &Caller, secret: Option<&str>) -> bool {
        match secret {
            Some(name) if !caller.username.is_empty() => {
                self.gatherer.may_read_secret(caller, name).await == Reference::Found(true)
            }
            _ => false,
        }
    }
}
