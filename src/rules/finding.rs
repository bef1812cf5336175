//! What a rule found, and what the user reads of it.

use super::catalogue::{Rule, Severity};

/// Why a field is not taken, in Kubernetes' words for `details.causes[].reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The value has not the form that it must have, or contradicts something.
    Invalid,
    /// A value is missing.
    Required,
    /// What the value names does not exist.
    NotFound,
    /// Another object has the value already.
    Duplicate,
    /// The value may not be written (now, or at all).
    Forbidden,
    /// The value is none of those that are supported.
    NotSupported,
}

impl Cause {
    /// The constant of `k8s.io/apimachinery/pkg/apis/meta/v1`.
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

    /// How the API server itself begins the message of such a cause.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid value",
            Self::Required => "Required value",
            Self::NotFound => "Not found",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::NotSupported => "Unsupported value",
        }
    }
}

/// One thing that one rule has to say about one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// How bad it is.
    pub severity: Severity,
    /// The field, from the object's root: `spec.entities`.
    pub path: String,
    /// Kubernetes' kind of cause.
    pub cause: Cause,
    /// What the user wrote, where that helps.
    pub value: Option<String>,
    /// What is wrong, why it matters, what to write instead.
    pub message: String,
    /// The other objects that it rests on, as `Kind/name`; they make two findings differ.
    pub about: Vec<String>,
    /// Other fields that it rests on, from the object's root.
    pub rests_on: &'static [&'static str],
    /// What is said instead to who may not read the Secret that the message tells of.
    pub discreet: Option<String>,
    /// Whether the object's author silenced it: it is no warning any more, and leaves a trace.
    pub suppressed: bool,
    /// Whether it only says that something could not be looked up.
    pub unchecked: bool,
}

impl Finding {
    /// A refusal of `path`.
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
            about: Vec::new(),
            rests_on: &[],
            discreet: None,
            suppressed: false,
            unchecked: false,
        }
    }

    /// A warning about `path`.
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

    /// Says what the user wrote.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Says which object it rests on.
    #[must_use]
    pub fn about(mut self, kind: &str, name: &str) -> Self {
        self.about.push(format!("{kind}/{name}"));
        self
    }

    /// Says which other fields it rests on: a check says nothing while one of them is not filled in.
    #[must_use]
    pub fn rests_on(mut self, fields: &'static [&'static str]) -> Self {
        self.rests_on = fields;
        self
    }

    /// Says what is told to who may not know the message.
    #[must_use]
    pub fn discreet(mut self, message: impl Into<String>) -> Self {
        self.discreet = Some(message.into());
        self
    }

    /// Says that nobody could look.
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

    /// The text of a cause, in the form of the API server's own field errors, with the rule at its end:
    /// `Invalid value: "k1": holds only … [entities-wider-than-backup]`.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.value {
            Some(value) => {
                format!(
                    "{}: {}: {} [{}]",
                    self.cause.words(),
                    quote(value),
                    self.message,
                    self.rule.id
                )
            }
            None => format!("{}: {} [{}]", self.cause.words(), self.message, self.rule.id),
        }
    }

    /// Whether `other` says the same of the same value, whatever their severities.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.rule == other.rule
            && self.path == other.path
            && self.value == other.value
            && self.about == other.about
    }
}

/// The path of an entry of a map: `spec.rename[k1.t1]`. The key is a user's, so it is cut and has no control
/// character.
#[must_use]
pub fn entry(map: &str, key: &str) -> String {
    let key: String = key
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(LONGEST_VALUE)
        .collect();
    format!("{map}[{key}]")
}

/// The most of a value that a message repeats, in characters.
const LONGEST_VALUE: usize = 100;

fn quote(value: &str) -> String {
    let mut characters = value.chars();
    let head: String = characters.by_ref().take(LONGEST_VALUE).collect();
    if characters.next().is_some() {
        format!("{head:?}…")
    } else {
        format!("{head:?}")
    }
}

