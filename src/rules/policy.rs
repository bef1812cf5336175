//! What the platform team decides. One value, handed to pure rules.

use super::catalogue::{Kinds, Severity};

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
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            executor: Executor::default(),
            missing_references: None,
            missing_references_on_dry_run: MissingReferences::Warn,
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
}

impl Context {
    /// How bad it is that an object of this kind names something that does not exist.
    #[must_use]
    pub fn absent(&self, kind: Kinds) -> Severity {
        let by_default = || match (kind, self.policy.executor) {
            (Kinds::Backup, Executor::Cassgate) => MissingReferences::Warn,
            _ => MissingReferences::Deny,
        };
        if self.dry_run {
            self.policy.missing_references_on_dry_run.into()
        } else {
            self.policy.missing_references.unwrap_or_else(by_default).into()
        }
    }

    /// Whether CassKop acts.
    #[must_use]
    pub fn casskop_acts(&self) -> bool {
        self.policy.executor == Executor::Casskop
    }
}

#[cfg(test)]
mod tests {
    use super::{Context, Executor, MissingReferences, Policy};
    use crate::rules::catalogue::{Kinds, Severity};

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
            };
            let context = Context { policy, dry_run };
            assert_eq!(context.absent(Kinds::Backup), backup, "{context:?}");
            assert_eq!(context.absent(Kinds::Restore), restore, "{context:?}");
        }
    }
}
