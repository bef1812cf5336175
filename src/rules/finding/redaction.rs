//! Findings about a Secret, for conditions and events, whose readers need not have the right to read the Secret.

use super::{Finding, Findings};

impl Finding {
    /// Marks the finding as one that depends on a Secret, and sets its message for readers who may not read the Secret.
    #[must_use]
    pub fn redacted(mut self, message: impl Into<Box<str>>) -> Self {
        self.redacted_message = Some(message.into());
        self
    }
}

impl Findings {
    /// Replaces every message that reveals the content of a Secret. Rules and severities stay.
    ///
    /// Findings that are equal afterwards are merged, with the worst severity.
    pub fn redact_secret(&mut self) {
        let mut kept: Vec<Finding> = Vec::with_capacity(self.0.len());
        for mut finding in std::mem::take(&mut self.0) {
            let Some(message) = finding.redacted_message.take() else {
                kept.push(finding);
                continue;
            };
            finding.message = message.into();
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
    use crate::rules::catalogue::Severity;
    use crate::rules::finding::Findings;

    #[test]
    fn the_content_of_a_secret_is_removed_and_rules_and_severities_stay() {
        let missing = |severity| {
            let finding = mixed("s3").severity(severity);
            finding.redacted("Secret s3 is not usable")
        };
        let mut found: Findings = [
            missing(Severity::Warn),
            mixed("else"),
            missing(Severity::Deny),
            missing(Severity::Deny).related_object("a", "b"),
        ]
        .into_iter()
        .collect();
        found.redact_secret();
        let texts: Vec<_> = found
            .iter()
            .map(|f| (f.message.as_str(), f.severity, f.related_objects.len()))
            .collect();
        assert_eq!(
            texts,
            [
                ("Secret s3 is not usable", Severity::Deny, 0),
                ("write one form", Severity::Deny, 0),
                ("Secret s3 is not usable", Severity::Deny, 1),
            ]
        );
    }
}
