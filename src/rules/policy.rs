//! The settings of the platform team, passed to the rules as one value.

use jiff::{SignedDuration, Timestamp};

use super::catalogue::Severity;
use super::facts::Facts;
use crate::api::Kind;

/// The controller that runs admitted objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Executor {
    /// CassKop. Rules report what CassKop cannot do.
    #[default]
    Casskop,
    /// cassgate's own reconciler. A backup waits for the objects that it references.
    Cassgate,
    /// Unspecified: rules that depend on the executor do not apply.
    None,
}

/// The verdict on an object that references a missing object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingReferences {
    /// Deny the request.
    Deny,
    /// Admit the request with a warning.
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
    /// Parses the value of the flag or of the namespace's label: `deny` or `warn`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "deny" => Some(Self::Deny),
            "warn" => Some(Self::Warn),
            _ => None,
        }
    }
}

/// The verdict on a restore that truncates more data than it restores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RestoreGuard {
    /// Admit the restore with a warning.
    #[default]
    Warn,
    /// Deny the restore unless its author confirms it with an annotation.
    Confirm,
}

/// The users who see details about the content of a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecretDetails {
    /// Users who may read the Secret. For other users the message only says that the Secret is not usable.
    #[default]
    Caller,
    /// All users who may create the object.
    Always,
}

/// Default minimum time between two runs of a schedule.
pub const MIN_SCHEDULE_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// The policy of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The controller that runs admitted objects.
    pub executor: Executor,
    /// The verdict for requests that are stored. `None` denies, except for backups with cassgate as executor, which
    /// wait.
    pub missing_references: Option<MissingReferences>,
    /// The verdict for dry runs. Defaults to `Warn`: Flux and `kubectl apply --dry-run=server -f folder/` review
    /// batches of objects that reference each other and none of which is stored.
    pub missing_references_on_dry_run: MissingReferences,
    /// The verdict on a restore that truncates more data than it restores.
    pub restore_guard: RestoreGuard,
    /// Minimum time between two runs of a schedule; shorter intervals are denied.
    pub min_schedule_interval: SignedDuration,
    /// The users who see details about the content of a Secret.
    pub secret_details: SecretDetails,
    /// True if informational rules report.
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

/// The properties of one request, apart from its object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The installation's policy.
    pub policy: Policy,
    /// True if the request is a dry run.
    pub dry_run: bool,
    /// True if the request creates the object.
    pub creating: bool,
    /// The current time.
    pub now: Timestamp,
}

impl Context {
    /// Returns the severity of a missing reference in an object of `kind`.
    ///
    /// For requests that are stored, the label of the namespace overrides the policy.
    #[must_use]
    pub fn missing_reference_severity(&self, kind: Kind, facts: &Facts) -> Severity {
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

    /// Returns the severity for a restore that truncates more data than it restores.
    #[must_use]
    pub fn restore_guard_severity(&self) -> Severity {
        match self.policy.restore_guard {
            RestoreGuard::Warn => Severity::Warn,
            RestoreGuard::Confirm => Severity::Deny,
        }
    }

    /// Returns true if CassKop runs the objects.
    #[must_use]
    pub fn casskop_acts(&self) -> bool {
        self.policy.executor == Executor::Casskop
    }

    /// Returns true if cassgate's own reconciler runs the objects.
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
    fn the_severity_of_a_missing_reference_depends_on_executor_kind_policy_and_dry_run() {
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
            assert_eq!(
                context.missing_reference_severity(Kind::Backup, &facts),
                backup,
                "{context:?}"
            );
            assert_eq!(
                context.missing_reference_severity(Kind::Restore, &facts),
                restore,
                "{context:?}"
            );
        }
    }

    #[test]
    fn the_label_of_the_namespace_overrides_the_policy_except_for_dry_runs() {
        let labelled = |word| Facts {
            namespace: Some(Reference::Found(Namespace {
                missing_references: MissingReferences::parse(word),
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
            assert_eq!(
                context.missing_reference_severity(Kind::Restore, &labelled(word)),
                expected,
                "{word}"
            );
        }
        context.dry_run = true;
        assert_eq!(
            context.missing_reference_severity(Kind::Restore, &labelled("deny")),
            Severity::Warn
        );
    }
}
