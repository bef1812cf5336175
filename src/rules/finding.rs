//! Findings: what a rule reports about a field, and the text that the user reads.

mod identity;
mod path;
mod redaction;

use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::{Rule, Severity};
use identity::Identity;

pub use path::{entry, field};
pub use redaction::Redaction;

/// The reason why a field is rejected, as in `details.causes[].reason` of a Kubernetes `Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The value is malformed or contradicts another value.
    Invalid,
    /// A required value is missing.
    Required,
    /// The object that the value names does not exist.
    NotFound,
    /// Another object already has this value.
    Duplicate,
    /// The value must not be set, or not in this state of the object.
    Forbidden,
    /// The value is outside the set of supported values.
    NotSupported,
}

impl Cause {
    /// Returns the constant of `k8s.io/apimachinery/pkg/apis/meta/v1`.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Invalid => "FieldValueInvalid",
            Self::Required => "FieldValueRequired",
            Self::NotFound => "FieldValueNotFound",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::NotSupported => "FieldValueNotSupported",
        }
    }

    /// Returns the words with which the API server begins a denial of this cause, followed by a colon and a blank.
    ///
    /// Empty if they would not describe the denial: a value is invalid only if the text repeats it, and required only if
    /// there is none.
    pub(super) fn prefix(self, has_value: bool) -> &'static str {
        match (self, has_value) {
            (Self::Invalid, true) => "Invalid value: ",
            (Self::NotFound, true) => "Not found: ",
            (Self::Duplicate, true) => "Duplicate value: ",
            (Self::NotSupported, true) => "Unsupported value: ",
            (Self::Required, false) => "Required value: ",
            (Self::Forbidden, _) => "Forbidden: ",
            (Self::Required, true)
            | (Self::Invalid | Self::NotFound | Self::Duplicate | Self::NotSupported, false) => "",
        }
    }
}

/// One problem that one rule reports about one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that reports it.
    pub rule: &'static Rule,
    /// Deny or warn.
    pub severity: Severity,
    /// The path of the field, from the object's root: `spec.entities`.
    pub path: String,
    /// The Kubernetes cause.
    pub cause: Cause,
    /// The value of the field, if the text repeats it.
    pub value: Option<String>,
    /// The fact, the consequence and the remedy.
    pub message: String,
    /// The other objects that the finding depends on, as `Kind/name`. Findings about different objects are different
    /// findings, and a denial is lowered if one of these objects cannot be read again.
    pub related_objects: Vec<String>,
    /// The other fields that the finding depends on, from the object's root. `check` drops the finding if one of them is
    /// a placeholder that a template engine replaces later.
    pub related_fields: &'static [&'static str],
    /// The form for callers who may not read the Secret; `None` if the finding does not depend on a Secret.
    pub redaction: Option<Box<Redaction>>,
    /// True if the object's author suppressed this warning. It is still recorded.
    pub suppressed: bool,
    /// True if the finding only reports that a reference could not be looked up.
    pub unchecked: bool,
}

impl Finding {
    /// Returns a denial of the field at `path`.
    #[must_use]
    pub fn deny(
        rule: &'static Rule,
        path: impl Into<String>,
        cause: Cause,
        message: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            severity: Severity::Deny,
            path: path.into(),
            cause,
            value: None,
            message: message.into(),
            related_objects: Vec::new(),
            related_fields: &[],
            redaction: None,
            suppressed: false,
            unchecked: false,
        }
    }

    /// Returns a warning about the field at `path`.
    #[must_use]
    pub fn warn(
        rule: &'static Rule,
        path: impl Into<String>,
        cause: Cause,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warn,
            ..Self::deny(rule, path, cause, message)
        }
    }

    /// Adds the value of the field.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Adds an object that the finding depends on.
    #[must_use]
    pub fn related_object(mut self, kind: &str, name: &str) -> Self {
        self.related_objects.push(format!("{kind}/{name}"));
        self
    }

    /// Sets the other fields that the finding depends on.
    #[must_use]
    pub fn related_fields(mut self, fields: &'static [&'static str]) -> Self {
        self.related_fields = fields;
        self
    }

    /// Marks the finding as a failed lookup.
    #[must_use]
    pub fn unchecked(mut self) -> Self {
        self.unchecked = true;
        self
    }

    /// Sets the severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Returns the text of a cause or warning, which ends with its author and rule.
    ///
    /// A denial has the form of the API server's own field errors:
    /// `Invalid value: "k1": backup b1 contains only … [cassgate entities-wider-than-backup]`. A warning accepts the
    /// value, so it does not begin with these words.
    #[must_use]
    pub fn text(&self) -> String {
        let prefix = match self.severity {
            Severity::Deny => self.cause.prefix(self.value.is_some()),
            Severity::Warn => "",
        };
        let value = self.value.as_deref().map(|value| quote(value) + ": ");
        format!(
            "{prefix}{}{} {}",
            value.unwrap_or_default(),
            self.message,
            self.rule.mark()
        )
    }

    /// Returns true if `other` reports the same problem of the same value, at any severity.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