/// Everything that the rules found in one object, in the order of the spec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// The refusals.
    pub fn denials(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.severity == Severity::Deny)
    }

    /// The warnings that nobody silenced.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        let heard = |finding: &&Finding| finding.severity == Severity::Warn && !finding.suppressed;
        self.0.iter().filter(heard)
    }

    /// The warnings that the object's author silenced.
    pub fn suppressed(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.suppressed)
    }

    /// Whether anything is refused.
    #[must_use]
    pub fn denied(&self) -> bool {
        self.denials().next().is_some()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a message tells what a Secret holds.
    #[must_use]
    pub fn tell_of_a_secret(&self) -> bool {
        self.0.iter().any(|finding| finding.discreet.is_some())
    }

    /// Takes out of the messages what a Secret holds. What then says the same is said once.
    pub fn withhold(&mut self) {
        let mut kept: Vec<Finding> = Vec::with_capacity(self.0.len());
        for mut finding in std::mem::take(&mut self.0) {
            let told = finding.discreet.take();
            let veiled = told.is_some();
            finding.message = told.unwrap_or(finding.message);
            let twin = kept
                .iter_mut()
                .find(|other| veiled && other.same_as(&finding) && other.message == finding.message);
            match twin {
                Some(twin) => twin.severity = twin.severity.min(finding.severity),
                None => kept.push(finding),
            }
        }
        self.0 = kept;
    }

    /// Lowers to a warning each refusal that `confirms` and that its rule allows to confirm.
    pub fn confirm(&mut self, confirms: impl Fn(&Rule) -> bool) {
        for finding in &mut self.0 {
            if finding.rule.confirmable && confirms(finding.rule) {
                finding.severity = Severity::Warn;
            }
        }
    }

    /// Silences each warning whose rule `allows`; never a refusal. The last thing that is done to findings, here and
    /// offline alike, so that what was lowered to a warning is silenced too.
    pub fn suppress(&mut self, allows: impl Fn(&Rule) -> bool) {
        for finding in &mut self.0 {
            finding.suppressed = finding.severity == Severity::Warn && allows(finding.rule);
        }
    }

    /// Lowers to a warning each refusal that rests on one of these objects, `Kind/name`: nobody could read them again.
    pub fn doubt(&mut self, objects: &[String]) {
        for finding in &mut self.0 {
            if finding.about.iter().any(|about| objects.contains(about)) {
                finding.severity = Severity::Warn;
            }
        }
    }

    /// Lowers to a warning each refusal that the stored object has as well: a tightened rule must not keep users
    /// from mending something else. What destroys data stays refused unless `has_started`.
    pub fn ratchet(&mut self, old: &Self, has_started: bool) {
        for finding in &mut self.0 {
            let kept = finding.rule.destroys && !has_started;
            if !kept && old.denials().any(|before| before.same_as(finding)) {
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

    fn mixed(value: &str) -> Finding {
        Finding::deny(
            &catalogue::ENTITIES_MIXED,
            "spec.entities",
            Cause::Invalid,
            "write one form",
        )
        .value(value)
    }

    #[test]
    fn a_text_reads_like_the_api_servers_own_and_ends_with_the_rule() {
        assert_eq!(
            mixed("k1,k2.t").text(),
            r#"Invalid value: "k1,k2.t": write one form [entities-mixed]"#
        );
        let required = Finding::deny(
            &catalogue::SECRET_ABSENT,
            "spec.secret",
            Cause::Required,
            "name a Secret",
        );
        assert_eq!(required.text(), "Required value: name a Secret [secret-absent]");
    }

    #[test]
    fn a_hostile_value_is_cut_and_escaped() {
        let text = mixed(&format!("a\nb\u{1b}{}", "x".repeat(500))).text();
        assert!(
            !text.contains(char::is_control) && text.chars().count() < 200,
            "{text}"
        );
    }

    #[test]
    fn a_key_of_a_map_is_cut_and_has_no_control_character() {
        let path = entry("spec.rename", &format!("k1\n.{}", "x".repeat(300)));
        assert!(path.starts_with("spec.rename[k1?.xxx"), "{path}");
        assert_eq!(path.chars().count(), "spec.rename[]".len() + 100);
    }

    #[test]
    fn who_may_not_read_a_secret_hears_once_that_it_is_not_usable() {
        let missing = |severity| mixed("s3").discreet("Secret s3 is not usable").severity(severity);
        let mut found: Findings = [
            missing(Severity::Warn),
            mixed("else"),
            missing(Severity::Deny).about("a", "b"),
            missing(Severity::Deny),
        ]
        .into_iter()
        .collect();
        assert!(found.tell_of_a_secret());
        found.withhold();
        let told: Vec<_> = found
            .iter()
            .map(|f| (f.message.as_str(), f.severity, f.about.len()))
            .collect();
        assert_eq!(
            told,
            [
                ("Secret s3 is not usable", Severity::Deny, 0),
                ("write one form", Severity::Deny, 0),
                ("Secret s3 is not usable", Severity::Deny, 1),
            ]
        );
        assert!(!found.tell_of_a_secret());
    }

    #[test]
    fn a_confirmation_lowers_only_what_can_be_confirmed() {
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
    fn a_warning_is_silenced_and_leaves_a_trace_and_a_refusal_is_not() {
        let warning = mixed("a").severity(Severity::Warn);
        let mut found: Findings = [warning, mixed("b")].into_iter().collect();
        found.suppress(|rule| rule.id == "entities-mixed");
        assert_eq!(found.warnings().count(), 0);
        let silenced: Vec<_> = found
            .suppressed()
            .map(|f| (f.rule.id, f.value.as_deref()))
            .collect();
        assert_eq!(silenced, [("entities-mixed", Some("a"))]);
        assert!(found.denied());
    }

    #[test]
    fn what_could_not_be_read_again_refuses_nothing() {
        let mut found: Findings = [mixed("a").about("CassandraBackup", "b1"), mixed("b")]
            .into_iter()
            .collect();
        found.doubt(&["CassandraBackup/b1".to_owned()]);
        let severities: Vec<_> = found.iter().map(|f| f.severity).collect();
        assert_eq!(severities, [Severity::Warn, Severity::Deny]);
    }

    #[test]
    fn what_the_stored_object_has_too_is_lowered_and_what_is_new_is_not() {
        let mut new: Findings = [mixed("a,b.c"), mixed("d,e.f")].into_iter().collect();
        new.ratchet(&[mixed("a,b.c")].into_iter().collect(), false);
        assert_eq!(
            new.iter().map(|f| f.severity).collect::<Vec<_>>(),
            [Severity::Warn, Severity::Deny]
        );
    }

    #[test]
    fn another_object_behind_the_same_value_is_another_finding() {
        let about = |name| mixed("k1").about("CassandraBackup", name);
        let mut new: Findings = [about("b2")].into_iter().collect();
        new.ratchet(&[about("b1")].into_iter().collect(), false);
        assert!(new.denied());
    }

    #[test]
    fn what_destroys_data_stays_refused_until_the_restore_has_started() {
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
