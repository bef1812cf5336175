//! The command line: a contract that scripts rest on.

mod check;
mod explain;
mod policy;
mod probe;
mod schedule;
mod static_policy;

use std::io::{self, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory, Parser, Subcommand};
use jiff::Timestamp;

use crate::api;
use crate::app;
use crate::observe::log::LogArgs;
use crate::rules::catalogue;
use crate::serve::ServeArgs;
use crate::serve::certs::TlsArgs;

pub use check::{CheckArgs, CheckCommandError};
pub use policy::PolicyArgs;
pub use probe::ProbeArgs;

pub(crate) use check::run as check;
pub(crate) use probe::run as probe;

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
    Check(Box<CheckArgs>),
    /// Say which hop between kubectl apply and cassgate's answer is broken
    ///
    /// A bad and a good CassandraBackup are created in dry runs through the API server (nothing is stored), and the
    /// webhook configurations, the Service and its endpoints are read. One line for each hop: configuration, ca,
    /// service, certificate, server. What may not be read is unknown, never guessed. The Kubernetes cluster is found as
    /// kubectl finds it.
    ///
    /// Exit code 0: the path is good. 1: a hop is broken, or too little could be seen. 2: an option, the kubeconfig
    /// or the API server is of no use.
    Probe(ProbeArgs),
    /// Print the CustomResourceDefinitions of CassandraBackup and CassandraRestore
    ///
    /// They take every object that CassKop's own take. Never apply them beside a running CassKop: it writes status
    /// through the main resource, where a server with these definitions drops it.
    Crds {
        /// Write one file for each kind there, instead of printing them
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print the static rules as policies of the API server
    ///
    /// A `ValidatingAdmissionPolicy` and its binding for each kind. For clusters that run the webhook with
    /// failurePolicy: Ignore, or not at all: what one object alone can break is then refused by the API server itself.
    /// Not for clusters whose webhook has failurePolicy: Fail, which says more, and everything at once.
    Policy {
        /// Write policy.yaml there, instead of printing it
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// List the rules, or tell all about one
    Explain {
        /// The rule, as it stands in square brackets at the end of a message
        #[arg(value_name = "RULE", value_parser = PossibleValuesParser::new(catalogue::all().map(|rule| rule.id)), hide_possible_values = true)]
        rule: Option<String>,
    },
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
    Man {
        /// The command
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
    /// Print a script that completes cassgate's command line
    Completions {
        /// The shell that reads it
        shell: clap_complete::Shell,
    },
}

/// What `cassgate run` is told.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Addresses and the way out.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// The certificate.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Logs.
    #[command(flatten)]
    pub log: LogArgs,
    /// What the platform team decides.
    #[command(flatten)]
    pub policy: PolicyArgs,
}

impl Cli {
    /// Does what the command line says. The exit code is 0 for good, 1 for a run that failed, 2 for options or input
    /// that cannot be used.
    #[must_use]
    pub fn execute(self) -> ExitCode {
        match self.command {
            Command::Run(args) => app::run(*args),
            Command::Check(args) => app::check(&args),
            Command::Probe(args) => app::probe(&args),
            Command::Crds { dir: Some(dir) } => finish(api::write_crds(&dir).map(|_| ())),
            Command::Crds { dir: None } => match api::crds_yaml() {
                Ok(yaml) => print(&yaml),
                Err(error) => finish(Err(error)),
            },
            Command::Policy { dir: Some(dir) } => finish(static_policy::write(&dir)),
            Command::Policy { dir: None } => match static_policy::yaml() {
                Ok(yaml) => print(&yaml),
                Err(error) => finish(Err(error)),
            },
            Command::Explain { rule: Some(id) } => {
                print(&catalogue::find(&id).map(explain::one).unwrap_or_default())
            }
            Command::Explain { rule: None } => print(&explain::all()),
            Command::Schedule(args) => tell_schedule(&args),
            Command::Man { command } => manual(command.as_deref()),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "cassgate", &mut script);
                print(&String::from_utf8_lossy(&script))
            }
        }
    }
}

/// Prints a page for man, of the whole or of one command.
fn manual(name: Option<&str>) -> ExitCode {
    let mut whole = Cli::command();
    whole.build();
    let command = match name {
        None => Some(whole),
        Some(name) => whole.find_subcommand(name).cloned(),
    };
    let Some(command) = command else {
        return finish(Err(NoSuchCommand(name.unwrap_or_default().to_owned())));
    };
    let mut page = Vec::new();
    match clap_mangen::Man::new(command).render(&mut page) {
        Ok(()) => print(&String::from_utf8_lossy(&page)),
        Err(error) => finish(Err(error)),
    }
}

/// What `cassgate man` is asked for and has not.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no command of cassgate")]
struct NoSuchCommand(String);

/// Runs `cassgate schedule` on the clock and the streams of the process.
fn tell_schedule(args: &schedule::ScheduleArgs) -> ExitCode {
    let mut input = BufReader::new(io::stdin());
    let mut output = BufWriter::new(io::stdout().lock());
    match schedule::run(args, Timestamp::now(), &mut input, &mut output) {
        Ok(schedule::Input::Usable) => ExitCode::SUCCESS,
        Ok(schedule::Input::Unusable) => ExitCode::from(2),
        Err(schedule::ScheduleCommandError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            // Dropped as it is, the writer would try the rest again.
            drop(output.into_parts());
            ExitCode::SUCCESS
        }
        Err(error) => finish(Err(error)),
    }
}

/// Writes to standard output. A reader that has gone away (`cassgate explain | head`) is no failure.
fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => finish(Err(error)),
        _ => ExitCode::SUCCESS,
    }
}

fn finish<E: std::error::Error>(result: Result<(), E>) -> ExitCode {
    result.map_or_else(
        |error| {
            tell(&error);
            ExitCode::from(2)
        },
        |()| ExitCode::SUCCESS,
    )
}

/// One line on standard error, with everything that led to it.
pub(crate) fn tell(error: &dyn std::error::Error) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    // Nothing is left to tell it to when standard error is gone.
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