/// Maximum length of a value that a message repeats, in characters.
pub(super) const MAX_VALUE_CHARS: usize = 100;

fn quote(value: &str) -> String {
    let mut characters = value.chars();
    let head: String = characters.by_ref().take(MAX_VALUE_CHARS).collect();
    if characters.next().is_some() {
        format!("{head:?}…")
    } else {
        format!("{head:?}")
    }
}

/// All findings about one object, in the order of the spec's fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding.
    pub fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// Returns all findings.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// Returns the denials.
    pub fn denials(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.severity == Severity::Deny)
    }

    /// Returns the warnings that are not suppressed.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        let active = |finding: &&Finding| finding.severity == Severity::Warn && !finding.suppressed;
        self.0.iter().filter(active)
    }

    /// Returns the warnings that the object's author suppressed.
    pub fn suppressed(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.suppressed)
    }

    /// Returns true if there is a denial.
    #[must_use]
    pub fn denied(&self) -> bool {
        self.denials().next().is_some()
    }

    /// Returns true if there is no finding.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lowers to a warning each denial whose rule can be confirmed and is confirmed according to `confirms`.
    pub fn confirm(&mut self, confirms: impl Fn(&Rule) -> bool) {
        for finding in &mut self.0 {
            if finding.rule.confirmable && confirms(finding.rule) {
                finding.severity = Severity::Warn;
            }
        }
    }

    /// Suppresses each warning whose rule `allows`. Denials are never suppressed.
    ///
    /// Call this last, so that denials which were lowered to warnings can be suppressed too.
    pub fn suppress(&mut self, allows: impl Fn(&Rule) -> bool) {
        // Each rule is asked once: it searches a text of the user.
        let mut allowed: BTreeMap<&str, bool> = BTreeMap::new();
        for finding in &mut self.0 {
            let rule = finding.rule;
            finding.suppressed =
                finding.severity == Severity::Warn && *allowed.entry(rule.id).or_insert_with(|| allows(rule));
        }
    }

    /// Lowers to a warning each denial that depends on one of `objects` (`Kind/name`), which could not be read again.
    pub fn mark_unconfirmed(&mut self, objects: &[String]) {
        for finding in &mut self.0 {
            if finding
                .related_objects
                .iter()
                .any(|object| objects.contains(object))
            {
                finding.severity = Severity::Warn;
            }
        }
    }

    /// Lowers to a warning each denial that the stored object `old` has too (ratcheting validation).
    ///
    /// A new or stricter rule then does not prevent users from changing other fields. A denial whose rule
    /// [destroys](field@Rule::destroys) data stays, unless the object `has_started`.
    pub fn ratchet(&mut self, old: &Self, has_started: bool) {
        let before: BTreeSet<Identity<'_>> = old.denials().map(Finding::identity).collect();
        for finding in &mut self.0 {
            let kept = finding.rule.destroys && !has_started;
            if !kept && before.contains(&finding.identity()) {
                finding.severity = Severity::Warn;
            }
        }
    }
}

