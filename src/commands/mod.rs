//! The command line, a contract that scripts depend on: one file per subcommand.

mod check;
mod completions;
mod crds;
pub(crate) mod duration;
mod explain;
mod man;
mod policy;
mod policy_args;
mod probe;
mod run;
mod schedule;
mod serve_args;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use policy_args::PolicyArgs;
pub use run::{BLOCKED_GRACE, RunArgs};
pub use serve_args::ServeArgs;

/// The gate in front of CassKop's backups and restores.
#[derive(Debug, Parser)]
#[command(name = "cassgate", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the admission webhook
    ///
    /// The Kubernetes cluster is found as kubectl finds it: KUBECONFIG, ~/.kube/config, or the service account of
    /// the pod. Paths: /mutate and /validate for the API server; /livez, /readyz, /metrics and /loglevel on the
    /// admin port.
    Run(Box<RunArgs>),
    /// Judge manifests as the webhook would, without a Kubernetes cluster
    ///
    /// All given files form one tree: what a backup or a restore names is looked for in it. SealedSecrets,
    /// ExternalSecrets, Secrets encrypted by SOPS, kustomize's generators and SecretProviderClasses tell the keys
    /// of Secrets that are made elsewhere. What is not in the files is a warning; with --strict a refusal; with --live
    /// the Kubernetes cluster is asked.
    ///
    /// Exit code 0: nothing is refused. 1: something is (or warned of, with --deny-warnings). 2: a file or an option
    /// cannot be used.
    Check(Box<check::CheckArgs>),
    /// Say which hop between kubectl apply and cassgate's answer is broken
    ///
    /// A bad and a good CassandraBackup are created in dry runs through the API server (nothing is stored), and the
    /// webhook configurations, the Service and its endpoints are read. One line for each hop: configuration, ca,
    /// service, certificate, server. What may not be read is unknown, never guessed. The Kubernetes cluster is found as
    /// kubectl finds it.
    ///
    /// Exit code 0: the path is good. 1: a hop is broken, or too little could be seen. 2: an option, the kubeconfig
    /// or the API server is of no use.
    Probe(probe::ProbeArgs),
    /// Print the CustomResourceDefinitions of CassandraBackup and CassandraRestore
    ///
    /// They take every object that CassKop's own take. Never apply them beside a running CassKop: it writes status
    /// through the main resource, where a server with these definitions drops it.
    Crds(crds::CrdsArgs),
    /// Print the static rules as policies of the API server
    ///
    /// A `ValidatingAdmissionPolicy` and its binding for each kind. For clusters that run the webhook with
    /// failurePolicy: Ignore, or not at all: what one object alone can break is then refused by the API server itself.
    /// Not for clusters whose webhook has failurePolicy: Fail, which says more, and everything at once.
    Policy(policy::StaticPolicyArgs),
    /// List the rules, or tell all about one
    Explain(explain::ExplainArgs),
    /// Tell what a schedule means
    ///
    /// In words, its next runs in the zone and in UTC, how far apart runs are, and the changes of the clock within a
    /// year at which one is skipped or comes twice. A zone in front of the schedule (`CRON_TZ=Europe/Paris`) wins over
    /// --zone. Exit code 2 when it is no schedule, with the error that CassKop has for it.
    ///
    /// With `-` and --format json, each line of input is {"expr": "...", "from": "RFC 3339 or seconds since 1970",
    /// "zone": "UTC", "count": 3}, of which only expr has to be there, and is answered by a line {"expr": "...",
    /// "valid": true, "next": [seconds since 1970...]} or {"expr": "...", "valid": false, "error": "..."}. Exit code
    /// 2 only when a line could not be read.
    Schedule(schedule::ScheduleArgs),
    /// Print the manual page of cassgate, or of one of its commands
    Man(man::ManArgs),
    /// Print a script that completes cassgate's command line
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
            Command::Man(args) => man::run(&args),
            Command::Completions(args) => completions::run(&args),
        }
    }
}

/// Writes `text` to standard output. A closed pipe (`cassgate explain | head`) is not an error.
fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => exit(Err(error)),
        _ => ExitCode::SUCCESS,
    }
}

/// Returns 0, or prints the error and returns 2.
fn exit<E: std::error::Error>(result: Result<(), E>) -> ExitCode {
    result.map_or_else(
        |error| {
            print_error(&error);
            ExitCode::from(2)
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Prints an error and its sources as one line on standard error.
fn print_error(error: &dyn std::error::Error) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    // If standard error is closed too, there is no place left to report to.
    drop(writeln!(io::stderr().lock(), "cassgate: {text}"));
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

    #[test]
    fn the_help_of_run_is_what_the_documentation_says() {
        // Not the terminal's width, which differs.
        let mut command = Cli::command().term_width(100);
        command.build();
        let run = command.find_subcommand_mut("run").unwrap();
        insta::assert_snapshot!(run.render_long_help().to_string());
    }

    #[test]
    fn the_help_of_check_is_what_the_documentation_says() {
        let mut command = Cli::command().term_width(100);
        command.build();
        let check = command.find_subcommand_mut("check").unwrap();
        insta::assert_snapshot!(check.render_long_help().to_string());
    }

    #[test]
    fn the_help_of_probe_is_what_the_documentation_says() {
        let mut command = Cli::command().term_width(100);
        command.build();
        let probe = command.find_subcommand_mut("probe").unwrap();
        insta::assert_snapshot!(probe.render_long_help().to_string());
    }

    #[test]
    fn the_help_of_schedule_is_what_the_documentation_says() {
        let mut command = Cli::command().term_width(100);
        command.build();
        let schedule = command.find_subcommand_mut("schedule").unwrap();
        insta::assert_snapshot!(schedule.render_long_help().to_string());
    }
}
