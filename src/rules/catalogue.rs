//! The table of all rules. `cassgate explain` prints it, and the pages in `docs/rules` are generated from it.

mod backup;
mod both;
pub mod page;
mod restore;

use crate::api::Kind;

pub use backup::*;
pub use both::*;
pub use restore::*;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The request is denied.
    Deny,
    /// The request is admitted with a warning.
    Warn,
}

impl Severity {
    /// Returns the severity as flags, output and metric labels spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
        }
    }
}

/// The kinds that a rule judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinds {
    /// `CassandraBackup` only.
    Backup,
    /// `CassandraRestore` only.
    Restore,
    /// Both kinds.
    Both,
}

impl Kinds {
    /// Returns true if the rule judges objects of `kind`.
    #[must_use]
    pub fn includes(self, kind: Kind) -> bool {
        match self {
            Self::Backup => kind == Kind::Backup,
            Self::Restore => kind == Kind::Restore,
            Self::Both => true,
        }
    }

    /// Returns the kinds as manifests spell them.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "CassandraBackup",
            Self::Restore => "CassandraRestore",
            Self::Both => "CassandraBackup, CassandraRestore",
        }
    }
}

/// A rule: its stable id and its documentation.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The stable id in kebab-case, which ends every text about the rule.
    pub id: &'static str,
    /// The kinds that it judges.
    pub kinds: Kinds,
    /// The severities that its findings can have, worst first.
    pub severities: &'static [Severity],
    /// The condition that it reports, in one line.
    pub summary: &'static str,
    /// The reason: the behaviour of CassKop, Icarus or Kubernetes without the rule.
    pub reason: &'static str,
    /// The remedy.
    pub remedy: &'static str,
    /// Its page in `docs/rules`: a generated head, then a hand-written body with details and example manifests.
    pub page: &'static str,
    /// True if the rule protects data. Its denials are never lowered on a restore that has not started.
    pub destroys: bool,
    /// True if the annotation [`CONFIRM_ANNOTATION`](crate::api::CONFIRM_ANNOTATION) lowers its denials to warnings.
    pub confirmable: bool,
    /// True if the rule is informational. It reports only if notices are enabled.
    pub notice: bool,
}

const DENY: &[Severity] = &[Severity::Deny];
const WARN: &[Severity] = &[Severity::Warn];
const EITHER: &[Severity] = &[Severity::Deny, Severity::Warn];

impl Rule {
    /// Returns the end of each text about this rule: `[cassgate entities-mixed]`.
    ///
    /// kubectl shows the causes of a denial and the warnings without the name of the webhook, next to texts of the API
    /// server, so each text names its author.
    #[must_use]
    pub fn mark(&self) -> String {
        format!("[{AUTHOR} {}]", self.id)
    }

    /// Returns the hand-written part of its page, below the generated head.
    #[must_use]
    pub fn body(&self) -> &'static str {
        self.page
            .split_once(BODY_MARKER)
            .map(|(_, body)| body.trim())
            .unwrap_or_default()
    }

    const fn destroys(self) -> Self {
        Self {
            destroys: true,
            ..self
        }
    }

    const fn confirmable(self) -> Self {
        Self {
            confirmable: true,
            ..self
        }
    }

    const fn notice(self) -> Self {
        Self { notice: true, ..self }
    }
}

/// The author that ends each text of a cause or warning, in square brackets and followed by the rule, if there is one.
pub const AUTHOR: &str = "cassgate";

/// The line that separates the generated head of a page from its hand-written body.
pub const BODY_MARKER: &str =
    "<!-- Above: generated from the table of rules by `make rules`. Below: written by hand. -->";

/// Defines a static for each rule and the table of them, so that the table is complete.
macro_rules! rules {
    ($table:ident; $($name:ident = $id:literal, $kinds:ident, $severities:ident $(, $mark:ident)*; $summary:literal; $reason:literal; $remedy:literal;)*) => {
        $(
            #[doc = $summary]
            pub static $name: Rule = Rule {
                id: $id,
                kinds: Kinds::$kinds,
                severities: $severities,
                summary: $summary,
                reason: $reason,
                remedy: $remedy,
                page: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules/", $id, ".md")),
                destroys: false,
                confirmable: false,
                notice: false,
            }$(.$mark())*;
        )*

        /// The rules of this part of the table, in the order of the documentation.
        pub(super) static $table: &[&Rule] = &[$(&$name),*];
    };
}
use rules;

/// Returns all rules, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [both::BOTH, backup::BACKUP, restore::RESTORE]
        .into_iter()
        .flatten()
        .copied()
}

/// Returns the rule with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests {
    use super::{Severity, all, find};
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_kebab_case_and_unique() {
        let mut seen = BTreeSet::new();
        for rule in all() {
            let kebab = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(rule.id.chars().all(kebab), "{}", rule.id);
            assert!(seen.insert(rule.id), "{} twice", rule.id);
            assert_eq!(find(rule.id), Some(rule));
        }
        assert_eq!(find("no-such-rule"), None);
    }

    #[test]
    fn every_rule_has_a_summary_a_reason_a_remedy_and_a_page() {
        for rule in all() {
            for text in [rule.summary, rule.reason, rule.remedy] {
                assert!(text.ends_with('.'), "{}: {text}", rule.id);
            }
            assert!(
                !rule.severities.is_empty() && rule.severities.is_sorted(),
                "{}",
                rule.id
            );
            let can_deny = rule.severities.contains(&Severity::Deny);
            assert!(can_deny || !(rule.destroys || rule.confirmable), "{}", rule.id);
            assert!(!(rule.notice && can_deny), "{}", rule.id);
            assert!(!rule.body().is_empty(), "{} has no page", rule.id);
        }
    }
}
