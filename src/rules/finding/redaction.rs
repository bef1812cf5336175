//! Findings about a Secret, for callers who may not read it.

use super::{Cause, Finding, Findings};
use crate::rules::catalogue::{Rule, Severity};

/// The form of a finding for callers who may not read the Secret that it depends on.
///
/// Such a caller must not learn from a dry run if the Secret exists, nor its content. Every finding about one Secret therefore
/// has the same form, and the severity that it would have without the Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// The rule that the caller sees.
    pub rule: &'static Rule,
    /// The cause that the caller sees.
    pub cause: Cause,
    /// The message that the caller sees.
    pub message: String,
    /// The worst severity that the caller sees: that of a Secret that does not exist.
    pub severity: Severity,
    /// True if the caller does not see the finding, because it is milder than that of a Secret that does not exist.
    pub is_hidden: bool,
    /// True if the message of the finding reveals the content of the Secret, and not only that it exists.
    pub reveals_content: bool,
}

impl Finding {
    /// Sets the form for callers who may not read the Secret.
    #[must_use]
    pub fn redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = Some(Box::new(redaction));
        self
    }

    /// Returns the finding as a caller sees it who may not read the Secret; `None` if the caller must not see it.
    fn redacted(mut self) -> Option<Self> {
        let redaction = self.redaction.take().filter(|redaction| !redaction.is_hidden)?;
        Some(Self {
            rule: redaction.rule,
            cause: redaction.cause,
            message: redaction.message,
            severity: self.severity.max(redaction.severity),
            ..self
        })
    }

    /// Returns the finding without the content of a Secret.
    fn without_content(mut self) -> Self {
        let redaction = self
            .redaction
            .take()
            .filter(|redaction| redaction.reveals_content);
        Self {
            message: redaction.map_or(self.message, |redaction| redaction.message),
            ..self
        }
    }
}

impl Findings {
    /// Returns true if a finding depends on a Secret.
    #[must_use]
    pub fn depends_on_secret(&self) -> bool {
        self.0.iter().any(|finding| finding.redaction.is_some())
    }

    /// Replaces every finding that depends on a Secret by its form for callers who may not read the Secret.
    pub fn redact(&mut self) {
        self.replace_and_merge(Finding::redacted);
    }

    /// Replaces every message that reveals the content of a Secret. Rules and severities stay.
    pub fn redact_content(&mut self) {
        self.replace_and_merge(|finding| Some(finding.without_content()));
    }

    /// Replaces the findings that depend on a Secret, and merges those that are equal afterwards. The merged finding keeps the
    /// worst severity.
    fn replace_and_merge(&mut self, replace: impl Fn(Finding) -> Option<Finding>) {
        let mut kept: Vec<Finding> = Vec::with_capacity(self.0.len());
        for finding in std::mem::take(&mut self.0) {
            if finding.redaction.is_none() {
                kept.push(finding);
                continue;
            }
            let Some(finding) = replace(finding) else { continue };
            let is_equal = |other: &&mut Finding| other.same_as(&finding) && other.message == finding.message;
            match kept.iter_mut().find(is_equal) {
                Some(duplicate) => duplicate.severity = duplicate.severity.min(finding.severity),
                None => kept.push(finding),
            }
        }
        self.0 = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mixed;
    use super::Redaction;
    use crate::rules::catalogue::{self, Severity};
    use crate::rules::finding::{Cause, Finding, Findings};

    fn about_secret(finding: Finding, is_hidden: bool) -> Finding {
        finding.redaction(Redaction {
            rule: &catalogue::SECRET_KEY_MISSING,
            cause: Cause::Invalid,
            message: "Secret s3 is not usable".to_owned(),
            severity: Severity::Deny,
            is_hidden,
            reveals_content: true,
        })
    }

    #[test]
    fn a_caller_who_may_not_read_the_secret_gets_one_redacted_finding() {
        let missing = |severity| about_secret(mixed("s3").severity(severity), false);
        let mut found: Findings = [
            missing(Severity::Warn),
            mixed("else"),
            missing(Severity::Deny).related_object("a", "b"),
            missing(Severity::Deny),
            about_secret(mixed("hidden"), true),
        ]
        .into_iter()
        .collect();
        assert!(found.depends_on_secret());
        found.redact();
        let redacted: Vec<_> = found
            .iter()
            .map(|f| (f.rule.id, f.message.as_str(), f.severity, f.related_objects.len()))
            .collect();
        assert_eq!(
            redacted,
            [
                ("secret-key-missing", "Secret s3 is not usable", Severity::Deny, 0),
                ("entities-mixed", "write one form", Severity::Deny, 0),
                ("secret-key-missing", "Secret s3 is not usable", Severity::Deny, 1),
            ]
        );
        assert!(!found.depends_on_secret());
    }

    #[test]
    fn the_content_of_a_secret_is_removed_and_rules_and_severities_stay() {
        let missing = about_secret(mixed("s3").severity(Severity::Warn), true);
        let mut found: Findings = [missing.clone(), missing, mixed("else")].into_iter().collect();
        found.redact_content();
        let texts: Vec<_> = found
            .iter()
            .map(|f| (f.rule.id, f.message.as_str(), f.severity))
            .collect();
        assert_eq!(
            texts,
            [
                ("entities-mixed", "Secret s3 is not usable", Severity::Warn),
                ("entities-mixed", "write one form", Severity::Deny),
            ]
        );
    }
}
