//! The one table of all rules: what `cassgate explain` prints and what the documentation is made of.

mod backup;
mod both;
pub mod page;
mod restore;

use crate::api::Kind;

pub use backup::*;
pub use both::*;
pub use restore::*;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The request is refused.
    Deny,
    /// The request passes and the user is told.
    Warn,
}

impl Severity {
    /// The word of the command line and of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
        }
    }
}

/// Which kinds a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinds {
    /// `CassandraBackup` only.
    Backup,
    /// `CassandraRestore` only.
    Restore,
    /// Both.
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

    /// The kinds as a user writes them.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "CassandraBackup",
            Self::Restore => "CassandraRestore",
            Self::Both => "CassandraBackup, CassandraRestore",
        }
    }
}

/// One rule: its name for ever, and what a user should know of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable, kebab-case; at the end of every message.
    pub id: &'static str,
    /// The kinds that it judges.
    pub kinds: Kinds,
    /// The severities that its findings can have, the worst first.
    pub severities: &'static [Severity],
    /// What it refuses or tells, in one line.
    pub summary: &'static str,
    /// Why: what CassKop, Icarus or Kubernetes does otherwise.
    pub reason: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// What its page in `docs/rules` has below the head that is made of this table: more of the why, and manifests.
    pub page: &'static str,
    /// Whether what it refuses would destroy data. Such a finding is never lowered on a restore that has not started.
    pub destroys: bool,
    /// Whether the annotation [`CONFIRM_ANNOTATION`](crate::api::CONFIRM_ANNOTATION) makes a warning of its refusal.
    pub confirmable: bool,
    /// Whether it only informs, and is silent unless notices are asked for.
    pub notice: bool,
}

const DENY: &[Severity] = &[Severity::Deny];
const WARN: &[Severity] = &[Severity::Warn];
const EITHER: &[Severity] = &[Severity::Deny, Severity::Warn];

impl Rule {
    /// What its page says below the generated head.
    #[must_use]
    pub fn body(&self) -> &'static str {
        self.page
            .split_once(BODY_BEGINS)
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

/// The line of a page below which it is written by hand.
pub const BODY_BEGINS: &str =
    "<!-- Above: made of the table of rules by `make rules`. Below: written by hand. -->";

/// A list of rules becomes a static each and a table of them, so that none can be forgotten there.
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

        /// The rules of this part of the table, in the order in which the documentation lists them.
        pub(super) static $table: &[&Rule] = &[$(&$name),*];
    };
}
use rules;

/// Every rule, in the order in which the documentation lists them.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [both::BOTH, backup::BACKUP, restore::RESTORE]
        .into_iter()
        .flatten()
        .copied()
}

/// The rule of this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests {
    use super::{Severity, all, find};
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_kebab_case_and_each_stands_once() {
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
    fn every_rule_says_what_why_and_what_to_do() {
        for rule in all() {
            for text in [rule.summary, rule.reason, rule.remedy] {
                assert!(text.ends_with('.'), "{}: {text}", rule.id);
            }
            assert!(
                !rule.severities.is_empty() && rule.severities.is_sorted(),
                "{}",
                rule.id
            );
            let refuses = rule.severities.contains(&Severity::Deny);
            assert!(refuses || !(rule.destroys || rule.confirmable), "{}", rule.id);
            assert!(!(rule.notice && refuses), "{}", rule.id);
            assert!(!rule.body().is_empty(), "{} has no page", rule.id);
        }
    }
}
