//! The policy of an installation, as flags and environment variables.

use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::SignedDuration;

use super::duration::duration;
use crate::rules::policy::{Executor, MissingReferences, Policy, RestoreGuard, SecretDetails};

/// The policy of an installation.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Policy")]
pub struct PolicyArgs {
    /// The controller that runs admitted objects
    #[arg(long, value_enum, default_value_t = ExecutorArg::Casskop, env = "CASSGATE_EXECUTOR")]
    executor: ExecutorArg,
    /// The verdict on an object that refers to a cluster, backup or Secret that does not exist [default: deny; for
    /// backups with --executor=cassgate warn]
    ///
    /// The label cassgate.db.orange.com/missing-references of a namespace overrides it there.
    #[arg(long, value_enum, env = "CASSGATE_MISSING_REFERENCES")]
    missing_references: Option<MissingReferencesArg>,
    /// The same for dry runs, in which a whole batch is reviewed and nothing of it is stored
    #[arg(long, value_enum, default_value_t = MissingReferencesArg::Warn, env = "CASSGATE_MISSING_REFERENCES_ON_DRY_RUN")]
    missing_references_on_dry_run: MissingReferencesArg,
    /// The verdict on a restore that empties more than it fills
    ///
    /// It covers restore-truncates-everything, restore-truncates-keyspace and restore-partial-datacenter.
    #[arg(long, value_enum, default_value_t = RestoreGuardArg::Warn, env = "CASSGATE_RESTORE_GUARD")]
    restore_guard: RestoreGuardArg,
    /// Deny schedules with less time than this between two runs, as in 90s, 15m or 1h30m
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "1m",
        value_parser = duration,
        env = "CASSGATE_MIN_SCHEDULE_INTERVAL"
    )]
    min_schedule_interval: Duration,
    /// The users whose answers say which keys a Secret lacks
    #[arg(long, value_enum, default_value_t = SecretDetailsArg::Caller, env = "CASSGATE_SECRET_DETAILS")]
    secret_details: SecretDetailsArg,
    /// Apply the rules that only inform: schedule-preview, backup-latest-run
    #[arg(long, env = "CASSGATE_NOTICES")]
    notices: bool,
}

/// The controller that runs admitted objects.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ExecutorArg {
    /// CassKop: objects that it would reject silently are denied with a message
    Casskop,
    /// cassgate itself: it runs backups, once or on a schedule, and restores; see docs/executor.md
    Cassgate,
    /// Unknown: rules that depend on the executor do not apply
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MissingReferencesArg {
    /// Deny it
    Deny,
    /// Admit it with a warning
    Warn,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RestoreGuardArg {
    /// Admit it with a warning
    Warn,
    /// Deny it unless its annotation cassgate.db.orange.com/confirm names the rule
    Confirm,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SecretDetailsArg {
    /// Users who may read that Secret; other users learn only that it is unusable
    Caller,
    /// Every user who may create the object
    Always,
}

impl From<MissingReferencesArg> for MissingReferences {
    fn from(arg: MissingReferencesArg) -> Self {
        match arg {
            MissingReferencesArg::Deny => Self::Deny,
            MissingReferencesArg::Warn => Self::Warn,
        }
    }
}

impl From<PolicyArgs> for Policy {
    fn from(args: PolicyArgs) -> Self {
        Self {
            executor: match args.executor {
                ExecutorArg::Casskop => Executor::Casskop,
                ExecutorArg::Cassgate => Executor::Cassgate,
                ExecutorArg::None => Executor::None,
            },
            missing_references: args.missing_references.map(Into::into),
            missing_references_on_dry_run: args.missing_references_on_dry_run.into(),
            restore_guard: match args.restore_guard {
                RestoreGuardArg::Warn => RestoreGuard::Warn,
                RestoreGuardArg::Confirm => RestoreGuard::Confirm,
            },
            min_schedule_interval: SignedDuration::try_from(args.min_schedule_interval)
                .unwrap_or(SignedDuration::MAX),
            secret_details: match args.secret_details {
                SecretDetailsArg::Caller => SecretDetails::Caller,
                SecretDetailsArg::Always => SecretDetails::Always,
            },
            notices: args.notices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PolicyArgs;
    use crate::rules::policy::{Executor, MissingReferences, Policy, RestoreGuard, SecretDetails};
    use clap::Parser;
    use jiff::SignedDuration;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        policy: PolicyArgs,
    }

    fn policy(args: &[&str]) -> Result<Policy, clap::Error> {
        Command::try_parse_from(["cassgate"].iter().chain(args)).map(|command| command.policy.into())
    }

    #[test]
    fn without_flags_the_policy_is_the_default() {
        assert_eq!(policy(&[]).unwrap(), Policy::default());
    }

    #[test]
    fn every_flag_sets_its_part_of_the_policy() {
        let args = [
            "--executor=none",
            "--missing-references=warn",
            "--missing-references-on-dry-run=deny",
            "--restore-guard=confirm",
            "--min-schedule-interval=1h30m",
            "--secret-details=always",
            "--notices",
        ];
        let expected = Policy {
            executor: Executor::None,
            missing_references: Some(MissingReferences::Warn),
            missing_references_on_dry_run: MissingReferences::Deny,
            restore_guard: RestoreGuard::Confirm,
            min_schedule_interval: SignedDuration::from_mins(90),
            secret_details: SecretDetails::Always,
            notices: true,
        };
        assert_eq!(policy(&args).unwrap(), expected);
    }

    #[test]
    fn a_malformed_interval_is_explained() {
        for text in ["1d", "10", "-1m"] {
            let error = policy(&[&format!("--min-schedule-interval={text}")]).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let why = "not a duration; write for example 5s, 1m30s or 500ms";
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
