//! What the platform team decides. One value, handed to pure rules.

use jiff::{SignedDuration, Timestamp};

use super::catalogue::Severity;
use super::facts::Facts;
use crate::api::Kind;

/// Who acts on the objects that pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Executor {
    /// CassKop. What it gets wrong becomes a finding.
    #[default]
    Casskop,
    /// Our own reconciler. A backup waits for what it needs.
    Cassgate,
    /// Nobody in particular: no rule that depends on the executor applies.
    None,
}

/// What to do with an object that names something that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingReferences {
    /// Refuse it.
    Deny,
    /// Let it pass and tell.
    Warn,
}

impl From<MissingReferences> for Severity {
    fn from(policy: MissingReferences) -> Self {
        match policy {
            MissingReferences::Deny => Self::Deny,
            MissingReferences::Warn => Self::Warn,
        }
    }
}

impl MissingReferences {
    /// Reads the word of the flag and of the namespace's label: `deny` or `warn`.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        match word {
            "deny" => Some(Self::Deny),
            "warn" => Some(Self::Warn),
            _ => None,
        }
    }
}

/// What to do with a restore that empties more than it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RestoreGuard {
    /// Let it pass and tell.
    #[default]
    Warn,
    /// Refuse it unless its author confirms it by annotation.
    Confirm,
}

/// Who is told what a Secret lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecretDetails {
    /// Who may read the Secret; the others hear that it is not usable.
    #[default]
    Caller,
    /// Everybody who may create the object.
    Always,
}

/// The least time between two runs of a schedule, unless the platform team says otherwise.
pub const MIN_SCHEDULE_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// The policy of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Who acts on the objects.
    pub executor: Executor,
    /// For requests that are stored. `None`: deny, except for backups under our own executor, which wait.
    pub missing_references: Option<MissingReferences>,
    /// For dry runs. Flux and `kubectl apply --dry-run=server -f folder/` review batches of which nothing is
    /// stored, so the default is to warn.
    pub missing_references_on_dry_run: MissingReferences,
    /// What to do with a restore that empties more than it fills.
    pub restore_guard: RestoreGuard,
    /// Schedules with less time between two runs are refused.
    pub min_schedule_interval: SignedDuration,
    /// Who is told what a Secret lacks.
    pub secret_details: SecretDetails,
    /// Whether rules that only inform speak.
    pub notices: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            executor: Executor::default(),
            missing_references: None,
            missing_references_on_dry_run: MissingReferences::Warn,
            restore_guard: RestoreGuard::default(),
            min_schedule_interval: MIN_SCHEDULE_INTERVAL,
            secret_details: SecretDetails::default(),
            notices: false,
        }
    }
}

/// What is true of one request beside the object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The installation's policy.
    pub policy: Policy,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// Whether the object is new.
    pub creating: bool,
    /// The time.
    pub now: Timestamp,
}

impl Context {
    /// How bad it is that an object of this kind names something that does not exist. The label of its namespace
    /// overrides the policy for what is stored.
    #[must_use]
    pub fn absent(&self, kind: Kind, facts: &Facts) -> Severity {
        let by_default = || match (kind, self.policy.executor) {
            (Kind::Backup, Executor::Cassgate) => MissingReferences::Warn,
            _ => MissingReferences::Deny,
        };
        if self.dry_run {
            self.policy.missing_references_on_dry_run.into()
        } else {
            facts
                .found_namespace()
                .and_then(|namespace| namespace.missing_references)
                .or(self.policy.missing_references)
                .unwrap_or_else(by_default)
                .into()
        }
    }

    /// How bad it is that a restore empties more than it fills.
    #[must_use]
    pub fn guarded(&self) -> Severity {
        match self.policy.restore_guard {
            RestoreGuard::Warn => Severity::Warn,
            RestoreGuard::Confirm => Severity::Deny,
        }
    }

    /// Whether CassKop acts.
    #[must_use]
    pub fn casskop_acts(&self) -> bool {
        self.policy.executor == Executor::Casskop
    }

    /// Whether our own reconciler acts.
    #[must_use]
    pub fn cassgate_acts(&self) -> bool {
        self.policy.executor == Executor::Cassgate
    }
}

#[cfg(test)]
mod tests {
    use super::{Context, Executor, MissingReferences, Policy};
    use crate::api::Kind;
    use crate::rules::catalogue::Severity;
    use crate::rules::facts::{Facts, Namespace, Reference};

    #[test]
    fn an_absent_reference_follows_executor_kind_policy_and_dry_run() {
        use MissingReferences::{Deny, Warn};
        for (executor, explicit, dry_run, on_dry_run, backup, restore) in [
            (
                Executor::Casskop,
                None,
                false,
                Warn,
                Severity::Deny,
                Severity::Deny,
            ),
            (Executor::None, None, false, Warn, Severity::Deny, Severity::Deny),
            (
                Executor::Cassgate,
                None,
                false,
                Warn,
                Severity::Warn,
                Severity::Deny,
            ),
            (
                Executor::Cassgate,
                Some(Deny),
                false,
                Warn,
                Severity::Deny,
                Severity::Deny,
            ),
            (
                Executor::Casskop,
                Some(Warn),
                false,
                Deny,
                Severity::Warn,
                Severity::Warn,
            ),
            (
                Executor::Casskop,
                Some(Deny),
                true,
                Warn,
                Severity::Warn,
                Severity::Warn,
            ),
            (
                Executor::Cassgate,
                Some(Warn),
                true,
                Deny,
                Severity::Deny,
                Severity::Deny,
            ),
        ] {
            let policy = Policy {
                executor,
                missing_references: explicit,
                missing_references_on_dry_run: on_dry_run,
                ..Policy::default()
            };
            let context = Context {
                policy,
                dry_run,
                ..Context::default()
            };
            let facts = Facts::default();
            assert_eq!(context.absent(Kind::Backup, &facts), backup, "{context:?}");
            assert_eq!(context.absent(Kind::Restore, &facts), restore, "{context:?}");
        }
    }

    #[test]
    fn a_namespace_has_its_own_word_for_what_is_stored() {
        let labelled = |word| Facts {
            namespace: Some(Reference::Found(Namespace {
                missing_references: MissingReferences::read(word),
                ..Namespace::default()
            })),
            ..Facts::default()
        };
        let mut context = Context::default();
        for (word, expected) in [
            ("warn", Severity::Warn),
            ("deny", Severity::Deny),
            ("nonsense", Severity::Deny),
        ] {
            assert_eq!(context.absent(Kind::Restore, &labelled(word)), expected, "{word}");
        }
        context.dry_run = true;
        assert_eq!(context.absent(Kind::Restore, &labelled("deny")), Severity::Warn);
    }
}