impl Extend<Finding> for Findings {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        self.0.extend(findings);
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Finding> for Findings {
    fn from_iter<T: IntoIterator<Item = Finding>>(findings: T) -> Self {
        Self(findings.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, Finding, Findings, entry};
    use crate::rules::catalogue::{self, Severity};

    pub(super) fn mixed(value: &str) -> Finding {
        Finding::deny(
            &catalogue::ENTITIES_MIXED,
            "spec.entities",
            Cause::Invalid,
            "write one form",
        )
        .value(value)
    }

    #[test]
    fn a_denial_has_the_form_of_the_api_server_and_ends_with_its_author_and_rule() {
        assert_eq!(
            mixed("k1,k2.t").text(),
            r#"Invalid value: "k1,k2.t": write one form [cassgate entities-mixed]"#
        );
        let required = Finding::deny(
            &catalogue::SECRET_ABSENT,
            "spec.secret",
            Cause::Required,
            "name a Secret",
        );
        assert_eq!(
            required.text(),
            "Required value: name a Secret [cassgate secret-absent]"
        );
    }

    #[test]
    fn only_a_denial_of_a_value_says_that_the_value_is_invalid() {
        assert_eq!(
            mixed("k1,k2.t").severity(Severity::Warn).text(),
            r#""k1,k2.t": write one form [cassgate entities-mixed]"#
        );
        let of = |cause| Finding::deny(&catalogue::SECRET_ABSENT, "spec.secret", cause, "name a Secret");
        for cause in [
            Cause::Invalid,
            Cause::NotFound,
            Cause::Duplicate,
            Cause::NotSupported,
        ] {
            assert_eq!(
                of(cause).text(),
                "name a Secret [cassgate secret-absent]",
                "{cause:?}"
            );
        }
        for cause in [Cause::Required, Cause::Invalid, Cause::NotFound] {
            let warning = of(cause).severity(Severity::Warn).text();
            assert_eq!(warning, "name a Secret [cassgate secret-absent]", "{cause:?}");
        }
        assert_eq!(
            of(Cause::Required).value("s3").text(),
            r#""s3": name a Secret [cassgate secret-absent]"#
        );
        assert_eq!(
            of(Cause::Forbidden).text(),
            "Forbidden: name a Secret [cassgate secret-absent]"
        );
    }

    #[test]
    fn a_long_value_with_control_characters_is_cut_and_escaped() {
        let text = mixed(&format!("a\nb\u{1b}{}", "x".repeat(500))).text();
        assert!(
            !text.contains(char::is_control) && text.chars().count() < 200,
            "{text}"
        );
    }

    #[test]
    fn a_map_key_in_a_path_is_cut_and_has_no_control_character() {
        let path = entry("spec.rename", &format!("k1\n.{}", "x".repeat(300)));
        assert!(path.starts_with("spec.rename[k1?.xxx"), "{path}");
        assert_eq!(path.chars().count(), "spec.rename[]".len() + 100);
    }

    #[test]
    fn a_confirmation_lowers_only_rules_that_can_be_confirmed() {
        let guard = Finding::deny(
            &catalogue::RESTORE_TRUNCATES_EVERYTHING,
            "spec.entities",
            Cause::Required,
            "empties",
        );
        let mut found: Findings = [mixed("a"), guard].into_iter().collect();
        found.confirm(|rule| rule.id == "restore-truncates-everything" || rule.id == "entities-mixed");
        let severities: Vec<_> = found.iter().map(|f| f.severity).collect();
        assert_eq!(severities, [Severity::Deny, Severity::Warn]);
    }

    #[test]
    fn a_warning_is_suppressed_and_recorded_and_a_denial_is_neither() {
        let warning = mixed("a").severity(Severity::Warn);
        let mut found: Findings = [warning, mixed("b")].into_iter().collect();
        found.suppress(|rule| rule.id == "entities-mixed");
        assert_eq!(found.warnings().count(), 0);
        let suppressed: Vec<_> = found
            .suppressed()
            .map(|f| (f.rule.id, f.value.as_deref()))
            .collect();
        assert_eq!(suppressed, [("entities-mixed", Some("a"))]);
        assert!(found.denied());
    }

    #[test]
    fn a_denial_is_lowered_if_its_object_could_not_be_read_again() {
        let mut found: Findings = [mixed("a").related_object("CassandraBackup", "b1"), mixed("b")]
            .into_iter()
            .collect();
        found.mark_unconfirmed(&["CassandraBackup/b1".to_owned()]);
        let severities: Vec<_> = found.iter().map(|f| f.severity).collect();
        assert_eq!(severities, [Severity::Warn, Severity::Deny]);
    }

    #[test]
    fn a_denial_of_the_stored_object_is_lowered_and_a_new_denial_is_not() {
        let mut new: Findings = [mixed("a,b.c"), mixed("d,e.f")].into_iter().collect();
        new.ratchet(&[mixed("a,b.c")].into_iter().collect(), false);
        assert_eq!(
            new.iter().map(|f| f.severity).collect::<Vec<_>>(),
            [Severity::Warn, Severity::Deny]
        );
    }

    #[test]
    fn the_same_value_with_another_related_object_is_another_finding() {
        let with_backup = |name| mixed("k1").related_object("CassandraBackup", name);
        let mut new: Findings = [with_backup("b2")].into_iter().collect();
        new.ratchet(&[with_backup("b1")].into_iter().collect(), false);
        assert!(new.denied());
    }

    #[test]
    fn a_denial_that_protects_data_stays_until_the_restore_has_started() {
        let wider = Finding::deny(
            &catalogue::ENTITIES_WIDER_THAN_BACKUP,
            "spec.entities",
            Cause::Invalid,
            "empties",
        );
        let old: Findings = [wider.clone()].into_iter().collect();
        for (has_started, denied) in [(false, true), (true, false)] {
            let mut new: Findings = [wider.clone()].into_iter().collect();
            new.ratchet(&old, has_started);
            assert_eq!(new.denied(), denied);
        }
    }
}
