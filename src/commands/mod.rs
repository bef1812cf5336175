//! The command line, a contract that scripts depend on: one file per subcommand.

mod check;
mod completions;
mod crds;
mod duration;
mod explain;
mod man;
mod output;
mod policy;
mod policy_args;
mod probe;
mod run;
mod schedule;
mod self_signed_args;
mod serve_args;
mod tls_args;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use policy_args::PolicyArgs;
pub use run::{BLOCKED_GRACE, RunArgs};
pub use self_signed_args::{LifetimeError, SelfArgs};
pub use serve_args::ServeArgs;
pub use tls_args::{TlsArgs, TlsMode, TlsOptionsError};

/// The admission gate for CassKop's backups and restores.
#[derive(Debug, Parser)]
#[command(name = "cassgate", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the admission webhook, and with --executor=cassgate run what it admits
    ///
    /// The configuration for the API server is found as kubectl finds it: KUBECONFIG, ~/.kube/config, or the service
    /// account of the pod. Paths: /mutate and /validate for the API server; /livez, /readyz, /metrics and /loglevel on
    /// the admin port.
    Run(Box<RunArgs>),
    /// Judge manifests as the webhook would, without a Kubernetes cluster
    ///
    /// All given files form one tree. References of backups and restores are resolved in it. SealedSecrets,
    /// ExternalSecrets, Secrets encrypted by SOPS, kustomize's generators and SecretProviderClasses provide the keys
    /// of Secrets that are created elsewhere. A reference to an object outside the files is a warning, with --strict a denial;
    /// with --live it is looked up in the Kubernetes cluster.
    ///
    /// Exit code 0: no object is denied. 1: an object is denied, or --fail-on is reached. 2: a file or an option is unusable,
    /// or nothing is judged with --require-objects.
    Check(Box<check::CheckArgs>),
    /// Find the broken hop between kubectl apply and cassgate's answer
    ///
    /// The probe creates a bad and a good CassandraBackup in dry runs through the API server (nothing is stored), and
    /// reads the webhook configurations, the Service and its endpoints. It prints one line for each hop: configuration,
    /// ca, service, certificate, server. A hop that your account may not read is unknown, never guessed. The
    /// configuration for the API server is found as kubectl finds it.
    ///
    /// Exit code 0: the path is good. 1: a hop is broken, or too little could be read. 2: an option, the kubeconfig or
    /// the API server is unusable.
    Probe(probe::ProbeArgs),
    /// Print the CustomResourceDefinitions of CassandraBackup and CassandraRestore
    ///
    /// They accept every object that CassKop's definitions accept. Never apply them beside a running CassKop: it writes
    /// status through the main resource, where an API server with these definitions drops it.
    Crds(crds::CrdsArgs),
    /// Print the static rules as validating admission policies of the API server
    ///
    /// A `ValidatingAdmissionPolicy` and its binding for each kind. For Kubernetes clusters that run the webhook with
    /// failurePolicy: Ignore, or not at all: the API server itself then denies what one object alone violates. Not for
    /// Kubernetes clusters whose webhook has failurePolicy: Fail, which says more, and all at once.
    Policy(policy::StaticPolicyArgs),
    /// List the rules, or explain one
    Explain(explain::ExplainArgs),
    /// Explain a schedule
    ///
    /// Prints the schedule in words, its next runs in its time zone and in UTC, the gaps between runs, and the clock
    /// changes within a year at which a run is skipped or happens twice. A time zone in the schedule
    /// (`CRON_TZ=Europe/Paris`) takes precedence over --zone. Exit code 2 if the schedule is invalid, with the error that
    /// CassKop has for it.
    ///
    /// With `-` and --format json, each line of input is {"expr": "...", "from": "RFC 3339 or seconds since 1970",
    /// "zone": "UTC", "count": 3}, of which only expr is required. Each is answered by a line {"expr": "...", "valid":
    /// true, "next": [seconds since 1970...]} or {"expr": "...", "valid": false, "error": "..."}. Exit code 2 only if a
    /// line could not be read.
    Schedule(schedule::ScheduleArgs),
    /// Print the manual page of cassgate, or of one of its commands
    Man(man::ManArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

impl Cli {
    /// Runs the subcommand and returns its exit code: 0 for success, 1 for a denial or a failed run, 2 for unusable
    /// input or options.
    #[must_use]
    pub fn execute(self) -> ExitCode {
        match self.command {
            Command::Run(args) => run::run(*args),
            Command::Check(args) => check::run(&args),
            Command::Probe(args) => probe::run(&args),
            Command::Crds(args) => crds::run(&args),
            Command::Policy(args) => policy::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Schedule(args) => schedule::run(&args),
            Command::Man(args) => man::run(&args, Self::command()),
            Command::Completions(args) => completions::run(&args, &mut Self::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_rule_that_does_not_exist_names_the_nearest() {
        let error = Cli::try_parse_from(["cassgate", "explain", "entities-mixd"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("entities-mixed"), "{error}");
    }

    fn long_help(name: &str) -> String {
        // A fixed width, because the width of the terminal differs.
        let mut root = Cli::command().term_width(100);
        root.build();
        let command = root.find_subcommand_mut(name).unwrap();
        command.render_long_help().to_string()
    }

    #[test]
    fn the_help_of_run_is_reviewed() {
        insta::assert_snapshot!(long_help("run"));
    }

    #[test]
    fn the_help_of_check_is_reviewed() {
        insta::assert_snapshot!(long_help("check"));
    }

    #[test]
    fn the_help_of_probe_is_reviewed() {
        insta::assert_snapshot!(long_help("probe"));
    }

    #[test]
    fn the_help_of_schedule_is_reviewed() {
        insta::assert_snapshot!(long_help("schedule"));
    }
}
